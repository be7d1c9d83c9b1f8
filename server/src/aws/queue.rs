//! SQS: the queue that EventBridge puts execution status changes on.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, QueueAttributeName},
};

use super::{Api, AwsError, call::Calls};

/// Messages asked for in one call, and seconds to wait for the first: both the API's maximum.
const RECEIVE_MAX: i32 = 10;
const WAIT_SECONDS: i32 = 20;

/// The status queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    pub(super) calls: Calls,
    url: String,
}

/// A message that stays in the queue until it is deleted by its receipt.
#[derive(Debug, Clone)]
pub struct Message {
    pub body: String,
    pub receipt: String,
}

/// How many messages a queue holds, about.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-monitoring-using-cloudwatch.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received, and not deleted yet.
    pub in_flight: u64,
}

impl Queue {
    pub(super) fn new(shared: &SdkConfig, calls: Calls, url: &str) -> Queue {
        Queue {
            client: Client::new(shared),
            calls,
            url: url.to_owned(),
        }
    }

    /// Waits for messages, at most 20 seconds; none is an answer too.
    pub async fn receive(&self) -> Result<Vec<Message>, AwsError> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(RECEIVE_MAX)
            .wait_time_seconds(WAIT_SECONDS);
        let answer = self
            .calls
            .sdk(Api::ReceiveMessage, || request.clone().send())
            .await?;
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

    /// GetQueueAttributes: how many messages there are.
    pub async fn depth(&self) -> Result<QueueDepth, AwsError> {
        const VISIBLE: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        const IN_FLIGHT: QueueAttributeName =
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(VISIBLE)
            .attribute_names(IN_FLIGHT);
        let answer = self
            .calls
            .sdk(Api::GetQueueAttributes, || request.clone().send())
            .await?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name| {
            attributes
                .get(&name)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| {
                    AwsError::unreadable(Api::GetQueueAttributes, format!("no {name:?}"))
                })
        };
        Ok(QueueDepth {
            visible: number(VISIBLE)?,
            in_flight: number(IN_FLIGHT)?,
        })
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
                    .map_err(|error| AwsError::unreadable(Api::DeleteMessageBatch, error))?,
            );
        }
        if entries.is_empty() {
            return Ok(());
        }
        let request = self
            .client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries));
        self.calls
            .sdk(Api::DeleteMessageBatch, || request.clone().send())
            .await?;
        Ok(())
    }
}
