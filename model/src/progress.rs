//! Progress of one unit of work, and the log line by which a worker reports it.

use serde::{Deserialize, Serialize};

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// What is counted: `bytes`, `frames`, `ms` (of media time), `parts`, `artifacts`.
    pub unit: String,
    pub done: u64,
    /// None while it is not known.
    pub total: Option<u64>,
}

impl Progress {
    /// The share done, from 0 to 1; none while the total is unknown. Nothing to do counts as all done.
    pub fn fraction(&self) -> Option<f64> {
        self.total.map(|total| match total {
            0 => 1.0,
            total => (self.done as f64 / total as f64).min(1.0),
        })
    }
}

/// The log line that carries [`Progress`] from a worker to the tracker, one JSON object a line on
/// standard output; Lambda puts it into the function's log group and a subscription filter onto the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressLine {
    /// Always [`ProgressLine::TYPE`]; tells this line from other log lines.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339.
    pub timestamp: String,
    /// The invocation's request id.
    #[serde(rename = "requestId")]
    pub request_id: String,
    /// The execution's ARN (`$$.Execution.Id`).
    pub execution: String,
    /// The state's name (`$$.State.Name`).
    pub state: String,
    /// When the state was entered (`$$.State.EnteredTime`): tells visits apart.
    pub entered: String,
    /// The Map iteration (`$$.Map.Item.Index`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What people call this unit of work: `part 3`, `720p`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(flatten)]
    pub progress: Progress,
}

impl ProgressLine {
    /// The value of `type`.
    pub const TYPE: &'static str = "progress";
}
