//! The journal: the one writer of executions, so that many of them share each flush to disk.
//!
//! What an execution did is appended here before anything is done about it; [`Entry::committed`] runs after
//! the commit, in the order of appending. A failing disk is waited out: nothing goes on meanwhile, and nothing
//! is lost.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqlx::SqliteConnection;
use tokio::sync::mpsc;

use super::log::Destination;
use super::map_run::ChildOf;
use crate::events::Events;
use crate::sqs::Sent;
use crate::store::Store;
use crate::wire::AwsError;

/// Most entries in one transaction.
const BATCH_MAX: usize = 1000;
/// How long to wait before trying a failed transaction again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// What is written in one piece, and what is done then.
pub struct Entry {
    /// The rows; if the first is a refused [`Row::Started`], none is written.
    pub rows: Vec<Row>,
    /// Runs after the commit with whether the rows were written. It must not block.
    pub committed: Box<dyn FnOnce(bool) + Send>,
}

/// One thing to write.
pub enum Row {
    /// A new execution; refused when there is one of that ARN or the state machine is gone.
    Started(Box<NewExecution>),
    /// An input that was applied (none for the start) and the history events that came of it.
    Step(Step),
    /// An execution's new status.
    Status(Status),
    /// An event for EventBridge.
    Event(Value),
}

/// A new execution's row.
pub struct NewExecution {
    /// Its number.
    pub id: i64,
    /// The state machine's row.
    pub machine: i64,
    /// The row of the definition that it runs.
    pub revision: i64,
    /// The number of the version it was started through.
    pub version: Option<i64>,
    /// The name of the alias it was started through.
    pub alias: Option<String>,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Source of its randomness.
    pub seed: i64,
    /// Its input as written.
    pub input: String,
    /// X-Ray's header, kept for DescribeExecution.
    pub trace_header: Option<String>,
    /// Milliseconds since the epoch.
    pub started_at_ms: i64,
    /// The Map Run that starts it, if one does.
    pub child: Option<ChildOf>,
    /// Where it logs to, if it does.
    pub log: Option<Arc<Destination>>,
    /// How it ended, if it did at once.
    pub ended: Option<Status>,
}

/// One input of an execution and what it recorded.
pub struct Step {
    /// The execution's number.
    pub execution: i64,
    /// Consecutive from 0, which is the start.
    pub seq: i64,
    /// When it was applied, milliseconds since the epoch.
    pub at_ms: i64,
    /// The input as JSON; `None` for the start.
    pub input: Option<String>,
    /// What it recorded, as [`Recorded`] keeps it; `None` when that was nothing.
    pub events: Option<Vec<u8>>,
    /// The highest id of an event up to and with this step.
    pub last_event_id: i64,
}

/// What DescribeExecution answers from then on.
pub struct Status {
    /// The execution's number.
    pub execution: i64,
    /// AWS's name of the status.
    pub status: &'static str,
    /// When it became so, milliseconds since the epoch.
    pub at_ms: i64,
    /// The output, for those that succeeded.
    pub output: Option<String>,
    /// The error's name.
    pub error: Option<String>,
    /// The error's cause.
    pub cause: Option<String>,
    /// Why it cannot be redriven; `None` when it can.
    pub redrive_refusal: Option<String>,
    /// Set when this is a redrive: how many there were, with the client's token for this one.
    pub redrive: Option<(i64, Option<String>)>,
}

/// The way to the writer. The writer ends when the journal is dropped.
pub struct Journal {
    store: Store,
    entries: mpsc::UnboundedSender<Entry>,
}

impl Journal {
    /// Starts the writer.
    pub fn open(store: Store, events: Arc<Events>) -> Journal {
        let (entries, mut appended) = mpsc::unbounded_channel::<Entry>();
        let reading = store.clone();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while appended.recv_many(&mut batch, BATCH_MAX).await > 0 {
                let (rows, committed): (Vec<_>, Vec<_>) = batch
                    .drain(..)
                    .map(|entry: Entry| (entry.rows, entry.committed))
                    .unzip();
                let (written, sent) = loop {
                    match write(&store, &events, &rows).await {
                        Ok(done) => break done,
                        Err(error) => {
                            tracing::error!(%error, "executions wait for the store");
                            tokio::time::sleep(RETRY).await;
                        }
                    }
                };
                events.emitted(sent);
                for (committed, written) in committed.into_iter().zip(written) {
                    committed(written);
                }
            }
        });
        Journal {
            store: reading,
            entries,
        }
    }

    /// Whether there is an activity of that ARN. A failing store is waited out.
    pub async fn activity_exists(&self, activity: &str) -> bool {
        loop {
            let found: Result<Option<i64>, _> =
                sqlx::query_scalar("SELECT id FROM sfn_activities WHERE arn = ?")
                    .bind(activity)
                    .fetch_optional(&self.store.db)
                    .await;
            match found {
                Ok(found) => return found.is_some(),
                Err(error) => {
                    tracing::error!(%error, "an activity's task waits for the store");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Appends an entry; it is written after those that were appended before.
    pub fn append(&self, entry: Entry) {
        // The writer ends only when this sender does.
        let _ = self.entries.send(entry);
    }
}

/// Writes a batch in one transaction; tells which entries were taken.
async fn write(
    store: &Store,
    events: &Events,
    batch: &[Vec<Row>],
) -> Result<(Vec<bool>, Sent), AwsError> {
    let mut transaction = store.begin().await?;
    let mut sent = Sent::default();
    let mut written = Vec::with_capacity(batch.len());
    for rows in batch {
        let mut taken = true;
        for row in rows {
            match row {
                Row::Started(execution) => taken = insert(&mut transaction, execution).await?,
                Row::Step(step) => step.insert(&mut transaction).await?,
                Row::Status(status) => status.update(&mut transaction).await?,
                Row::Event(event) => sent.and(events.emit_in(&mut transaction, event).await?),
            }
            if !taken {
                break;
            }
        }
        written.push(taken);
    }
    transaction.commit().await?;
    Ok((written, sent))
}

async fn insert(
    connection: &mut SqliteConnection,
    new: &NewExecution,
) -> Result<bool, sqlx::Error> {
    let ended = new.ended.as_ref();
    let inserted = sqlx::query(
        "INSERT INTO sfn_executions (id, machine, revision, version, alias, arn, name, seed, status,
            input, output, error, cause, trace_header, started_at_ms, stopped_at_ms, listed_at_ms,
            redrive_refusal)
         SELECT ?, id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
         FROM sfn_machines WHERE id = ? AND (NOT deleting OR ?)
         ON CONFLICT (arn) DO NOTHING",
    )
    .bind(new.id)
    .bind(new.revision)
    .bind(new.version)
    .bind(&new.alias)
    .bind(&new.arn)
    .bind(&new.name)
    .bind(new.seed)
    .bind(ended.map_or("RUNNING", |status| status.status))
    .bind(&new.input)
    .bind(ended.and_then(|status| status.output.as_deref()))
    .bind(ended.and_then(|status| status.error.as_deref()))
    .bind(ended.and_then(|status| status.cause.as_deref()))
    .bind(&new.trace_header)
    .bind(new.started_at_ms)
    .bind(ended.map(|status| status.at_ms))
    .bind(ended.map_or(new.started_at_ms, |status| status.at_ms))
    .bind(ended.and_then(|status| status.redrive_refusal.as_deref()))
    .bind(new.machine)
    .bind(new.child.is_some())
    .execute(&mut *connection)
    .await?;
    if let Some(child) = new.child {
        sqlx::query("UPDATE sfn_map_children SET execution = ? WHERE map_run = ? AND number = ?")
            .bind(new.id)
            .bind(child.map_run)
            .bind(child.number)
            .execute(connection)
            .await?;
    }
    Ok(inserted.rows_affected() > 0)
}

impl Step {
    async fn insert(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO sfn_steps (execution, seq, at_ms, input, events, last_event_id)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(self.execution)
        .bind(self.seq)
        .bind(self.at_ms)
        .bind(&self.input)
        .bind(&self.events)
        .bind(self.last_event_id)
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Status {
    async fn update(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let running = self.status == "RUNNING";
        let (redrive_count, token) = match &self.redrive {
            Some((count, token)) => (Some(*count), token.as_deref()),
            None => (None, None),
        };
        sqlx::query(
            "UPDATE sfn_executions SET status = ?, output = ?, error = ?, cause = ?,
                stopped_at_ms = ?, listed_at_ms = ?, redrive_refusal = ?,
                redrive_count = COALESCE(?, redrive_count),
                redriven_at_ms = COALESCE(?, redriven_at_ms),
                redrive_token = COALESCE(?, redrive_token)
             WHERE id = ?",
        )
        .bind(self.status)
        .bind(&self.output)
        .bind(&self.error)
        .bind(&self.cause)
        .bind((!running).then_some(self.at_ms))
        .bind(self.at_ms)
        .bind(&self.redrive_refusal)
        .bind(redrive_count)
        .bind(redrive_count.map(|_| self.at_ms))
        .bind(token)
        .bind(self.execution)
        .execute(connection)
        .await?;
        Ok(())
    }
}
