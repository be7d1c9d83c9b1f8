//! Receiving: long polling, the visibility timeout, the dead-letter queue.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::{Row, SqliteConnection};
use tokio::time::Instant;

use super::queue::{self, Queue};
use super::receipt::{Receipt, check_visibility};
use super::{Sqs, digest, invalid_value};
use crate::wire::{ACCOUNT, AwsError, now_ms};

/// Most messages in one answer.
const MESSAGES_MAX: i64 = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

impl Sqs {
    pub(super) async fn receive_message(&self, ask: ReceiveMessage) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        let most = ask.max_number_of_messages.unwrap_or(1);
        if !(1..=MESSAGES_MAX).contains(&most) {
            return Err(invalid_value(format!(
                "Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
            )));
        }
        let wait = ask
            .wait_time_seconds
            .unwrap_or_else(|| queue.number("ReceiveMessageWaitTimeSeconds"));
        if !(0..=20).contains(&wait) {
            return Err(invalid_value(format!(
                "Value {wait} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided."
            )));
        }
        let timeout = ask
            .visibility_timeout
            .unwrap_or_else(|| queue.number("VisibilityTimeout"));
        check_visibility(timeout)?;
        let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
        let arrival = self.arrival(queue.id);
        loop {
            // Waiting begins before looking, so that nothing arrives unnoticed between the two.
            let arrived = arrival.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let now_ms = now_ms();
            let next_ms = self.next_visible(&queue, now_ms).await?;
            if next_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                let messages = self.take(&queue, &ask, most, timeout, now_ms).await?;
                if !messages.is_empty() {
                    return Ok(json!({"Messages": messages}));
                }
            }
            if Instant::now() >= deadline {
                return Ok(json!({}));
            }
            let mut until = deadline;
            if let Some(at_ms) = next_ms {
                let left = u64::try_from(at_ms - now_ms).unwrap_or(0);
                until = until.min(Instant::now() + Duration::from_millis(left));
            }
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// When the next message that is kept can be received.
    async fn next_visible(&self, queue: &Queue, now_ms: i64) -> Result<Option<i64>, AwsError> {
        let next = sqlx::query_scalar(
            "SELECT MIN(visible_at_ms) FROM sqs_messages WHERE queue = ? AND sent_at_ms > ?",
        )
        .bind(queue.id)
        .bind(kept_since(queue, now_ms))
        .fetch_one(&self.store.db)
        .await?;
        Ok(next)
    }

    /// Hands out what can be received, moves to the dead-letter queue what was received too often, and
    /// drops what is too old.
    async fn take(
        &self,
        queue: &Queue,
        ask: &ReceiveMessage,
        most: i64,
        timeout_seconds: i64,
        now_ms: i64,
    ) -> Result<Vec<Value>, AwsError> {
        let mut transaction = self.store.begin().await?;
        sqlx::query(
            "DELETE FROM sqs_messages WHERE queue = ? AND visible_at_ms <= ? AND sent_at_ms <= ?",
        )
        .bind(queue.id)
        .bind(now_ms)
        .bind(kept_since(queue, now_ms))
        .execute(&mut *transaction)
        .await?;
        let moved = self
            .move_to_dead_letters(&mut transaction, queue, now_ms)
            .await?;
        let rows = sqlx::query(
            "UPDATE sqs_messages
             SET visible_at_ms = ?, received = received + 1,
                 first_received_at_ms = COALESCE(first_received_at_ms, ?)
             WHERE id IN (SELECT id FROM sqs_messages WHERE queue = ? AND visible_at_ms <= ?
                          ORDER BY visible_at_ms, id LIMIT ?)
             RETURNING id, message_id, body, attributes, sent_at_ms, received, first_received_at_ms",
        )
        .bind(now_ms + timeout_seconds * 1000)
        .bind(now_ms)
        .bind(queue.id)
        .bind(now_ms)
        .bind(most)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        if let Some(dead_letters) = moved {
            self.arrival(dead_letters).notify_waiters();
        }
        let mut rows: Vec<(i64, Value)> = rows
            .iter()
            .map(|row| Ok((row.try_get("id")?, received(row, ask)?)))
            .collect::<Result<_, sqlx::Error>>()?;
        rows.sort_by_key(|(id, _)| *id);
        Ok(rows.into_iter().map(|(_, message)| message).collect())
    }

    /// Returns the dead-letter queue when something was moved there.
    async fn move_to_dead_letters(
        &self,
        connection: &mut SqliteConnection,
        queue: &Queue,
        now_ms: i64,
    ) -> Result<Option<i64>, AwsError> {
        let Some(policy) = queue.redrive_policy() else {
            return Ok(None);
        };
        let Some(receives_max) = policy.receives_max() else {
            return Ok(None);
        };
        let Ok(target) =
            queue::find(&mut *connection, arn_name(&policy.dead_letter_target_arn)).await
        else {
            return Ok(None);
        };
        let moved = sqlx::query(
            "UPDATE sqs_messages SET queue = ?, received = 0, first_received_at_ms = NULL
             WHERE queue = ? AND visible_at_ms <= ? AND received >= ?",
        )
        .bind(target.id)
        .bind(queue.id)
        .bind(now_ms)
        .bind(receives_max)
        .execute(connection)
        .await?;
        Ok((moved.rows_affected() > 0).then_some(target.id))
    }
}

/// A message as ReceiveMessage answers it.
fn received(row: &sqlx::sqlite::SqliteRow, ask: &ReceiveMessage) -> Result<Value, sqlx::Error> {
    let (id, count): (i64, i64) = (row.try_get("id")?, row.try_get("received")?);
    let (message_id, body): (&str, &str) = (row.try_get("message_id")?, row.try_get("body")?);
    let mut message = json!({
        "MessageId": message_id,
        "ReceiptHandle": Receipt { id, count }.handle(),
        "MD5OfBody": digest::of_body(body),
        "Body": body,
    });
    let (sent, first): (i64, i64) = (
        row.try_get("sent_at_ms")?,
        row.try_get("first_received_at_ms")?,
    );
    let system: Map<String, Value> = [
        ("SenderId", ACCOUNT.to_owned()),
        ("ApproximateFirstReceiveTimestamp", first.to_string()),
        ("ApproximateReceiveCount", count.to_string()),
        ("SentTimestamp", sent.to_string()),
    ]
    .into_iter()
    .filter(|(name, _)| {
        let mut wanted = ask
            .attribute_names
            .iter()
            .chain(&ask.message_system_attribute_names);
        wanted.any(|want| want == "All" || want == name)
    })
    .map(|(name, value)| (name.to_owned(), json!(value)))
    .collect();
    if !system.is_empty() {
        message["Attributes"] = Value::Object(system);
    }
    let mut attributes: Map<String, Value> =
        serde_json::from_str(row.try_get("attributes")?).unwrap_or_default();
    attributes.retain(|name, _| {
        ask.message_attribute_names
            .iter()
            .any(|want| match want.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => want == "All" || want == name,
            })
    });
    if let Some(sum) = digest::of_attributes(&attributes) {
        message["MD5OfMessageAttributes"] = json!(sum);
        message["MessageAttributes"] = Value::Object(attributes);
    }
    Ok(message)
}

/// Messages sent later than this are still kept.
fn kept_since(queue: &Queue, now_ms: i64) -> i64 {
    now_ms - queue.number("MessageRetentionPeriod") * 1000
}

fn arn_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}
