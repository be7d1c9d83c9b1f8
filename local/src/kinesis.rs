//! Kinesis Data Streams.

use bytes::Bytes;
use serde_json::Value;

use crate::store::Store;
use crate::wire::AwsError;

/// The streams.
pub struct Kinesis {
    _store: Store,
}

impl Kinesis {
    /// Opens the streams in the store.
    pub async fn open(store: Store) -> Result<Kinesis, AwsError> {
        Ok(Kinesis { _store: store })
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, _input: Value) -> Result<Value, AwsError> {
        Err(AwsError::unknown_operation("Kinesis", operation, &[]))
    }

    /// Puts a record on a stream, for the other services. Durable when it returns.
    pub async fn put(
        &self,
        _stream_arn: &str,
        _partition_key: &str,
        _data: Bytes,
    ) -> Result<(), AwsError> {
        Ok(())
    }
}
