//! A job's lineage: what was asked of it, by whom and why, and what came of it, as one history over all its
//! executions, redrives and restarts.

use serde::{Deserialize, Serialize};

use crate::{BulkId, InputChange, TimestampMs};

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineageKind {
    /// Somebody submitted it.
    Submitted,
    /// It was started outside Gantry and is followed since.
    Adopted,
    /// Somebody asked for RedriveExecution.
    Redriven,
    /// Somebody asked for a new execution.
    Restarted,
    /// Somebody asked to stop it.
    Stopped,
}

impl LineageKind {
    /// Every kind.
    pub const ALL: [LineageKind; 5] = [
        LineageKind::Submitted,
        LineageKind::Adopted,
        LineageKind::Redriven,
        LineageKind::Restarted,
        LineageKind::Stopped,
    ];

    /// The word in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            LineageKind::Submitted => "submitted",
            LineageKind::Adopted => "adopted",
            LineageKind::Redriven => "redriven",
            LineageKind::Restarted => "restarted",
            LineageKind::Stopped => "stopped",
        }
    }

    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            LineageKind::Submitted => "Submitted",
            LineageKind::Adopted => "Started outside Gantry",
            LineageKind::Redriven => "Redriven",
            LineageKind::Restarted => "Started anew",
            LineageKind::Stopped => "Stopped",
        }
    }
}

/// One thing that was asked of a job, with the execution that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineageEvent {
    pub at_ms: TimestampMs,
    pub kind: LineageKind,
    /// Who asked: a name that the request gave, or the way it came.
    pub actor: String,
    /// Why, in the asker's words; empty when nothing was said.
    pub reason: String,
    /// The bulk operation it was part of.
    pub bulk: Option<BulkId>,
    /// The execution that it started, redrove or stopped.
    pub execution_arn: Option<String>,
    /// How the execution ended up to the next event, or stands now: Step Functions' word.
    pub status: Option<String>,
    /// The error that the execution ended with.
    pub error: Option<String>,
    /// What was different in the input from the execution before.
    pub changes: Vec<InputChange>,
    /// Digests of the images that its invocations ran, as far as they are known.
    pub digests: Vec<String>,
}
