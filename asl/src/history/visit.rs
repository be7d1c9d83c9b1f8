//! Owns what a fold is made of: visits, attempts, iterations, the ending. Data only.

use serde::{Deserialize, Serialize};

use crate::machine::StateKind;

/// How far a visit, an attempt or an iteration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum VisitStatus {
    Running,
    /// An attempt failed and another is due.
    Retrying,
    Succeeded,
    /// Failed, and a catcher took over.
    Caught,
    Failed,
    Aborted,
}

/// One pass through a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Id of the `…StateEntered` event, which names the visit within its execution.
    pub entered_event_id: i64,
    /// Name of the state.
    pub state: String,
    /// Type of the state.
    pub kind: StateKind,
    /// How far it is.
    pub status: VisitStatus,
    /// Milliseconds since the Unix epoch.
    pub entered_at_ms: i64,
    /// Milliseconds since the Unix epoch; also set when the visit failed or was aborted.
    pub exited_at_ms: Option<i64>,
    /// JSON text.
    pub input: Option<String>,
    /// JSON text.
    pub output: Option<String>,
    /// Of Task states; in order.
    pub attempts: Vec<Attempt>,
    /// Name of the error the visit ended with or that its last attempt met.
    pub error: Option<String>,
    /// What people are told about `error`.
    pub cause: Option<String>,
    /// The task's resource.
    pub resource: Option<String>,
    /// The Parallel or Map visit this one happened in.
    pub parent: Option<Parent>,
    /// Of Map states: number of items.
    pub iteration_count: Option<u32>,
    /// Of Map states: the iterations that were started, by index.
    pub iterations: Vec<Iteration>,
}

/// Where in a Parallel or Map visit another visit belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parent {
    /// [`Visit::entered_event_id`] of the Parallel or Map visit.
    pub entered_event_id: i64,
    /// Which branch or iteration.
    pub kind: ParentKind,
}

/// Which part of a Parallel or Map visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParentKind {
    /// Index of the iteration.
    Iteration(u32),
    /// Index of the branch.
    Branch(u32),
}

/// One try of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // Times are milliseconds since the Unix epoch.
pub struct Attempt {
    pub scheduled_at_ms: i64,
    pub started_at_ms: Option<i64>,
    pub ended_at_ms: Option<i64>,
    pub status: VisitStatus,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// One iteration of a Map visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // Times are milliseconds since the Unix epoch.
pub struct Iteration {
    pub index: u32,
    pub status: VisitStatus,
    pub started_at_ms: i64,
    pub ended_at_ms: Option<i64>,
}

/// How the execution ended, as far as its history tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
    pub status: EndStatus,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// JSON text of the output.
    pub output: Option<String>,
    /// Name of the error.
    pub error: Option<String>,
    /// What people are told about it.
    pub cause: Option<String>,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum EndStatus {
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}
