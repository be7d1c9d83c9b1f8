//! `events:putEvents`.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-eventbridge.html>

use serde_json::{Value, json};

use super::{Caller, Fault, exception, refused, with_metadata};
use crate::events::Events;

/// Puts events that name the execution and its state machine among their resources.
pub async fn put(events: &Events, caller: &Caller, mut parameters: Value) -> Result<Value, Fault> {
    for entry in parameters["Entries"].as_array_mut().into_iter().flatten() {
        let Some(entry) = entry.as_object_mut() else {
            continue;
        };
        if let Some(detail) = entry.get_mut("Detail")
            && !detail.is_string()
        {
            *detail = json!(detail.to_string());
        }
        let resources = entry.entry("Resources").or_insert_with(|| json!([]));
        if let Some(resources) = resources.as_array_mut() {
            resources.insert(0, json!(caller.machine_arn));
            resources.insert(1, json!(caller.execution_arn));
        }
    }
    let answer = events.call("PutEvents", parameters).await;
    let answer = answer.map_err(|error| {
        refused(
            "EventBridge",
            "AmazonCloudWatchEvents",
            &exception(&error.code),
            &error,
        )
    })?;
    if answer["FailedEntryCount"].as_i64().unwrap_or(0) > 0 {
        return Err(("EventBridge.FailedEntry".into(), answer.to_string()));
    }
    Ok(with_metadata(answer))
}
