//! Records: putting them on shards, reading them from a place on, removing them when their time is over, and closed
//! shards with them.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection};

use super::iterator::ShardIterator;
use super::shard::Shard;
use super::stream::Stream;
use super::{Kinesis, invalid_argument, shard};
use crate::wire::{ACCOUNT, AwsError, epoch_seconds, now_ms};

/// Most bytes of a record.
const RECORD_BYTES_MAX: usize = 10 << 20;
/// Most records in one PutRecords.
const PUT_MAX: usize = 500;
/// Most records, and about the most bytes, in one answer of GetRecords.
const GET_MAX: i64 = 10_000;
const GET_BYTES_MAX: i64 = 10 << 20;
/// How often old records are removed, milliseconds.
const TRIM_EVERY_MS: i64 = 60_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecord {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRecords {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    records: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    /// Base64.
    data: String,
    partition_key: String,
    explicit_hash_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetShardIterator {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_id: String,
    shard_iterator_type: String,
    starting_sequence_number: Option<String>,
    /// Epoch seconds.
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetRecords {
    shard_iterator: String,
    limit: Option<i64>,
}

/// Writes a record; returns its row, which is its sequence number too.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    stream: &Stream,
    shard: i64,
    partition_key: &str,
    data: &[u8],
) -> Result<i64, AwsError> {
    let written = sqlx::query(
        "INSERT INTO kinesis_records (stream, shard, partition_key, data, arrived_at_ms)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(stream.id)
    .bind(shard)
    .bind(partition_key)
    .bind(data)
    .bind(now_ms())
    .execute(connection)
    .await?;
    Ok(written.last_insert_rowid())
}

impl Entry {
    /// The record's bytes and its hash key.
    fn read(&self) -> Result<(Vec<u8>, u128), AwsError> {
        if self.partition_key.is_empty() || self.partition_key.chars().count() > 256 {
            return Err(AwsError::validation(
                "1 validation error detected: Value at 'partitionKey' failed to satisfy constraint: Member must have length between 1 and 256",
            ));
        }
        let data = STANDARD
            .decode(&self.data)
            .map_err(|error| AwsError::bad_request("SerializationException", error.to_string()))?;
        if data.len() > RECORD_BYTES_MAX {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to {RECORD_BYTES_MAX}"
            )));
        }
        let hash = match &self.explicit_hash_key {
            None => shard::hash_of(&self.partition_key),
            Some(hash) => hash.parse().map_err(|_| {
                invalid_argument(format!("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {hash}"))
            })?,
        };
        Ok((data, hash))
    }
}

impl Kinesis {
    pub(super) async fn put_record(&self, ask: PutRecord) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        let mut written = self.write(&stream, &[ask.entry]).await?;
        let mut answer = written.pop().unwrap_or_default();
        answer["EncryptionType"] = json!("NONE");
        Ok(answer)
    }

    pub(super) async fn put_records(&self, ask: PutRecords) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        if ask.records.is_empty() || ask.records.len() > PUT_MAX {
            return Err(AwsError::validation(
                "1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length between 1 and 500",
            ));
        }
        let written = self.write(&stream, &ask.records).await?;
        Ok(json!({"FailedRecordCount": 0, "Records": written, "EncryptionType": "NONE"}))
    }

    async fn write(&self, stream: &Stream, entries: &[Entry]) -> Result<Vec<Value>, AwsError> {
        let read: Vec<(Vec<u8>, u128)> =
            entries.iter().map(Entry::read).collect::<Result<_, _>>()?;
        let mut transaction = self.store.begin().await?;
        let open = shard::open(&mut transaction, stream.id).await?;
        let mut written = Vec::with_capacity(entries.len());
        for (entry, (data, hash)) in entries.iter().zip(&read) {
            let shard = open.iter().find(|shard| shard.has(*hash));
            let shard = shard.ok_or_else(|| stream.not_found())?.number;
            let row = insert(&mut transaction, stream, shard, &entry.partition_key, data).await?;
            written.push(json!({
                "ShardId": shard::id(shard), "SequenceNumber": shard::sequence_number(row),
            }));
        }
        transaction.commit().await?;
        self.trim(stream).await?;
        Ok(written)
    }

    pub(super) async fn get_shard_iterator(
        &self,
        ask: GetShardIterator,
    ) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        let mut connection = self.store.db.acquire().await?;
        let shard = shard::named(&mut connection, &stream, &ask.shard_id)
            .await?
            .ok_or_else(|| {
                AwsError::bad_request(
                    "ResourceNotFoundException",
                    format!(
                        "Shard {} in stream {} under account {ACCOUNT} does not exist",
                        ask.shard_id, stream.name
                    ),
                )
            })?;
        drop(connection);
        let sequence = || {
            let number = ask.starting_sequence_number.as_deref();
            let record = number.and_then(shard::record_of).filter(|record| {
                *record >= shard.first_record
                    && shard.last_record.is_none_or(|last| *record <= last)
            });
            record.ok_or_else(|| {
                invalid_argument(format!(
                    "StartingSequenceNumber {} used in GetShardIterator on shard {} in stream {} under account {ACCOUNT} is invalid.",
                    number.unwrap_or("null"), ask.shard_id, stream.name
                ))
            })
        };
        let after = match ask.shard_iterator_type.as_str() {
            "TRIM_HORIZON" => 0,
            "LATEST" => self.last_before(&stream, shard.number, i64::MAX).await?,
            "AT_SEQUENCE_NUMBER" => sequence()? - 1,
            "AFTER_SEQUENCE_NUMBER" => sequence()?,
            "AT_TIMESTAMP" => {
                let at = ask.timestamp.ok_or_else(|| {
                    invalid_argument(
                        "Must specify timestamp parameter for iterator of type AT_TIMESTAMP.",
                    )
                })?;
                self.last_before(&stream, shard.number, (at * 1000.0).ceil() as i64)
                    .await?
            }
            other => {
                return Err(AwsError::validation(format!(
                    "1 validation error detected: Value '{other}' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
                )));
            }
        };
        let iterator = ShardIterator {
            stream: stream.id,
            name: stream.name,
            shard: shard.number,
            after,
            issued_at_ms: now_ms(),
        };
        Ok(json!({"ShardIterator": iterator.token()}))
    }

    /// The last record of a shard that arrived before that moment; 0 when there is none.
    async fn last_before(&self, stream: &Stream, shard: i64, at_ms: i64) -> Result<i64, AwsError> {
        let last: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM kinesis_records WHERE stream = ? AND shard = ? AND arrived_at_ms < ?
             ORDER BY id DESC LIMIT 1",
        )
        .bind(stream.id)
        .bind(shard)
        .bind(at_ms)
        .fetch_optional(&self.store.db)
        .await?;
        Ok(last.unwrap_or(0))
    }

    pub(super) async fn get_records(&self, ask: GetRecords) -> Result<Value, AwsError> {
        let now_ms = now_ms();
        let mut place = ShardIterator::parse(&ask.shard_iterator, now_ms)?;
        let limit = ask.limit.unwrap_or(GET_MAX);
        if !(1..=GET_MAX).contains(&limit) {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to {GET_MAX}"
            )));
        }
        let stream = self.stream(None, Some(&place.name)).await?;
        if stream.id != place.stream {
            return Err(invalid_argument(
                "The stream of this ShardIterator was deleted.",
            ));
        }
        // One transaction: what is read, whether that is the end, and what comes after it.
        let mut reading = self.store.db.begin().await?;
        // The running total ends a page by size without reading the records behind it; the first always comes.
        let rows = sqlx::query(
            "SELECT id, partition_key, data, arrived_at_ms FROM (
                SELECT id, partition_key, data, arrived_at_ms,
                       SUM(length(data)) OVER (ORDER BY id) - length(data) AS before
                FROM (SELECT id, partition_key, data, arrived_at_ms FROM kinesis_records
                      WHERE stream = ? AND shard = ? AND id > ? AND arrived_at_ms > ?
                      ORDER BY id LIMIT ?))
             WHERE before < ? ORDER BY id",
        )
        .bind(place.stream)
        .bind(place.shard)
        .bind(place.after)
        .bind(stream.kept_since_ms(now_ms))
        .bind(limit)
        .bind(GET_BYTES_MAX)
        .fetch_all(&mut *reading)
        .await?;
        let mut records = Vec::with_capacity(rows.len());
        let mut last_at_ms = None;
        for row in &rows {
            place.after = row.try_get("id")?;
            let arrived_at_ms = row.try_get("arrived_at_ms")?;
            last_at_ms = Some(arrived_at_ms);
            records.push(json!({
                "SequenceNumber": shard::sequence_number(place.after),
                "ApproximateArrivalTimestamp": epoch_seconds(arrived_at_ms),
                "Data": STANDARD.encode(row.try_get::<&[u8], _>("data")?),
                "PartitionKey": row.try_get::<&str, _>("partition_key")?,
                "EncryptionType": "NONE",
            }));
        }
        let more = more_after(&mut reading, &place, stream.kept_since_ms(now_ms)).await?;
        let behind_ms = match last_at_ms {
            Some(at_ms) if more => (now_ms - at_ms).max(0),
            _ => 0,
        };
        let mut answer = json!({"Records": records, "MillisBehindLatest": behind_ms});
        if more || shard::is_open(&mut reading, stream.id, place.shard).await? {
            place.issued_at_ms = now_ms;
            answer["NextShardIterator"] = json!(place.token());
        } else {
            let children = shard::children(&mut reading, stream.id, place.shard).await?;
            let children: Vec<Value> = children.iter().map(Shard::describe_child).collect();
            answer["ChildShards"] = json!(children);
        }
        Ok(answer)
    }

    /// Removes records past their retention, once a minute at most.
    pub(super) async fn trim(&self, stream: &Stream) -> Result<(), AwsError> {
        let now_ms = now_ms();
        let last_ms = self.trimmed_at_ms.load(Ordering::Relaxed);
        if now_ms - last_ms < TRIM_EVERY_MS {
            return Ok(());
        }
        self.trimmed_at_ms.store(now_ms, Ordering::Relaxed);
        for statement in [
            "DELETE FROM kinesis_records WHERE stream = ? AND arrived_at_ms <= ?",
            "DELETE FROM kinesis_shards WHERE stream = ? AND closed_at_ms <= ?",
        ] {
            sqlx::query(statement)
                .bind(stream.id)
                .bind(stream.kept_since_ms(now_ms))
                .execute(&self.store.db)
                .await?;
        }
        Ok(())
    }
}

/// Whether a shard has records behind a place that are still kept.
async fn more_after(
    connection: &mut SqliteConnection,
    place: &ShardIterator,
    kept_since_ms: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM kinesis_records
         WHERE stream = ? AND shard = ? AND id > ? AND arrived_at_ms > ?)",
    )
    .bind(place.stream)
    .bind(place.shard)
    .bind(place.after)
    .bind(kept_since_ms)
    .fetch_one(connection)
    .await
}
