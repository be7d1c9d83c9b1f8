//! Owns the shape of a machine as nodes and edges.

mod condition;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::machine::{Body, ChoiceRule, Next, ScopeId, State, StateKind, StateMachine};

/// States and transitions of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Every state, and a Start and an End for the machine; parents come before their children.
    pub states: Vec<Node>,
    /// Every transition.
    pub edges: Vec<Edge>,
}

/// What a node of a graph stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NodeKind {
    /// Where the machine begins; named [`START`].
    Start,
    /// Where the machine ends; named [`END`].
    End,
    /// A state.
    #[serde(untagged)]
    State(StateKind),
}

/// Name of the node where the machine begins; the parser refuses states of this name.
pub const START: &str = "·start";
/// Name of the node where the machine ends; the parser refuses states of this name.
pub const END: &str = "·end";

/// A state, or a Start or End.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name of the state; unique in the machine.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// The Parallel or Map state it is inside of.
    pub parent: Option<String>,
    /// The branch of `parent` it belongs to; 0 in a Map.
    pub branch: Option<usize>,
}

/// A transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Name of the node it leaves.
    pub from: String,
    /// Name of the node it enters, always in the same scope.
    pub to: String,
    /// Why it is taken.
    pub kind: EdgeKind,
    /// The condition of a choice or the errors of a catcher, for people.
    pub label: Option<String>,
}

/// Why a transition is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EdgeKind {
    /// `Next`, `End`, `StartAt`.
    Next,
    /// A catcher.
    Catch,
    /// A rule of a Choice.
    Choice,
    /// `Default` of a Choice.
    Default,
}

/// The graph of a machine. Scopes come breadth first, so that parents stand before their children.
pub fn graph(machine: &StateMachine) -> Graph {
    let mut graph = Graph::default();
    let root = machine.scope(ScopeId::ROOT);
    graph.states.push(pseudo(START, NodeKind::Start));
    graph.edges.push(edge(
        START,
        &machine.state(root.start).name,
        EdgeKind::Next,
        None,
    ));
    let mut scopes = VecDeque::from([ScopeId::ROOT]);
    while let Some(id) = scopes.pop_front() {
        let scope = machine.scope(id);
        let (parent, branch) = match scope.owner {
            Some((owner, branch)) => (Some(machine.state(owner).name.clone()), Some(branch)),
            None => (None, None),
        };
        for &state in &scope.states {
            let state = machine.state(state);
            graph.states.push(Node {
                name: state.name.clone(),
                kind: NodeKind::State(state.kind()),
                parent: parent.clone(),
                branch,
            });
            add_edges(machine, state, id == ScopeId::ROOT, &mut graph.edges);
            match &state.body {
                Body::Parallel { branches, .. } => scopes.extend(branches),
                Body::Map(map) => scopes.push_back(map.processor),
                _ => {}
            }
        }
    }
    graph.states.push(pseudo(END, NodeKind::End));
    graph
}

fn pseudo(name: &str, kind: NodeKind) -> Node {
    Node {
        name: name.to_owned(),
        kind,
        parent: None,
        branch: None,
    }
}

fn edge(from: &str, to: &str, kind: EdgeKind, label: Option<String>) -> Edge {
    Edge {
        from: from.to_owned(),
        to: to.to_owned(),
        kind,
        label,
    }
}

/// The transitions out of one state. Only the machine itself has an End to lead to: inside a
/// container the end of a branch is the container's edge.
fn add_edges(machine: &StateMachine, state: &State, at_root: bool, edges: &mut Vec<Edge>) {
    let from = state.name.as_str();
    let name = |id| machine.state(id).name.as_str();
    match &state.body {
        Body::Choice { rules, default } => {
            for ChoiceRule { rule, next: to, .. } in rules {
                let label = Some(rule.to_string());
                edges.push(edge(from, name(*to), EdgeKind::Choice, label));
            }
            if let Some(to) = default {
                edges.push(edge(from, name(*to), EdgeKind::Default, None));
            }
        }
        _ => match state.next {
            Next::State(to) => edges.push(edge(from, name(to), EdgeKind::Next, None)),
            Next::End if at_root => edges.push(edge(from, END, EdgeKind::Next, None)),
            Next::End => {}
        },
    }
    for catcher in state.effort().map_or(&[][..], |effort| &effort.catchers) {
        let label = Some(catcher.errors.join(", "));
        edges.push(edge(from, name(catcher.next), EdgeKind::Catch, label));
    }
}
