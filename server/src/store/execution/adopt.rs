//! Executions that an event or a list told of first: of a job that is there, because the answer to StartExecution
//! was slower, or started outside Gantry, which makes a job of its own. Decides nothing: which is which is the
//! tracker's to know.

use std::collections::{HashMap, HashSet};

use model::{ExecutionStatus, JobId, TimestampMs};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::{NewExecution, started::Started, status_of};
use crate::store::{Statement, Store, StoreError, error::During, plain, write::Write};

/// A job for an execution that was started outside Gantry.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// Made from the execution, so that whoever hears of it makes the same job.
    pub job: JobId,
    pub pipeline: String,
    pub title: String,
    /// Without credentials or query.
    pub source: String,
    /// What it was started with; none while that was not read.
    pub input: Option<Value>,
    pub arn: String,
    pub started_at: TimestampMs,
}

/// What is known of an execution, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownExecution {
    pub job: JobId,
    pub status: ExecutionStatus,
    pub redrive_count: u32,
    pub started_at: TimestampMs,
}

impl Store {
    /// Executions by their ARNs, as far as they are known.
    pub async fn executions_known(
        &self,
        arns: &[&str],
    ) -> Result<HashMap<String, KnownExecution>, StoreError> {
        let arns: Vec<Value> = arns.iter().map(|arn| json!({ "arn": arn })).collect();
        let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT arn, job_id, status, redrive_count, started_at_ms FROM execution
             WHERE arn IN (SELECT value ->> 'arn' FROM json_each($1))",
        )
        .bind(Value::from(arns).to_string())
        .fetch_all(&self.read)
        .await
        .during("find executions")?;
        rows.into_iter()
            .map(|(arn, job, status, redrive_count, started_at_ms)| {
                let unreadable = |what, text: &str| StoreError::Unreadable {
                    what,
                    text: text.to_owned(),
                };
                let known = KnownExecution {
                    job: job.parse().map_err(|_| unreadable("job id", &job))?,
                    status: status_of(&status)
                        .ok_or_else(|| unreadable("execution status", &status))?,
                    redrive_count: u32::try_from(redrive_count).unwrap_or(u32::MAX),
                    started_at: TimestampMs(started_at_ms),
                };
                Ok((arn, known))
            })
            .collect()
    }

    /// Which of these jobs there are.
    pub async fn jobs_known(&self, ids: &[JobId]) -> Result<HashSet<JobId>, StoreError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let ids: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT id FROM job WHERE id IN (SELECT value ->> 'id' FROM json_each($1))",
        )
        .bind(Value::from(ids).to_string())
        .fetch_all(&self.read)
        .await
        .during("find jobs")?;
        Ok(rows
            .into_iter()
            .filter_map(|(id,)| id.parse().ok())
            .collect())
    }

    /// Notes executions that were not known, as running: those of jobs that are there, and those that make a job.
    /// Their status is told afterwards. Twice is as good as once.
    pub async fn learn(
        &self,
        own: Vec<NewExecution>,
        adopted: Vec<Adoption>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(Learn {
            own,
            adopted,
            now_ms,
        })
        .await
    }

    /// Adopted jobs whose input was not read, with their first executions.
    pub async fn inputs_unread(&self, limit: u32) -> Result<Vec<(String, String)>, StoreError> {
        sqlx::query_as(
            "SELECT job.id, execution.arn FROM job JOIN execution ON execution.job_id = job.id AND execution.number = 1
             WHERE job.input_known = 0 ORDER BY job.id DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find unread inputs")
    }

    /// Keeps what an adopted job was started with, and the source that this names.
    pub async fn keep_input(
        &self,
        job: JobId,
        source: &str,
        input: &Value,
    ) -> Result<(), StoreError> {
        let kept = Statement::new(
            "keep an adopted job's input",
            "UPDATE job SET input = $3, source = $2, input_known = 1 WHERE id = $1 AND input_known = 0",
        );
        let kept = kept.bind(job.to_string()).bind(&*plain(source));
        self.write(kept.bind(input.to_string())).await?;
        Ok(())
    }
}

struct Learn {
    own: Vec<NewExecution>,
    adopted: Vec<Adoption>,
    now_ms: i64,
}

impl Write for Learn {
    type Output = ();

    fn operation(&self) -> &'static str {
        "note executions"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        for execution in &self.own {
            let started = Started {
                row: None,
                execution: execution.clone(),
                now_ms: self.now_ms,
            };
            started.apply(&mut *connection).await?;
        }
        if self.adopted.is_empty() {
            return Ok(());
        }
        let mut adopted: Vec<&Adoption> = self.adopted.iter().collect();
        // In one order, so that servers wait for each other and never in a circle.
        adopted.sort_by_key(|one| one.job.0);
        let rows: Vec<Value> = adopted
            .into_iter()
            .map(|one| {
                json!({
                    "job": one.job, "pipeline": plain(&one.pipeline), "title": plain(&one.title),
                    "source": plain(&one.source), "arn": one.arn, "started_at_ms": one.started_at.0,
                    "input": one.input.as_ref().unwrap_or(&Value::Null).to_string(),
                    "input_known": i64::from(one.input.is_some()), "heard_at_ms": self.now_ms,
                    "name": one.arn.rsplit(':').next().unwrap_or(&one.arn),
                })
            })
            .collect();
        let rows = Value::from(rows).to_string();
        for statement in [
            // An execution that was heard of meanwhile has its job. `WHERE` also tells SQLite that ON is no join's.
            "INSERT INTO job (id, pipeline, title, source, input, input_known, status, submitted_at_ms, started_at_ms,
                 adopted, execution_arn)
             SELECT value ->> 'job', value ->> 'pipeline', value ->> 'title', value ->> 'source', value ->> 'input',
                 CAST(value ->> 'input_known' AS BIGINT), 'running', CAST(value ->> 'started_at_ms' AS BIGINT),
                 CAST(value ->> 'started_at_ms' AS BIGINT), 1, value ->> 'arn'
             FROM json_each($1) AS told
             WHERE NOT EXISTS (SELECT 1 FROM execution WHERE execution.arn = value ->> 'arn')
             ORDER BY value ->> 'job' DESC ON CONFLICT (id) DO NOTHING",
            "INSERT INTO execution (arn, job_id, name, number, status, started_at_ms, heard_at_ms)
             SELECT value ->> 'arn', value ->> 'job', value ->> 'name', 1, 'RUNNING',
                 CAST(value ->> 'started_at_ms' AS BIGINT), CAST(value ->> 'heard_at_ms' AS BIGINT)
             FROM json_each($1) AS told WHERE EXISTS (SELECT 1 FROM job WHERE job.id = value ->> 'job')
             ON CONFLICT (arn) DO NOTHING",
            "INSERT INTO lineage (job_id, at_ms, kind, actor, reason, number)
             SELECT value ->> 'job', CAST(value ->> 'started_at_ms' AS BIGINT), 'adopted', '', '', 1
             FROM json_each($1) AS told WHERE EXISTS (SELECT 1 FROM job WHERE job.id = value ->> 'job')
                 AND NOT EXISTS (SELECT 1 FROM lineage WHERE lineage.job_id = value ->> 'job')",
        ] {
            sqlx::query(statement)
                .bind(&rows)
                .execute(&mut *connection)
                .await
                .during(self.operation())?;
        }
        Ok(())
    }
}
