//! Messages: how they are checked and written.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::batch::{self, Batch, Outcome};
use super::queue::{self, Queue, name_in};
use super::{Sqs, digest, invalid_value};
use crate::wire::{AwsError, now_ms};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendEntry {
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Map<String, Value>,
}

/// Writes a message; returns its id.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    queue: &Queue,
    body: &str,
    attributes: &str,
    delay_seconds: Option<i64>,
    now_ms: i64,
) -> Result<String, AwsError> {
    let id = Uuid::new_v4().to_string();
    let delay = delay_seconds.unwrap_or_else(|| queue.number("DelaySeconds"));
    sqlx::query(
        "INSERT INTO sqs_messages (queue, message_id, body, attributes, sent_at_ms, visible_at_ms)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(queue.id)
    .bind(&id)
    .bind(body)
    .bind(attributes)
    .bind(now_ms)
    .bind(now_ms + delay * 1000)
    .execute(connection)
    .await?;
    Ok(id)
}

impl Sqs {
    pub(super) async fn send_message(&self, ask: SendMessage) -> Result<Value, AwsError> {
        let mut transaction = self.store.begin().await?;
        let queue = queue::find(&mut transaction, name_in(&ask.queue_url)).await?;
        let what = SendEntry {
            message_body: ask.message_body,
            delay_seconds: ask.delay_seconds,
            message_attributes: ask.message_attributes,
        };
        let answer = write(&mut transaction, &queue, &what).await?;
        transaction.commit().await?;
        self.arrival(queue.id).notify_waiters();
        Ok(answer)
    }

    pub(super) async fn send_message_batch(
        &self,
        ask: Batch<SendEntry>,
    ) -> Result<Value, AwsError> {
        batch::check(&ask)?;
        let mut transaction = self.store.begin().await?;
        let queue = queue::find(&mut transaction, name_in(&ask.queue_url)).await?;
        let mut outcome = Outcome::default();
        for entry in &ask.entries {
            outcome.add(
                &entry.id,
                write(&mut transaction, &queue, &entry.what).await,
            )?;
        }
        transaction.commit().await?;
        self.arrival(queue.id).notify_waiters();
        Ok(outcome.answer())
    }
}

/// Checks and writes one message; answers its id and sums.
async fn write(
    connection: &mut SqliteConnection,
    queue: &Queue,
    what: &SendEntry,
) -> Result<Value, AwsError> {
    let body = what.message_body.as_deref().unwrap_or_default();
    if body.is_empty() {
        return Err(AwsError::bad_request(
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        )
        .query("MissingParameter"));
    }
    let attributes = Value::Object(what.message_attributes.clone()).to_string();
    let size_max = queue.number("MaximumMessageSize");
    let size = body.len()
        + if what.message_attributes.is_empty() {
            0
        } else {
            attributes.len()
        };
    if i64::try_from(size).is_ok_and(|size| size > size_max) {
        return Err(invalid_value(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {size_max} bytes."
        )));
    }
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r') || (' '..'\u{fffe}').contains(&c) || c > '\u{ffff}'
    };
    if !body.chars().all(allowed) {
        return Err(AwsError::bad_request(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.",
        )
        .query("InvalidMessageContents"));
    }
    if let Some(delay) = what
        .delay_seconds
        .filter(|delay| !(0..=900).contains(delay))
    {
        return Err(invalid_value(format!(
            "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        )));
    }
    let id = insert(
        connection,
        queue,
        body,
        &attributes,
        what.delay_seconds,
        now_ms(),
    )
    .await?;
    let mut answer = json!({"MessageId": id, "MD5OfMessageBody": digest::of_body(body)});
    if let Some(sum) = digest::of_attributes(&what.message_attributes) {
        answer["MD5OfMessageAttributes"] = json!(sum);
    }
    Ok(answer)
}
