//! Executions in virtual time. `scripted` drives one by a script; the others make random machines, random faults
//! and crashes from a seed ([`case`]) and hold what the engine does against what it promises ([`world`],
//! [`history`], [`effort`]).

#![allow(dead_code)] // Each test uses its part of this.

pub mod case;
pub mod coverage;
pub mod crash;
pub mod definition;
pub mod dice;
pub mod effort;
pub mod expect;
pub mod faults;
pub mod fork;
pub mod history;
pub mod journal;
pub mod obey;
pub mod outline;
mod scripted;
pub mod shrink;
pub mod state;
pub mod task;
pub mod world;

#[allow(unused_imports)] // As above.
pub use scripted::{Action, Answer, START_MS, Simulated, shown, simulate, start};

/// Gives up with a message unless something holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;
