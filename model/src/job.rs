//! A job: what a person asked for, and how far it is. A job outlives its executions: a rerun may give it another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ApiError, Artifact, ErrorCode, Execution, LineageEvent, TimestampMs, address::percent_encoded,
};

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
    /// A request with a key that was used before answers with the first one's job and makes none. At most 200
    /// printable characters. The header `Idempotency-Key` is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Derives the key from pipeline and input: the same work is not submitted twice.
    #[serde(default)]
    pub once: bool,
    /// From 0 to 9, 5 by default: of jobs that wait for their start, higher ones start first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// The priority of a job whose request does not say.
pub const PRIORITY_DEFAULT: u8 = 5;
/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;

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
    /// Started outside Gantry, in AWS's console or by a schedule, and followed since.
    #[serde(default)]
    pub adopted: bool,
}

/// Which jobs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JobFilter {
    /// Only jobs of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// Only jobs of this pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Only jobs in whose title or source this text stands, whatever the case of its letters. Three characters at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Only jobs that ended with this error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only jobs that failed in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_state: Option<String>,
    /// Only jobs submitted at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Only jobs submitted before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Only jobs older than this one: the `next` of an earlier page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<JobId>,
}

impl JobFilter {
    /// The filter that the words of an address or a form say, as [`JobFilter::query`] writes them, `before` beside
    /// them. A word that is empty counts as not said, as forms send it.
    pub fn read(word: impl Fn(&str) -> Option<String>) -> Result<JobFilter, ApiError> {
        let word = |name: &str| word(name).filter(|text| !text.is_empty());
        let invalid = |message: String| ApiError::new(ErrorCode::Invalid, message);
        let moment = |name: &str| {
            let read = |text: String| {
                text.parse().map_err(|_| {
                    invalid(format!(
                        "`{name}` must be milliseconds since 1970, not “{text}”."
                    ))
                })
            };
            word(name).map(read).transpose()
        };
        Ok(JobFilter {
            status: word("status").map(|text| text.parse()).transpose()?,
            pipeline: word("pipeline"),
            text: word("text"),
            error: word("error"),
            failed_state: word("failed_state"),
            since_ms: moment("since_ms")?,
            until_ms: moment("until_ms")?,
            before: word("before")
                .map(|text| {
                    text.parse().map_err(|_| {
                        invalid(format!(
                            "`before`: “{text}” is no job's id. Start again from the newest jobs."
                        ))
                    })
                })
                .transpose()?,
        })
    }

    /// Which jobs it admits, for people: `failed jobs of media with error Source.NotMedia`.
    pub fn in_words(&self) -> String {
        let mut words = match self.status {
            Some(status) => format!("{} jobs", status.label().to_lowercase()),
            None => "jobs".to_owned(),
        };
        for (before, value) in [
            (" of ", &self.pipeline),
            (" with error ", &self.error),
            (" in state ", &self.failed_state),
        ] {
            if let Some(value) = value {
                words.push_str(before);
                words.push_str(value);
            }
        }
        if let Some(text) = &self.text {
            words.push_str(&format!(" with “{text}” in title or source"));
        }
        if self.since_ms.is_some() || self.until_ms.is_some() {
            words.push_str(" submitted in a span of time");
        }
        words
    }

    /// The filter as the query of an address, without `?` and without the page; empty for all jobs.
    pub fn query(&self) -> String {
        let number = |at: Option<i64>| at.map(|at| at.to_string());
        let words = [
            (
                "status",
                self.status.map(|status| status.as_str().to_owned()),
            ),
            ("pipeline", self.pipeline.clone()),
            ("text", self.text.clone()),
            ("error", self.error.clone()),
            ("failed_state", self.failed_state.clone()),
            ("since_ms", number(self.since_ms)),
            ("until_ms", number(self.until_ms)),
        ];
        let said = words
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", percent_encoded(&value?))));
        said.collect::<Vec<_>>().join("&")
    }

    /// Whether nothing but the status narrows it.
    pub fn is_by_status(&self) -> bool {
        *self
            == JobFilter {
                status: self.status,
                before: self.before,
                ..JobFilter::default()
            }
    }
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
    /// Whether large values of `input` are replaced by a word of how large they are, as on pages;
    /// `GET /api/v1/jobs/{id}` has them whole.
    #[serde(default)]
    pub input_cut: bool,
    /// The newest execution; none while the job is queued for its first.
    pub execution: Option<Execution>,
    /// What the job made, in the order of the manifest; filled as soon as the execution has succeeded.
    pub artifacts: Vec<Artifact>,
    pub rerun: RerunOffer,
    /// What was asked of it, oldest first, and what came of each.
    #[serde(default)]
    pub lineage: Vec<LineageEvent>,
    /// The server's clock when the view was made; running times are counted from it.
    pub as_of_ms: TimestampMs,
}
