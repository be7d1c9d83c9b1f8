//! What is promised to Step Functions: a job's start, its rerun, its stop, each in one transaction with what the
//! promise does to the job.

use std::str::FromStr;

use model::{JobId, JobStatus};
use sqlx::AnyConnection;

use super::{RerunMode, StopOutcome, execution_name};
use crate::store::{NewJob, Store, StoreError, error::During, plain, write::Write};

impl Store {
    /// Makes a job and promises its start. `upload` is the key of the upload that became its source.
    /// Twice is as good as once.
    pub async fn submit(&self, job: &NewJob, upload: Option<&str>) -> Result<(), StoreError> {
        self.write(Submit {
            job: job.clone(),
            upload: upload.map(str::to_owned),
        })
        .await
    }

    /// Promises a rerun of a job that has ended. False, and nothing promised, when it has not:
    /// of two who press Rerun at once, one is told that it is queued already.
    pub async fn rerun(
        &self,
        job: JobId,
        mode: &RerunMode,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(Rerun {
            job,
            mode: mode.clone(),
            now_ms,
        })
        .await
    }

    /// Promises to stop a job's execution, or withdraws a start that nobody has tried yet.
    pub async fn stop(&self, job: JobId, now_ms: i64) -> Result<StopOutcome, StoreError> {
        self.write(Stop { job, now_ms }).await
    }
}

struct Submit {
    job: NewJob,
    upload: Option<String>,
}

impl Write for Submit {
    type Output = ();

    fn operation(&self) -> &'static str {
        "submit a job"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let job = &self.job;
        let id = job.id.to_string();
        let made = sqlx::query(
            "INSERT INTO job (id, pipeline, title, source, input, status, submitted_at_ms)
             VALUES ($1, $2, $3, $4, $5, 'queued', $6) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&id)
        .bind(&*plain(&job.pipeline))
        .bind(&*plain(&job.title))
        .bind(&*plain(&job.source))
        .bind(job.input.to_string())
        .bind(job.submitted_at.0)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if made.rows_affected() == 0 {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, due_at_ms) VALUES ($1, 'start', $2, $3)",
        )
        .bind(&id)
        .bind(&id)
        .bind(job.submitted_at.0)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if let Some(key) = &self.upload {
            sqlx::query("DELETE FROM upload WHERE key = $1")
                .bind(key)
                .execute(&mut *connection)
                .await
                .during(self.operation())?;
        }
        Ok(())
    }
}

struct Rerun {
    job: JobId,
    mode: RerunMode,
    now_ms: i64,
}

impl Write for Rerun {
    type Output = bool;

    fn operation(&self) -> &'static str {
        "rerun a job"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "UPDATE job SET status = 'queued', rerun_count = rerun_count + 1, ended_at_ms = NULL, error = NULL, failed_state = NULL
             WHERE id = $1 AND status NOT IN ('queued', 'running')",
        )
        .bind(self.job.to_string())
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        let (command, target, redrive_count) = match &self.mode {
            RerunMode::Redrive { arn, redrive_count } => ("redrive", arn.clone(), *redrive_count),
            RerunMode::Restart => {
                let (number,): (i64,) = sqlx::query_as(
                    "SELECT COALESCE(MAX(number), 0) + 1 FROM execution WHERE job_id = $1",
                )
                .bind(self.job.to_string())
                .fetch_one(&mut *connection)
                .await
                .during(self.operation())?;
                ("start", execution_name(self.job, number), 0)
            }
        };
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, redrive_count, due_at_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.job.to_string())
        .bind(command)
        .bind(target)
        .bind(i64::from(redrive_count))
        .bind(self.now_ms)
        .execute(connection)
        .await
        .during(self.operation())?;
        Ok(true)
    }
}

struct Stop {
    job: JobId,
    now_ms: i64,
}

impl Write for Stop {
    type Output = StopOutcome;

    fn operation(&self) -> &'static str {
        "stop a job"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<StopOutcome, StoreError> {
        let job = self.job.to_string();
        let current: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT status, execution_arn FROM job WHERE id = $1")
                .bind(&job)
                .fetch_optional(&mut *connection)
                .await
                .during(self.operation())?;
        let Some((status, arn)) = current else {
            return Ok(StopOutcome::Over);
        };
        if JobStatus::from_str(&status).is_ok_and(JobStatus::is_final) {
            return Ok(StopOutcome::Over);
        }
        let withdrawn = sqlx::query(
            "DELETE FROM outbox WHERE job_id = $1 AND command IN ('start', 'redrive') AND attempts = 0",
        )
        .bind(&job)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if withdrawn.rows_affected() > 0 {
            sqlx::query("UPDATE job SET status = 'aborted', ended_at_ms = $2 WHERE id = $1")
                .bind(&job)
                .bind(self.now_ms)
                .execute(connection)
                .await
                .during(self.operation())?;
            return Ok(StopOutcome::Withdrawn);
        }
        // A start under way will have made the newest execution by the time this row's turn comes,
        // so its name, not an older execution's ARN, is what has to be stopped.
        let starting: Option<(String,)> = sqlx::query_as(
            "SELECT target FROM outbox WHERE job_id = $1 AND command = 'start' ORDER BY id DESC LIMIT 1",
        )
        .bind(&job)
        .fetch_optional(&mut *connection)
        .await
        .during(self.operation())?;
        let Some(target) = starting.map(|(name,)| name).or(arn) else {
            return Ok(StopOutcome::Over);
        };
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, due_at_ms)
             SELECT $1, 'stop', $2, $3 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE job_id = $1 AND command = 'stop')",
        )
        .bind(&job)
        .bind(target)
        .bind(self.now_ms)
        .execute(connection)
        .await
        .during(self.operation())?;
        Ok(StopOutcome::Promised)
    }
}
