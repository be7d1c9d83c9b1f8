//! A job's lineage: each thing that was asked of it, kept in the transaction that promised it.

use std::collections::HashMap;

use model::{BulkId, InputChange, JobId, LineageEvent, LineageKind, TimestampMs};
use serde_json::{Value, json};
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

/// Notes what was asked of jobs, a row of `row` each.
pub(super) const NOTE: &str =
    "INSERT INTO lineage (job_id, at_ms, kind, actor, reason, bulk_id, number, changes)
     SELECT value ->> 'id', CAST(value ->> 'at_ms' AS BIGINT), value ->> 'kind', value ->> 'actor', value ->> 'reason',
         value ->> 'bulk', CAST(value ->> 'number' AS BIGINT), value ->> 'changes' FROM json_each($1)";

/// What was asked of a job, for [`NOTE`]; `number` is of the execution that it starts or redrives.
pub(super) fn row(job: JobId, kind: LineageKind, asked: &Asked, number: i64, at_ms: i64) -> Value {
    let changes = (!asked.changes.is_empty()).then(|| json!(asked.changes).to_string());
    json!({
        "id": job, "at_ms": at_ms, "kind": kind.as_str(), "actor": plain(&asked.actor), "reason": plain(&asked.reason),
        "bulk": asked.bulk, "number": number, "changes": changes,
    })
}

/// Notes what was asked of a job.
pub(super) async fn note(
    connection: &mut AnyConnection,
    job: JobId,
    kind: LineageKind,
    asked: &Asked,
    number: i64,
    at_ms: i64,
) -> Result<(), StoreError> {
    let row = row(job, kind, asked, number, at_ms);
    sqlx::query(NOTE)
        .bind(Value::from(vec![row]).to_string())
        .execute(connection)
        .await
        .during("note a job's lineage")?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
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
    /// The images that ran, by what had asked for it: each invocation is counted with what its execution began with,
    /// or with the redrive that came last before its end. In the order in which they were seen first.
    async fn digests(&self, job: JobId) -> Result<HashMap<i64, Vec<String>>, StoreError> {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT l.id, i.digest, MIN(i.at_ms) AS first_ms FROM lineage AS l
             JOIN execution AS e ON e.job_id = l.job_id AND e.number = l.number
             JOIN invocation AS i ON i.execution_arn = e.arn
             WHERE l.job_id = $1 AND l.kind <> 'stopped' AND i.digest LIKE 'sha256:%'
                 AND (l.kind <> 'redriven' OR i.at_ms >= l.at_ms)
                 AND NOT EXISTS (SELECT 1 FROM lineage AS later WHERE later.job_id = l.job_id AND later.number = l.number
                     AND later.id > l.id AND later.kind = 'redriven' AND later.at_ms <= i.at_ms)
             GROUP BY l.id, i.digest ORDER BY l.id, first_ms, i.digest",
        )
        .bind(job.to_string())
        .fetch_all(&self.read)
        .await
        .during("read the images that a job ran")?;
        let mut digests: HashMap<i64, Vec<String>> = HashMap::new();
        for (event, digest, _) in rows {
            digests.entry(event).or_default().push(digest);
        }
        Ok(digests)
    }

    /// What was asked of a job, oldest first, each with its execution as that stands now.
    pub async fn lineage(&self, job: JobId) -> Result<Vec<LineageEvent>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT l.id, l.at_ms, l.kind, l.actor, l.reason, l.bulk_id, l.changes, e.arn, e.status, e.error
             FROM lineage AS l LEFT JOIN execution AS e ON e.job_id = l.job_id AND e.number = l.number
             WHERE l.job_id = $1 ORDER BY l.id DESC LIMIT $2",
        )
        .bind(job.to_string())
        .bind(EVENTS_MAX)
        .fetch_all(&self.read)
        .await
        .during("read a job's lineage")?;
        let mut digests = self.digests(job).await?;
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
                    digests: digests.remove(&row.id).unwrap_or_default(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use model::{ExecutionStatus, LineageKind};

    use crate::store::{
        Asked, Invocation, InvocationStart, NewExecution, RerunMode, StatusChange, Store,
        Telemetry,
        outbox::testing::submit,
        testing::{on_each_database, store},
    };

    on_each_database!(each_event_has_the_images_that_ran_because_of_it);

    /// An invocation of the execution that ended at a moment, on a version whose image has its digit.
    async fn ran(store: &Store, version: &str, at_ms: i64) {
        let request_id = format!("r-{at_ms}");
        let told = Telemetry {
            starts: vec![InvocationStart {
                request_id: request_id.clone(),
                function: "gantry-probe".to_owned(),
                version: version.to_owned(),
                execution_arn: "arn:x".to_owned(),
                state: "Probe".to_owned(),
                entered: String::new(),
                iteration: None,
                attempt: None,
                at_ms,
            }],
            invocations: vec![Invocation {
                request_id,
                function: "gantry-probe".to_owned(),
                version: version.to_owned(),
                status: "success".to_owned(),
                init_ms: None,
                duration_ms: 1.0,
                max_memory_mib: None,
                at_ms,
            }],
            ..Telemetry::default()
        };
        store.add_telemetry(("s", "0", "1"), told).await.unwrap();
        let digest = format!("sha256:{version}");
        store
            .version_resolved("gantry-probe", version, &digest)
            .await
            .unwrap();
    }

    async fn each_event_has_the_images_that_ran_because_of_it() {
        let (_folder, store) = store().await;
        let job = submit(&store, 1).await;
        let execution = NewExecution::new(job, "arn:x", 1, 2_000);
        let row = store.outbox_take(2_000, 1_000, 9).await.unwrap().pop();
        let row = row.map(|row| row.id);
        store.started(row, &execution, 2_000).await.unwrap();
        // By AWS's clock, which may be behind the one that noted the submission.
        for (version, at_ms) in [("1", 500), ("2", 3_000), ("1", 4_000)] {
            ran(&store, version, at_ms).await;
        }
        let failed = StatusChange::new("arn:x", ExecutionStatus::Failed, 5_000);
        store.status_changed(&failed).await.unwrap();
        let mode = RerunMode::Redrive {
            arn: "arn:x".to_owned(),
            redrive_count: 0,
        };
        let asked = Asked::default();
        assert!(store.rerun(job, &mode, &asked, 6_000).await.unwrap());
        for (version, at_ms) in [("2", 6_500), ("3", 7_000)] {
            ran(&store, version, at_ms).await;
        }
        let lineage = store.lineage(job).await.unwrap();
        let told: Vec<(LineageKind, Vec<&str>)> = lineage
            .iter()
            .map(|event| {
                let digests = event.digests.iter().map(String::as_str).collect();
                (event.kind, digests)
            })
            .collect();
        assert_eq!(
            told,
            [
                (LineageKind::Submitted, vec!["sha256:1", "sha256:2"]),
                (LineageKind::Redriven, vec!["sha256:2", "sha256:3"]),
            ]
        );
    }
}
