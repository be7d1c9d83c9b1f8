//! Disagreements that were settled from the specification against a peer. Owns how a fault is told and found; each
//! peer's table is a module of its name.
//!
//! A fault's predicate looks at what was executed and what the peer answered. Where the documentation says what the
//! answer must be, the predicate demands it of ours, so that no fault of a peer hides one of our own.

mod executed;
mod ministack;
mod moto;
mod questions;
mod values;

use serde_json::Value;

use super::compare::Dispute;
use executed::Executed;

/// A known fault of a peer.
pub struct Fault {
    /// What it does, in a few words.
    pub name: &'static str,
    shows: Shows,
}

/// How a fault is recognised.
enum Shows {
    /// By whatever this looks at.
    Somehow(fn(&Executed<'_>) -> bool),
    /// By values of the output, if what is at fault was used.
    Values {
        used: fn(&Executed<'_>) -> bool,
        is: fn(&Value, &Value) -> bool,
    },
}

/// The fault that explains a dispute, the first of them if it takes several.
pub fn explain(peer: &str, dispute: &Dispute<'_>) -> Option<&'static Fault> {
    let known: Vec<&'static Fault> = match peer {
        "ministack" => ministack::faults().collect(),
        _ => moto::faults().collect(),
    };
    let executed = Executed::of(dispute);
    let mut values = Vec::new();
    for fault in known {
        match fault.shows {
            Shows::Somehow(applies) if applies(&executed) => return Some(fault),
            Shows::Values { used, is } if used(&executed) => values.push((fault, is)),
            _ => {}
        }
    }
    let explained = executed.differs(|ours, theirs| values.iter().any(|(_, is)| is(ours, theirs)));
    values
        .first()
        .filter(|_| explained)
        .map(|(fault, _)| *fault)
}
