//! Whose turn it is: stops first, then starts and redrives by priority, of each pipeline as many as may run at once.

use std::str::FromStr;

use model::JobId;
use sqlx::AnyConnection;

use super::{Command, OutboxRow};
use crate::store::{Backend, Store, StoreError, error::During, write::Write};

/// Who counts what runs of a pipeline holds this lock, so that two servers do not both take the last place.
const COUNTING_LOCK: i64 = 0x0067_616e_7472_7901;

impl Store {
    /// Takes at most `limit` rows that are due, each for `lease_ms`: who dies with one gives it back by then.
    /// Of each job only the oldest row, so that a stop never overtakes the start before it.
    pub async fn outbox_take(
        &self,
        now_ms: i64,
        lease_ms: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self
            .write(Take {
                now_ms,
                lease_ms,
                limit: i64::from(limit),
                holder: self.server.to_string(),
            })
            .await?;
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
}

type Columns = (i64, String, String, String, i64, i64);

struct Take {
    now_ms: i64,
    lease_ms: i64,
    limit: i64,
    /// The server that takes.
    holder: String,
}

/// What is taken is locked, and what another server takes at this moment is passed over; SQLite's writer is alone.
macro_rules! take {
    ($which:literal, $lock:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (SELECT id FROM outbox AS mine WHERE due_at_ms <= $1 AND ",
            $which,
            " AND NOT EXISTS (SELECT 1 FROM outbox AS older WHERE older.job_id = mine.job_id AND older.id < mine.id)
                 ORDER BY priority DESC, id LIMIT $3 ",
            $lock,
            ") UPDATE outbox SET attempts = attempts + 1, due_at_ms = $1 + $2, taken_by = $4
             WHERE id IN (SELECT id FROM due)
             RETURNING id, job_id, command, target, redrive_count, attempts"
        )
    };
}

/// A condition's statement for either database.
macro_rules! take_from {
    ($backend:expr, $which:literal) => {
        match $backend {
            Backend::Sqlite => take!($which, ""),
            Backend::Postgres => take!($which, "FOR UPDATE OF mine SKIP LOCKED"),
        }
    };
}

impl Write for Take {
    type Output = Vec<Columns>;

    fn operation(&self) -> &'static str {
        "take from the outbox"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<Vec<Columns>, StoreError> {
        let backend = Backend::of(connection);
        let stops = take_from!(backend, "command = 'stop'");
        let mut taken = self.take(connection, stops, None, self.limit).await?;
        // The pipelines that have something to start: as many look-ups as there are pipelines.
        let pipelines: Vec<(String, Option<i64>)> = sqlx::query_as(
            "WITH RECURSIVE found (pipeline) AS (
                 SELECT MIN(pipeline) FROM outbox WHERE command <> 'stop'
                 UNION ALL SELECT (SELECT MIN(pipeline) FROM outbox WHERE command <> 'stop' AND pipeline > found.pipeline) FROM found
                     WHERE found.pipeline IS NOT NULL)
             SELECT found.pipeline, setting.concurrency_max FROM found
             LEFT JOIN pipeline_setting AS setting ON setting.pipeline = found.pipeline
             WHERE found.pipeline IS NOT NULL",
        )
        .fetch_all(&mut *connection)
        .await
        .during(self.operation())?;
        for (pipeline, concurrency_max) in pipelines {
            let left = self.limit - taken.len() as i64;
            let places = match concurrency_max {
                Some(max) => left.min(max - self.occupied(connection, backend, &pipeline).await?),
                None => left,
            };
            if places > 0 {
                let starts =
                    take_from!(backend, "pipeline = $5 AND command IN ('start', 'redrive')");
                taken.extend(
                    self.take(connection, starts, Some(&pipeline), places)
                        .await?,
                );
            }
        }
        Ok(taken)
    }
}

impl Take {
    async fn take(
        &self,
        connection: &mut AnyConnection,
        text: &'static str,
        pipeline: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Columns>, StoreError> {
        let query = sqlx::query_as(text)
            .bind(self.now_ms)
            .bind(self.lease_ms)
            .bind(limit)
            .bind(self.holder.clone());
        let query = match pipeline {
            Some(pipeline) => query.bind(pipeline.to_owned()),
            None => query,
        };
        query.fetch_all(connection).await.during(self.operation())
    }

    /// How many executions of a pipeline run, or are being started.
    async fn occupied(
        &self,
        connection: &mut AnyConnection,
        backend: Backend,
        pipeline: &str,
    ) -> Result<i64, StoreError> {
        if backend == Backend::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(COUNTING_LOCK)
                .execute(&mut *connection)
                .await
                .during(self.operation())?;
        }
        let (occupied,): (i64,) = sqlx::query_as(
            "SELECT CAST(COALESCE((SELECT SUM(count) FROM job_count WHERE pipeline = $1 AND status = 'running'), 0)
                 + (SELECT COUNT(*) FROM outbox WHERE pipeline = $1 AND command <> 'stop'
                     AND due_at_ms > $2 AND attempts > 0) AS BIGINT)",
        )
        .bind(pipeline.to_owned())
        .bind(self.now_ms)
        .fetch_one(connection)
        .await
        .during(self.operation())?;
        Ok(occupied)
    }
}
