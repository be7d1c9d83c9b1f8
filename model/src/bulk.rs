//! A bulk operation: one thing done to many jobs, or many jobs submitted, previewed before it begins and with an
//! outcome for each item. Data only; what is eligible and in which order is the server's to decide.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ApiError, ErrorCode, JobFilter, JobId, TimestampMs};

/// A bulk operation's id: a UUID version 7 (RFC 9562), so that ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid))]
#[serde(transparent)]
pub struct BulkId(pub Uuid);

impl fmt::Display for BulkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BulkId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::from_str(text).map(BulkId)
    }
}

/// Makes an enum of words that stand in JSON, in the store and in addresses as they are written here.
macro_rules! words {
    ($(#[$about:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $word:literal / $label:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// Every one, in the order pages list them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word in JSON, in the store and in addresses.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// The word for people.
            pub fn label(self) -> &'static str {
                match self { $($name::$variant => $label),* }
            }
        }

        impl FromStr for $name {
            type Err = ApiError;
            fn from_str(text: &str) -> Result<Self, ApiError> {
                let known = $name::ALL.iter().copied();
                known.clone().find(|word| word.as_str() == text).ok_or_else(|| {
                    let words: Vec<_> = known.map($name::as_str).collect();
                    let message = format!("“{text}” is no {}; use one of {}", $what, words.join(", "));
                    ApiError::new(ErrorCode::Invalid, message)
                })
            }
        }
    };
}

words! {
    /// What is done to each item.
    BulkKind, "kind of bulk operation" {
        /// A new job.
        Submit = "submit" / "Submit",
        /// A job runs again.
        Rerun = "rerun" / "Rerun",
        /// A job's execution is stopped.
        Stop = "stop" / "Stop",
    }
}

words! {
    /// Where a bulk operation stands.
    BulkState, "state of a bulk operation" {
        /// Previewed; nothing has begun.
        Draft = "draft" / "Preview",
        Running = "running" / "Running",
        /// Waits for a person: paused by one, or by the canary's verdict.
        Paused = "paused" / "Paused",
        /// Given up by a person: what had not begun never will.
        Cancelled = "cancelled" / "Cancelled",
        /// Every item has its outcome.
        Done = "done" / "Done",
    }
}

words! {
    /// Where one item stands. The last four are final.
    BulkItemState, "state of an item" {
        /// Its turn has not come.
        Waiting = "waiting" / "Waiting",
        /// Promised: the job is queued or running for it.
        Begun = "begun" / "Running",
        Failed = "failed" / "Failed",
        Succeeded = "succeeded" / "Succeeded",
        /// Not eligible; the reason says why.
        Refused = "refused" / "Not eligible",
        /// Cancelled before its turn came.
        Skipped = "skipped" / "Skipped",
    }
}

words! {
    /// How jobs are run again.
    RerunChoice, "way to rerun" {
        /// RedriveExecution where that is possible and of use, else a new execution.
        Auto = "auto" / "Redrive where possible, else start anew",
        /// RedriveExecution only: jobs that cannot be redriven are not eligible.
        Redrive = "redrive" / "Redrive only",
        /// A new execution each.
        Restart = "restart" / "Start new executions",
    }
}

/// A request for a bulk operation: `POST /api/v1/bulks`. It is previewed first unless `start` says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateBulk {
    pub what: BulkWhat,
    /// Why, for the jobs' lineage.
    #[serde(default)]
    pub reason: String,
    /// Begin with 1, then 10, then the rest, and pause when an item fails with the same error as before.
    #[serde(default)]
    pub canary: bool,
    /// Items begun in a minute at most; as fast as AWS allows when absent.
    #[serde(default)]
    pub pace_per_minute: Option<u32>,
    /// Begin at once, without a preview.
    #[serde(default)]
    pub start: bool,
}

/// What a bulk operation does, and to what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BulkWhat {
    /// Submits jobs.
    Submit(BulkSubmit),
    /// Runs jobs again.
    Rerun(BulkRerun),
    /// Stops jobs.
    Stop(BulkJobs),
}

/// Which jobs are to be submitted: exactly one of `inputs`, `csv` and `prefix`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkSubmit {
    pub pipeline: String,
    /// One input each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<serde_json::Value>>,
    /// RFC 4180: a header of field names, then a job a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
    /// Every object under `s3://BUCKET/PREFIX` becomes a job with it as its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Of the objects only those whose keys end so, such as `.mp4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Fields that every job has unless its own input says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<serde_json::Value>,
    /// From 0 to 9; higher ones start first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// Which jobs: those named, or all that a filter admits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkJobs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<JobId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<JobFilter>,
}

/// Which jobs are to run again, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkRerun {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<JobId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<JobFilter>,
    #[serde(default = "auto")]
    pub mode: RerunChoice,
    /// A JSON Merge Patch (RFC 7396) of each job's input; only new executions can have another input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<serde_json::Value>,
    /// The whole new input, where it is one job that is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
}

fn auto() -> RerunChoice {
    RerunChoice::Auto
}

/// A bulk operation as a list and its own page show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bulk {
    pub id: BulkId,
    pub kind: BulkKind,
    pub state: BulkState,
    /// What it does to what, in words.
    pub title: String,
    pub reason: String,
    pub canary: bool,
    pub pace_per_minute: Option<u32>,
    /// Why it is paused, or what ended it.
    pub note: Option<String>,
    pub created_at_ms: TimestampMs,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
    pub counts: BulkCounts,
}

/// How many items there are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkCounts {
    pub waiting: u64,
    pub begun: u64,
    pub failed: u64,
    pub succeeded: u64,
    pub refused: u64,
    pub skipped: u64,
}

impl BulkCounts {
    /// The count of one state.
    pub fn of(&self, state: BulkItemState) -> u64 {
        match state {
            BulkItemState::Waiting => self.waiting,
            BulkItemState::Begun => self.begun,
            BulkItemState::Failed => self.failed,
            BulkItemState::Succeeded => self.succeeded,
            BulkItemState::Refused => self.refused,
            BulkItemState::Skipped => self.skipped,
        }
    }

    /// The count of one state, to be changed.
    pub fn of_mut(&mut self, state: BulkItemState) -> &mut u64 {
        match state {
            BulkItemState::Waiting => &mut self.waiting,
            BulkItemState::Begun => &mut self.begun,
            BulkItemState::Failed => &mut self.failed,
            BulkItemState::Succeeded => &mut self.succeeded,
            BulkItemState::Refused => &mut self.refused,
            BulkItemState::Skipped => &mut self.skipped,
        }
    }

    /// All items.
    pub fn total(&self) -> u64 {
        let all = BulkItemState::ALL.iter();
        all.map(|state| self.of(*state)).sum()
    }

    /// Those that are eligible, whatever became of them.
    pub fn eligible(&self) -> u64 {
        self.total() - self.refused
    }

    /// Those with their outcome.
    pub fn settled(&self) -> u64 {
        self.failed + self.succeeded + self.skipped
    }
}

/// One item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkItem {
    /// Its place, counted from 1.
    pub position: u64,
    /// The job; none before a job is submitted.
    pub job: Option<JobId>,
    pub title: String,
    /// What is done: `submit`, `redrive`, `restart` or `stop`.
    pub action: String,
    pub state: BulkItemState,
    /// Why it is not eligible, or what its job failed with.
    pub reason: Option<String>,
    /// What changes in the input, where something does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<InputChange>,
}

/// One difference between two inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InputChange {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What was there; none when it is new.
    pub before: Option<serde_json::Value>,
    /// What is there now; none when it was taken away.
    pub after: Option<serde_json::Value>,
}

/// One reason for which items are not eligible, with how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkReason {
    pub reason: String,
    pub count: u64,
}

/// A bulk operation with a page of its items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkView {
    pub bulk: Bulk,
    /// Why items are not eligible, the most frequent first.
    pub refusals: Vec<BulkReason>,
    /// What jobs failed with, the most frequent first.
    pub failures: Vec<BulkReason>,
    pub items: Vec<BulkItem>,
    /// Pass as `after` for the items after these; none on the last page.
    pub next: Option<u64>,
    /// The server's clock when the view was made.
    pub as_of_ms: TimestampMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for state in BulkItemState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        let error = "waitin".parse::<BulkItemState>().expect_err("no such word");
        assert!(error.message.contains("waiting, begun"), "{error}");
    }

    #[test]
    fn a_request_says_what_it_does_not_know() {
        let request =
            r#"{"what": {"kind": "stop", "filter": {"status": "running"}}, "canray": true}"#;
        let error = serde_json::from_str::<CreateBulk>(request).expect_err("misspelt");
        assert!(error.to_string().contains("canray"), "{error}");
        let request = r#"{"what": {"kind": "rerun", "filter": {"status": "failed"}}}"#;
        let read: CreateBulk = serde_json::from_str(request).expect("a request");
        assert!(matches!(
            read.what,
            BulkWhat::Rerun(BulkRerun {
                mode: RerunChoice::Auto,
                ..
            })
        ));
    }
}
