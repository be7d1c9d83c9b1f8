//! The drawing without error handling that nothing has come to: states that only a Catch leads to are left out
//! until the execution enters them, so that what a job does fits on a screen.

use std::collections::{HashMap, HashSet};

use asl::{
    graph::{Edge, EdgeKind, Graph, Node, NodeKind},
    layout::Layout,
};

/// The names of the states that only a Catch leads to, directly or through other such states.
pub fn handlers(layout: &Layout) -> HashSet<String> {
    let scope: HashMap<&str, (Option<&str>, Option<usize>)> = layout
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), (node.parent.as_deref(), node.branch)))
        .collect();
    // Where each scope begins: the machine at Start, a branch at the state that no edge enters, or at its
    // first state where it loops back to it.
    let mut begins: HashMap<(Option<&str>, Option<usize>), &str> = HashMap::new();
    for node in &layout.nodes {
        let entered = layout.edges.iter().any(|edge| edge.to == node.name);
        let begin = begins.entry(scope[node.name.as_str()]);
        if node.kind == NodeKind::Start || (!entered && node.kind != NodeKind::End) {
            begin
                .and_modify(|first| {
                    if layout.edges.iter().any(|edge| edge.to == *first) {
                        *first = &node.name;
                    }
                })
                .or_insert(&node.name);
        } else {
            begin.or_insert(&node.name);
        }
    }
    let mut reached: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = begins.into_values().collect();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(
                layout
                    .edges
                    .iter()
                    .filter(|edge| edge.from == name && edge.kind != EdgeKind::Catch)
                    .map(|edge| edge.to.as_str()),
            );
        }
    }
    let mut handlers: HashSet<String> = layout
        .nodes
        .iter()
        .filter(|node| node.kind != NodeKind::End && !reached.contains(node.name.as_str()))
        .map(|node| node.name.clone())
        .collect();
    // What is inside of one belongs to it; containers come before their contents.
    for node in &layout.nodes {
        if node
            .parent
            .as_ref()
            .is_some_and(|parent| handlers.contains(parent))
        {
            handlers.insert(node.name.clone());
        }
    }
    handlers
}

/// The same machine, drawn anew without the given states.
pub fn without(layout: &Layout, hidden: &HashSet<String>) -> Layout {
    let graph = Graph {
        states: layout
            .nodes
            .iter()
            .filter(|node| !hidden.contains(&node.name))
            .map(|node| Node {
                name: node.name.clone(),
                kind: node.kind,
                parent: node.parent.clone(),
                branch: node.branch,
            })
            .collect(),
        edges: layout
            .edges
            .iter()
            .filter(|edge| !hidden.contains(&edge.from) && !hidden.contains(&edge.to))
            .map(|edge| Edge {
                from: edge.from.clone(),
                to: edge.to.clone(),
                kind: edge.kind,
                label: edge.label.clone(),
            })
            .collect(),
    };
    asl::layout(&graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media() -> Layout {
        let machine = asl::parse(include_str!("../../pipelines/media.asl.json"))
            .machine
            .expect("the pipeline's definition is valid");
        asl::layout(&asl::graph(&machine))
    }

    #[test]
    fn error_handling_is_what_only_a_catch_leads_to() {
        let mut names: Vec<_> = handlers(&media()).into_iter().collect();
        names.sort();
        assert!(names.contains(&"Abort".to_owned()));
        assert!(names.contains(&"Failed".to_owned()));
        for kept in [
            "Inspect",
            "Transfer",
            "TransferPart",
            "Renditions",
            "Package",
            "Publish",
        ] {
            assert!(!names.contains(&kept.to_owned()), "{kept} is on the way");
        }
    }

    #[test]
    fn the_quiet_drawing_is_smaller_and_still_whole() {
        let full = media();
        let hidden = handlers(&full);
        let quiet = without(&full, &hidden);
        assert_eq!(quiet.nodes.len(), full.nodes.len() - hidden.len());
        assert!(quiet.width < full.width);
        assert!(quiet.edges.iter().all(|edge| edge.kind != EdgeKind::Catch));
    }

    #[test]
    fn a_machine_that_loops_keeps_its_first_state() {
        let machine = asl::parse(
            r#"{"StartAt":"Ask","States":{
                "Ask":{"Type":"Pass","Next":"Enough"},
                "Enough":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericEquals":1,"Next":"Done"}],"Default":"Ask"},
                "Done":{"Type":"Succeed"}}}"#,
        )
        .machine
        .expect("the definition is valid");
        assert!(handlers(&asl::layout(&asl::graph(&machine))).is_empty());
    }
}
