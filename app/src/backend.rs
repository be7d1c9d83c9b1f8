//! What pages need of the server that renders them, and what it tells them of the request. Owns the
//! interface only: the server implements it and gives it as Leptos context. Exists in the server's
//! build alone; the browser half reads the same views from `/api/v1`.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use asl::layout::Layout;
use model::{
    ApiError, Bulk, BulkItemState, BulkView, ColdStartView, HealthView, ImageView, JobFilter,
    JobId, JobPage, JobView, PipelineSettings, StateDetail, Verdict,
};

/// An answer of the [`Backend`] under way.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// Where pages get their data. One per request, so that errors carry the request's id.
pub trait Backend: Send + Sync {
    /// One page of the list of jobs, newest first.
    fn jobs(&self, filter: JobFilter) -> Reply<'_, JobPage>;
    /// A job with its newest execution; `NotFound` when there is no such job.
    fn job(&self, id: JobId) -> Reply<'_, JobView>;
    /// The drawing of the state machine that the job's newest execution runs, or will run.
    fn job_layout(&self, id: JobId) -> Reply<'_, Layout>;
    /// One state with the visit asked for; `NotFound` when the definition has no such state.
    fn state_detail(&self, id: JobId, state: String, visit: Option<i64>) -> Reply<'_, StateDetail>;
    /// The JSON Schema of the pipeline's input.
    fn pipeline_schema(&self, pipeline: String) -> Reply<'_, serde_json::Value>;
    /// What is set for a pipeline; `NotFound` when there is none of that name.
    fn pipeline_settings(&self, pipeline: String) -> Reply<'_, PipelineSettings>;
    /// The newest bulk operations.
    fn bulks(&self) -> Reply<'_, Vec<Bulk>>;
    /// A bulk operation with items after a place; `NotFound` when there is none of that id.
    fn bulk(&self, id: String, state: Option<BulkItemState>, after: u64) -> Reply<'_, BulkView>;
    /// The repository's images, newest first.
    fn images(&self) -> Reply<'_, ImageView>;
    /// Cold starts by function and digest; compares `base` with `candidate`, by default the two newest digests.
    fn cold_starts(
        &self,
        base: Option<String>,
        candidate: Option<String>,
    ) -> Reply<'_, ColdStartView>;
    /// How Gantry is, in full.
    fn health(&self) -> Reply<'_, HealthView>;
    /// The same in one sentence, at once: every page has a mark of it.
    fn verdict(&self) -> Verdict;
}

/// The [`Backend`] as pages find it in their context.
pub type SharedBackend = Arc<dyn Backend>;

/// Context: the form that was refused, when `/jobs/new` is rendered again with what was typed.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmitFailure {
    pub pipeline: String,
    /// An object of what was typed: property name to string.
    pub input: serde_json::Value,
    /// `fields[].pointer` names the property: `/source`, `/file`.
    pub error: ApiError,
}

/// Context: why an action was refused, when the page it was asked for on is rendered in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFailure(pub ApiError);

/// Context: the CSV of the form that was refused, which its address has no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedCsv(pub String);

/// Context: the HTTP status of the page. Pages set it while they render; the server reads it afterwards.
#[derive(Debug, Clone)]
pub struct PageStatus(Arc<AtomicU16>);

impl PageStatus {
    /// 200, until a page says otherwise.
    pub fn new() -> Self {
        PageStatus(Arc::new(AtomicU16::new(200)))
    }

    /// Sets the HTTP status (RFC 9110).
    pub fn set(&self, status: u16) {
        self.0.store(status, Ordering::Relaxed);
    }

    /// The status as it stands.
    pub fn get(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for PageStatus {
    fn default() -> Self {
        PageStatus::new()
    }
}
