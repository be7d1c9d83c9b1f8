//! SQS: standard queues in the one store.
//!
//! Owns queues and their messages: what was answered is on disk, a message that was received and not
//! deleted comes back when its visibility timeout ends, also after `kill -9`. Refuses FIFO queues and
//! access policies (stored and answered, never enforced).
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

mod batch;
mod digest;
mod message;
mod queue;
mod receipt;
mod receive;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use sqlx::SqliteConnection;
use tokio::sync::Notify;

use crate::store::Store;
use crate::wire::{ACCOUNT, AwsError, REGION, input, now_ms};

/// What this module answers.
const OPERATIONS: &[&str] = &[
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

/// The queues.
pub struct Sqs {
    store: Store,
    /// By queue: wakes those who wait for a message.
    arrivals: Mutex<HashMap<i64, Arc<Notify>>>,
}

/// Messages written in somebody else's transaction: [`Sqs::arrived`] wakes the receivers once it is committed.
#[derive(Debug, Default)]
#[must_use = "receivers that wait learn of the messages by Sqs::arrived"]
pub struct Sent {
    queues: Vec<i64>,
}

impl Sent {
    /// Adds what another call has sent in the same transaction.
    pub fn and(&mut self, other: Sent) {
        self.queues.extend(other.queues);
    }
}

impl Sqs {
    /// Opens the queues in the store.
    pub async fn open(store: Store) -> Result<Sqs, AwsError> {
        for statement in [
            "CREATE TABLE IF NOT EXISTS sqs_queues (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL UNIQUE,
                attributes TEXT NOT NULL,
                tags TEXT NOT NULL,
                created_at_ms INTEGER NOT NULL,
                modified_at_ms INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS sqs_messages (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                queue INTEGER NOT NULL REFERENCES sqs_queues (id) ON DELETE CASCADE,
                message_id TEXT NOT NULL,
                body TEXT NOT NULL,
                attributes TEXT NOT NULL,
                sent_at_ms INTEGER NOT NULL,
                visible_at_ms INTEGER NOT NULL,
                received INTEGER NOT NULL DEFAULT 0,
                first_received_at_ms INTEGER)",
            "CREATE INDEX IF NOT EXISTS sqs_messages_visible
                ON sqs_messages (queue, visible_at_ms, id)",
        ] {
            sqlx::query(statement).execute(&store.db).await?;
        }
        Ok(Sqs {
            store,
            arrivals: Mutex::default(),
        })
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        match operation {
            "CreateQueue" => self.create_queue(input(body)?).await,
            "GetQueueUrl" => self.get_queue_url(input(body)?).await,
            "ListQueues" => self.list_queues(input(body)?).await,
            "GetQueueAttributes" => self.get_queue_attributes(input(body)?).await,
            "SetQueueAttributes" => self.set_queue_attributes(input(body)?).await,
            "DeleteQueue" => self.delete_queue(input(body)?).await,
            "PurgeQueue" => self.purge_queue(input(body)?).await,
            "ListQueueTags" => self.list_queue_tags(input(body)?).await,
            "TagQueue" => self.tag_queue(input(body)?).await,
            "UntagQueue" => self.untag_queue(input(body)?).await,
            "SendMessage" => self.send_message(input(body)?).await,
            "SendMessageBatch" => self.send_message_batch(input(body)?).await,
            "ReceiveMessage" => self.receive_message(input(body)?).await,
            "DeleteMessage" => self.delete_message(input(body)?).await,
            "DeleteMessageBatch" => self.delete_message_batch(input(body)?).await,
            "ChangeMessageVisibility" => self.change_message_visibility(input(body)?).await,
            "ChangeMessageVisibilityBatch" => {
                self.change_message_visibility_batch(input(body)?).await
            }
            _ => Err(AwsError::unknown_operation("SQS", operation, OPERATIONS)),
        }
    }

    /// Puts a message on a queue, for the other services. Durable when it returns.
    pub async fn send(&self, queue_arn: &str, body: String) -> Result<(), AwsError> {
        let mut transaction = self.store.begin().await?;
        let sent = self.send_in(&mut transaction, queue_arn, &body).await?;
        transaction.commit().await?;
        self.arrived(sent);
        Ok(())
    }

    /// Puts a message on a queue as a part of the caller's transaction; after its commit the caller hands
    /// the answer to [`Sqs::arrived`].
    pub async fn send_in(
        &self,
        connection: &mut SqliteConnection,
        queue_arn: &str,
        body: &str,
    ) -> Result<Sent, AwsError> {
        let name = queue_arn.rsplit(':').next().unwrap_or_default();
        let queue = queue::find(&mut *connection, name).await?;
        message::insert(connection, &queue, body, "{}", None, now_ms()).await?;
        Ok(Sent {
            queues: vec![queue.id],
        })
    }

    /// Wakes those who wait for messages that have just been committed.
    pub fn arrived(&self, sent: Sent) {
        for queue in sent.queues {
            self.arrival(queue).notify_waiters();
        }
    }

    fn arrival(&self, queue: i64) -> Arc<Notify> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.entry(queue).or_default().clone()
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.store.endpoint)
    }
}

/// The ARN of a queue.
fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn no_such_queue() -> AwsError {
    AwsError::bad_request("QueueDoesNotExist", "The specified queue does not exist.")
        .query("AWS.SimpleQueueService.NonExistentQueue")
}

fn invalid_value(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidParameterValue", message).query("InvalidParameterValue")
}
