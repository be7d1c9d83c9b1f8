//! Owns the parsed state machine: typed states, no raw JSON.

use serde::{Deserialize, Serialize};

/// A parsed definition.
#[derive(Debug, Clone)]
pub struct StateMachine {
    /// The `Comment` of the definition.
    pub comment: Option<String>,
    /// Seconds after which an execution times out.
    pub timeout_seconds: Option<u64>,
}

/// The type of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // AWS's names say it.
pub enum StateKind {
    Task,
    Pass,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}
