//! Amazon States Language, pure: parse and diagnose definitions, run executions, fold histories,
//! draw graphs.
//!
//! Owns the meaning of the language (<https://states-language.net/spec.html> and AWS's developer
//! guide) and AWS's history events. Refuses clocks, randomness, threads and I/O: whoever drives
//! [`Execution`] tells it the time and the results of tasks, and gets commands back.

pub mod choice;
pub mod context;
mod data;
pub mod diagnose;
pub mod event;
pub mod graph;
pub mod history;
pub mod intrinsic;
mod isolate;
pub mod jsonata;
pub mod layout;
pub mod machine;
mod measure;
pub mod parse;
pub mod path;
pub mod query;
pub mod random;
pub mod resource;
pub mod step;
pub mod template;
pub mod timestamp;
mod variables;

pub use diagnose::{Code, Diagnostic, Severity};
pub use event::{Details, EventType, HistoryEvent};
pub use graph::{Graph, graph};
pub use history::{Fold, Visit, VisitStatus};
pub use isolate::{CannotIsolate, Isolated, isolate};
pub use layout::{Layout, layout};
pub use machine::{StateKind, StateMachine};
pub use parse::{Parsed, parse};
pub use resource::{Pattern, Resource};
pub use step::{Command, Execution, Input, MapRun, Outcome, Start, TaskId, TaskToken, TimerId};
pub use variables::variable_references;
