//! Disagreements that were settled from the specification against a peer. Owns how a fault is told and found; each
//! peer's table is a module of its name.
//!
//! A fault's predicate looks at what was executed and what the peer answered. Where the documentation says what the
//! answer must be, the predicate demands it of ours, so that no fault of a peer hides one of our own.

mod executed;
mod ministack;
mod moto;

use super::compare::Dispute;
use executed::Executed;

/// A known fault of a peer.
pub struct Fault {
    /// Why the peer is wrong, in a few words.
    pub name: &'static str,
    applies: fn(&Executed<'_>) -> bool,
}

/// The fault that explains a dispute.
pub fn explain(peer: &str, dispute: &Dispute<'_>) -> Option<&'static Fault> {
    let known: &[Fault] = match peer {
        "ministack" => &ministack::FAULTS,
        _ => &moto::FAULTS,
    };
    let executed = Executed::of(dispute);
    known.iter().find(|fault| (fault.applies)(&executed))
}
