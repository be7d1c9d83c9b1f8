//! Pieces of pages: views in, HTML out. Plain functions, so that the server and the islands draw the same.
//! Own no data and read no clock; running times are counted by the [`crate::clock::Clock`] they are given.

pub mod artifacts;
pub mod change;
pub mod copy;
pub mod detail;
pub mod digest;
pub mod error;
pub mod graph;
pub mod job;
pub mod json;
pub mod lanes;
pub mod lineage;
pub mod moment;
pub mod progress;
pub mod rerun;
pub mod status;
