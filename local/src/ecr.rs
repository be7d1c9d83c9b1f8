//! ECR's API over the registry.

use std::sync::Arc;

use serde_json::Value;

use crate::registry::Registry;
use crate::wire::AwsError;

/// ECR.
pub struct Ecr {
    _registry: Arc<Registry>,
}

impl Ecr {
    /// ECR over the given registry.
    pub fn new(registry: Arc<Registry>) -> Ecr {
        Ecr {
            _registry: registry,
        }
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, _input: Value) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation("ECR", operation, &[]))
    }
}
