//! One invocation of a step: what every step gets besides its own input. Owns no decisions.

use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    Clients, Failure,
    object::Bucket,
    progress::{Reporter, Reports},
};

/// The job a step works for, as the pipeline's input has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    pub id: String,
    /// The bucket that everything the job makes goes to.
    pub bucket: String,
    /// What the keys of those objects start with: `jobs/<id>/`.
    pub prefix: String,
}

impl Job {
    /// The key of one of the job's objects.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// What a step may use while it runs.
pub struct Invocation<'a> {
    pub clients: &'a Clients,
    pub reports: Reports,
    /// When the work must have ended: Lambda's deadline less the time an answer takes.
    pub deadline: Instant,
}

impl Invocation<'_> {
    /// The job's bucket.
    pub fn bucket(&self, job: &Job) -> Result<Bucket, Failure> {
        self.clients.bucket(&job.bucket)
    }

    /// Starts a piece of work and reports that it has.
    pub fn start(&self, unit: &str, total: Option<u64>, label: Option<&str>) -> Reporter {
        self.reports.start(unit, total, label)
    }
}
