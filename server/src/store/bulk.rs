//! Bulk operations and their items. An item begins in one transaction with what it promises to Step Functions, so
//! that a crash begins nothing twice; what became of it is read off its job.

use std::str::FromStr;

use model::{
    Bulk, BulkCounts, BulkId, BulkItem, BulkItemState, BulkKind, BulkReason, BulkState,
    InputChange, JobId, TimestampMs,
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, FromRow, Row, any::AnyRow};

use super::{During, Statement, Store, StoreError, Write, count, plain};

mod begin;
#[cfg(test)]
mod tests;

pub use begin::{BulkAction, BulkTurn, Promise};

/// A bulk operation to be made.
#[derive(Debug, Clone)]
pub struct NewBulk {
    pub id: BulkId,
    pub kind: BulkKind,
    pub title: String,
    pub actor: String,
    pub reason: String,
    pub canary: bool,
    pub pace_per_minute: Option<u32>,
    /// Of jobs that are submitted.
    pub pipeline: Option<String>,
    pub priority: Option<u8>,
    pub created_at_ms: i64,
}

/// An item to be made.
#[derive(Debug, Clone)]
pub struct NewBulkItem {
    pub job: Option<JobId>,
    pub title: String,
    pub action: BulkAction,
    /// Why it is not eligible; none when it is.
    pub refusal: Option<String>,
    /// What its job had failed with: error and state.
    pub before: Option<String>,
    /// The new input, where there is one.
    pub input: Option<Value>,
    pub changes: Vec<InputChange>,
}

/// An item that failed, and of which the canary's verdict is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedItem {
    pub position: u64,
    /// What its job failed with now, and what it had failed with before.
    pub reason: String,
    pub before: Option<String>,
}

/// A bulk operation with what only the server needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkRecord {
    pub bulk: Bulk,
    pub actor: String,
    pub pipeline: Option<String>,
    pub priority: Option<u8>,
}

/// How long an item's outcome waits for its execution's history.
const HISTORY_WAIT_MS: i64 = 60_000;

/// The state of a bulk operation whose items are still being written: nobody sees it.
const MAKING: &str = "making";

impl Store {
    /// Begins to make a bulk operation; [`Store::bulk_made`] shows it.
    pub async fn bulk_making(&self, new: &NewBulk) -> Result<(), StoreError> {
        let statement = Statement::new(
            "make a bulk operation",
            "INSERT INTO bulk (id, kind, state, title, actor, reason, canary, pace_per_minute, pipeline, priority, created_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        );
        self.write(
            statement
                .bind(new.id.to_string())
                .bind(new.kind.as_str())
                .bind(MAKING)
                .bind(plain(&new.title).into_owned())
                .bind(plain(&new.actor).into_owned())
                .bind(plain(&new.reason).into_owned())
                .bind(i64::from(new.canary))
                .bind(new.pace_per_minute.map(i64::from))
                .bind(new.pipeline.clone())
                .bind(new.priority.map(i64::from))
                .bind(new.created_at_ms),
        )
        .await?;
        Ok(())
    }

    /// Adds items at the places from `first` on.
    pub async fn bulk_add(
        &self,
        bulk: BulkId,
        first: u64,
        items: &[NewBulkItem],
    ) -> Result<(), StoreError> {
        let rows: Vec<Value> = items.iter().zip(first..).map(|(item, position)| {
            json!({
                "position": position,
                "job": item.job,
                "title": plain(&item.title),
                "action": item.action.as_str(),
                "state": match item.refusal { Some(_) => BulkItemState::Refused, None => BulkItemState::Waiting },
                "reason": item.refusal.as_deref().map(plain),
                "before": item.before.as_deref().map(plain),
                "input": item.input.as_ref().map(Value::to_string),
                "changes": (!item.changes.is_empty()).then(|| json!(item.changes).to_string()),
            })
        }).collect();
        let statement = Statement::new(
            "add items to a bulk operation",
            "INSERT INTO bulk_item (bulk_id, position, job_id, title, action, state, reason, before, input, changes)
             SELECT $1, CAST(value ->> 'position' AS BIGINT), value ->> 'job', value ->> 'title', value ->> 'action',
                 value ->> 'state', value ->> 'reason', value ->> 'before', value ->> 'input', value ->> 'changes'
             FROM json_each($2)",
        );
        let rows = Value::from(rows).to_string();
        self.write(statement.bind(bulk.to_string()).bind(rows))
            .await?;
        Ok(())
    }

    /// Shows a bulk operation whose items are all there.
    pub async fn bulk_made(&self, bulk: BulkId) -> Result<(), StoreError> {
        let statement = Statement::new(
            "show a bulk operation",
            "UPDATE bulk SET state = 'draft' WHERE id = $1 AND state = $2",
        );
        self.write(statement.bind(bulk.to_string()).bind(MAKING))
            .await?;
        Ok(())
    }

    /// Forgets what a process left half made before a moment, and previews that nobody began.
    pub async fn bulks_forget(
        &self,
        making_before_ms: i64,
        draft_before_ms: i64,
    ) -> Result<u64, StoreError> {
        let statement = Statement::new(
            "forget bulk operations",
            "DELETE FROM bulk WHERE (state = 'making' AND created_at_ms < $1) OR (state = 'draft' AND created_at_ms < $2)",
        );
        self.write(statement.bind(making_before_ms).bind(draft_before_ms))
            .await
    }

    /// Moves a bulk operation from one of some states to another; whether it was in one of them.
    pub async fn bulk_move(
        &self,
        bulk: BulkId,
        from: &'static [BulkState],
        to: BulkState,
        note: Option<String>,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(Move {
            bulk,
            from,
            to,
            note,
            now_ms,
        })
        .await
    }

    /// One bulk operation; none when there is none of that id.
    pub async fn bulk(&self, id: BulkId) -> Result<Option<BulkRecord>, StoreError> {
        const DOING: &str = "read a bulk operation";
        let row: Option<BulkRow> =
            sqlx::query_as("SELECT * FROM bulk WHERE id = $1 AND state <> $2")
                .bind(id.to_string())
                .bind(MAKING)
                .fetch_optional(&self.read)
                .await
                .during(DOING)?;
        let Some(BulkRow(mut record)) = row else {
            return Ok(None);
        };
        record.bulk.counts = self.bulk_counts(id).await?;
        Ok(Some(record))
    }

    /// The newest bulk operations, without previews that nobody began.
    pub async fn bulks(&self, limit: u32) -> Result<Vec<Bulk>, StoreError> {
        let rows: Vec<BulkRow> = sqlx::query_as(
            "SELECT * FROM bulk WHERE state NOT IN ('making', 'draft') ORDER BY id DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("list bulk operations")?;
        let mut bulks = Vec::with_capacity(rows.len());
        for BulkRow(record) in rows {
            let mut bulk = record.bulk;
            bulk.counts = self.bulk_counts(bulk.id).await?;
            bulks.push(bulk);
        }
        Ok(bulks)
    }

    async fn bulk_counts(&self, id: BulkId) -> Result<BulkCounts, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT state, COUNT(*) FROM bulk_item WHERE bulk_id = $1 GROUP BY state",
        )
        .bind(id.to_string())
        .fetch_all(&self.read)
        .await
        .during("count a bulk operation's items")?;
        let mut counts = BulkCounts::default();
        for (state, value) in rows {
            *counts.of_mut(state_of(&state)?) = count(value);
        }
        Ok(counts)
    }

    /// Items after a place, of one state or of all, at most `limit`.
    pub async fn bulk_items(
        &self,
        id: BulkId,
        state: Option<BulkItemState>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<BulkItem>, StoreError> {
        let rows: Vec<ItemRow> = sqlx::query_as(
            "SELECT * FROM bulk_item WHERE bulk_id = $1 AND position > $2 AND ($3 = '' OR state = $3)
             ORDER BY position LIMIT $4",
        )
        .bind(id.to_string())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(state.map_or("", BulkItemState::as_str))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("read a bulk operation's items")?;
        Ok(rows.into_iter().map(|ItemRow(item)| item).collect())
    }

    /// Why items of a state are as they are, the most frequent reasons first.
    pub async fn bulk_reasons(
        &self,
        id: BulkId,
        state: BulkItemState,
        limit: u32,
    ) -> Result<Vec<BulkReason>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT reason, COUNT(*) FROM bulk_item WHERE bulk_id = $1 AND state = $2 AND reason IS NOT NULL
             GROUP BY reason ORDER BY COUNT(*) DESC, reason LIMIT $3",
        )
        .bind(id.to_string())
        .bind(state.as_str())
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("count a bulk operation's reasons")?;
        Ok(rows
            .into_iter()
            .map(|(reason, value)| BulkReason {
                reason,
                count: count(value),
            })
            .collect())
    }

    /// Gives items whose jobs are over their outcome, at most 500 at a time; tells how many. With a failure waits, for
    /// a minute at most, until its execution's history has told in which state it arose.
    pub async fn bulk_settle(&self, bulk: BulkId, now_ms: i64) -> Result<u64, StoreError> {
        // A stopped job is what Stop wanted; of the others only success is one.
        let settled = Statement::new(
            "settle a bulk operation's items",
            "UPDATE bulk_item SET
                 state = CASE WHEN job.status = 'succeeded' OR bulk_item.action = 'stop' THEN 'succeeded' ELSE 'failed' END,
                 reason = CASE WHEN job.status = 'succeeded' OR bulk_item.action = 'stop' THEN NULL
                     WHEN job.failed_state IS NULL THEN COALESCE(job.error, job.status)
                     ELSE COALESCE(job.error, job.status) || ' in ' || job.failed_state END
             FROM job WHERE bulk_item.bulk_id = $1 AND bulk_item.state = 'begun' AND job.id = bulk_item.job_id
                 AND job.status NOT IN ('queued', 'running')
                 AND bulk_item.position IN (SELECT i.position FROM bulk_item AS i JOIN job AS j ON j.id = i.job_id
                     WHERE i.bulk_id = $1 AND i.state = 'begun' AND j.status NOT IN ('queued', 'running')
                         AND (j.status = 'succeeded' OR i.action = 'stop' OR j.failed_state IS NOT NULL
                             OR NOT EXISTS (SELECT 1 FROM execution AS e
                                 WHERE e.arn = j.execution_arn AND e.history_complete = 0 AND j.ended_at_ms > $2))
                     ORDER BY i.position LIMIT 500)",
        );
        let patient_until_ms = now_ms - HISTORY_WAIT_MS;
        self.write(settled.bind(bulk.to_string()).bind(patient_until_ms))
            .await
    }

    /// Failed items that no canary's verdict has taken into account, in their order, at most 500.
    pub async fn bulk_unseen(&self, bulk: BulkId) -> Result<Vec<FailedItem>, StoreError> {
        let rows: Vec<(i64, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT position, reason, before FROM bulk_item WHERE bulk_id = $1 AND state = 'failed' AND seen = 0
             ORDER BY position LIMIT 500",
        )
        .bind(bulk.to_string())
        .fetch_all(&self.read)
        .await
        .during("find a bulk operation's failures")?;
        Ok(rows
            .into_iter()
            .map(|(position, reason, before)| FailedItem {
                position: count(position),
                reason: reason.unwrap_or_default(),
                before,
            })
            .collect())
    }

    /// Notes that a verdict took failed items into account.
    pub async fn bulk_seen(&self, bulk: BulkId, items: &[FailedItem]) -> Result<(), StoreError> {
        let seen = Statement::new(
            "note what a canary has seen",
            "UPDATE bulk_item SET seen = 1 WHERE bulk_id = $1
                 AND position IN (SELECT CAST(value ->> 'position' AS BIGINT) FROM json_each($2))",
        );
        let positions: Vec<_> = items
            .iter()
            .map(|item| json!({"position": item.position}))
            .collect();
        self.write(
            seen.bind(bulk.to_string())
                .bind(Value::from(positions).to_string()),
        )
        .await?;
        Ok(())
    }
}

struct Move {
    bulk: BulkId,
    from: &'static [BulkState],
    to: BulkState,
    note: Option<String>,
    now_ms: i64,
}

impl Write for Move {
    type Output = bool;

    fn operation(&self) -> &'static str {
        "move a bulk operation on"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let id = self.bulk.to_string();
        let from: String = self
            .from
            .iter()
            .map(|state| format!(",{},", state.as_str()))
            .collect();
        let ended = matches!(self.to, BulkState::Cancelled | BulkState::Done);
        let moved = sqlx::query(
            "UPDATE bulk SET state = $2, note = $3,
                 started_at_ms = CASE WHEN $2 = 'running' THEN COALESCE(started_at_ms, $4) ELSE started_at_ms END,
                 ended_at_ms = CASE WHEN $5 = 1 THEN $4 ELSE ended_at_ms END, due_at_ms = 0
             WHERE id = $1 AND $6 LIKE '%,' || state || ',%'",
        )
        .bind(&id)
        .bind(self.to.as_str())
        .bind(self.note.as_deref())
        .bind(self.now_ms)
        .bind(i64::from(ended))
        .bind(from)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        let items = match self.to {
            BulkState::Cancelled => {
                "UPDATE bulk_item SET state = 'skipped' WHERE bulk_id = $1 AND state = 'waiting'"
            }
            // Who lets it go on has seen what failed.
            BulkState::Running => {
                "UPDATE bulk_item SET seen = 1 WHERE bulk_id = $1 AND state = 'failed' AND seen = 0"
            }
            _ => return Ok(moved.rows_affected() > 0),
        };
        if moved.rows_affected() > 0 {
            sqlx::query(items)
                .bind(&id)
                .execute(connection)
                .await
                .during(self.operation())?;
        }
        Ok(moved.rows_affected() > 0)
    }
}

fn state_of(text: &str) -> Result<BulkItemState, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable {
        what: "state of a bulk operation's item",
        text: text.to_owned(),
    })
}

fn unreadable(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unreadable {what}").into())
}

/// A row's columns as a bulk operation, its counts left open.
struct BulkRow(BulkRecord);

impl FromRow<'_, AnyRow> for BulkRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let moment = |column: &str| -> Result<Option<TimestampMs>, sqlx::Error> {
            Ok(row.try_get::<Option<i64>, _>(column)?.map(TimestampMs))
        };
        let small = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        Ok(BulkRow(BulkRecord {
            bulk: Bulk {
                id: BulkId::from_str(row.try_get("id")?).map_err(|_| unreadable("bulk id"))?,
                kind: BulkKind::from_str(row.try_get("kind")?)
                    .map_err(|_| unreadable("bulk kind"))?,
                state: BulkState::from_str(row.try_get("state")?)
                    .map_err(|_| unreadable("bulk state"))?,
                title: row.try_get("title")?,
                reason: row.try_get("reason")?,
                canary: row.try_get::<i64, _>("canary")? != 0,
                pace_per_minute: small(row.try_get("pace_per_minute")?),
                note: row.try_get("note")?,
                created_at_ms: TimestampMs(row.try_get("created_at_ms")?),
                started_at_ms: moment("started_at_ms")?,
                ended_at_ms: moment("ended_at_ms")?,
                counts: BulkCounts::default(),
            },
            actor: row.try_get("actor")?,
            pipeline: row.try_get("pipeline")?,
            priority: small(row.try_get("priority")?).and_then(|value| u8::try_from(value).ok()),
        }))
    }
}

/// A row's columns as an item.
struct ItemRow(BulkItem);

impl FromRow<'_, AnyRow> for ItemRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let job: Option<&str> = row.try_get("job_id")?;
        let changes: Option<&str> = row.try_get("changes")?;
        Ok(ItemRow(BulkItem {
            position: count(row.try_get("position")?),
            job: job
                .map(JobId::from_str)
                .transpose()
                .map_err(|_| unreadable("job id"))?,
            title: row.try_get("title")?,
            action: row.try_get("action")?,
            state: BulkItemState::from_str(row.try_get("state")?)
                .map_err(|_| unreadable("state of an item"))?,
            reason: row.try_get("reason")?,
            changes: changes
                .map(serde_json::from_str)
                .transpose()
                .map_err(|_| unreadable("changes of an input"))?
                .unwrap_or_default(),
        }))
    }
}
