//! How many jobs there are of each status, by themselves or beside a list: of one moment with it, and without a way to
//! the database of their own.

use std::str::FromStr;

use model::{JobStatus, StatusCounts};
use sqlx::AssertSqlSafe;

use crate::store::{
    Backend, During, Store, StoreError,
    rows::{self, Number},
};

/// The counts as an expression of any query, which [`read`] reads.
pub(super) fn expression(backend: Backend) -> String {
    let rows = backend.rows_as_json(&["counted.status", "counted.count"]);
    // A connection to PostgreSQL counts in rows of its own.
    format!(
        "(SELECT {rows} FROM
             (SELECT status, CAST(SUM(count) AS BIGINT) AS count FROM job_count GROUP BY status) AS counted)"
    )
}

pub(super) fn read(counts: &str) -> Result<StatusCounts, StoreError> {
    let rows: Vec<(String, Number<i64>)> = rows::read(counts, "counts of jobs")?;
    let mut counts = StatusCounts::default();
    for (status, Number(value)) in rows {
        let value = crate::store::count(value);
        match JobStatus::from_str(&status) {
            Ok(JobStatus::Queued) => counts.queued = value,
            Ok(JobStatus::Running) => counts.running = value,
            Ok(JobStatus::Succeeded) => counts.succeeded = value,
            Ok(JobStatus::Failed) => counts.failed = value,
            Ok(JobStatus::TimedOut) => counts.timed_out = value,
            Ok(JobStatus::Aborted) => counts.aborted = value,
            Err(_) => {
                return Err(StoreError::Unreadable {
                    what: "job status",
                    text: status,
                });
            }
        }
    }
    Ok(counts)
}

impl Store {
    /// How many jobs there are of each status.
    pub async fn job_counts(&self) -> Result<StatusCounts, StoreError> {
        let text = format!("SELECT {}", expression(self.backend));
        let (counts,): (String,) = sqlx::query_as(AssertSqlSafe(text))
            .fetch_one(&self.read)
            .await
            .during("count jobs")?;
        read(&counts)
    }
}
