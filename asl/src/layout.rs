//! Owns where the boxes and lines of a graph go.
//!
//! Layers from top to bottom after Sugiyama, Tagawa and Toda (1981), one scope at a time, insides
//! first. Catch edges run in lanes beside the boxes, loops in lanes on the other side.

mod layers;
mod place;

use std::collections::{BTreeMap, HashMap};

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

/// Width and height of a Start or End.
const TERMINAL: (f32, f32) = (72.0, 30.0);
/// Height of a box with a name and a line of status.
const BOX_HEIGHT: f32 = 60.0;
/// Room above what is inside a container: its name, its status and its progress.
const HEADER: f32 = 62.0;
/// Room left, right and below inside a container, and between branches.
const PADDING: f32 = 20.0;

/// Lays out a graph: from top to bottom, branches side by side inside their container. The same
/// graph always gives the same layout.
pub fn layout(graph: &Graph) -> Layout {
    let index: HashMap<&str, usize> = graph
        .states
        .iter()
        .enumerate()
        .map(|(at, node)| (node.name.as_str(), at))
        .collect();
    let mut drawing = Drawing::new(graph, &index);
    // Parents stand before their children, so backwards the insides are done first.
    for at in (0..graph.states.len()).rev() {
        drawing.measure(at);
    }
    let root = drawing.arrange(None, 0);
    let mut nodes = Vec::with_capacity(graph.states.len());
    let mut edges = Vec::with_capacity(graph.edges.len());
    drawing.emit(&root, (PADDING, PADDING), &mut nodes, &mut edges);
    Layout {
        width: root.width + 2.0 * PADDING,
        height: root.height + 2.0 * PADDING,
        nodes,
        edges,
    }
}

/// The nodes and edges of one scope, placed relative to its own corner.
struct Arranged {
    nodes: Vec<usize>,
    edges: Vec<usize>,
    positions: Vec<(f32, f32)>,
    routes: Vec<Vec<(f32, f32)>>,
    width: f32,
    height: f32,
}

struct Drawing<'a> {
    graph: &'a Graph,
    /// Nodes by parent and branch.
    scopes: BTreeMap<(Option<usize>, usize), Vec<usize>>,
    /// Edges by the scope of their source.
    lines: BTreeMap<(Option<usize>, usize), Vec<usize>>,
    ends: Vec<(usize, usize)>,
    sizes: Vec<(f32, f32)>,
    /// Of a container: its branches, each with its offset from the container's corner.
    insides: Vec<Vec<(f32, Arranged)>>,
}

impl<'a> Drawing<'a> {
    fn new(graph: &'a Graph, index: &HashMap<&str, usize>) -> Drawing<'a> {
        let scope_of = |node: &crate::graph::Node| {
            let parent = node.parent.as_deref().and_then(|name| index.get(name));
            (parent.copied(), node.branch.unwrap_or(0))
        };
        let mut scopes: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, node) in graph.states.iter().enumerate() {
            scopes.entry(scope_of(node)).or_default().push(at);
        }
        let mut lines: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut ends = vec![(0, 0); graph.edges.len()];
        for (at, edge) in graph.edges.iter().enumerate() {
            let from = index.get(edge.from.as_str());
            let to = index.get(edge.to.as_str());
            if let (Some(&from), Some(&to)) = (from, to) {
                let scope = scope_of(&graph.states[from]);
                ends[at] = (from, to);
                lines.entry(scope).or_default().push(at);
            }
        }
        Drawing {
            graph,
            scopes,
            lines,
            ends,
            sizes: vec![(0.0, 0.0); graph.states.len()],
            insides: graph.states.iter().map(|_| Vec::new()).collect(),
        }
    }

    /// The size of one box, with what is inside it arranged.
    fn measure(&mut self, at: usize) {
        let node = &self.graph.states[at];
        if matches!(node.kind, NodeKind::Start | NodeKind::End) {
            self.sizes[at] = TERMINAL;
            return;
        }
        let text = node.name.chars().count().min(40) as f32;
        let own_width = (text * 8.0 + 64.0).clamp(168.0, 320.0);
        let branches: Vec<usize> = self
            .scopes
            .range((Some(at), 0)..=(Some(at), usize::MAX))
            .map(|(&(_, branch), _)| branch)
            .collect();
        if branches.is_empty() {
            self.sizes[at] = (own_width, BOX_HEIGHT);
            return;
        }
        let mut x = PADDING;
        let mut height: f32 = 0.0;
        let mut insides = Vec::with_capacity(branches.len());
        for branch in branches {
            let inside = self.arrange(Some(at), branch);
            height = height.max(inside.height);
            let width = inside.width;
            insides.push((x, inside));
            x += width + PADDING;
        }
        let width = x.max(own_width + 2.0 * PADDING);
        let shift = (width - x) / 2.0;
        for (left, _) in &mut insides {
            *left += shift;
        }
        self.insides[at] = insides;
        self.sizes[at] = (width, HEADER + height + PADDING);
    }

    fn arrange(&self, parent: Option<usize>, branch: usize) -> Arranged {
        let none = Vec::new();
        let nodes = self.scopes.get(&(parent, branch)).unwrap_or(&none);
        let edges = self.lines.get(&(parent, branch)).unwrap_or(&none);
        let local: HashMap<usize, usize> = nodes
            .iter()
            .enumerate()
            .map(|(at, &node)| (node, at))
            .collect();
        let sizes = nodes.iter().map(|&node| self.sizes[node]).collect();
        let links = edges
            .iter()
            .filter_map(|&edge| {
                let (from, to) = self.ends[edge];
                Some(layers::Link {
                    from: *local.get(&from)?,
                    to: *local.get(&to)?,
                    catch: self.graph.edges[edge].kind == EdgeKind::Catch,
                })
            })
            .collect();
        let placed = place::place(&layers::layers(sizes, links));
        Arranged {
            nodes: nodes.clone(),
            edges: edges.clone(),
            positions: placed.positions,
            routes: placed.routes,
            width: placed.width,
            height: placed.height,
        }
    }

    fn emit(
        &self,
        scope: &Arranged,
        corner: (f32, f32),
        nodes: &mut Vec<NodeBox>,
        edges: &mut Vec<EdgePath>,
    ) {
        for (&at, &(x, y)) in scope.nodes.iter().zip(&scope.positions) {
            let node = &self.graph.states[at];
            let (width, height) = self.sizes[at];
            let (x, y) = (corner.0 + x, corner.1 + y);
            nodes.push(NodeBox {
                name: node.name.clone(),
                kind: node.kind,
                x,
                y,
                width,
                height,
                container: !self.insides[at].is_empty(),
                parent: node.parent.clone(),
                branch: node.branch,
            });
            for (left, inside) in &self.insides[at] {
                self.emit(inside, (x + left, y + HEADER), nodes, edges);
            }
        }
        for (&at, route) in scope.edges.iter().zip(&scope.routes) {
            let edge = &self.graph.edges[at];
            edges.push(EdgePath {
                from: edge.from.clone(),
                to: edge.to.clone(),
                kind: edge.kind,
                label: edge.label.clone(),
                points: route
                    .iter()
                    .map(|&(x, y)| (corner.0 + x, corner.1 + y))
                    .collect(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
