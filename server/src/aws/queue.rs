//! SQS: the queue that EventBridge puts execution status changes on.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::DeleteMessageBatchRequestEntry};

use super::AwsError;

/// Messages asked for in one call, and seconds to wait for the first: both the API's maximum.
const RECEIVE_MAX: i32 = 10;
const WAIT_SECONDS: i32 = 20;

/// The status queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message that stays in the queue until it is deleted by its receipt.
#[derive(Debug, Clone)]
pub struct Message {
    pub body: String,
    pub receipt: String,
}

impl Queue {
    pub(super) fn new(shared: &SdkConfig, url: &str) -> Queue {
        Queue {
            client: Client::new(shared),
            url: url.to_owned(),
        }
    }

    /// Waits for messages, at most 20 seconds; none is an answer too.
    pub async fn receive(&self) -> Result<Vec<Message>, AwsError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(RECEIVE_MAX)
            .wait_time_seconds(WAIT_SECONDS)
            .send()
            .await
            .map_err(|error| AwsError::new("ReceiveMessage", error))?;
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(|message| {
                Some(Message {
                    body: message.body?,
                    receipt: message.receipt_handle?,
                })
            })
            .collect())
    }

    /// Deletes messages that are done with. One that is not deleted comes again, which is harmless.
    pub async fn delete(&self, receipts: &[String]) -> Result<(), AwsError> {
        let mut entries = Vec::with_capacity(receipts.len());
        for (index, receipt) in receipts.iter().enumerate() {
            entries.push(
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .build()
                    .map_err(|error| AwsError::unreadable("DeleteMessageBatch", error))?,
            );
        }
        if entries.is_empty() {
            return Ok(());
        }
        self.client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| AwsError::new("DeleteMessageBatch", error))?;
        Ok(())
    }
}
