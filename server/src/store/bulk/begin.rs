//! How an item begins: in one transaction it leaves those that wait, and what it wants is promised.

use std::str::FromStr;

use model::{BulkId, BulkItemState, JobId, TimestampMs};
use serde_json::Value;
use sqlx::AnyConnection;

use crate::store::{
    Asked, During, NewJob, RerunMode, StopOutcome, Store, StoreError, Write,
    outbox::{Rerun, Stop, Submit},
};

/// What is done for one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    Submit,
    Redrive,
    Restart,
    Stop,
}

impl BulkAction {
    /// The word in the store and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            BulkAction::Submit => "submit",
            BulkAction::Redrive => "redrive",
            BulkAction::Restart => "restart",
            BulkAction::Stop => "stop",
        }
    }

    fn of(text: &str) -> Option<BulkAction> {
        use BulkAction::{Redrive, Restart, Stop, Submit};
        [Submit, Redrive, Restart, Stop]
            .into_iter()
            .find(|action| action.as_str() == text)
    }
}

/// An item whose turn has come.
#[derive(Debug, Clone)]
pub struct BulkTurn {
    pub bulk: BulkId,
    pub position: i64,
    pub job: Option<JobId>,
    pub title: String,
    pub action: BulkAction,
    pub input: Option<Value>,
}

/// What is promised for an item.
#[derive(Debug, Clone)]
pub enum Promise {
    Submit(NewJob),
    Rerun(JobId, RerunMode),
    Stop(JobId),
}

impl Store {
    /// The bulk operations that run, or of whose items some do, and that are due; each for whoever asks until `until_ms`.
    pub async fn bulks_due(&self, now_ms: i64, until_ms: i64) -> Result<Vec<BulkId>, StoreError> {
        self.write(Due { now_ms, until_ms }).await
    }

    /// When somebody is to look at a bulk operation next.
    pub async fn bulk_due_at(&self, bulk: BulkId, due_at_ms: i64) -> Result<(), StoreError> {
        let statement = crate::store::Statement::new(
            "note when a bulk operation is due",
            "UPDATE bulk SET due_at_ms = $2 WHERE id = $1",
        );
        self.write(statement.bind(bulk.to_string()).bind(due_at_ms))
            .await?;
        Ok(())
    }

    /// The next items that wait, at most `limit`.
    pub async fn bulk_turns(&self, bulk: BulkId, limit: u32) -> Result<Vec<BulkTurn>, StoreError> {
        type Columns = (i64, Option<String>, String, String, Option<String>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT position, job_id, title, action, input FROM bulk_item
             WHERE bulk_id = $1 AND state = 'waiting' ORDER BY position LIMIT $2",
        )
        .bind(bulk.to_string())
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find a bulk operation's next items")?;
        rows.into_iter()
            .map(|(position, job, title, action, input)| {
                let unreadable = |what: &'static str| StoreError::Unreadable {
                    what,
                    text: format!("item {position} of {bulk}"),
                };
                Ok(BulkTurn {
                    bulk,
                    position,
                    job: job
                        .map(|job| JobId::from_str(&job))
                        .transpose()
                        .map_err(|_| unreadable("job id"))?,
                    title,
                    action: BulkAction::of(&action).ok_or_else(|| unreadable("action"))?,
                    input: input
                        .map(|input| serde_json::from_str(&input))
                        .transpose()
                        .map_err(|_| unreadable("input"))?,
                })
            })
            .collect()
    }

    /// Begins an item: promises what it wants unless it does not wait any more. Whether it was promised; if its job
    /// is in no state for it by now, the item is refused with the reason.
    pub async fn bulk_begin(
        &self,
        turn: &BulkTurn,
        promise: Promise,
        asked: &Asked,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(Begin {
            bulk: turn.bulk,
            position: turn.position,
            promise,
            asked: asked.clone(),
            now_ms,
        })
        .await
    }

    /// Refuses an item whose turn has come.
    pub async fn bulk_refuse(&self, turn: &BulkTurn, reason: &str) -> Result<(), StoreError> {
        let statement = crate::store::Statement::new(
            "refuse an item of a bulk operation",
            "UPDATE bulk_item SET state = 'refused', reason = $3 WHERE bulk_id = $1 AND position = $2 AND state = 'waiting'",
        );
        self.write(
            statement
                .bind(turn.bulk.to_string())
                .bind(turn.position)
                .bind(reason),
        )
        .await?;
        Ok(())
    }
}

struct Due {
    now_ms: i64,
    until_ms: i64,
}

impl Write for Due {
    type Output = Vec<BulkId>;

    fn operation(&self) -> &'static str {
        "find bulk operations that are due"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<Vec<BulkId>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "UPDATE bulk SET due_at_ms = $2 WHERE due_at_ms <= $1 AND id IN (
                 SELECT id FROM bulk WHERE state = 'running' UNION SELECT bulk_id FROM bulk_item WHERE state = 'begun')
             RETURNING id",
        )
        .bind(self.now_ms)
        .bind(self.until_ms)
        .fetch_all(connection)
        .await
        .during(self.operation())?;
        rows.into_iter()
            .map(|(id,)| {
                BulkId::from_str(&id).map_err(|_| StoreError::Unreadable {
                    what: "bulk id",
                    text: id,
                })
            })
            .collect()
    }
}

struct Begin {
    bulk: BulkId,
    position: i64,
    promise: Promise,
    asked: Asked,
    now_ms: i64,
}

impl Write for Begin {
    type Output = bool;

    fn operation(&self) -> &'static str {
        "begin an item of a bulk operation"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let job = match &self.promise {
            Promise::Submit(job) => job.id,
            Promise::Rerun(job, _) | Promise::Stop(job) => *job,
        };
        let begun = sqlx::query(
            "UPDATE bulk_item SET state = 'begun', job_id = $3 WHERE bulk_id = $1 AND position = $2 AND state = 'waiting'
                 AND EXISTS (SELECT 1 FROM bulk WHERE id = $1 AND state = 'running')",
        )
        .bind(self.bulk.to_string())
        .bind(self.position)
        .bind(job.to_string())
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if begun.rows_affected() == 0 {
            return Ok(false);
        }
        let (asked, now_ms) = (self.asked.clone(), self.now_ms);
        let refusal = match &self.promise {
            Promise::Submit(job) => {
                let submit = Submit {
                    job: NewJob {
                        submitted_at: TimestampMs(now_ms),
                        ..job.clone()
                    },
                    upload: None,
                    asked,
                };
                submit.apply(&mut *connection).await?;
                None
            }
            Promise::Rerun(job, mode) => {
                let rerun = Rerun {
                    job: *job,
                    mode: mode.clone(),
                    asked,
                    now_ms,
                };
                let done = rerun.apply(&mut *connection).await?;
                (!done).then_some("It is queued or running by now.")
            }
            Promise::Stop(job) => {
                let stop = Stop {
                    job: *job,
                    asked,
                    now_ms,
                };
                let outcome = stop.apply(&mut *connection).await?;
                (outcome == StopOutcome::Over).then_some("It is over by now.")
            }
        };
        if let Some(reason) = refusal {
            sqlx::query(
                "UPDATE bulk_item SET state = $3, reason = $4 WHERE bulk_id = $1 AND position = $2",
            )
            .bind(self.bulk.to_string())
            .bind(self.position)
            .bind(BulkItemState::Refused.as_str())
            .bind(reason)
            .execute(connection)
            .await
            .during(self.operation())?;
        }
        Ok(refusal.is_none())
    }
}
