//! That an execution runs. What is heard of many at one time shares its statements.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::NewExecution;
use crate::store::{During, Store, StoreError, Write};

const OPERATION: &str = "note a started execution";

impl Store {
    /// Notes that an execution runs: acknowledged by StartExecution (then `row` leaves the outbox), or
    /// heard of in an event that was faster. Twice is as good as once.
    pub async fn started(
        &self,
        row: Option<i64>,
        execution: &NewExecution,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(Started {
            row,
            execution: execution.clone(),
            now_ms,
        })
        .await
    }
}

pub(super) struct Started {
    pub(super) row: Option<i64>,
    pub(super) execution: NewExecution,
    pub(super) now_ms: i64,
}

impl Write for Started {
    type Output = ();

    fn operation(&self) -> &'static str {
        OPERATION
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        started(&[self], connection).await
    }

    async fn apply_all(
        writes: &[&Started],
        connection: &mut AnyConnection,
    ) -> Result<Vec<()>, StoreError> {
        let jobs: HashSet<_> = writes.iter().map(|write| write.execution.job).collect();
        if jobs.len() == writes.len() {
            started(writes, connection).await?;
        } else {
            for write in writes {
                write.apply(&mut *connection).await?;
            }
        }
        Ok(vec![(); writes.len()])
    }
}

/// Notes executions of different jobs.
async fn started(writes: &[&Started], connection: &mut AnyConnection) -> Result<(), StoreError> {
    let rows: Vec<Value> = writes
        .iter()
        .map(|write| {
            let execution = &write.execution;
            json!({
                "row": write.row, "arn": execution.arn, "job": execution.job, "name": execution.name,
                "number": execution.number, "at_ms": execution.started_at_ms, "heard_at_ms": write.now_ms,
            })
        })
        .collect();
    let rows = Value::from(rows).to_string();
    sqlx::query(
        "DELETE FROM outbox WHERE id IN (SELECT CAST(value ->> 'row' AS BIGINT) FROM json_each($1))",
    )
    .bind(&rows)
    .execute(&mut *connection)
    .await
    .during(OPERATION)?;
    let begun: Vec<(String,)> = sqlx::query_as(
        "INSERT INTO execution (arn, job_id, name, number, status, started_at_ms, heard_at_ms)
         SELECT value ->> 'arn', value ->> 'job', value ->> 'name', CAST(value ->> 'number' AS BIGINT), 'RUNNING',
             CAST(value ->> 'at_ms' AS BIGINT), CAST(value ->> 'heard_at_ms' AS BIGINT)
         FROM json_each($1) WHERE EXISTS (SELECT 1 FROM job WHERE id = value ->> 'job')
         ON CONFLICT (arn) DO NOTHING RETURNING arn",
    )
    .bind(&rows)
    .fetch_all(&mut *connection)
    .await
    .during(OPERATION)?;
    if begun.is_empty() {
        return Ok(());
    }
    let begun: Vec<Value> = begun.iter().map(|(arn,)| json!({ "arn": arn })).collect();
    // Only the newest execution is the job's; an older one's late event must not take it back.
    sqlx::query(
        "UPDATE job SET execution_arn = begun.arn, status = 'running', started_at_ms = COALESCE(job.started_at_ms, begun.started_at_ms)
         FROM (SELECT arn, job_id, number, started_at_ms FROM execution WHERE arn IN (SELECT value ->> 'arn' FROM json_each($1))) AS begun
         WHERE job.id = begun.job_id
             AND NOT EXISTS (SELECT 1 FROM execution AS newer WHERE newer.job_id = job.id AND newer.number > begun.number)",
    )
    .bind(Value::from(begun).to_string())
    .execute(connection)
    .await
    .during(OPERATION)?;
    Ok(())
}
