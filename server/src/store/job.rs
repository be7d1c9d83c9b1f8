//! Jobs: the rows of the list, by status and by page. Making one is [`super::outbox`]'s, together with its start.

use std::str::FromStr;

use model::{JobFilter, JobId, JobStatus, JobSummary, StatusCounts, TimestampMs};
use serde_json::Value;
use sqlx::{FromRow, Row, any::AnyRow};

use super::{During, Store, StoreError, count};

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: JobId,
    pub pipeline: String,
    pub title: String,
    /// Without credentials or query.
    pub source: String,
    /// Valid under the pipeline's schema, defaults filled in.
    pub input: Value,
    pub submitted_at: TimestampMs,
}

/// A job with what its list does not show.
#[derive(Debug, Clone)]
pub struct JobRecord {
    pub summary: JobSummary,
    pub input: Value,
    pub execution_arn: Option<String>,
}

/// A row's columns as a summary.
struct SummaryRow(JobSummary);

impl FromRow<'_, AnyRow> for SummaryRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let unreadable = |what: &str| sqlx::Error::Decode(format!("unreadable {what}").into());
        let moment = |column: &str| -> Result<Option<TimestampMs>, sqlx::Error> {
            Ok(row.try_get::<Option<i64>, _>(column)?.map(TimestampMs))
        };
        Ok(SummaryRow(JobSummary {
            id: JobId::from_str(row.try_get("id")?).map_err(|_| unreadable("job id"))?,
            pipeline: row.try_get("pipeline")?,
            title: row.try_get("title")?,
            source: row.try_get("source")?,
            status: JobStatus::from_str(row.try_get("status")?)
                .map_err(|_| unreadable("job status"))?,
            submitted_at_ms: TimestampMs(row.try_get("submitted_at_ms")?),
            started_at_ms: moment("started_at_ms")?,
            ended_at_ms: moment("ended_at_ms")?,
            error: row.try_get("error")?,
            failed_state: row.try_get("failed_state")?,
            rerun_count: u32::try_from(row.try_get::<i64, _>("rerun_count")?).unwrap_or(u32::MAX),
        }))
    }
}

impl Store {
    /// At most `limit` jobs, newest first, that the filter admits.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobSummary>, StoreError> {
        // An id is 36 characters of hexadecimal and '-': '~' sorts behind all of them.
        let before = filter
            .before
            .map_or_else(|| "~".to_owned(), |id| id.to_string());
        let rows: Vec<SummaryRow> = match filter.status {
            Some(status) => {
                sqlx::query_as(
                    "SELECT * FROM job WHERE status = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                )
                .bind(status.as_str())
                .bind(before)
                .bind(i64::from(limit))
                .fetch_all(&self.read)
                .await
            }
            None => {
                sqlx::query_as("SELECT * FROM job WHERE id < $1 ORDER BY id DESC LIMIT $2")
                    .bind(before)
                    .bind(i64::from(limit))
                    .fetch_all(&self.read)
                    .await
            }
        }
        .during("list jobs")?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// How many jobs there are of each status.
    pub async fn job_counts(&self) -> Result<StatusCounts, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT status, CAST(SUM(count) AS BIGINT) FROM job_count GROUP BY status",
        )
        .fetch_all(&self.read)
        .await
        .during("count jobs")?;
        let mut counts = StatusCounts::default();
        for (status, value) in rows {
            let value = count(value);
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

    /// One job; none when there is no job with this id.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM job WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .during("read a job")?;
        row.map(|row| {
            let SummaryRow(summary) = SummaryRow::from_row(&row).during("read a job")?;
            let input: String = row.try_get("input").during("read a job")?;
            Ok(JobRecord {
                summary,
                input: serde_json::from_str(&input).map_err(|_| StoreError::Unreadable {
                    what: "job input",
                    text: id.to_string(),
                })?,
                execution_arn: row.try_get("execution_arn").during("read a job")?,
            })
        })
        .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        outbox::testing::submit,
        testing::{on_each_database, store},
    };

    on_each_database!(
        pages_follow_each_other_without_gap_or_overlap,
        counts_follow_a_jobs_status,
    );

    async fn pages_follow_each_other_without_gap_or_overlap() {
        let (_folder, store) = store().await;
        for second in 0..5 {
            submit(&store, second).await;
        }
        let first = store.jobs(&JobFilter::default(), 3).await.unwrap();
        let rest = store
            .jobs(
                &JobFilter {
                    before: Some(first[2].id),
                    status: None,
                },
                3,
            )
            .await
            .unwrap();
        let ids: Vec<_> = first.iter().chain(&rest).map(|job| job.id).collect();
        assert_eq!(ids.len(), 5);
        assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
    }

    async fn counts_follow_a_jobs_status() {
        let (_folder, store) = store().await;
        let id = submit(&store, 0).await;
        submit(&store, 1).await;
        sqlx::query("UPDATE job SET status = 'running' WHERE id = $1")
            .bind(id.to_string())
            .execute(&store.write)
            .await
            .unwrap();
        let counts = store.job_counts().await.unwrap();
        assert_eq!((counts.queued, counts.running, counts.total()), (1, 1, 2));
        let running = JobFilter {
            status: Some(JobStatus::Running),
            before: None,
        };
        assert_eq!(store.jobs(&running, 9).await.unwrap().len(), 1);
    }
}
