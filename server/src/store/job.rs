//! Jobs: the rows of the list, by status and by page. Making one is [`super::outbox`]'s, together with its start.

use std::str::FromStr;

use model::{JobId, JobStatus, JobSummary, TimestampMs};
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, Row, any::AnyRow};

use super::{During, Store, StoreError};

mod counts;
mod list;
mod search;

pub(super) use list::Listing;

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
    /// From 0 to 9; higher ones start first.
    pub priority: u8,
    /// A later request with the same one makes no job.
    pub idempotency_key: Option<String>,
    /// Of the request, to tell its repetition from another one with the same key.
    pub request_digest: Option<String>,
}

/// A job with what its list does not show.
#[derive(Debug, Clone)]
pub struct JobRecord {
    pub summary: JobSummary,
    pub input: Value,
    pub execution_arn: Option<String>,
}

/// A row's columns as a summary.
fn summary_of(row: &AnyRow) -> Result<JobSummary, sqlx::Error> {
    let unreadable = |what: &str| sqlx::Error::Decode(format!("unreadable {what}").into());
    let moment = |column: &str| -> Result<Option<TimestampMs>, sqlx::Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(TimestampMs))
    };
    Ok(JobSummary {
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
        adopted: row.try_get::<i64, _>("adopted")? != 0,
    })
}

impl Store {
    /// One job; none when there is no job with this id.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        sqlx::query_as("SELECT * FROM job WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .during("read a job")
    }

    /// Jobs by their ids, newest first; ids of no job are passed over.
    pub async fn job_records(&self, ids: &[JobId]) -> Result<Vec<JobRecord>, StoreError> {
        let is_wanted = self.backend.is_text_of("id", "$1");
        sqlx::query_as(AssertSqlSafe(format!(
            "SELECT * FROM job WHERE {is_wanted} ORDER BY id DESC"
        )))
        .bind(self.backend.texts(ids.iter().map(ToString::to_string)))
        .fetch_all(&self.read)
        .await
        .during("read jobs")
    }
}

impl FromRow<'_, AnyRow> for JobRecord {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let summary = summary_of(row)?;
        let input: &str = row.try_get("input")?;
        Ok(JobRecord {
            input: serde_json::from_str(input).map_err(|_| {
                sqlx::Error::Decode(format!("unreadable input of {}", summary.id).into())
            })?,
            execution_arn: row.try_get("execution_arn")?,
            summary,
        })
    }
}

#[cfg(test)]
mod tests {
    use model::JobFilter;

    use super::*;
    use crate::store::{
        outbox::testing::submit,
        testing::{on_each_database, store},
    };

    on_each_database!(
        pages_follow_each_other_without_gap_or_overlap,
        counts_follow_a_jobs_status,
        any_filter_admits_what_it_says_and_no_more,
        a_search_is_newest_first_in_whatever_order_jobs_come,
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
                    ..JobFilter::default()
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
            ..JobFilter::default()
        };
        assert_eq!(store.jobs(&running, 9).await.unwrap().len(), 1);
    }

    async fn any_filter_admits_what_it_says_and_no_more() {
        let (_folder, store) = store().await;
        let mut ids = Vec::new();
        for (second, title, status, error) in [
            (1, "Harbour at 100% noon", "failed", Some("Source.NotMedia")),
            (2, "harbour_at dusk", "failed", Some("Source.Dropped")),
            (3, "The \"quoted\" crane", "succeeded", None),
            (4, "HARBOUR again", "running", None),
        ] {
            let id = submit(&store, second).await;
            let job = crate::store::NewJob {
                title: title.to_owned(),
                ..crate::store::outbox::testing::new_job(second + 100)
            };
            sqlx::query("DELETE FROM job WHERE id = $1")
                .bind(id.to_string())
                .execute(&store.write)
                .await
                .unwrap();
            store
                .submit(&job, None, &crate::store::Asked::default())
                .await
                .unwrap();
            sqlx::query("UPDATE job SET status = $2, error = $3, failed_state = $4 WHERE id = $1")
                .bind(job.id.to_string())
                .bind(status)
                .bind(error)
                .bind(error.map(|_| "Inspect"))
                .execute(&store.write)
                .await
                .unwrap();
            ids.push(job.id);
        }
        let found = async |filter: JobFilter| -> Vec<usize> {
            let jobs = store.jobs(&filter, 9).await.unwrap();
            jobs.iter()
                .map(|job| ids.iter().position(|id| *id == job.id).unwrap() + 1)
                .collect()
        };
        let text = |text: &str| JobFilter {
            text: Some(text.to_owned()),
            ..JobFilter::default()
        };
        assert_eq!(found(text("harbour")).await, [4, 2, 1]);
        assert_eq!(found(text("100% n")).await, [1], "a percent sign is itself");
        assert_eq!(found(text("r_at")).await, [2], "so is an underscore");
        assert_eq!(found(text("\"quoted\"")).await, [3]);
        assert_eq!(
            found(text("EXAMPLE.ORG/clip")).await,
            [4, 3, 2, 1],
            "the source"
        );
        assert!(found(text("no such")).await.is_empty());
        let both = JobFilter {
            status: Some(JobStatus::Failed),
            ..text("harbour")
        };
        assert_eq!(found(both.clone()).await, [2, 1]);
        let older = JobFilter {
            before: Some(ids[1]),
            ..both
        };
        assert_eq!(found(older).await, [1]);
        let like_it = JobFilter {
            error: Some("Source.NotMedia".to_owned()),
            failed_state: Some("Inspect".to_owned()),
            pipeline: Some("media".to_owned()),
            ..JobFilter::default()
        };
        assert_eq!(found(like_it).await, [1]);
        let span = JobFilter {
            since_ms: Some(102_000),
            until_ms: Some(104_000),
            ..JobFilter::default()
        };
        assert_eq!(found(span).await, [3, 2]);
    }

    async fn a_search_is_newest_first_in_whatever_order_jobs_come() {
        let (_folder, store) = store().await;
        // As a first sweep adopts them: what runs now, then ever older ones.
        for second in [500, 100, 400, 300, 200] {
            for millisecond in 0..40 {
                let id =
                    uuid::Timestamp::from_unix(uuid::NoContext, second, millisecond * 1_000_000);
                let job = crate::store::NewJob {
                    id: JobId(uuid::Uuid::new_v7(id)),
                    ..crate::store::outbox::testing::new_job(second)
                };
                store
                    .submit(&job, None, &crate::store::Asked::default())
                    .await
                    .unwrap();
            }
        }
        let mut filter = JobFilter {
            text: Some("clip".to_owned()),
            ..JobFilter::default()
        };
        let mut found = Vec::new();
        loop {
            let page = store.jobs(&filter, 30).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.before = Some(last.id);
            found.extend(page.into_iter().map(|job| job.id));
        }
        assert_eq!(found.len(), 200);
        assert!(found.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
