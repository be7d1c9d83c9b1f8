//! What is promised of a job that is there: its rerun, its stop, each in one transaction with what the promise does to
//! the job and to its lineage.

use std::str::FromStr;

use model::{JobId, JobStatus, LineageKind};
use sqlx::AnyConnection;

use super::{RerunMode, StopOutcome, back, execution_name};
use crate::store::{
    Asked, Backend, Store, StoreError, error::During, lineage, plain, write::Write,
};

impl Store {
    /// Promises a rerun of a job that has ended. False, and nothing promised, when it has not:
    /// of two who press Rerun at once, one is told that it is queued already.
    pub async fn rerun(
        &self,
        job: JobId,
        mode: &RerunMode,
        asked: &Asked,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(Rerun {
            job,
            mode: mode.clone(),
            asked: asked.clone(),
            now_ms,
        })
        .await
    }

    /// Promises to stop a job's execution, or withdraws a start or a rerun that nobody has tried yet.
    pub async fn stop(
        &self,
        job: JobId,
        asked: &Asked,
        now_ms: i64,
    ) -> Result<StopOutcome, StoreError> {
        self.write(Stop {
            job,
            asked: asked.clone(),
            now_ms,
        })
        .await
    }
}

#[derive(Debug)]
pub(in crate::store) struct Rerun {
    pub(in crate::store) job: JobId,
    pub(in crate::store) mode: RerunMode,
    pub(in crate::store) asked: Asked,
    pub(in crate::store) now_ms: i64,
}

impl Write for Rerun {
    type Output = bool;

    fn operation(&self) -> &'static str {
        "rerun a job"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let job = self.job.to_string();
        let input = match &self.mode {
            RerunMode::Restart { input } => input.as_ref().map(ToString::to_string),
            RerunMode::Redrive { .. } => None,
        };
        let changed = sqlx::query(
            "UPDATE job SET status = 'queued', rerun_count = rerun_count + 1, ended_at_ms = NULL, error = NULL, failed_state = NULL,
                 input = COALESCE($2, input)
             WHERE id = $1 AND status NOT IN ('queued', 'running')",
        )
        .bind(&job)
        .bind(input)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        let (newest,): (i64,) =
            sqlx::query_as("SELECT COALESCE(MAX(number), 0) FROM execution WHERE job_id = $1")
                .bind(&job)
                .fetch_one(&mut *connection)
                .await
                .during(self.operation())?;
        let (command, target, redrive_count, number, kind) = match &self.mode {
            RerunMode::Redrive { arn, redrive_count } => (
                "redrive",
                arn.clone(),
                *redrive_count,
                newest,
                LineageKind::Redriven,
            ),
            RerunMode::Restart { .. } => (
                "start",
                execution_name(self.job, newest + 1),
                0,
                newest + 1,
                LineageKind::Restarted,
            ),
        };
        sqlx::query(
            "INSERT INTO outbox (job_id, command, target, redrive_count, due_at_ms, pipeline, priority)
             SELECT $1, $2, $3, $4, $5, pipeline, priority FROM job WHERE id = $1",
        )
        .bind(&job)
        .bind(command)
        .bind(target)
        .bind(i64::from(redrive_count))
        .bind(self.now_ms)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        lineage::note(connection, self.job, kind, &self.asked, number, self.now_ms).await?;
        Ok(true)
    }
}

#[derive(Debug)]
pub(in crate::store) struct Stop {
    pub(in crate::store) job: JobId,
    pub(in crate::store) asked: Asked,
    pub(in crate::store) now_ms: i64,
}

impl Write for Stop {
    type Output = StopOutcome;

    fn operation(&self) -> &'static str {
        "stop a job"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<StopOutcome, StoreError> {
        let job = self.job.to_string();
        if Backend::of(connection) == Backend::Postgres {
            // A start that is being noted at this moment takes its row away and only then tells of its execution:
            // who does not wait for it finds neither.
            sqlx::query("SELECT id FROM outbox WHERE job_id = $1 ORDER BY id FOR UPDATE")
                .bind(&job)
                .execute(&mut *connection)
                .await
                .during(self.operation())?;
        }
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
            sqlx::query(
                "UPDATE bulk_item SET state = 'skipped', reason = 'It was stopped before it was begun.'
                 WHERE job_id = $1 AND state = 'begun' AND action <> 'stop'",
            )
            .bind(&job)
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
            match arn {
                Some(arn) => back(connection, self.job, &arn).await?,
                None => {
                    sqlx::query(
                        "UPDATE job SET status = 'aborted', ended_at_ms = $2 WHERE id = $1",
                    )
                    .bind(&job)
                    .bind(self.now_ms)
                    .execute(&mut *connection)
                    .await
                    .during(self.operation())?;
                }
            }
            self.note(connection).await?;
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
            "INSERT INTO outbox (job_id, command, target, due_at_ms, pipeline)
             SELECT $1, 'stop', $2, $3, (SELECT pipeline FROM job WHERE id = $1) WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE job_id = $1 AND command = 'stop')",
        )
        .bind(&job)
        .bind(target)
        .bind(self.now_ms)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        self.note(connection).await?;
        Ok(StopOutcome::Promised)
    }
}

impl Stop {
    /// Keeps in the lineage that it was asked for: only when something comes of it.
    async fn note(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO lineage (job_id, at_ms, kind, actor, reason, bulk_id, number)
             SELECT $1, $2, 'stopped', $3, $4, $5, COALESCE(MAX(number), 1) FROM execution WHERE job_id = $1",
        )
        .bind(self.job.to_string())
        .bind(self.now_ms)
        .bind(&*plain(&self.asked.actor))
        .bind(&*plain(&self.asked.reason))
        .bind(self.asked.bulk.map(|bulk| bulk.to_string()))
        .execute(connection)
        .await
        .during(self.operation())?;
        Ok(())
    }
}
