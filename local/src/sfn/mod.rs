//! Step Functions.

use std::sync::Arc;

use serde_json::Value;

use crate::events::Events;
use crate::lambda::Lambda;
use crate::store::Store;
use crate::wire::AwsError;

/// State machines and their executions.
pub struct Sfn {
    _store: Store,
    _lambda: Arc<Lambda>,
    _events: Arc<Events>,
}

impl Sfn {
    /// Opens the executions in the store and goes on with those that were running.
    pub async fn open(
        store: Store,
        lambda: Arc<Lambda>,
        events: Arc<Events>,
    ) -> Result<Arc<Sfn>, AwsError> {
        Ok(Arc::new(Sfn {
            _store: store,
            _lambda: lambda,
            _events: events,
        }))
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, _input: Value) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation(
            "Step Functions",
            operation,
            &[],
        ))
    }
}
