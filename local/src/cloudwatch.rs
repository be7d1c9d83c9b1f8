//! CloudWatch metrics.

use serde_json::Value;

use crate::store::Store;
use crate::wire::AwsError;

/// The metrics.
pub struct CloudWatch {
    _store: Store,
}

impl CloudWatch {
    /// Opens the metrics in the store.
    pub async fn open(store: Store) -> Result<CloudWatch, AwsError> {
        Ok(CloudWatch { _store: store })
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, _input: Value) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation("CloudWatch", operation, &[]))
    }
}
