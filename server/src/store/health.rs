//! Counts that say how much waits. Read by the Health page; each is answered by an index or a short table.

use super::{During, Store, StoreError, count};

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Calls promised and not acknowledged.
    pub outbox_rows: u64,
    /// Since when the oldest of them waits: a first start since its job was submitted, others since they were
    /// last due.
    pub outbox_oldest_ms: Option<i64>,
    pub histories_unread: u64,
    pub executions_running: u64,
}

impl Store {
    /// How much waits now.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let (rows, oldest, unread, running): (i64, Option<i64>, i64, i64) = sqlx::query_as(
            "SELECT
                (SELECT COUNT(*) FROM outbox),
                (SELECT MIN(CASE WHEN outbox.command = 'start' AND job.rerun_count = 0
                                 THEN job.submitted_at_ms ELSE outbox.due_at_ms END)
                 FROM outbox JOIN job ON job.id = outbox.job_id),
                (SELECT COUNT(*) FROM execution WHERE history_complete = 0),
                (SELECT COUNT(*) FROM execution WHERE status IN ('RUNNING', 'PENDING_REDRIVE'))",
        )
        .fetch_one(&self.read)
        .await
        .during("count what waits")?;
        Ok(Backlog {
            outbox_rows: count(rows),
            outbox_oldest_ms: oldest,
            histories_unread: count(unread),
            executions_running: count(running),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        testing::{on_each_database, store},
        testing_submit,
    };

    on_each_database!(what_waits_is_counted);

    async fn what_waits_is_counted() {
        let (_folder, store) = store().await;
        assert_eq!(store.backlog().await.unwrap(), Backlog::default());
        testing_submit(&store, 7).await;
        testing_submit(&store, 5).await;
        let backlog = store.backlog().await.unwrap();
        assert_eq!(
            (backlog.outbox_rows, backlog.outbox_oldest_ms),
            (2, Some(5_000))
        );
        assert_eq!(
            (backlog.histories_unread, backlog.executions_running),
            (0, 0)
        );
    }
}
