//! The outbox: calls to Step Functions that were promised. A job and its start are one transaction,
//! so is a job's rerun; a row leaves only with AWS's acknowledgement. Several processes may take rows.

use model::{ExecutionStatus, JobId};
use serde_json::Value;
use sqlx::AnyConnection;

use super::{Backend, During, Statement, Store, StoreError, Write, execution::status_text, plain};

mod promise;
mod submit;
mod take;

pub(super) use promise::{Rerun, Stop};
pub(super) use submit::Submit;
pub use submit::Submitted;

/// What the dispatcher is to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// StartExecution under this name.
    Start { name: String },
    /// RedriveExecution of this execution, which had been redriven `redrive_count` times when it was asked for.
    Redrive { arn: String, redrive_count: u32 },
    /// StopExecution.
    Stop { arn: String },
}

/// A command with its place in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: i64,
    pub job: JobId,
    pub command: Command,
    /// How often it was tried before, this time not counted.
    pub attempts: u32,
}

/// How a job is to be run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunMode {
    /// RedriveExecution of the newest execution.
    Redrive { arn: String, redrive_count: u32 },
    /// A new execution, with another input where there is one.
    Restart { input: Option<Value> },
}

/// What asking to stop a job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// StopExecution is in the outbox.
    Promised,
    /// It had not been started, or not again; now it never will be.
    Withdrawn,
    /// It is over already.
    Over,
}

impl Store {
    /// Gives back what servers took that live no more, and did not put away: on SQLite, which one server has for
    /// itself, whatever was taken. Every command may be tried again, so even one that another server is about to
    /// finish does no harm.
    pub async fn outbox_release(&self, now_ms: i64) -> Result<(), StoreError> {
        let released = Statement::new(
            "give back to the outbox",
            match self.backend {
                Backend::Sqlite => {
                    "UPDATE outbox SET due_at_ms = $1, taken_by = NULL WHERE due_at_ms > $1"
                }
                Backend::Postgres => {
                    "UPDATE outbox SET due_at_ms = $1, taken_by = NULL WHERE due_at_ms > $1 AND taken_by IS NOT NULL
                         AND NOT EXISTS (SELECT 1 FROM lease WHERE name = 'server:' || taken_by AND until_ms > $1)"
                }
            },
        );
        self.write(released.bind(now_ms)).await?;
        Ok(())
    }

    /// When the next row is due; none when the outbox is empty.
    pub async fn outbox_next_due(&self) -> Result<Option<i64>, StoreError> {
        let (due,): (Option<i64>,) = sqlx::query_as("SELECT MIN(due_at_ms) FROM outbox")
            .fetch_one(&self.read)
            .await
            .during("look into the outbox")?;
        Ok(due)
    }

    /// Gives a row back for a later try.
    pub async fn outbox_retry(&self, row: i64, due_at_ms: i64) -> Result<(), StoreError> {
        let given_back = Statement::new(
            "give back to the outbox",
            "UPDATE outbox SET due_at_ms = $2, taken_by = NULL WHERE id = $1",
        );
        self.write(given_back.bind(row).bind(due_at_ms)).await?;
        Ok(())
    }

    /// Takes an acknowledged row out.
    pub async fn outbox_done(&self, row: i64) -> Result<(), StoreError> {
        let done = Statement::new("take out of the outbox", "DELETE FROM outbox WHERE id = $1");
        self.write(done.bind(row)).await?;
        Ok(())
    }

    /// AWS refuses the command for good: the job ends with AWS's error, or, when it had an execution
    /// (a redrive came too late), goes back to that one's status.
    pub async fn outbox_refused(
        &self,
        row: &OutboxRow,
        error: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(Refused {
            row: row.clone(),
            error: error.to_owned(),
            now_ms,
        })
        .await
    }

    /// RedriveExecution was acknowledged. An event of the redriven execution may have come before this.
    pub async fn redriven(&self, row: &OutboxRow, now_ms: i64) -> Result<(), StoreError> {
        let Command::Redrive { arn, redrive_count } = &row.command else {
            return self.outbox_done(row.id).await;
        };
        self.write(Redriven {
            row: row.id,
            job: row.job,
            arn: arn.clone(),
            redrive_count: (*redrive_count).into(),
            now_ms,
        })
        .await
    }
}

struct Refused {
    row: OutboxRow,
    error: String,
    now_ms: i64,
}

impl Write for Refused {
    type Output = ();

    fn operation(&self) -> &'static str {
        "end a job that AWS refused"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(self.row.id)
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
        match &self.row.command {
            Command::Stop { .. } => {}
            Command::Start { .. } => {
                sqlx::query(
                    "UPDATE job SET status = 'failed', error = $2, ended_at_ms = $3 WHERE id = $1 AND status = 'queued'",
                )
                .bind(self.row.job.to_string())
                .bind(&*plain(&self.error))
                .bind(self.now_ms)
                .execute(connection)
                .await
                .during(self.operation())?;
            }
            Command::Redrive { arn, .. } => {
                // An item that asked for it must not be taken for one whose job failed again.
                sqlx::query("UPDATE bulk_item SET state = 'refused', reason = $2 WHERE job_id = $1 AND state = 'begun'")
                    .bind(self.row.job.to_string())
                    .bind(&*plain(&self.error))
                    .execute(&mut *connection)
                    .await
                    .during(self.operation())?;
                back(connection, self.row.job, arn).await?;
            }
        }
        Ok(())
    }
}

/// A promised rerun does not come about: its job is again what its execution is.
async fn back(connection: &mut AnyConnection, job: JobId, arn: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE job SET (status, error, failed_state, ended_at_ms) =
             (SELECT CASE status WHEN 'PENDING_REDRIVE' THEN 'running' ELSE lower(status) END, error, failed_state, ended_at_ms
              FROM execution WHERE arn = $2)
         WHERE id = $1 AND status = 'queued' AND EXISTS (SELECT 1 FROM execution WHERE arn = $2)",
    )
    .bind(job.to_string())
    .bind(arn)
    .execute(connection)
    .await
    .during("put a job back to its execution")?;
    Ok(())
}

struct Redriven {
    row: i64,
    job: JobId,
    arn: String,
    redrive_count: i64,
    now_ms: i64,
}

impl Write for Redriven {
    type Output = ();

    fn operation(&self) -> &'static str {
        "note a redrive"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(self.row)
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
        let changed = sqlx::query(
            "UPDATE execution SET status = $3, redrive_count = $2 + 1, ended_at_ms = NULL, error = NULL, cause = NULL,
                 failed_state = NULL, redrive_status = NULL, redrive_reason = NULL, heard_at_ms = $4, history_complete = 0, artifacts_read = 0
             WHERE arn = $1 AND redrive_count = $2",
        )
        .bind(&self.arn)
        .bind(self.redrive_count)
        .bind(status_text(ExecutionStatus::Running))
        .bind(self.now_ms)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if changed.rows_affected() > 0 {
            sqlx::query("UPDATE job SET status = 'running' WHERE id = $1 AND execution_arn = $2")
                .bind(self.job.to_string())
                .bind(&self.arn)
                .execute(connection)
                .await
                .during(self.operation())?;
        }
        Ok(())
    }
}

/// The name of a job's execution: the job's id for the first, with a number for a restart.
pub(crate) fn execution_name(job: JobId, number: i64) -> String {
    match number {
        ..=1 => job.to_string(),
        number => format!("{job}-{number}"),
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::store::{Asked, NewJob};
    use model::TimestampMs;
    use uuid::{NoContext, Timestamp, Uuid};

    /// A job of the given second.
    pub(crate) fn new_job(second: u64) -> NewJob {
        NewJob {
            id: JobId(Uuid::new_v7(Timestamp::from_unix(NoContext, second, 0))),
            pipeline: "media".to_owned(),
            title: format!("clip {second}"),
            source: "https://example.org/clip.mp4".to_owned(),
            input: serde_json::json!({"source": "https://example.org/clip.mp4"}),
            submitted_at: TimestampMs(second as i64 * 1000),
            priority: 5,
            idempotency_key: None,
            request_digest: None,
        }
    }

    /// Submits a job at the given second; returns its id.
    pub(crate) async fn submit(store: &Store, second: u64) -> JobId {
        let job = new_job(second);
        store
            .submit(&job, None, &Asked::default())
            .await
            .expect("a job");
        job.id
    }
}

#[cfg(test)]
mod tests;
