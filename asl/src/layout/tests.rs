//! Machines in short notation, laid out.

use super::*;
use crate::graph::{END, Edge, Node, START};
use crate::machine::StateKind;

/// `a>b` is a transition, `a!b` a catch edge; `p{0:a b}` puts states into a branch of a container.
fn machine(edges: &[&str], insides: &[(&str, usize, &[&str])]) -> Graph {
    let mut names: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for text in edges {
        let (kind, sign) = match text.contains('!') {
            true => (EdgeKind::Catch, '!'),
            false => (EdgeKind::Next, '>'),
        };
        let (from, to) = text.split_once(sign).expect("a transition");
        for name in [from, to] {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        lines.push(Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            kind,
            label: None,
        });
    }
    for (_, _, inside) in insides {
        for name in *inside {
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
    }
    let node = |name: String| {
        let home = insides
            .iter()
            .find(|(_, _, inside)| inside.contains(&name.as_str()));
        Node {
            kind: match name.as_str() {
                START => NodeKind::Start,
                END => NodeKind::End,
                _ => NodeKind::State(StateKind::Task),
            },
            parent: home.map(|(parent, ..)| (*parent).to_owned()),
            branch: home.map(|(_, branch, _)| *branch),
            name,
        }
    };
    let mut states: Vec<Node> = names.into_iter().map(node).collect();
    states.sort_by_key(|node| node.parent.is_some());
    Graph {
        states,
        edges: lines,
    }
}

/// No two boxes overlap unless one contains the other, and no line crosses a box that it does not
/// begin or end at or lie inside of.
fn assert_clear(layout: &Layout) {
    let inside = |a: &NodeBox, b: &NodeBox| {
        a.x >= b.x
            && a.y >= b.y
            && a.x + a.width <= b.x + b.width
            && a.y + a.height <= b.y + b.height
    };
    let apart = |a: &NodeBox, b: &NodeBox| {
        a.x + a.width <= b.x
            || b.x + b.width <= a.x
            || a.y + a.height <= b.y
            || b.y + b.height <= a.y
    };
    for (at, a) in layout.nodes.iter().enumerate() {
        assert!(a.x >= 0.0 && a.y >= 0.0, "{a:?} lies outside");
        assert!(
            a.x + a.width <= layout.width && a.y + a.height <= layout.height,
            "{a:?}"
        );
        for b in &layout.nodes[at + 1..] {
            assert!(
                apart(a, b) || inside(a, b) || inside(b, a),
                "{a:?} overlaps {b:?}"
            );
        }
    }
    for edge in &layout.edges {
        let home = layout
            .nodes
            .iter()
            .find(|node| node.name == edge.from)
            .expect("its source");
        for corner in edge.points.windows(2) {
            let (a, b) = (corner[0], corner[1]);
            let (left, right) = (a.0.min(b.0), a.0.max(b.0));
            let (top, bottom) = (a.1.min(b.1), a.1.max(b.1));
            for node in &layout.nodes {
                let is_end = node.name == edge.from || node.name == edge.to;
                if is_end || node.container && inside(home, node) {
                    continue;
                }
                let clear = right <= node.x
                    || left >= node.x + node.width
                    || bottom <= node.y
                    || top >= node.y + node.height;
                assert!(clear, "{} → {} crosses {}", edge.from, edge.to, node.name);
            }
        }
    }
}

fn media() -> Graph {
    machine(
        &[
            "·start>Inspect",
            "Inspect>Transfer",
            "Transfer>Assemble",
            "Assemble>Process",
            "Process>Publish",
            "Publish>·end",
            "Inspect!Abort",
            "Transfer!Abort",
            "Assemble!Abort",
            "Process!Abort",
            "Publish!Abort",
            "Abort>Failed",
            "Failed>·end",
            "Ladder>Renditions",
            "Renditions>Package",
        ],
        &[
            ("Transfer", 0, &["TransferPart"]),
            ("Process", 0, &["Probe"]),
            ("Process", 1, &["Poster"]),
            ("Process", 2, &["Ladder", "Renditions", "Package"]),
            ("Process", 3, &["Audio"]),
            ("Renditions", 0, &["Rendition"]),
        ],
    )
}

#[test]
fn the_way_of_success_is_a_straight_line_and_catchers_keep_off_it() {
    let layout = layout(&media());
    assert_clear(&layout);
    let middle = |name: &str| {
        let node = layout
            .nodes
            .iter()
            .find(|node| node.name == name)
            .expect("a node");
        node.x + node.width / 2.0
    };
    for name in ["Transfer", "Assemble", "Process", "Publish"] {
        assert!(
            (middle(name) - middle("Inspect")).abs() < 1.0,
            "{name} is off the line"
        );
    }
    assert!(middle("Abort") > middle("Process"));
}

#[test]
fn branches_stand_side_by_side_inside_their_container() {
    let layout = layout(&media());
    let node = |name: &str| {
        layout
            .nodes
            .iter()
            .find(|node| node.name == name)
            .expect("a node")
    };
    let lefts = ["Probe", "Poster", "Ladder", "Audio"].map(|name| node(name).x);
    assert!(lefts.is_sorted(), "{lefts:?}");
    assert!(node("Process").container && node("Renditions").container);
    let position = |name: &str| layout.nodes.iter().position(|node| node.name == name);
    assert!(
        position("Process") < position("Probe"),
        "containers are drawn first"
    );
}

#[test]
fn a_catcher_after_which_nothing_else_comes_leads_straight_down() {
    let layout = layout(&machine(
        &["·start>P", "P>·end", "A!Failed"],
        &[("P", 0, &["A", "Failed"])],
    ));
    assert_clear(&layout);
    let catch = layout
        .edges
        .iter()
        .find(|edge| edge.kind == EdgeKind::Catch)
        .expect("a catch edge");
    assert_eq!(catch.points.len(), 2, "{catch:?}");
}

#[test]
fn loops_and_skips_cross_no_box() {
    let graph = machine(
        &[
            "·start>A",
            "A>B",
            "B>C",
            "C>D",
            "D>A",
            "A>D",
            "B!E",
            "E>B",
            "D>·end",
            "C>C",
        ],
        &[],
    );
    assert_clear(&layout(&graph));
}

#[test]
fn nothing_and_single_states_have_a_layout() {
    assert_eq!(layout(&Graph::default()).nodes, []);
    assert_clear(&layout(&machine(&["·start>A", "A>·end"], &[])));
}

#[test]
fn thousands_of_states_are_laid_out() {
    let mut edges = vec!["·start>s0".to_owned()];
    for at in 0..1_000 {
        let (from, to) = (at * 4, at * 4 + 4);
        for branch in 1..4 {
            edges.push(format!("s{from}>s{}", from + branch));
            edges.push(format!("s{}>s{to}", from + branch));
        }
        edges.push(format!("s{from}!handler"));
    }
    edges.push("s4000>·end".to_owned());
    let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
    let layout = layout(&machine(&edges, &[]));
    assert_eq!(layout.nodes.len(), 4_004);
}
