//! Batches: up to ten entries that go well or fail one by one.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::wire::AwsError;

/// Most entries in one batch.
const ENTRIES_MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    pub(super) queue_url: String,
    #[serde(default = "Vec::new")]
    pub(super) entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<T> {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) what: T,
}

/// Which entries of a batch went well.
#[derive(Default)]
pub(super) struct Outcome {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Outcome {
    /// Notes one entry's result; a failing store fails the whole batch.
    pub(super) fn add(
        &mut self,
        id: &str,
        result: Result<Value, AwsError>,
    ) -> Result<(), AwsError> {
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

    pub(super) fn answer(self) -> Value {
        json!({"Successful": self.successful, "Failed": self.failed})
    }
}

pub(super) fn check<T>(ask: &Batch<T>) -> Result<(), AwsError> {
    let entries = &ask.entries;
    let (code, query, message) = if entries.is_empty() {
        (
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.".to_owned(),
        )
    } else if entries.len() > ENTRIES_MAX {
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
