//! Owns where the boxes and lines of a graph go.

use serde::{Deserialize, Serialize};

use crate::graph::{EdgeKind, Graph, NodeKind};

/// A drawn graph; lengths are CSS pixels, the origin is the upper left corner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Of the whole drawing.
    pub width: f32,
    /// Of the whole drawing.
    pub height: f32,
    /// Containers come before what is inside them, so drawing in this order is right.
    pub nodes: Vec<NodeBox>,
    /// Lines between boxes.
    pub edges: Vec<EdgePath>,
}

/// Where a node goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeBox {
    /// Name of the node.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Of the box.
    pub width: f32,
    /// Of the box.
    pub height: f32,
    /// Whether other boxes are drawn inside it; its name goes along its upper edge.
    pub container: bool,
    /// The container it is inside of.
    pub parent: Option<String>,
    /// The branch of `parent` it belongs to.
    pub branch: Option<usize>,
}

/// Where a line goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgePath {
    /// Name of the node it leaves.
    pub from: String,
    /// Name of the node it enters.
    pub to: String,
    /// Why it is taken.
    pub kind: EdgeKind,
    /// Text for people.
    pub label: Option<String>,
    /// Corners of the line, at least two; the last one touches the box of `to`. Corners are to be
    /// rounded when drawn.
    pub points: Vec<(f32, f32)>,
}

/// Lays out a graph.
pub fn layout(graph: &Graph) -> Layout {
    todo!("layout under construction {graph:?}")
}
