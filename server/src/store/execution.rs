//! Executions: how one begins, what is known of it, and which ones nobody has heard of for long. Their status is
//! [`status`]'s.

use std::str::FromStr;

use model::{ExecutionStatus, JobId, TimestampMs};
use sqlx::{FromRow, Row, any::AnyRow};

use super::{During, Statement, Store, StoreError, plain};

mod adopt;
mod started;
mod status;

pub use adopt::{Adoption, KnownExecution};
pub use status::{Applied, StatusChange};

/// An execution as it becomes known.
#[derive(Debug, Clone)]
pub struct NewExecution {
    pub job: JobId,
    pub arn: String,
    pub name: String,
    /// 1 for the job's first; a restart counts up.
    pub number: u32,
    pub started_at_ms: i64,
}

impl NewExecution {
    /// The execution with this ARN, whose last segment is its name.
    pub fn new(job: JobId, arn: &str, number: u32, started_at_ms: i64) -> Self {
        NewExecution {
            job,
            arn: arn.to_owned(),
            name: arn.rsplit(':').next().unwrap_or(arn).to_owned(),
            number,
            started_at_ms,
        }
    }
}

/// An execution as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionRecord {
    pub arn: String,
    pub job: JobId,
    pub name: String,
    pub number: u32,
    pub status: ExecutionStatus,
    pub started_at: TimestampMs,
    pub ended_at: Option<TimestampMs>,
    pub redrive_count: u32,
    pub redrive_status: Option<String>,
    pub redrive_reason: Option<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub definition: Option<String>,
    pub history_complete: bool,
    /// Whether its history is in S3 alone.
    pub archived: bool,
    /// The object in S3 that its history went to; before a redrive, when it is not archived.
    pub history_key: Option<String>,
    /// The Fail state that ended it; known once its history is complete, as is the next.
    pub ended_in: Option<String>,
    /// The state from which a redrive would go on.
    pub resumes_from: Option<String>,
}

impl FromRow<'_, AnyRow> for ExecutionRecord {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(ExecutionRecord {
            arn: row.try_get("arn")?,
            job: JobId::from_str(row.try_get("job_id")?)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            name: row.try_get("name")?,
            number: number(row.try_get("number")?),
            status: status_of(row.try_get("status")?)
                .ok_or_else(|| sqlx::Error::Decode("unreadable execution status".into()))?,
            started_at: TimestampMs(row.try_get("started_at_ms")?),
            ended_at: row
                .try_get::<Option<i64>, _>("ended_at_ms")?
                .map(TimestampMs),
            redrive_count: number(row.try_get("redrive_count")?),
            redrive_status: row.try_get("redrive_status")?,
            redrive_reason: row.try_get("redrive_reason")?,
            error: row.try_get("error")?,
            cause: row.try_get("cause")?,
            definition: row.try_get("definition")?,
            history_complete: row.try_get::<i64, _>("history_complete")? != 0,
            archived: row.try_get::<i64, _>("archived")? != 0,
            history_key: row.try_get("history_key")?,
            ended_in: row.try_get("ended_in")?,
            resumes_from: row.try_get("resumes_from")?,
        })
    }
}

/// A status in Step Functions' own words, as stored.
pub(crate) fn status_text(status: ExecutionStatus) -> &'static str {
    match status {
        ExecutionStatus::Running => "RUNNING",
        ExecutionStatus::Succeeded => "SUCCEEDED",
        ExecutionStatus::Failed => "FAILED",
        ExecutionStatus::TimedOut => "TIMED_OUT",
        ExecutionStatus::Aborted => "ABORTED",
        ExecutionStatus::PendingRedrive => "PENDING_REDRIVE",
    }
}

/// The status that Step Functions calls this.
pub(crate) fn status_of(text: &str) -> Option<ExecutionStatus> {
    [
        ExecutionStatus::Running,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Aborted,
        ExecutionStatus::PendingRedrive,
    ]
    .into_iter()
    .find(|status| status_text(*status) == text)
}

impl Store {
    /// One execution.
    pub async fn execution(&self, arn: &str) -> Result<Option<ExecutionRecord>, StoreError> {
        sqlx::query_as("SELECT * FROM execution WHERE arn = $1")
            .bind(arn)
            .fetch_optional(&self.read)
            .await
            .during("read an execution")
    }

    /// Unfinished executions that nothing was heard of since `before_ms`, longest silence first.
    pub async fn executions_silent(
        &self,
        before_ms: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT arn FROM execution WHERE status IN ('RUNNING', 'PENDING_REDRIVE') AND heard_at_ms < $1
             ORDER BY heard_at_ms LIMIT $2",
        )
        .bind(before_ms)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find silent executions")?;
        Ok(rows.into_iter().map(|(arn,)| arn).collect())
    }

    /// Executions that ended without success and of which nobody has said whether they can be redriven.
    pub async fn executions_unexplained(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT arn FROM execution WHERE redrive_status IS NULL AND status IN ('FAILED', 'TIMED_OUT', 'ABORTED') LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find unexplained executions")?;
        Ok(rows.into_iter().map(|(arn,)| arn).collect())
    }

    /// Keeps the definition that an execution runs.
    pub async fn keep_definition(&self, arn: &str, definition: &str) -> Result<(), StoreError> {
        let kept = Statement::new(
            "keep a definition",
            "UPDATE execution SET definition = $2 WHERE arn = $1",
        );
        self.write(kept.bind(arn).bind(definition)).await?;
        Ok(())
    }

    /// Keeps what a whole history says about running an execution again: the Fail state that ended it, and the
    /// state from which a redrive would go on.
    pub async fn keep_resumption(
        &self,
        arn: &str,
        ended_in: Option<&str>,
        resumes_from: Option<&str>,
    ) -> Result<(), StoreError> {
        let kept = Statement::new(
            "keep where an execution would go on",
            "UPDATE execution SET ended_in = $2, resumes_from = $3 WHERE arn = $1",
        );
        let text = |text: Option<&str>| text.map(|text| plain(text).into_owned());
        self.write(kept.bind(arn).bind(text(ended_in)).bind(text(resumes_from)))
            .await?;
        Ok(())
    }

    /// Keeps the state in which an execution's error arose, on its job too when it is the job's newest.
    pub async fn keep_failed_state(&self, arn: &str, state: &str) -> Result<(), StoreError> {
        let kept = Statement::new(
            "keep a failed state",
            "UPDATE execution SET failed_state = $2 WHERE arn = $1",
        );
        self.write(kept.bind(arn).bind(&*plain(state))).await?;
        let kept = Statement::new(
            "keep a failed state",
            "UPDATE job SET failed_state = $2 WHERE id = (SELECT job_id FROM execution WHERE arn = $1)
                 AND execution_arn = $1 AND status IN ('failed', 'timed_out', 'aborted')",
        );
        self.write(kept.bind(arn).bind(&*plain(state))).await?;
        Ok(())
    }
}
