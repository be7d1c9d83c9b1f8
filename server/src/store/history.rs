//! History events of executions, in AWS's wire format, and which histories are still to be read.

use serde_json::Value;
use sqlx::AnyConnection;

use super::{During, Statement, Store, StoreError, Write, count};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Store {
    /// The greatest id of an execution's events; 0 when there are none.
    pub async fn history_last_id(&self, arn: &str) -> Result<i64, StoreError> {
        let (id,): (Option<i64>,) =
            sqlx::query_as("SELECT MAX(id) FROM history_event WHERE execution_arn = $1")
                .bind(arn)
                .fetch_one(&self.read)
                .await
                .during("find a history's end")?;
        Ok(id.unwrap_or(0))
    }

    /// Adds events by id; those that are there stay. Returns how many were new.
    pub async fn add_history(&self, arn: &str, events: &[(i64, Value)]) -> Result<u64, StoreError> {
        self.write(AddHistory {
            arn: arn.to_owned(),
            events: events
                .iter()
                .map(|(id, event)| (*id, event.to_string()))
                .collect(),
        })
        .await
    }

    /// At most `limit` events with ids greater than `after`, in order.
    pub async fn history_after(
        &self,
        arn: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Value>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT event FROM history_event WHERE execution_arn = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(arn)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("read history events")?;
        rows.into_iter()
            .map(|(text,)| {
                serde_json::from_str(&text).map_err(|_| StoreError::Unreadable {
                    what: "history event",
                    text: arn.to_owned(),
                })
            })
            .collect()
    }

    /// Notes that a history was read just now, and whether up to the event that ended the execution.
    pub async fn history_read(
        &self,
        arn: &str,
        redrive_count: u32,
        complete: bool,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        // A redrive that came meanwhile made the history incomplete again: hence its count.
        let noted = Statement::new(
            "note a read history",
            "UPDATE execution SET history_read_at_ms = $3,
                 history_complete = CASE WHEN $4 AND redrive_count = $2 AND status NOT IN ('RUNNING', 'PENDING_REDRIVE')
                     THEN 1 ELSE history_complete END
             WHERE arn = $1",
        );
        self.write(
            noted
                .bind(arn)
                .bind(redrive_count)
                .bind(now_ms)
                .bind(complete),
        )
        .await?;
        Ok(())
    }

    /// Executions whose history was not read to its end: those that ended, read last before
    /// `ended_before_ms`, ahead of those that run, read last before `running_before_ms`; longest ago first.
    pub async fn histories_unread(
        &self,
        ended_before_ms: i64,
        running_before_ms: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT arn FROM execution WHERE history_complete = 0 AND history_read_at_ms <
                 CASE WHEN status IN ('RUNNING', 'PENDING_REDRIVE') THEN $2 ELSE $1 END
             ORDER BY status IN ('RUNNING', 'PENDING_REDRIVE'), history_read_at_ms LIMIT $3",
        )
        .bind(ended_before_ms)
        .bind(running_before_ms)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find unread histories")?;
        Ok(rows.into_iter().map(|(arn,)| arn).collect())
    }
}

impl Store {
    /// Executions whose whole history is here and that ended longer ago than their pipeline keeps histories: when and
    /// which, after another one, in that order, at most `limit`. What no pipeline's policy reaches is not looked at.
    pub async fn histories_outdated(
        &self,
        now_ms: i64,
        after: &(i64, String),
        limit: u32,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let operation = "find outdated histories";
        let (shortest,): (Option<i64>,) =
            sqlx::query_as("SELECT CAST(MIN(retain_days) AS BIGINT) FROM pipeline_setting")
                .fetch_one(&self.read)
                .await
                .during(operation)?;
        let Some(shortest) = shortest else {
            return Ok(Vec::new());
        };
        sqlx::query_as(
            "SELECT e.ended_at_ms, e.arn FROM execution AS e JOIN job AS j ON j.id = e.job_id
             JOIN pipeline_setting AS s ON s.pipeline = j.pipeline
             WHERE e.archived = 0 AND e.history_complete = 1 AND e.ended_at_ms < $1 - s.retain_days * $2
                 AND e.ended_at_ms < $3 AND (e.ended_at_ms, e.arn) > ($4, $5)
             ORDER BY e.ended_at_ms, e.arn LIMIT $6",
        )
        .bind(now_ms)
        .bind(DAY_MS)
        .bind(now_ms.saturating_sub(shortest.saturating_mul(DAY_MS)))
        .bind(after.0)
        .bind(&after.1)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during(operation)
    }

    /// Bytes of an execution's events.
    pub async fn history_bytes(&self, arn: &str) -> Result<u64, StoreError> {
        let (bytes,): (i64,) = sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(event)), 0) AS BIGINT) FROM history_event WHERE execution_arn = $1",
        )
        .bind(arn)
        .fetch_one(&self.read)
        .await
        .during("measure a history")?;
        Ok(count(bytes))
    }

    /// Notes that a history is in S3 under `key`, and deletes its events and progress here: both or neither, and only
    /// as long as the history ends where it ended at this redrive count. Answers whether it did.
    pub async fn history_archived(
        &self,
        arn: &str,
        redrive_count: u32,
        key: &str,
    ) -> Result<bool, StoreError> {
        self.write(HistoryArchived {
            arn: arn.to_owned(),
            redrive_count,
            key: key.to_owned(),
        })
        .await
    }
}

/// A history that is in S3 from now on.
struct HistoryArchived {
    arn: String,
    redrive_count: u32,
    key: String,
}

impl Write for HistoryArchived {
    type Output = bool;

    fn operation(&self) -> &'static str {
        "note an archived history"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let noted = sqlx::query(
            "UPDATE execution SET archived = 1, history_key = $3
             WHERE arn = $1 AND redrive_count = $2 AND history_complete = 1",
        )
        .bind(&self.arn)
        .bind(i64::from(self.redrive_count))
        .bind(&self.key)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if noted.rows_affected() == 0 {
            return Ok(false);
        }
        for deletion in [
            "DELETE FROM history_event WHERE execution_arn = $1",
            "DELETE FROM progress WHERE execution_arn = $1",
        ] {
            sqlx::query(deletion)
                .bind(&self.arn)
                .execute(&mut *connection)
                .await
                .during(self.operation())?;
        }
        Ok(true)
    }
}

/// Events that are kept once.
struct AddHistory {
    arn: String,
    events: Vec<(i64, String)>,
}

impl Write for AddHistory {
    type Output = u64;

    fn operation(&self) -> &'static str {
        "add history events"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<u64, StoreError> {
        let mut added = 0;
        for (id, event) in &self.events {
            let result = sqlx::query(
                "INSERT INTO history_event (execution_arn, id, event) SELECT $1, $2, $3
                 WHERE EXISTS (SELECT 1 FROM execution WHERE arn = $1) ON CONFLICT DO NOTHING",
            )
            .bind(&self.arn)
            .bind(id)
            .bind(event)
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
            added += result.rows_affected();
        }
        Ok(added)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::DAY_MS;
    use crate::store::{
        NewExecution,
        outbox::testing::submit,
        testing::{on_each_database, store},
    };

    on_each_database!(
        events_are_kept_once_and_in_order,
        each_pipeline_s_old_histories_are_found_once,
    );

    async fn events_are_kept_once_and_in_order() {
        let (_folder, store) = store().await;
        let job = submit(&store, 1).await;
        store
            .started(None, &NewExecution::new(job, "arn:x", 1, 2), 2)
            .await
            .unwrap();
        let events = [(2, json!({"id": 2})), (1, json!({"id": 1}))];
        assert_eq!(store.add_history("arn:x", &events).await.unwrap(), 2);
        assert_eq!(store.add_history("arn:x", &events).await.unwrap(), 0);
        assert_eq!(store.history_last_id("arn:x").await.unwrap(), 2);
        assert_eq!(
            store.history_after("arn:x", 0, 9).await.unwrap(),
            [json!({"id": 1}), json!({"id": 2})]
        );
        assert_eq!(store.add_history("arn:nobody's", &events).await.unwrap(), 0);
    }

    async fn each_pipeline_s_old_histories_are_found_once() {
        let (_folder, store) = store().await;
        let mut expected = Vec::new();
        for at in 0..30_i64 {
            let job = submit(&store, at.unsigned_abs()).await;
            let arn = format!("arn:{}", at * 7 % 30);
            let execution = NewExecution::new(job, &arn, 1, 2);
            store.started(None, &execution, 2).await.unwrap();
            let (pipeline, days) = [("day", 1), ("week", 7), ("kept", 10_000)][at as usize % 3];
            // Some ended at the same moment; the last of a day's and a week's are not old enough.
            let over_ms = 7 - at / 6 * 2;
            let ended_at_ms = 7 - over_ms - days * DAY_MS;
            for text in [
                format!("UPDATE job SET pipeline = '{pipeline}' WHERE id = '{job}'"),
                format!(
                    "UPDATE execution SET ended_at_ms = {ended_at_ms}, history_complete = 1
                     WHERE arn = '{arn}'"
                ),
            ] {
                let change = sqlx::query(sqlx::AssertSqlSafe(text));
                change.execute(&store.write).await.unwrap();
            }
            if pipeline != "kept" && over_ms > 0 {
                expected.push((ended_at_ms, arn));
            }
        }
        expected.sort();
        assert!(expected.len() > 10);
        let first = (i64::MIN, String::new());
        let all = store.histories_outdated(7, &first, 99).await.unwrap();
        assert_eq!(all, []);
        for (pipeline, days) in [("day", Some(1)), ("week", Some(7)), ("kept", None)] {
            store.set_pipeline(pipeline, None, days).await.unwrap();
        }
        for limit in [1, 4, 99] {
            let (mut found, mut after) = (Vec::new(), first.clone());
            loop {
                let some = store.histories_outdated(7, &after, limit).await.unwrap();
                let Some(last) = some.last() else { break };
                after = last.clone();
                found.extend(some);
            }
            assert_eq!(found, expected, "by {limit}");
        }
    }
}
