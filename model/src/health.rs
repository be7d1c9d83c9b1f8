//! How Gantry is: whether AWS answers, how much may be called, what waits. One view for the page, the API and
//! whoever is woken at night.

use serde::{Deserialize, Serialize};

use crate::TimestampMs;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HealthLevel {
    /// Everything works.
    Good,
    /// Work waits and will go on by itself.
    Waiting,
    /// Work waits for a person.
    Broken,
}

/// The health in one sentence, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verdict {
    pub level: HealthLevel,
    pub sentence: String,
    /// What a person can do about it.
    pub advice: Option<String>,
    pub since_ms: Option<TimestampMs>,
}

/// How an API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApiState {
    /// Not called since the server's start.
    Unused,
    Good,
    /// AWS asks to call less often.
    Throttled,
    /// No answer, or a fault of AWS's.
    Unreachable,
    /// A policy or the credentials do not allow it.
    Denied,
}

impl ApiState {
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            ApiState::Unused => "Not called yet",
            ApiState::Good => "Works",
            ApiState::Throttled => "Throttled",
            ApiState::Unreachable => "No answer",
            ApiState::Denied => "Denied",
        }
    }

    /// Whether something is wrong with it.
    pub fn is_trouble(self) -> bool {
        !matches!(self, ApiState::Unused | ApiState::Good)
    }
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallError {
    /// AWS's error code, or how AWS was silent.
    pub said: String,
    pub at_ms: TimestampMs,
}

/// One AWS operation: its budget and what became of its calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiHealth {
    pub service: String,
    /// AWS's name for the operation.
    pub operation: String,
    pub state: ApiState,
    /// Since when it has been in trouble.
    pub since_ms: Option<TimestampMs>,
    /// Calls that may be made at once before they wait, and how many there can be.
    pub tokens: u32,
    pub burst: u32,
    /// Calls a second that may go on now, and the quota.
    pub per_second: f64,
    pub per_second_max: u32,
    /// Calls that wait for their turn.
    pub waiting: u32,
    pub calls_last_minute: u32,
    /// Since the server's start.
    pub calls: u64,
    pub last_error: Option<CallError>,
    pub last_success_ms: Option<TimestampMs>,
}

/// What was promised and AWS has not acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutboxHealth {
    pub rows: u64,
    /// Since when the oldest waits.
    pub oldest_ms: Option<TimestampMs>,
}

/// The queue of status events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueHealth {
    /// Messages that wait, about.
    pub waiting: u64,
    /// Messages received and not deleted yet, about.
    pub in_flight: u64,
    /// When SQS said so.
    pub as_of_ms: TimestampMs,
}

/// The telemetry stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StreamHealth {
    pub shards: u32,
    /// How far the slowest shard's reader is behind the newest record.
    pub lag_ms: u64,
    /// When that shard was last read.
    pub as_of_ms: TimestampMs,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreHealth {
    /// `SQLite`, `PostgreSQL`.
    pub kind: String,
    /// How long it took to answer; none when it did not.
    pub answer_ms: Option<u64>,
    /// Its size on disk, where it is a file.
    pub bytes: Option<u64>,
}

/// The reconciler's last round: it asks AWS about executions that nothing was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SweepHealth {
    pub ended_at_ms: TimestampMs,
    /// Executions asked about.
    pub asked: u32,
    /// Of those, executions whose status had changed unheard.
    pub corrected: u32,
}

/// Calls to AWS by ended job since the server's start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallsPerJob {
    pub calls: f64,
    /// What jobs that ran this long may cost while nobody watches them.
    pub bound: f64,
}

/// Everything about Gantry's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthView {
    pub verdict: Verdict,
    pub apis: Vec<ApiHealth>,
    pub outbox: OutboxHealth,
    /// None until SQS told.
    pub status_queue: Option<QueueHealth>,
    /// None until a shard was read.
    pub telemetry: Option<StreamHealth>,
    /// Executions whose history is not read to its end.
    pub histories_unread: u64,
    pub executions_running: u64,
    pub store: StoreHealth,
    /// None until the first round ended.
    pub reconciler: Option<SweepHealth>,
    /// None until a job ended.
    pub calls_per_job: Option<CallsPerJob>,
    /// The server's version, and since when it runs.
    pub version: String,
    pub started_at_ms: TimestampMs,
    pub as_of_ms: TimestampMs,
}
