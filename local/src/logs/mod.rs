//! CloudWatch Logs: groups, streams, events, and what subscriptions are owed.
//!
//! Owns writing: every event passes one writer, which commits what has gathered in one transaction, so
//! that event ids rise in the order in which events become visible and a subscription's cursor is one
//! number. [`api`] answers the operations, [`delivery`] feeds the subscriptions, [`pattern`] filters.

mod api;
mod delivery;
mod pattern;
mod retention;
mod subscription;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::kinesis::Kinesis;
use crate::store::Store;
use crate::wire::{AwsError, now_ms};

/// Events that may wait for the writer before whoever logs has to wait too.
const QUEUE: usize = 4096;
/// Events committed at once.
const BATCH: usize = 1000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS logs_groups (
  name TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL, retention_days INTEGER);
CREATE TABLE IF NOT EXISTS logs_streams (
  id INTEGER PRIMARY KEY, log_group TEXT NOT NULL REFERENCES logs_groups(name) ON DELETE CASCADE,
  name TEXT NOT NULL, created_at_ms INTEGER NOT NULL, first_event_ms INTEGER, last_event_ms INTEGER,
  last_ingestion_ms INTEGER, UNIQUE (log_group, name));
CREATE TABLE IF NOT EXISTS logs_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL REFERENCES logs_streams(id) ON DELETE CASCADE,
  timestamp_ms INTEGER NOT NULL, ingestion_ms INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS logs_events_of_stream ON logs_events (stream, timestamp_ms, id);
CREATE TABLE IF NOT EXISTS logs_subscriptions (
  log_group TEXT NOT NULL REFERENCES logs_groups(name) ON DELETE CASCADE, name TEXT NOT NULL,
  pattern TEXT NOT NULL, destination_arn TEXT NOT NULL, role_arn TEXT, distribution TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL, delivered_id INTEGER NOT NULL, PRIMARY KEY (log_group, name));
";

/// One line on its way into a log stream.
#[derive(Debug, Clone)]
pub struct Line {
    /// The log group, made when it is not there.
    pub group: Arc<str>,
    /// The log stream, made when it is not there.
    pub stream: Arc<str>,
    /// When it was written, milliseconds.
    pub timestamp_ms: i64,
    /// The text.
    pub message: String,
}

struct Batch {
    lines: Vec<Line>,
    /// Told when the lines are durable.
    done: Option<oneshot::Sender<Result<(), AwsError>>>,
}

/// The log groups, their streams, events and subscription filters.
pub struct Logs {
    store: Store,
    kinesis: Arc<Kinesis>,
    queue: mpsc::Sender<Batch>,
    /// Rung when events were committed.
    written: Arc<Notify>,
}

impl Logs {
    /// Opens the logs in the store and goes on delivering what subscriptions have not had.
    pub async fn open(store: Store, kinesis: Arc<Kinesis>) -> Result<Arc<Logs>, AwsError> {
        sqlx::raw_sql(SCHEMA).execute(&store.db).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let written = Arc::new(Notify::new());
        tokio::spawn(write(store.clone(), waiting, written.clone()));
        tokio::spawn(delivery::run(
            store.clone(),
            kinesis.clone(),
            written.clone(),
        ));
        tokio::spawn(retention::run(store.clone()));
        // What a killed predecessor had committed and not delivered goes out now.
        written.notify_one();
        Ok(Arc::new(Logs {
            store,
            kinesis,
            queue,
            written,
        }))
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        api::call(self, operation, input).await
    }

    /// Writes lines; they are durable when this returns.
    pub async fn append(&self, lines: Vec<Line>) -> Result<(), AwsError> {
        let (done, durable) = oneshot::channel();
        let stopped = || AwsError::new(503, "ServiceUnavailableException", "local is stopping");
        self.queue
            .send(Batch {
                lines,
                done: Some(done),
            })
            .await
            .map_err(|_| stopped())?;
        durable.await.map_err(|_| stopped())?
    }

    /// Hands lines to the writer, waiting only while its queue is full.
    pub async fn append_soon(&self, lines: Vec<Line>) {
        // The writer ends with the process only: then there is nobody left to read the lines.
        let _ = self.queue.send(Batch { lines, done: None }).await;
    }

    /// Hands lines to the writer unless its queue is full: for whoever must not wait, and may lose lines.
    pub fn offer(&self, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(batch)) =
            self.queue.try_send(Batch { lines, done: None })
        {
            tracing::warn!(
                lines = batch.lines.len(),
                "log lines were dropped: too many at once"
            );
        }
    }

    /// Whether there is a log group of that name.
    pub async fn has_group(&self, name: &str) -> Result<bool, AwsError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM logs_groups WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.store.db)
            .await?;
        Ok(found.is_some())
    }

    /// Waits until what was handed over before is durable.
    pub async fn flush(&self) {
        if let Err(error) = self.append(Vec::new()).await {
            tracing::warn!(%error, "the last log events were lost");
        }
    }

    /// Makes a log group if it is not there.
    pub async fn ensure_group(&self, name: &str) -> Result<(), AwsError> {
        sqlx::query("INSERT OR IGNORE INTO logs_groups (name, created_at_ms) VALUES (?, ?)")
            .bind(name)
            .bind(now_ms())
            .execute(&self.store.db)
            .await?;
        Ok(())
    }
}

/// The one writer.
async fn write(store: Store, mut waiting: mpsc::Receiver<Batch>, written: Arc<Notify>) {
    let mut streams: HashMap<(Arc<str>, Arc<str>), i64> = HashMap::new();
    let mut batches = Vec::new();
    while waiting.recv_many(&mut batches, BATCH).await > 0 {
        let mut result = commit(&store, &batches, &mut streams).await;
        if result.is_err() {
            // A log group may have been deleted under a remembered stream: look all of them up again.
            streams.clear();
            result = commit(&store, &batches, &mut streams).await;
        }
        if let Err(error) = &result {
            tracing::error!(%error, "log events were lost");
        }
        for done in batches.drain(..).filter_map(|batch| batch.done) {
            let _ = done.send(result.as_ref().map(|_| ()).map_err(|_| {
                AwsError::new(
                    503,
                    "ServiceUnavailableException",
                    "The events could not be stored; see the log of local.",
                )
            }));
        }
        written.notify_one();
    }
}

async fn commit(
    store: &Store,
    batches: &[Batch],
    streams: &mut HashMap<(Arc<str>, Arc<str>), i64>,
) -> Result<(), sqlx::Error> {
    let now = now_ms();
    let mut transaction = store.begin().await?;
    let mut touched: HashMap<i64, (i64, i64)> = HashMap::new();
    let mut found = HashMap::new();
    for line in batches.iter().flat_map(|batch| &batch.lines) {
        let key = (line.group.clone(), line.stream.clone());
        let stream = match streams.get(&key).or_else(|| found.get(&key)) {
            Some(stream) => *stream,
            None => {
                sqlx::query(
                    "INSERT OR IGNORE INTO logs_groups (name, created_at_ms) VALUES (?, ?)",
                )
                .bind(&*line.group)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
                sqlx::query("INSERT OR IGNORE INTO logs_streams (log_group, name, created_at_ms) VALUES (?, ?, ?)")
                    .bind(&*line.group)
                    .bind(&*line.stream)
                    .bind(now)
                    .execute(&mut *transaction)
                    .await?;
                let id: i64 = sqlx::query_scalar(
                    "SELECT id FROM logs_streams WHERE log_group = ? AND name = ?",
                )
                .bind(&*line.group)
                .bind(&*line.stream)
                .fetch_one(&mut *transaction)
                .await?;
                found.insert(key, id);
                id
            }
        };
        sqlx::query("INSERT INTO logs_events (stream, timestamp_ms, ingestion_ms, message) VALUES (?, ?, ?, ?)")
            .bind(stream)
            .bind(line.timestamp_ms)
            .bind(now)
            .bind(&line.message)
            .execute(&mut *transaction)
            .await?;
        let (first, last) = touched
            .entry(stream)
            .or_insert((line.timestamp_ms, line.timestamp_ms));
        (*first, *last) = (
            (*first).min(line.timestamp_ms),
            (*last).max(line.timestamp_ms),
        );
    }
    for (stream, (first, last)) in touched {
        sqlx::query(
            "UPDATE logs_streams SET first_event_ms = min(coalesce(first_event_ms, ?2), ?2),
               last_event_ms = max(coalesce(last_event_ms, ?3), ?3), last_ingestion_ms = ?4 WHERE id = ?1",
        )
        .bind(stream)
        .bind(first)
        .bind(last)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    // Only now: ids from a transaction that rolled back must not be remembered.
    streams.extend(found);
    Ok(())
}
