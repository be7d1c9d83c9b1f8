//! A job's lineage: each thing that was asked of it, kept in the transaction that promised it.

use model::{BulkId, InputChange, JobId, LineageEvent, LineageKind, TimestampMs};
use serde_json::json;
use sqlx::AnyConnection;

use super::{During, Store, StoreError, plain};

/// Who asks for something, and why.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// A name, or the way it came.
    pub actor: String,
    pub reason: String,
    /// The bulk operation it is part of.
    pub bulk: Option<BulkId>,
    /// What it changes in the input.
    pub changes: Vec<InputChange>,
}

/// Events told at most, the newest.
const EVENTS_MAX: i64 = 200;

/// Notes what was asked of a job; `number` is of the execution that it starts or redrives.
pub(super) async fn note(
    connection: &mut AnyConnection,
    job: JobId,
    kind: LineageKind,
    asked: &Asked,
    number: i64,
    at_ms: i64,
) -> Result<(), StoreError> {
    let changes = (!asked.changes.is_empty()).then(|| json!(asked.changes).to_string());
    sqlx::query(
        "INSERT INTO lineage (job_id, at_ms, kind, actor, reason, bulk_id, number, changes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(job.to_string())
    .bind(at_ms)
    .bind(kind.as_str())
    .bind(&*plain(&asked.actor))
    .bind(&*plain(&asked.reason))
    .bind(asked.bulk.map(|bulk| bulk.to_string()))
    .bind(number)
    .bind(changes)
    .execute(connection)
    .await
    .during("note a job's lineage")?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Columns {
    at_ms: i64,
    kind: String,
    actor: String,
    reason: String,
    bulk_id: Option<String>,
    changes: Option<String>,
    arn: Option<String>,
    status: Option<String>,
    error: Option<String>,
}

impl Store {
    /// What was asked of a job, oldest first, each with its execution as that stands now.
    pub async fn lineage(&self, job: JobId) -> Result<Vec<LineageEvent>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT l.at_ms, l.kind, l.actor, l.reason, l.bulk_id, l.changes, e.arn, e.status, e.error
             FROM lineage AS l LEFT JOIN execution AS e ON e.job_id = l.job_id AND e.number = l.number
             WHERE l.job_id = $1 ORDER BY l.id DESC LIMIT $2",
        )
        .bind(job.to_string())
        .bind(EVENTS_MAX)
        .fetch_all(&self.read)
        .await
        .during("read a job's lineage")?;
        let unreadable = |what: &'static str| StoreError::Unreadable {
            what,
            text: job.to_string(),
        };
        rows.into_iter()
            .rev()
            .map(|row| {
                let kind = LineageKind::ALL
                    .into_iter()
                    .find(|kind| kind.as_str() == row.kind);
                let changes = row.changes.as_deref().map(serde_json::from_str);
                Ok(LineageEvent {
                    at_ms: TimestampMs(row.at_ms),
                    kind: kind.ok_or_else(|| unreadable("kind of lineage"))?,
                    actor: row.actor,
                    reason: row.reason,
                    bulk: row.bulk_id.and_then(|id| id.parse().ok()),
                    execution_arn: row.arn,
                    status: row.status,
                    error: row.error,
                    changes: changes
                        .transpose()
                        .map_err(|_| unreadable("changes of an input"))?
                        .unwrap_or_default(),
                    digests: Vec::new(),
                })
            })
            .collect()
    }
}
