//! Retention policies: events older than their group's policy are deleted, as on AWS within a while.

use std::time::Duration;

use crate::store::Store;
use crate::wire::now_ms;

/// How often old events are looked for.
const EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3_600_000;

/// Deletes what is too old, now and every hour until the store closes.
pub(super) async fn run(store: Store) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = store.stopping.cancelled() => return,
        }
        match expire(&store, now_ms()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "deleted log events past their retention"),
            Err(error) => tracing::warn!(%error, "old log events could not be deleted"),
        }
    }
}

async fn expire(store: &Store, now_ms: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "DELETE FROM logs_events WHERE id IN (
           SELECT e.id FROM logs_groups g JOIN logs_streams s ON s.log_group = g.name
           JOIN logs_events e ON e.stream = s.id
           WHERE g.retention_days IS NOT NULL AND e.timestamp_ms < ?1 - g.retention_days * ?2)",
    )
    .bind(now_ms)
    .bind(DAY_MS)
    .execute(&store.db)
    .await?;
    Ok(deleted.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_past_its_groups_policy_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), "http://127.0.0.1:1")
            .await
            .unwrap();
        sqlx::raw_sql(super::super::SCHEMA)
            .execute(&store.db)
            .await
            .unwrap();
        sqlx::raw_sql(
            "INSERT INTO logs_groups VALUES ('a', 0, 1), ('b', 0, NULL);
             INSERT INTO logs_streams (id, log_group, name, created_at_ms) VALUES (1, 'a', 's', 0), (2, 'b', 's', 0);
             INSERT INTO logs_events (stream, timestamp_ms, ingestion_ms, message)
               VALUES (1, 0, 0, 'old'), (1, 86400000, 0, 'new'), (2, 0, 0, 'kept');",
        )
        .execute(&store.db)
        .await
        .unwrap();
        assert_eq!(expire(&store, DAY_MS + 1).await.unwrap(), 1);
        let left: Vec<String> = sqlx::query_scalar("SELECT message FROM logs_events ORDER BY id")
            .fetch_all(&store.db)
            .await
            .unwrap();
        assert_eq!(left, ["new", "kept"]);
    }
}
