//! Resharding: a shard is split in two, or two are merged; parents take no more records, children take them on.
//!
//! Whatever puts records chooses their shard in its own transaction, as the closing of a shard is one: no record is
//! written behind a shard's end. Streams are never `UPDATING` here: a shard is split when the call is answered.
//! <https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-resharding.html>

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::shard::Shard;
use super::stream::{SHARDS_MAX, Stream};
use super::{Kinesis, invalid_argument, shard};
use crate::wire::{ACCOUNT, AwsError, now_ms};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SplitShard {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_to_split: String,
    new_starting_hash_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MergeShards {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_to_merge: String,
    adjacent_shard_to_merge: String,
}

impl Kinesis {
    pub(super) async fn split_shard(&self, ask: SplitShard) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        stream.must_be_provisioned()?;
        let key = &ask.new_starting_hash_key;
        let is_number = !key.is_empty() && key.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || key.len() > 39 || (key.len() > 1 && key.starts_with('0')) {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value '{key}' at 'newStartingHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\\d{{0,38}})"
            )));
        }
        let mut transaction = self.store.begin().await?;
        let parent = eligible(&mut transaction, &stream, &ask.shard_to_split).await?;
        let new_first = key
            .parse()
            .ok()
            .filter(|key| *key > parent.first_key.saturating_add(1) && *key < parent.last_key);
        let Some(new_first) = new_first else {
            return Err(invalid_argument(format!(
                "NewStartingHashKey {key} used in SplitShard() on shard {} in stream {} under account {ACCOUNT} is not both greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
                ask.shard_to_split, stream.name, parent.first_key, parent.last_key
            )));
        };
        let shards = shard::open(&mut transaction, stream.id).await?.len();
        if i64::try_from(shards).is_ok_and(|shards| shards >= SHARDS_MAX) {
            return Err(AwsError::bad_request(
                "LimitExceededException",
                format!(
                    "This request would exceed the shard limit for the stream {} under account {ACCOUNT}. Current shard count: {shards}. Limit: {SHARDS_MAX}. Number of additional shards that would have resulted from this request: 1.",
                    stream.name
                ),
            ));
        }
        let ranges = [
            (parent.first_key, new_first - 1),
            (new_first, parent.last_key),
        ];
        replace(&mut transaction, &stream, &[&parent], &ranges).await?;
        transaction.commit().await?;
        Ok(json!({}))
    }

    pub(super) async fn merge_shards(&self, ask: MergeShards) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        stream.must_be_provisioned()?;
        let mut transaction = self.store.begin().await?;
        let one = eligible(&mut transaction, &stream, &ask.shard_to_merge).await?;
        let other = eligible(&mut transaction, &stream, &ask.adjacent_shard_to_merge).await?;
        let range = if one.is_right_before(&other) {
            (one.first_key, other.last_key)
        } else if other.is_right_before(&one) {
            (other.first_key, one.last_key)
        } else {
            return Err(invalid_argument(format!(
                "Shards {} and {} in stream {} under account {ACCOUNT} are not an adjacent pair of shards eligible for merging",
                ask.shard_to_merge, ask.adjacent_shard_to_merge, stream.name
            )));
        };
        replace(&mut transaction, &stream, &[&one, &other], &[range]).await?;
        transaction.commit().await?;
        Ok(json!({}))
    }
}

impl Stream {
    fn must_be_provisioned(&self) -> Result<(), AwsError> {
        if self.is_on_demand() {
            return Err(AwsError::validation(format!(
                "Request is invalid. Stream {} under account {ACCOUNT} is in On-Demand mode.",
                self.name
            )));
        }
        Ok(())
    }
}

/// The shard of that id, if it is open.
async fn eligible(
    connection: &mut SqliteConnection,
    stream: &Stream,
    id: &str,
) -> Result<Shard, AwsError> {
    let found = shard::named(connection, stream, id).await?.ok_or_else(|| {
        AwsError::bad_request(
            "ResourceNotFoundException",
            format!(
                "Could not find shard {id} in stream {} under account {ACCOUNT}.",
                stream.name
            ),
        )
    })?;
    if !found.is_open() {
        return Err(invalid_argument(format!(
            "Shard {id} in stream {} under account {ACCOUNT} has already been merged or split, and thus is not eligible for merging or splitting.",
            stream.name
        )));
    }
    Ok(found)
}

/// Closes the parents and opens a child for each range.
async fn replace(
    connection: &mut SqliteConnection,
    stream: &Stream,
    parents: &[&Shard],
    ranges: &[(u128, u128)],
) -> Result<(), AwsError> {
    let now_ms = now_ms();
    let end = spend_number(connection, stream).await?;
    for parent in parents {
        sqlx::query(
            "UPDATE kinesis_shards SET last_record = ?, closed_at_ms = ? WHERE stream = ? AND number = ?",
        )
        .bind(end)
        .bind(now_ms)
        .bind(stream.id)
        .bind(parent.number)
        .execute(&mut *connection)
        .await?;
    }
    let newest: i64 = sqlx::query_scalar("SELECT MAX(number) FROM kinesis_shards WHERE stream = ?")
        .bind(stream.id)
        .fetch_one(&mut *connection)
        .await?;
    for (number, (first_key, last_key)) in (newest + 1..).zip(ranges) {
        let child = Shard {
            number,
            parent: parents.first().map(|parent| parent.number),
            adjacent_parent: parents.get(1).map(|parent| parent.number),
            first_key: *first_key,
            last_key: *last_key,
            first_record: end + 1,
            last_record: None,
        };
        shard::add(connection, stream.id, &child, now_ms).await?;
    }
    Ok(())
}

/// A number behind every record's that no record will have: where shards end, whether they had records or not.
async fn spend_number(
    connection: &mut SqliteConnection,
    stream: &Stream,
) -> Result<i64, sqlx::Error> {
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO kinesis_records (stream, shard, partition_key, data, arrived_at_ms)
         VALUES (?, -1, '', x'', 0) RETURNING id",
    )
    .bind(stream.id)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM kinesis_records WHERE id = ?")
        .bind(number)
        .execute(connection)
        .await?;
    Ok(number)
}
