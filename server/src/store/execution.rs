//! Executions and their status. A status only ever moves forward: from running to an end, and from an
//! end only to a later redrive. So events may come twice, late and out of order.

use std::str::FromStr;

use model::{ExecutionStatus, JobId, JobStatus, TimestampMs};
use sqlx::{FromRow, Row, Sqlite, Transaction, sqlite::SqliteRow};

use super::{During, Store, StoreError};

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

/// What a status event or DescribeExecution says.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusChange {
    pub arn: String,
    pub status: ExecutionStatus,
    /// How often it had been redriven by then; none when the event does not say.
    pub redrive_count: Option<u32>,
    pub started_at_ms: Option<i64>,
    pub ended_at_ms: Option<i64>,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// `REDRIVABLE`, `NOT_REDRIVABLE` or `REDRIVABLE_BY_MAP_RUN`.
    pub redrive_status: Option<String>,
    pub redrive_reason: Option<String>,
    /// When this was heard, by the server's clock.
    pub heard_at_ms: i64,
}

impl StatusChange {
    /// A bare status without details.
    pub fn new(arn: &str, status: ExecutionStatus, heard_at_ms: i64) -> Self {
        StatusChange {
            arn: arn.to_owned(),
            status,
            redrive_count: None,
            started_at_ms: None,
            ended_at_ms: None,
            error: None,
            cause: None,
            redrive_status: None,
            redrive_reason: None,
            heard_at_ms,
        }
    }
}

/// What became of a [`StatusChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The execution changed, and its job with it when it is the job's newest.
    Changed,
    /// It was known, or something newer was.
    Stale,
    /// No execution with this ARN is known.
    Unknown,
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
}

impl FromRow<'_, SqliteRow> for ExecutionRecord {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
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
            history_complete: row.try_get("history_complete")?,
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

/// A job's status by that of its newest execution.
fn job_status(status: ExecutionStatus) -> JobStatus {
    match status {
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => JobStatus::Running,
        ExecutionStatus::Succeeded => JobStatus::Succeeded,
        ExecutionStatus::Failed => JobStatus::Failed,
        ExecutionStatus::TimedOut => JobStatus::TimedOut,
        ExecutionStatus::Aborted => JobStatus::Aborted,
    }
}

impl Store {
    /// Notes that an execution runs: acknowledged by StartExecution (then `row` leaves the outbox), or
    /// heard of in an event that was faster. Twice is as good as once.
    pub async fn started(
        &self,
        row: Option<i64>,
        execution: &NewExecution,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        const DOING: &str = "note a started execution";
        let mut transaction = self.begin(DOING).await?;
        if let Some(row) = row {
            sqlx::query("DELETE FROM outbox WHERE id = $1")
                .bind(row)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
        }
        let inserted = sqlx::query(
            "INSERT INTO execution (arn, job_id, name, number, status, started_at_ms, heard_at_ms)
             SELECT $1, $2, $3, $4, 'RUNNING', $5, $6 WHERE EXISTS (SELECT 1 FROM job WHERE id = $2)
             ON CONFLICT (arn) DO NOTHING",
        )
        .bind(&execution.arn)
        .bind(execution.job.to_string())
        .bind(&execution.name)
        .bind(execution.number)
        .bind(execution.started_at_ms)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        if inserted.rows_affected() > 0 {
            // Only the newest execution is the job's; an older one's late event must not take it back.
            sqlx::query(
                "UPDATE job SET execution_arn = $2, status = 'running', started_at_ms = COALESCE(started_at_ms, $4)
                 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM execution WHERE job_id = $1 AND number > $3)",
            )
            .bind(execution.job.to_string())
            .bind(&execution.arn)
            .bind(execution.number)
            .bind(execution.started_at_ms)
            .execute(&mut *transaction)
            .await
            .during(DOING)?;
        }
        transaction.commit().await.during(DOING)
    }

    /// Applies what AWS said about an execution.
    pub async fn status_changed(&self, change: &StatusChange) -> Result<Applied, StoreError> {
        const DOING: &str = "apply an execution's status";
        let mut transaction = self.begin(DOING).await?;
        let known: Option<(String, i64, String)> =
            sqlx::query_as("SELECT status, redrive_count, job_id FROM execution WHERE arn = $1")
                .bind(&change.arn)
                .fetch_optional(&mut *transaction)
                .await
                .during(DOING)?;
        let Some((status, redrive_count, job)) = known else {
            return Ok(Applied::Unknown);
        };
        let heard = change.redrive_count.map_or(0, i64::from);
        let unfinished = matches!(status.as_str(), "RUNNING" | "PENDING_REDRIVE");
        let newer = heard > redrive_count
            || (heard == redrive_count && unfinished && status_text(change.status) != status);
        // An event that does not say which redrive it speaks of cannot be placed: ask AWS soon.
        let unclear = change.redrive_count.is_none() && redrive_count > 0;
        if !newer {
            sqlx::query("UPDATE execution SET heard_at_ms = CASE WHEN $2 THEN 0 ELSE max(heard_at_ms, $3) END,
                    redrive_status = CASE WHEN $4 THEN COALESCE($5, redrive_status) ELSE redrive_status END,
                    redrive_reason = CASE WHEN $4 THEN COALESCE($6, redrive_reason) ELSE redrive_reason END
                 WHERE arn = $1")
                .bind(&change.arn)
                .bind(unclear)
                .bind(change.heard_at_ms)
                .bind(heard == redrive_count)
                .bind(&change.redrive_status)
                .bind(&change.redrive_reason)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
            transaction.commit().await.during(DOING)?;
            return Ok(Applied::Stale);
        }
        sqlx::query(
            "UPDATE execution SET status = $2, redrive_count = $3, started_at_ms = COALESCE($4, started_at_ms), ended_at_ms = $5,
                 error = $6, cause = $7, redrive_status = $8, redrive_reason = $9, heard_at_ms = $10,
                 history_complete = FALSE, artifacts_read = FALSE WHERE arn = $1",
        )
        .bind(&change.arn)
        .bind(status_text(change.status))
        .bind(heard)
        .bind(change.started_at_ms)
        .bind(change.ended_at_ms)
        .bind(&change.error)
        .bind(&change.cause)
        .bind(&change.redrive_status)
        .bind(&change.redrive_reason)
        .bind(change.heard_at_ms)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        follow(&mut transaction, &job, change).await?;
        transaction.commit().await.during(DOING)?;
        Ok(Applied::Changed)
    }

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
        .bind(limit)
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
        .bind(limit)
        .fetch_all(&self.read)
        .await
        .during("find unexplained executions")?;
        Ok(rows.into_iter().map(|(arn,)| arn).collect())
    }

    /// Keeps the definition that an execution runs.
    pub async fn keep_definition(&self, arn: &str, definition: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE execution SET definition = $2 WHERE arn = $1")
            .bind(arn)
            .bind(definition)
            .execute(&self.write)
            .await
            .during("keep a definition")?;
        Ok(())
    }

    /// Keeps the state in which an execution's error arose, on its job when it is the job's newest.
    pub async fn keep_failed_state(&self, arn: &str, state: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE job SET failed_state = $2 WHERE execution_arn = $1 AND status IN ('failed', 'timed_out', 'aborted')",
        )
        .bind(arn)
        .bind(state)
        .execute(&self.write)
        .await
        .during("keep a failed state")?;
        Ok(())
    }
}

/// Lets a job follow its newest execution.
async fn follow(
    transaction: &mut Transaction<'static, Sqlite>,
    job: &str,
    change: &StatusChange,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE job SET status = $3, ended_at_ms = $4, error = $5, failed_state = NULL, started_at_ms = COALESCE(started_at_ms, $6)
         WHERE id = $1 AND execution_arn = $2",
    )
    .bind(job)
    .bind(&change.arn)
    .bind(job_status(change.status).as_str())
    .bind(change.ended_at_ms)
    .bind(&change.error)
    .bind(change.started_at_ms)
    .execute(&mut **transaction)
    .await
    .during("let a job follow its execution")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{outbox::testing::submit, testing::store};

    const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:gantry-media:x";

    fn ended(status: ExecutionStatus, redrive_count: u32) -> StatusChange {
        StatusChange {
            redrive_count: Some(redrive_count),
            ended_at_ms: Some(9_000),
            ..StatusChange::new(ARN, status, 9_000)
        }
    }

    async fn running() -> (tempfile::TempDir, Store, JobId) {
        let (folder, store) = store().await;
        let job = submit(&store, 1).await;
        let execution = NewExecution::new(job, ARN, 1, 2_000);
        store.started(None, &execution, 2_000).await.unwrap();
        (folder, store, job)
    }

    async fn status(store: &Store, job: JobId) -> JobStatus {
        store.job(job).await.unwrap().unwrap().summary.status
    }

    #[tokio::test]
    async fn an_event_twice_or_late_changes_nothing() {
        let (_folder, store, job) = running().await;
        let failed = ended(ExecutionStatus::Failed, 0);
        assert_eq!(
            store.status_changed(&failed).await.unwrap(),
            Applied::Changed
        );
        assert_eq!(store.status_changed(&failed).await.unwrap(), Applied::Stale);
        let late = StatusChange {
            redrive_count: Some(0),
            ..StatusChange::new(ARN, ExecutionStatus::Running, 9_500)
        };
        assert_eq!(store.status_changed(&late).await.unwrap(), Applied::Stale);
        assert_eq!(status(&store, job).await, JobStatus::Failed);
    }

    #[tokio::test]
    async fn a_redrive_moves_on_and_its_past_does_not_come_back() {
        let (_folder, store, job) = running().await;
        for (change, expected) in [
            (ended(ExecutionStatus::Failed, 0), JobStatus::Failed),
            (ended(ExecutionStatus::Running, 1), JobStatus::Running),
            (ended(ExecutionStatus::Failed, 0), JobStatus::Running),
            (ended(ExecutionStatus::Succeeded, 1), JobStatus::Succeeded),
            (ended(ExecutionStatus::Running, 1), JobStatus::Succeeded),
        ] {
            store.status_changed(&change).await.unwrap();
            assert_eq!(status(&store, job).await, expected, "{change:?}");
        }
    }

    #[tokio::test]
    async fn an_event_that_does_not_name_its_redrive_asks_for_reconciliation() {
        let (_folder, store, _job) = running().await;
        store
            .status_changed(&ended(ExecutionStatus::Running, 1))
            .await
            .unwrap();
        let unclear = StatusChange::new(ARN, ExecutionStatus::Failed, 9_900);
        assert_eq!(
            store.status_changed(&unclear).await.unwrap(),
            Applied::Stale
        );
        assert_eq!(store.executions_silent(1, 9).await.unwrap(), [ARN]);
    }

    #[tokio::test]
    async fn an_older_executions_event_leaves_the_job_alone() {
        let (_folder, store, job) = running().await;
        store
            .status_changed(&ended(ExecutionStatus::Failed, 0))
            .await
            .unwrap();
        let second = NewExecution::new(job, &format!("{ARN}-2"), 2, 10_000);
        store.started(None, &second, 10_000).await.unwrap();
        store
            .status_changed(&ended(ExecutionStatus::Succeeded, 1))
            .await
            .unwrap();
        assert_eq!(status(&store, job).await, JobStatus::Running);
    }

    #[tokio::test]
    async fn an_event_of_nobodys_execution_is_unknown() {
        let (_folder, store) = store().await;
        let change = ended(ExecutionStatus::Failed, 0);
        assert_eq!(
            store.status_changed(&change).await.unwrap(),
            Applied::Unknown
        );
    }
}
