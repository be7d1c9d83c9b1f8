//! Kinesis Data Streams in the one store.
//!
//! Owns streams, their shards, which are split and merged, and the records until their retention ends. Sequence
//! numbers grow over the whole stream, which is more than AWS promises (it promises it by shard). Refuses resharding
//! to a count (UpdateShardCount), throughput limits, consumers with enhanced fan-out and encryption.
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html>

mod iterator;
mod record;
mod reshard;
mod shard;
mod stream;

use std::sync::atomic::AtomicI64;

use bytes::Bytes;
use serde_json::Value;

use crate::store::Store;
use crate::wire::{ACCOUNT, AwsError, REGION, input};

/// What this module answers.
const OPERATIONS: &[&str] = &[
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteStream",
    "DescribeStream",
    "DescribeStreamSummary",
    "GetRecords",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListShards",
    "ListStreams",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "SplitShard",
];

/// The streams.
pub struct Kinesis {
    store: Store,
    /// When records past their retention were last removed, in milliseconds since the epoch.
    trimmed_at_ms: AtomicI64,
}

impl Kinesis {
    /// Opens the streams in the store.
    pub async fn open(store: Store) -> Result<Kinesis, AwsError> {
        for statement in [
            "CREATE TABLE IF NOT EXISTS kinesis_streams (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                name TEXT NOT NULL UNIQUE,
                mode TEXT NOT NULL,
                shards INTEGER NOT NULL,
                retention_hours INTEGER NOT NULL,
                created_at_ms INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS kinesis_records (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                stream INTEGER NOT NULL REFERENCES kinesis_streams (id) ON DELETE CASCADE,
                shard INTEGER NOT NULL,
                partition_key TEXT NOT NULL,
                data BLOB NOT NULL,
                arrived_at_ms INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS kinesis_shards (
                stream INTEGER NOT NULL REFERENCES kinesis_streams (id) ON DELETE CASCADE,
                number INTEGER NOT NULL,
                parent INTEGER,
                adjacent_parent INTEGER,
                first_key TEXT NOT NULL,
                last_key TEXT NOT NULL,
                first_record INTEGER NOT NULL,
                last_record INTEGER,
                opened_at_ms INTEGER NOT NULL,
                closed_at_ms INTEGER,
                PRIMARY KEY (stream, number))",
            "CREATE INDEX IF NOT EXISTS kinesis_records_shard ON kinesis_records (stream, shard, id)",
            "CREATE INDEX IF NOT EXISTS kinesis_records_arrived ON kinesis_records (stream, arrived_at_ms)",
        ] {
            sqlx::query(statement).execute(&store.db).await?;
        }
        stream::add_missing_shards(&store).await?;
        Ok(Kinesis {
            store,
            trimmed_at_ms: AtomicI64::new(0),
        })
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        match operation {
            "CreateStream" => self.create_stream(input(body)?).await,
            "DeleteStream" => self.delete_stream(input(body)?).await,
            "DescribeStream" => self.describe_stream(input(body)?).await,
            "DescribeStreamSummary" => self.describe_stream_summary(input(body)?).await,
            "ListStreams" => self.list_streams(input(body)?).await,
            "ListShards" => self.list_shards(input(body)?).await,
            "IncreaseStreamRetentionPeriod" | "DecreaseStreamRetentionPeriod" => {
                self.change_retention(input(body)?).await
            }
            "PutRecord" => self.put_record(input(body)?).await,
            "PutRecords" => self.put_records(input(body)?).await,
            "GetShardIterator" => self.get_shard_iterator(input(body)?).await,
            "GetRecords" => self.get_records(input(body)?).await,
            "SplitShard" => self.split_shard(input(body)?).await,
            "MergeShards" => self.merge_shards(input(body)?).await,
            _ => Err(AwsError::unknown_operation(
                "Kinesis", operation, OPERATIONS,
            )),
        }
    }

    /// Puts a record on a stream, for the other services. Durable when it returns.
    pub async fn put(
        &self,
        stream_arn: &str,
        partition_key: &str,
        data: Bytes,
    ) -> Result<(), AwsError> {
        let stream = self.stream(Some(stream_arn), None).await?;
        let hash = shard::hash_of(partition_key);
        let mut transaction = self.store.begin().await?;
        let shard = shard::open_at(&mut transaction, stream.id, hash)
            .await?
            .ok_or_else(|| stream.not_found())?;
        record::insert(
            &mut transaction,
            &stream,
            shard.number,
            partition_key,
            &data,
        )
        .await?;
        transaction.commit().await?;
        self.trim(&stream).await
    }
}

/// The ARN of a stream.
fn arn(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}

fn invalid_argument(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidArgumentException", message)
}
