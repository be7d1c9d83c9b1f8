//! The states of a definition as a tree: which are inside of which, and what each Parallel's branches are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use asl::graph::{EdgeKind, Graph, NodeKind};
use model::StateKind;

/// A state of the definition.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub name: String,
    pub kind: StateKind,
    /// The Map or Parallel it is inside of.
    pub parent: Option<String>,
    /// No transition but a Catch leaves it: when it succeeds, its scope is done.
    pub is_last: bool,
}

/// A branch of a Parallel.
#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    /// The first state, which names the branch.
    pub name: String,
    /// The states on its way when nothing fails.
    pub states: BTreeSet<String>,
}

/// The states of a definition, in its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub states: Vec<State>,
    places: HashMap<String, usize>,
    branches: HashMap<String, BTreeMap<usize, Branch>>,
}

impl Tree {
    pub(super) fn of(graph: &Graph) -> Tree {
        let mut onward: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut entered: BTreeSet<&str> = BTreeSet::new();
        for edge in &graph.edges {
            entered.insert(&edge.to);
            if edge.kind != EdgeKind::Catch {
                onward.entry(&edge.from).or_default().push(&edge.to);
            }
        }
        let mut tree = Tree::default();
        let mut scopes: HashMap<&str, BTreeMap<usize, Vec<&str>>> = HashMap::new();
        for node in &graph.states {
            let NodeKind::State(kind) = node.kind else {
                continue;
            };
            tree.places.insert(node.name.clone(), tree.states.len());
            tree.states.push(State {
                name: node.name.clone(),
                kind: kind_of(kind),
                parent: node.parent.clone(),
                is_last: !onward.contains_key(node.name.as_str()),
            });
            if let (Some(parent), Some(branch)) = (&node.parent, node.branch) {
                scopes
                    .entry(parent)
                    .or_default()
                    .entry(branch)
                    .or_default()
                    .push(&node.name);
            }
        }
        for (parent, branches) in scopes {
            let branches = branches
                .into_iter()
                .map(|(index, names)| (index, branch_of(&names, &entered, &onward)))
                .collect();
            tree.branches.insert(parent.to_owned(), branches);
        }
        tree
    }

    /// The state of this name.
    pub(super) fn state(&self, name: &str) -> Option<&State> {
        self.places.get(name).map(|place| &self.states[*place])
    }

    /// The branches of a Parallel, by index.
    pub(super) fn branches(&self, parallel: &str) -> impl Iterator<Item = (usize, &Branch)> {
        self.branches
            .get(parallel)
            .into_iter()
            .flatten()
            .map(|(index, branch)| (*index, branch))
    }

    /// Whether `name` is somewhere inside of `container`.
    pub(super) fn is_inside(&self, name: &str, container: &str) -> bool {
        let mut next = self.state(name).and_then(|state| state.parent.as_deref());
        while let Some(parent) = next {
            if parent == container {
                return true;
            }
            next = self.state(parent).and_then(|state| state.parent.as_deref());
        }
        false
    }
}

/// The branch with these states: it starts with the one that no other enters, or, in a loop, the first.
fn branch_of(
    names: &[&str],
    entered: &BTreeSet<&str>,
    onward: &HashMap<&str, Vec<&str>>,
) -> Branch {
    let first = names
        .iter()
        .find(|name| !entered.contains(*name))
        .or(names.first())
        .copied()
        .unwrap_or_default();
    let mut states = BTreeSet::new();
    let mut open = vec![first];
    while let Some(name) = open.pop() {
        if names.contains(&name) && states.insert(name.to_owned()) {
            open.extend(onward.get(name).into_iter().flatten());
        }
    }
    Branch {
        name: first.to_owned(),
        states,
    }
}

/// The language's kind of state as it crosses the wire.
fn kind_of(kind: asl::StateKind) -> StateKind {
    match kind {
        asl::StateKind::Task => StateKind::Task,
        asl::StateKind::Pass => StateKind::Pass,
        asl::StateKind::Choice => StateKind::Choice,
        asl::StateKind::Wait => StateKind::Wait,
        asl::StateKind::Succeed => StateKind::Succeed,
        asl::StateKind::Fail => StateKind::Fail,
        asl::StateKind::Parallel => StateKind::Parallel,
        asl::StateKind::Map => StateKind::Map,
    }
}
