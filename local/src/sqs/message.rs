//! Messages: sending, receiving (with long polling), deleting, and how long a receiver has them for itself.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::{Row, SqliteConnection};
use tokio::time::Instant;
use uuid::Uuid;

use super::queue::{self, Queue, name_in};
use super::{Sqs, digest, invalid_value};
use crate::wire::{ACCOUNT, AwsError, now_ms};

/// Messages in one answer, and entries in one batch.
const BATCH_MAX: usize = 10;

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
pub(super) struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<T> {
    id: String,
    #[serde(flatten)]
    what: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendEntry {
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Map<String, Value>,
}

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfMessage {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiptEntry {
    receipt_handle: String,
    visibility_timeout: Option<i64>,
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
        check_batch(&ask)?;
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

    pub(super) async fn receive_message(&self, ask: ReceiveMessage) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        let most = ask.max_number_of_messages.unwrap_or(1);
        if !(1..=BATCH_MAX as i64).contains(&most) {
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

    pub(super) async fn delete_message(&self, ask: OfMessage) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        let receipt = Receipt::parse(&ask.receipt_handle)?;
        let mut connection = self.store.db.acquire().await?;
        delete(&mut connection, &queue, &receipt).await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_message_batch(
        &self,
        ask: Batch<ReceiptEntry>,
    ) -> Result<Value, AwsError> {
        check_batch(&ask)?;
        let mut transaction = self.store.begin().await?;
        let queue = queue::find(&mut transaction, name_in(&ask.queue_url)).await?;
        let mut outcome = Outcome::default();
        for entry in &ask.entries {
            let result = match Receipt::parse(&entry.what.receipt_handle) {
                Ok(receipt) => delete(&mut transaction, &queue, &receipt).await,
                Err(error) => Err(error),
            };
            outcome.add(&entry.id, result)?;
        }
        transaction.commit().await?;
        Ok(outcome.answer())
    }

    pub(super) async fn change_message_visibility(
        &self,
        ask: OfMessage,
    ) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        let mut connection = self.store.db.acquire().await?;
        show_again(
            &mut connection,
            &queue,
            &ask.receipt_handle,
            ask.visibility_timeout,
        )
        .await?;
        drop(connection);
        self.arrival(queue.id).notify_waiters();
        Ok(json!({}))
    }

    pub(super) async fn change_message_visibility_batch(
        &self,
        ask: Batch<ReceiptEntry>,
    ) -> Result<Value, AwsError> {
        check_batch(&ask)?;
        let mut transaction = self.store.begin().await?;
        let queue = queue::find(&mut transaction, name_in(&ask.queue_url)).await?;
        let mut outcome = Outcome::default();
        for Entry { id, what } in &ask.entries {
            let (handle, timeout) = (&what.receipt_handle, what.visibility_timeout);
            outcome.add(
                id,
                show_again(&mut transaction, &queue, handle, timeout).await,
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
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c < '\u{fffe}') || c > '\u{ffff}';
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

/// What a receipt handle stands for: a message, and which of its receptions.
struct Receipt {
    id: i64,
    count: i64,
}

impl Receipt {
    fn handle(&self) -> String {
        format!("local-{:016x}-{:08x}", self.id, self.count)
    }

    fn parse(handle: &str) -> Result<Receipt, AwsError> {
        let parts = handle
            .strip_prefix("local-")
            .and_then(|rest| rest.split_once('-'));
        let parsed = parts.and_then(|(id, count)| {
            Some(Receipt {
                id: i64::from_str_radix(id, 16).ok()?,
                count: i64::from_str_radix(count, 16).ok()?,
            })
        });
        parsed.ok_or_else(|| {
            AwsError::bad_request(
                "ReceiptHandleIsInvalid",
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
            )
            .query("ReceiptHandleIsInvalid")
        })
    }
}

/// Deletes a message if nobody has received it since; answers well in any case, as AWS does.
async fn delete(
    connection: &mut SqliteConnection,
    queue: &Queue,
    receipt: &Receipt,
) -> Result<Value, AwsError> {
    sqlx::query("DELETE FROM sqs_messages WHERE id = ? AND queue = ? AND received = ?")
        .bind(receipt.id)
        .bind(queue.id)
        .bind(receipt.count)
        .execute(connection)
        .await?;
    Ok(json!({}))
}

/// Sets the moment from which others may receive the message.
async fn show_again(
    connection: &mut SqliteConnection,
    queue: &Queue,
    handle: &str,
    timeout_seconds: Option<i64>,
) -> Result<Value, AwsError> {
    let receipt = Receipt::parse(handle)?;
    let timeout = timeout_seconds.unwrap_or_default();
    check_visibility(timeout)?;
    let now_ms = now_ms();
    let changed = sqlx::query(
        "UPDATE sqs_messages SET visible_at_ms = ?
         WHERE id = ? AND queue = ? AND received = ? AND visible_at_ms > ?",
    )
    .bind(now_ms + timeout * 1000)
    .bind(receipt.id)
    .bind(queue.id)
    .bind(receipt.count)
    .bind(now_ms)
    .execute(connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(AwsError::bad_request(
            "MessageNotInflight",
            "The message referred to isn't in flight.",
        )
        .query("AWS.SimpleQueueService.MessageNotInflight"));
    }
    Ok(json!({}))
}

/// Which entries of a batch went well.
#[derive(Default)]
struct Outcome {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Outcome {
    /// Notes one entry's result; a failing store fails the whole batch.
    fn add(&mut self, id: &str, result: Result<Value, AwsError>) -> Result<(), AwsError> {
        match result {
            Ok(mut answer) => {
                answer["Id"] = json!(id);
                self.successful.push(answer);
            }
            Err(error) if error.status >= 500 => return Err(error),
            Err(error) => self.failed.push(json!({
                "Id": id, "SenderFault": true, "Code": error.query_code.unwrap_or(&error.code), "Message": error.message,
            })),
        }
        Ok(())
    }

    fn answer(self) -> Value {
        json!({"Successful": self.successful, "Failed": self.failed})
    }
}

fn check_batch<T>(ask: &Batch<T>) -> Result<(), AwsError> {
    let entries = &ask.entries;
    let (code, query, message) = if entries.is_empty() {
        (
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.".to_owned(),
        )
    } else if entries.len() > BATCH_MAX {
        (
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are 10. You have sent {}.",
                entries.len()
            ),
        )
    } else {
        let repeated = entries.iter().enumerate().find(|(index, entry)| {
            entries[..*index]
                .iter()
                .any(|earlier| earlier.id == entry.id)
        });
        match repeated {
            Some((_, entry)) => (
                "BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                format!("Id {} repeated.", entry.id),
            ),
            None => return Ok(()),
        }
    };
    Err(AwsError::bad_request(code, message).query(query))
}

fn check_visibility(seconds: i64) -> Result<(), AwsError> {
    if (0..=43_200).contains(&seconds) {
        return Ok(());
    }
    Err(invalid_value(format!(
        "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200."
    )))
}

/// Messages sent later than this are still kept.
fn kept_since(queue: &Queue, now_ms: i64) -> i64 {
    now_ms - queue.number("MessageRetentionPeriod") * 1000
}

fn arn_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}
