//! Cold starts by function and image digest, and two digests side by side.

use serde::{Deserialize, Serialize};

use crate::TimestampMs;

/// One bar of a histogram: how many cold starts took from `from_ms` (included) to `to_ms` (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistogramBucket {
    pub from_ms: f64,
    pub to_ms: f64,
    pub count: u64,
}

/// Cold starts of one function on one image digest, from Lambda's `platform.report` (`initDurationMs`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ColdStartSummary {
    /// The function's name; `*` for all functions together.
    pub function: String,
    pub digest: String,
    /// The image's tags, as far as they are known.
    pub tags: Vec<String>,
    /// Invocations seen, warm ones included.
    pub invocation_count: u64,
    /// Cold starts among them.
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub max_ms: f64,
    pub histogram: Vec<HistogramBucket>,
    pub first_at_ms: TimestampMs,
    pub last_at_ms: TimestampMs,
}

/// Two digests over all functions they both ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ColdStartComparison {
    /// The older image.
    pub base: ColdStartSummary,
    /// The newer image.
    pub candidate: ColdStartSummary,
    /// `candidate.p50_ms / base.p50_ms`: above 1 the candidate starts slower.
    pub p50_ratio: Option<f64>,
    pub p90_ratio: Option<f64>,
}

/// The page of cold starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ColdStartView {
    /// By function and digest; functions in alphabetical order, newest digest first.
    pub rows: Vec<ColdStartSummary>,
    /// Every digest with cold starts, newest first, with its tags: what may be compared.
    pub digests: Vec<(String, Vec<String>)>,
    /// The comparison asked for, else of the two newest digests.
    pub comparison: Option<ColdStartComparison>,
    pub as_of_ms: TimestampMs,
}
