//! Receipts: what a receiver holds of a message, to delete it or to keep it longer for itself.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::batch::{self, Batch, Entry, Outcome};
use super::queue::{self, Queue, name_in};
use super::{Sqs, invalid_value};
use crate::wire::{AwsError, now_ms};

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

impl Sqs {
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
        batch::check(&ask)?;
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
        batch::check(&ask)?;
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

/// What a receipt handle stands for: a message, and which of its receptions.
pub(super) struct Receipt {
    pub(super) id: i64,
    pub(super) count: i64,
}

impl Receipt {
    pub(super) fn handle(&self) -> String {
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

pub(super) fn check_visibility(seconds: i64) -> Result<(), AwsError> {
    if (0..=43_200).contains(&seconds) {
        return Ok(());
    }
    Err(invalid_value(format!(
        "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200."
    )))
}
