//! The newest progress of each unit of work, as the worker's log lines tell it.

use model::{Progress, ProgressLine};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::{During, Store, StoreError, count, plain, plain_option};

/// Progress of one unit of work: one visit to a state, in a Map of one iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgressRow {
    pub state: String,
    /// When the state was entered, as the context object has it: tells visits apart.
    pub entered: String,
    pub iteration: Option<u32>,
    pub label: Option<String>,
    pub progress: Progress,
    /// When the worker wrote it.
    pub at_ms: i64,
}

/// The columns as the database has them.
#[derive(sqlx::FromRow)]
struct Columns {
    state: String,
    entered: String,
    /// -1 outside of a Map.
    iteration: i64,
    label: Option<String>,
    unit: String,
    done: i64,
    total: Option<i64>,
    at_ms: i64,
}

impl Store {
    /// Every unit's newest progress in an execution, oldest line first.
    pub async fn progress(&self, arn: &str) -> Result<Vec<ProgressRow>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT state, entered, iteration, label, unit, done, total, at_ms FROM progress
             WHERE execution_arn = $1 ORDER BY at_ms",
        )
        .bind(arn)
        .fetch_all(&self.read)
        .await
        .during("read progress")?;
        Ok(rows
            .into_iter()
            .map(|row| ProgressRow {
                state: row.state,
                entered: row.entered,
                iteration: u32::try_from(row.iteration).ok(),
                label: row.label,
                progress: Progress {
                    unit: row.unit,
                    done: count(row.done),
                    total: row.total.map(count),
                },
                at_ms: row.at_ms,
            })
            .collect())
    }
}

/// Keeps a line unless a newer one of the same unit of work is there: shards do not keep order among each other.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    line: &ProgressLine,
    at_ms: i64,
) -> Result<(), StoreError> {
    let stored = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO progress (execution_arn, state, entered, iteration, label, unit, done, total, at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (execution_arn, state, entered, iteration) DO UPDATE SET
             label = excluded.label, unit = excluded.unit, done = excluded.done, total = excluded.total, at_ms = excluded.at_ms
         WHERE excluded.at_ms > progress.at_ms OR (excluded.at_ms = progress.at_ms AND excluded.done >= progress.done)",
    )
    .bind(&*plain(&line.execution))
    .bind(&*plain(&line.state))
    .bind(&*plain(&line.entered))
    .bind(line.index.map_or(-1, i64::from))
    .bind(plain_option(&line.label).as_deref())
    .bind(&*plain(&line.progress.unit))
    .bind(stored(line.progress.done))
    .bind(line.progress.total.map(stored))
    .bind(at_ms)
    .execute(connection)
    .await
    .during("keep progress")?;
    Ok(())
}
