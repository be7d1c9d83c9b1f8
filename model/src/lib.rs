//! What crosses the wire between Gantry's server, its browser half, its worker and its API's callers:
//! typed ids, requests, views and [`ApiError`]. Data and its derived values only: no I/O, no clock,
//! no AWS, no HTML. Builds for wasm.

pub mod address;
pub mod artifact;
pub mod bulk;
pub mod cold_start;
pub mod error;
pub mod execution;
pub mod health;
pub mod image;
pub mod input;
pub mod invocation;
pub mod job;
pub mod lineage;
pub mod pipeline;
pub mod progress;
pub mod time;

pub use address::percent_encoded;
pub use artifact::{Artifact, ArtifactKind, Manifest};
pub use bulk::{
    Bulk, BulkCounts, BulkId, BulkItem, BulkItemState, BulkJobs, BulkKind, BulkReason, BulkRerun,
    BulkState, BulkSubmit, BulkView, BulkWhat, CreateBulk, InputChange, RerunChoice,
};
pub use cold_start::{ColdStartComparison, ColdStartSummary, ColdStartView, HistogramBucket};
pub use error::{ApiError, ErrorCode, FieldError};
pub use execution::{
    Attempt, BranchView, Execution, ExecutionStatus, IterationView, StateDetail, StateKind,
    StateStatus, StateView, VisitView,
};
pub use health::{ApiState, HealthLevel, HealthView, Verdict};
pub use image::{FunctionUse, Image, ImageView, Layer};
pub use input::InputReference;
pub use invocation::{InvocationLine, InvocationView};
pub use job::{
    JobFilter, JobId, JobPage, JobStatus, JobSummary, JobView, PRIORITY_DEFAULT, PRIORITY_MAX,
    RerunOffer, StatusCounts, SubmitJob,
};
pub use lineage::{LineageEvent, LineageKind};
pub use pipeline::PipelineSettings;
pub use progress::{Progress, ProgressLine};
pub use time::TimestampMs;
