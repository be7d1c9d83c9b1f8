//! The processing Lambdas of the media pipeline: one module a step in [`steps`], run by the binary `worker <step>`.
//! Owns what happens to bytes and media between S3 and ffmpeg. Refuses telemetry SDKs and AWS beyond S3:
//! progress and failures are JSON lines on standard output, which Lambda puts into the function's log.

pub mod asked;
pub mod clients;
pub mod codec;
pub mod failure;
pub mod ffmpeg;
pub mod invocation;
pub mod media;
pub mod object;
pub mod plan;
pub mod playlist;
pub mod progress;
pub mod redact;
pub mod source;
pub mod steps;
pub mod uploads;

pub use clients::Clients;
pub use failure::{Failure, Kind};
pub use invocation::{Invocation, Job};
pub use steps::Step;
