//! Gantry's server: a thin HTTP edge ([`http`]) over one file per resource ([`control`]), which knows things
//! from the store ([`store`]), AWS ([`aws`]) and what the tracker ([`tracker`]) hears. The binary is wiring.

pub mod aws;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod control;
pub mod http;
pub mod live;
pub mod metrics;
pub mod store;
pub mod tracker;

pub use config::Config;
