//! Lambda: functions, versions, aliases, invocations.

pub mod api;
pub mod runtime;

use std::sync::Arc;

use bytes::Bytes;

use crate::cloudwatch::CloudWatch;
use crate::config::Config;
use crate::logs::Logs;
use crate::registry::Registry;
use crate::store::Store;
use crate::wire::AwsError;

/// What an invocation came to.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What the function answered, or the error object when `function_error` is set.
    pub payload: Bytes,
    /// `Unhandled` when the function failed: its error type and message are in the payload
    /// (`errorType`, `errorMessage`).
    pub function_error: Option<String>,
    /// The version that ran.
    pub executed_version: String,
}

/// The functions and their sandboxes.
pub struct Lambda {
    _store: Store,
}

impl Lambda {
    /// Opens the functions in the store.
    pub async fn open(
        store: Store,
        _config: &Config,
        _registry: Arc<Registry>,
        _logs: Arc<Logs>,
        _cloudwatch: Arc<CloudWatch>,
    ) -> Result<Arc<Lambda>, AwsError> {
        Ok(Arc::new(Lambda { _store: store }))
    }

    /// Invokes a function and waits for its answer. `function` is a name or an ARN, with or without
    /// a version or alias. Dropping the future does not stop the invocation.
    ///
    /// Errors are Lambda's own (`ResourceNotFoundException`, `TooManyRequestsException`, …); a function
    /// that failed is not an error but an [`Invocation`] with `function_error`.
    pub async fn invoke(&self, function: &str, _payload: Bytes) -> Result<Invocation, AwsError> {
        Err(AwsError::new(
            404,
            "ResourceNotFoundException",
            format!("Function not found: {function}"),
        ))
    }

    /// Ends every sandbox.
    pub async fn shutdown(&self) {}
}
