//! EventBridge.

use std::sync::Arc;

use serde_json::Value;

use crate::sqs::Sqs;
use crate::store::Store;
use crate::wire::AwsError;

/// The default bus, its rules and their targets.
pub struct Events {
    _store: Store,
    _sqs: Arc<Sqs>,
}

impl Events {
    /// Opens the rules in the store.
    pub async fn open(store: Store, sqs: Arc<Sqs>) -> Result<Events, AwsError> {
        Ok(Events {
            _store: store,
            _sqs: sqs,
        })
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, _input: Value) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation("EventBridge", operation, &[]))
    }

    /// Sends an event to the targets of every rule that matches it.
    pub async fn emit(&self, _event: Value) -> Result<(), AwsError> {
        Ok(())
    }
}
