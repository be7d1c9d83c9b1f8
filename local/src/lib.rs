//! AWS on a laptop: the AWS APIs that Gantry calls, on one port, over real processes and real files.
//!
//! Owns starting and stopping the whole; [`dispatch`] finds the module that answers a request.
//! Refuses to be more than one machine's stand-in: state is one directory, and one process uses it.

pub mod config;
pub mod dispatch;
pub mod store;
pub mod wire;

pub mod cloudwatch;
pub mod ecr;
pub mod events;
pub mod kinesis;
pub mod lambda;
pub mod logs;
pub mod registry;
pub mod s3;
pub mod sfn;
pub mod sqs;
pub mod sts;

mod serve;

pub use config::Config;
pub use serve::{ServeError, Server, Services, serve};
