//! A job: what a person asked for, and how far it is. A job outlives its executions: a rerun may give it another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Artifact, Execution, TimestampMs};

/// A job's id: a UUID version 7 (RFC 9562), so that ids sort by submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid))]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::from_str(text).map(JobId)
    }
}

/// Where a job stands. The last four are final until a rerun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Accepted and stored; StartExecution (or RedriveExecution) has not been acknowledged yet.
    Queued,
    Running,
    Succeeded,
    Failed,
    TimedOut,
    /// Stopped by somebody (StopExecution).
    Aborted,
}

impl JobStatus {
    /// Every status, in the order pages list them.
    pub const ALL: [JobStatus; 6] = [
        JobStatus::Queued,
        JobStatus::Running,
        JobStatus::Failed,
        JobStatus::TimedOut,
        JobStatus::Aborted,
        JobStatus::Succeeded,
    ];

    /// No event but a rerun changes it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, JobStatus::Queued | JobStatus::Running)
    }

    /// The status as in JSON, in the store and in addresses: `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Queued => "queued",
            JobStatus::Running => "running",
            JobStatus::Succeeded => "succeeded",
            JobStatus::Failed => "failed",
            JobStatus::TimedOut => "timed_out",
            JobStatus::Aborted => "aborted",
        }
    }

    /// The status for people: `Timed out`.
    pub fn label(self) -> &'static str {
        match self {
            JobStatus::Queued => "Queued",
            JobStatus::Running => "Running",
            JobStatus::Succeeded => "Succeeded",
            JobStatus::Failed => "Failed",
            JobStatus::TimedOut => "Timed out",
            JobStatus::Aborted => "Stopped",
        }
    }
}

impl FromStr for JobStatus {
    type Err = crate::ApiError;
    fn from_str(text: &str) -> Result<Self, crate::ApiError> {
        JobStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                crate::ApiError::new(
                    crate::ErrorCode::Invalid,
                    format!("“{text}” is no job status; use one of queued, running, failed, timed_out, aborted, succeeded"),
                )
            })
    }
}

/// A request for a job: `POST /api/v1/jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitJob {
    /// The pipeline's name, such as `media`.
    pub pipeline: String,
    /// The pipeline's input; must be valid under its JSON Schema.
    pub input: serde_json::Value,
}

/// One row of the list of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobSummary {
    pub id: JobId,
    pub pipeline: String,
    /// What people call it: the title given, else the last segment of the source.
    pub title: String,
    /// Where the video comes from: an `https://`, `http://` or `s3://` address, without credentials or query.
    pub source: String,
    pub status: JobStatus,
    pub submitted_at_ms: TimestampMs,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
    /// The error's name when it failed, such as `Source.NotMedia`.
    pub error: Option<String>,
    /// The state it failed in.
    pub failed_state: Option<String>,
    /// How often it was redriven or started anew.
    pub rerun_count: u32,
}

/// Which jobs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    /// Only jobs of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// Only jobs older than this one: the `next` of an earlier page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<JobId>,
}

/// How many jobs there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusCounts {
    pub queued: u64,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub aborted: u64,
}

impl StatusCounts {
    /// The count of one status.
    pub fn of(&self, status: JobStatus) -> u64 {
        match status {
            JobStatus::Queued => self.queued,
            JobStatus::Running => self.running,
            JobStatus::Succeeded => self.succeeded,
            JobStatus::Failed => self.failed,
            JobStatus::TimedOut => self.timed_out,
            JobStatus::Aborted => self.aborted,
        }
    }

    /// The count of all statuses together.
    pub fn total(&self) -> u64 {
        JobStatus::ALL
            .into_iter()
            .map(|status| self.of(status))
            .sum()
    }
}

/// One page of the list of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobPage {
    pub jobs: Vec<JobSummary>,
    pub counts: StatusCounts,
    /// Pass as `before` for the page after this one; none on the last page.
    pub next: Option<JobId>,
    /// The server's clock when the page was made; ages are counted from it.
    pub as_of_ms: TimestampMs,
}

/// What pressing Rerun would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RerunOffer {
    /// RedriveExecution: the same execution goes on from `from_state`; what succeeded is kept.
    Redrive { from_state: String },
    /// A new execution with the same input, because redriving is not possible or of no use: `reason` says why.
    Restart { reason: String },
    /// Nothing to rerun now: `reason` says why.
    Unavailable { reason: String },
}

/// Everything a job's page shows and its live stream sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobView {
    pub job: JobSummary,
    /// The pipeline's input as submitted.
    pub input: serde_json::Value,
    /// The newest execution; none while the job is queued for its first.
    pub execution: Option<Execution>,
    /// What the job made, in the order of the manifest; filled as soon as the execution has succeeded.
    pub artifacts: Vec<Artifact>,
    pub rerun: RerunOffer,
    /// The server's clock when the view was made; running times are counted from it.
    pub as_of_ms: TimestampMs,
}
