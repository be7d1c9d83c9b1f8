//! The outbox: calls to Step Functions that were promised. A job and its start are one transaction,
//! so is a job's rerun; a row leaves only with AWS's acknowledgement. Several processes may take rows.

use std::str::FromStr;

use model::{ExecutionStatus, JobId, JobStatus};

use super::{During, NewJob, Store, StoreError, execution::status_text};

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
    /// A new execution.
    Restart,
}

/// What asking to stop a job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// StopExecution is in the outbox.
    Promised,
    /// It had not been started; now it never will be.
    Withdrawn,
    /// It is over already.
    Over,
}

impl Store {
    /// Makes a job and promises its start. `upload` is the key of the upload that became its source.
    pub async fn submit(&self, job: &NewJob, upload: Option<&str>) -> Result<(), StoreError> {
        const DOING: &str = "submit a job";
        let mut transaction = self.begin(DOING).await?;
        sqlx::query(
            "INSERT INTO job (id, pipeline, title, source, input, status, submitted_at_ms)
             VALUES ($1, $2, $3, $4, $5, 'queued', $6)",
        )
        .bind(job.id.to_string())
        .bind(&job.pipeline)
        .bind(&job.title)
        .bind(&job.source)
        .bind(job.input.to_string())
        .bind(job.submitted_at.0)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, due_at_ms) VALUES ($1, 'start', $2, $3)",
        )
        .bind(job.id.to_string())
        .bind(job.id.to_string())
        .bind(job.submitted_at.0)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        if let Some(key) = upload {
            sqlx::query("DELETE FROM upload WHERE key = $1")
                .bind(key)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
        }
        transaction.commit().await.during(DOING)
    }

    /// Promises a rerun of a job that has ended. False, and nothing promised, when it has not:
    /// of two who press Rerun at once, one is told that it is queued already.
    pub async fn rerun(
        &self,
        job: JobId,
        mode: &RerunMode,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "rerun a job";
        let mut transaction = self.begin(DOING).await?;
        let changed = sqlx::query(
            "UPDATE job SET status = 'queued', rerun_count = rerun_count + 1, ended_at_ms = NULL, error = NULL, failed_state = NULL
             WHERE id = $1 AND status NOT IN ('queued', 'running')",
        )
        .bind(job.to_string())
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        let (command, target, redrive_count) = match mode {
            RerunMode::Redrive { arn, redrive_count } => ("redrive", arn.clone(), *redrive_count),
            RerunMode::Restart => {
                let (number,): (i64,) = sqlx::query_as(
                    "SELECT COALESCE(MAX(number), 0) + 1 FROM execution WHERE job_id = $1",
                )
                .bind(job.to_string())
                .fetch_one(&mut *transaction)
                .await
                .during(DOING)?;
                ("start", execution_name(job, number), 0)
            }
        };
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, redrive_count, due_at_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(job.to_string())
        .bind(command)
        .bind(target)
        .bind(redrive_count)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        transaction.commit().await.during(DOING)?;
        Ok(true)
    }

    /// Promises to stop a job's execution, or withdraws a start that nobody has tried yet.
    pub async fn stop(&self, job: JobId, now_ms: i64) -> Result<StopOutcome, StoreError> {
        const DOING: &str = "stop a job";
        let mut transaction = self.begin(DOING).await?;
        let current: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT status, execution_arn FROM job WHERE id = $1")
                .bind(job.to_string())
                .fetch_optional(&mut *transaction)
                .await
                .during(DOING)?;
        let Some((status, arn)) = current else {
            return Ok(StopOutcome::Over);
        };
        if JobStatus::from_str(&status).is_ok_and(JobStatus::is_final) {
            return Ok(StopOutcome::Over);
        }
        let withdrawn = sqlx::query(
            "DELETE FROM outbox WHERE job_id = $1 AND command IN ('start', 'redrive') AND attempts = 0",
        )
        .bind(job.to_string())
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        if withdrawn.rows_affected() > 0 {
            sqlx::query("UPDATE job SET status = 'aborted', ended_at_ms = $2 WHERE id = $1")
                .bind(job.to_string())
                .bind(now_ms)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
            transaction.commit().await.during(DOING)?;
            return Ok(StopOutcome::Withdrawn);
        }
        // A start under way will have made the newest execution by the time this row's turn comes,
        // so its name, not an older execution's ARN, is what has to be stopped.
        let starting: Option<(String,)> = sqlx::query_as(
            "SELECT target FROM outbox WHERE job_id = $1 AND command = 'start' ORDER BY id DESC LIMIT 1",
        )
        .bind(job.to_string())
        .fetch_optional(&mut *transaction)
        .await
        .during(DOING)?;
        let Some(target) = starting.map(|(name,)| name).or(arn) else {
            return Ok(StopOutcome::Over);
        };
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, due_at_ms)
             SELECT $1, 'stop', $2, $3 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE job_id = $1 AND command = 'stop')",
        )
        .bind(job.to_string())
        .bind(target)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        transaction.commit().await.during(DOING)?;
        Ok(StopOutcome::Promised)
    }

    /// Takes at most `limit` rows that are due, each for `lease_ms`: who dies with one gives it back by then.
    /// Of each job only the oldest row, so that a stop never overtakes the start before it.
    pub async fn outbox_take(
        &self,
        now_ms: i64,
        lease_ms: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        const DOING: &str = "take from the outbox";
        let mut transaction = self.begin(DOING).await?;
        let rows: Vec<(i64, String, String, String, i64, i64)> = sqlx::query_as(
            "UPDATE outbox SET attempts = attempts + 1, due_at_ms = $1 + $2
             WHERE id IN (SELECT id FROM outbox AS mine WHERE due_at_ms <= $1
                 AND NOT EXISTS (SELECT 1 FROM outbox AS older WHERE older.job_id = mine.job_id AND older.id < mine.id)
                 ORDER BY due_at_ms LIMIT $3)
             RETURNING id, job_id, command, target, redrive_count, attempts",
        )
        .bind(now_ms)
        .bind(lease_ms)
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await
        .during(DOING)?;
        transaction.commit().await.during(DOING)?;
        rows.into_iter()
            .map(|(id, job, command, target, redrive_count, attempts)| {
                let command = match command.as_str() {
                    "start" => Command::Start { name: target },
                    "redrive" => Command::Redrive {
                        arn: target,
                        redrive_count: u32::try_from(redrive_count).unwrap_or(u32::MAX),
                    },
                    "stop" => Command::Stop { arn: target },
                    _ => {
                        return Err(StoreError::Unreadable {
                            what: "outbox command",
                            text: command,
                        });
                    }
                };
                Ok(OutboxRow {
                    id,
                    job: JobId::from_str(&job).map_err(|_| StoreError::Unreadable {
                        what: "job id",
                        text: job,
                    })?,
                    command,
                    attempts: u32::try_from(attempts - 1).unwrap_or(0),
                })
            })
            .collect()
    }

    /// Gives back what an earlier process took and did not put away. Every command may be tried again, so
    /// even one that another process is about to finish does no harm.
    pub async fn outbox_release(&self, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE outbox SET due_at_ms = $1 WHERE due_at_ms > $1")
            .bind(now_ms)
            .execute(&self.write)
            .await
            .during("give back to the outbox")?;
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
        sqlx::query("UPDATE outbox SET due_at_ms = $2 WHERE id = $1")
            .bind(row)
            .bind(due_at_ms)
            .execute(&self.write)
            .await
            .during("give back to the outbox")?;
        Ok(())
    }

    /// Takes an acknowledged row out.
    pub async fn outbox_done(&self, row: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(row)
            .execute(&self.write)
            .await
            .during("take out of the outbox")?;
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
        const DOING: &str = "end a job that AWS refused";
        let mut transaction = self.begin(DOING).await?;
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(row.id)
            .execute(&mut *transaction)
            .await
            .during(DOING)?;
        match &row.command {
            Command::Stop { .. } => {}
            Command::Start { .. } => {
                sqlx::query(
                    "UPDATE job SET status = 'failed', error = $2, ended_at_ms = $3 WHERE id = $1 AND status = 'queued'",
                )
                .bind(row.job.to_string())
                .bind(error)
                .bind(now_ms)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
            }
            Command::Redrive { arn, .. } => {
                sqlx::query(
                    "UPDATE job SET (status, error, ended_at_ms) =
                         (SELECT CASE execution.status WHEN 'PENDING_REDRIVE' THEN 'running' ELSE lower(execution.status) END, execution.error, execution.ended_at_ms
                          FROM execution WHERE arn = $2)
                     WHERE id = $1 AND status = 'queued' AND EXISTS (SELECT 1 FROM execution WHERE arn = $2)",
                )
                .bind(row.job.to_string())
                .bind(arn)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
            }
        }
        transaction.commit().await.during(DOING)
    }

    /// RedriveExecution was acknowledged. An event of the redriven execution may have come before this.
    pub async fn redriven(&self, row: &OutboxRow, now_ms: i64) -> Result<(), StoreError> {
        const DOING: &str = "note a redrive";
        let Command::Redrive { arn, redrive_count } = &row.command else {
            return self.outbox_done(row.id).await;
        };
        let mut transaction = self.begin(DOING).await?;
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(row.id)
            .execute(&mut *transaction)
            .await
            .during(DOING)?;
        let running = status_text(ExecutionStatus::Running);
        let changed = sqlx::query(
            "UPDATE execution SET status = $3, redrive_count = $2 + 1, ended_at_ms = NULL, error = NULL, cause = NULL,
                 redrive_status = NULL, redrive_reason = NULL, heard_at_ms = $4, history_complete = FALSE, artifacts_read = FALSE
             WHERE arn = $1 AND redrive_count = $2",
        )
        .bind(arn)
        .bind(redrive_count)
        .bind(running)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await
        .during(DOING)?;
        if changed.rows_affected() > 0 {
            sqlx::query("UPDATE job SET status = 'running' WHERE id = $1 AND execution_arn = $2")
                .bind(row.job.to_string())
                .bind(arn)
                .execute(&mut *transaction)
                .await
                .during(DOING)?;
        }
        transaction.commit().await.during(DOING)
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
    use model::TimestampMs;
    use uuid::{NoContext, Timestamp, Uuid};

    /// Submits a job at the given second; returns its id.
    pub(crate) async fn submit(store: &Store, second: u64) -> JobId {
        let id = JobId(Uuid::new_v7(Timestamp::from_unix(NoContext, second, 0)));
        let job = NewJob {
            id,
            pipeline: "media".to_owned(),
            title: format!("clip {second}"),
            source: "https://example.org/clip.mp4".to_owned(),
            input: serde_json::json!({"source": "https://example.org/clip.mp4"}),
            submitted_at: TimestampMs(second as i64 * 1000),
        };
        store.submit(&job, None).await.expect("a job");
        id
    }
}

#[cfg(test)]
mod tests;
