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

/// ASL, "ResultPath": States.ResultPathMatchFailure where the input is no object. Both peers.
const RESULT_PATH: Fault = Fault {
    name: "ResultPath replaces what is in its way",
    shows: Shows::Somehow(|executed| executed.result_path_in_the_way()),
};

/// SFN, "Error handling": States.ALL does not catch States.Runtime. Both peers.
const CATCHES_RUNTIME: Fault = Fault {
    name: "States.ALL catches States.Runtime",
    shows: Shows::Somehow(|executed| executed.caught_runtime()),
};

/// SFN, "Fail workflow state": without Error there is none. Both peers.
const NAMELESS_FAIL: Fault = Fault {
    name: "an error of its own for Fail states without Error",
    shows: Shows::Somehow(|executed| {
        executed.any(|state| state.is("Fail") && !state.has("Error") && !state.has("ErrorPath"))
    }),
};

/// SFN, "Intrinsics for arrays": true is not 1. Both peers.
const CONTAINS_TRUE: Fault = Fault {
    name: "States.ArrayContains takes true for 1",
    shows: Shows::Values {
        used: |executed| executed.text(|text| text.contains("States.ArrayContains(")),
        is: values::flags,
    },
};

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
