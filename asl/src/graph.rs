//! Owns the shape of a machine as nodes and edges.

use serde::{Deserialize, Serialize};

use crate::machine::{StateKind, StateMachine};

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

/// The graph of a machine.
pub fn graph(machine: &StateMachine) -> Graph {
    todo!("graph under construction {machine:?}")
}
