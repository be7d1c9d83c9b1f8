//! Shards: which part of the hash keys each has, from which it came, and what its records' sequence numbers look like.
//!
//! Owns the rows of `kinesis_shards`. A shard's row never changes but for its end; it goes when the retention since
//! then is over. The newest shard is always open, so that numbers are not given twice.

use md5::{Digest, Md5};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::stream::Stream;
use crate::wire::now_ms;

/// A shard as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The number in its id.
    pub number: i64,
    /// The shard that it was split from, or the one that was merged.
    pub parent: Option<i64>,
    /// The other one that was merged.
    pub adjacent_parent: Option<i64>,
    /// The first of its hash keys.
    pub first_key: u128,
    /// The last of its hash keys.
    pub last_key: u128,
    /// No record of it has a lower number.
    pub first_record: i64,
    /// No record of it has a higher number; none while it is open.
    pub last_record: Option<i64>,
}

impl Shard {
    /// Whether it takes records.
    pub fn is_open(&self) -> bool {
        self.last_record.is_none()
    }

    /// Whether a hash key is one of its own.
    pub fn has(&self, hash: u128) -> bool {
        (self.first_key..=self.last_key).contains(&hash)
    }

    /// Whether the other one's hash keys begin right behind its own.
    pub fn is_right_before(&self, other: &Shard) -> bool {
        self.last_key.checked_add(1) == Some(other.first_key)
    }

    /// It as ListShards and DescribeStream describe it.
    pub fn describe(&self) -> Value {
        let mut shard = json!({
            "ShardId": id(self.number),
            "HashKeyRange": self.hash_key_range(),
            "SequenceNumberRange": {"StartingSequenceNumber": sequence_number(self.first_record)},
        });
        if let Some(parent) = self.parent {
            shard["ParentShardId"] = json!(id(parent));
        }
        if let Some(parent) = self.adjacent_parent {
            shard["AdjacentParentShardId"] = json!(id(parent));
        }
        if let Some(last) = self.last_record {
            shard["SequenceNumberRange"]["EndingSequenceNumber"] = json!(sequence_number(last));
        }
        shard
    }

    /// It as GetRecords describes it at the end of a shard that it came from.
    pub fn describe_child(&self) -> Value {
        let parents = [self.parent, self.adjacent_parent];
        let parents: Vec<String> = parents.into_iter().flatten().map(id).collect();
        json!({
            "ShardId": id(self.number), "ParentShards": parents, "HashKeyRange": self.hash_key_range(),
        })
    }

    fn hash_key_range(&self) -> Value {
        json!({"StartingHashKey": self.first_key.to_string(), "EndingHashKey": self.last_key.to_string()})
    }
}

/// The shards that a stream begins with: equal parts of all hash keys, the remainder with the last.
pub fn equal(shards: i64) -> Vec<Shard> {
    let width = match u128::from(shards.unsigned_abs()) {
        0 | 1 => u128::MAX,
        shards => u128::MAX / shards + 1,
    };
    (0..shards.max(1))
        .map(|number| {
            let first_key = width * u128::from(number.unsigned_abs());
            Shard {
                number,
                parent: None,
                adjacent_parent: None,
                first_key,
                last_key: if number + 1 >= shards {
                    u128::MAX
                } else {
                    first_key + (width - 1)
                },
                first_record: 0,
                last_record: None,
            }
        })
        .collect()
}

/// The hash key of a partition key.
pub fn hash_of(partition_key: &str) -> u128 {
    let sum: [u8; 16] = Md5::digest(partition_key.as_bytes()).into();
    u128::from_be_bytes(sum)
}

/// The id of a shard.
pub fn id(number: i64) -> String {
    format!("shardId-{number:012}")
}

/// The number in a shard's id.
pub fn number_of(id: &str) -> Option<i64> {
    let number = id.strip_prefix("shardId-")?.parse().ok()?;
    (number >= 0).then_some(number)
}

/// The sequence number of a record: 56 digits as AWS's, so that comparing texts compares numbers.
pub fn sequence_number(record: i64) -> String {
    format!("49{record:054}")
}

/// The record that a sequence number stands for.
pub fn record_of(sequence_number: &str) -> Option<i64> {
    if sequence_number.len() != 56 {
        return None;
    }
    sequence_number.strip_prefix("49")?.parse().ok()
}

/// Which of a stream's shards are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Those with higher numbers.
    pub after: i64,
    /// Those that were there at that moment, milliseconds since the epoch.
    pub opened_by_ms: i64,
    /// Those that were still open at that moment, milliseconds since the epoch.
    pub closed_after_ms: i64,
}

impl Choice {
    /// All of a stream's shards but those whose records are all past the retention: of a closed shard they are when
    /// the retention since its end is over.
    pub fn all(stream: &Stream) -> Choice {
        Choice {
            after: -1,
            opened_by_ms: i64::MAX,
            closed_after_ms: stream.kept_since_ms(now_ms()),
        }
    }
}

/// Writes a new shard.
pub async fn add(
    connection: &mut SqliteConnection,
    stream: i64,
    shard: &Shard,
    opened_at_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO kinesis_shards
         (stream, number, parent, adjacent_parent, first_key, last_key, first_record, opened_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(stream)
    .bind(shard.number)
    .bind(shard.parent)
    .bind(shard.adjacent_parent)
    .bind(key_text(shard.first_key))
    .bind(key_text(shard.last_key))
    .bind(shard.first_record)
    .bind(opened_at_ms)
    .execute(connection)
    .await?;
    Ok(())
}

/// The shards that take records.
pub async fn open(
    connection: &mut SqliteConnection,
    stream: i64,
) -> Result<Vec<Shard>, sqlx::Error> {
    sqlx::query(
        "SELECT * FROM kinesis_shards WHERE stream = ? AND last_record IS NULL ORDER BY first_key",
    )
    .bind(stream)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Whether a shard takes records; one that is gone does not.
pub async fn is_open(
    connection: &mut SqliteConnection,
    stream: i64,
    number: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM kinesis_shards
         WHERE stream = ? AND number = ? AND last_record IS NULL)",
    )
    .bind(stream)
    .bind(number)
    .fetch_one(connection)
    .await
}

/// The open shard that a hash key's records go to.
pub async fn open_at(
    connection: &mut SqliteConnection,
    stream: i64,
    hash: u128,
) -> Result<Option<Shard>, sqlx::Error> {
    let hash = key_text(hash);
    sqlx::query(
        "SELECT * FROM kinesis_shards
         WHERE stream = ?1 AND last_record IS NULL AND first_key <= ?2 AND last_key >= ?2",
    )
    .bind(stream)
    .bind(hash)
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(read)
    .transpose()
}

/// The shards chosen, by their numbers.
pub async fn list(
    connection: &mut SqliteConnection,
    stream: i64,
    choice: Choice,
    limit: i64,
) -> Result<Vec<Shard>, sqlx::Error> {
    sqlx::query(
        "SELECT * FROM kinesis_shards WHERE stream = ? AND number > ? AND opened_at_ms <= ?
         AND (closed_at_ms IS NULL OR closed_at_ms > ?) ORDER BY number LIMIT ?",
    )
    .bind(stream)
    .bind(choice.after)
    .bind(choice.opened_by_ms)
    .bind(choice.closed_after_ms)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The shard that an id names, if it is listed.
pub async fn named(
    connection: &mut SqliteConnection,
    stream: &Stream,
    id: &str,
) -> Result<Option<Shard>, sqlx::Error> {
    let Some(number) = number_of(id) else {
        return Ok(None);
    };
    let choice = Choice {
        after: number - 1,
        ..Choice::all(stream)
    };
    let found = list(connection, stream.id, choice, 1).await?;
    Ok(found.into_iter().find(|shard| shard.number == number))
}

/// The shards that came from another one.
pub async fn children(
    connection: &mut SqliteConnection,
    stream: i64,
    parent: i64,
) -> Result<Vec<Shard>, sqlx::Error> {
    sqlx::query(
        "SELECT * FROM kinesis_shards
         WHERE stream = ?1 AND (parent = ?2 OR adjacent_parent = ?2) ORDER BY number",
    )
    .bind(stream)
    .bind(parent)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// A hash key such that comparing texts compares keys.
fn key_text(key: u128) -> String {
    format!("{key:032x}")
}

fn read(row: &SqliteRow) -> Result<Shard, sqlx::Error> {
    let key = |column: &str| {
        u128::from_str_radix(row.try_get(column)?, 16)
            .map_err(|error| sqlx::Error::Decode(error.into()))
    };
    Ok(Shard {
        number: row.try_get("number")?,
        parent: row.try_get("parent")?,
        adjacent_parent: row.try_get("adjacent_parent")?,
        first_key: key("first_key")?,
        last_key: key("last_key")?,
        first_record: row.try_get("first_record")?,
        last_record: row.try_get("last_record")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_share_all_hash_keys_without_gaps() {
        for count in [1, 2, 3, 7] {
            let shards = equal(count);
            assert_eq!(shards.len(), usize::try_from(count).unwrap());
            assert_eq!(shards[0].first_key, 0);
            assert_eq!(shards.last().unwrap().last_key, u128::MAX);
            for pair in shards.windows(2) {
                assert!(pair[0].is_right_before(&pair[1]));
                assert!(!pair[1].is_right_before(&pair[0]));
            }
            for shard in &shards {
                for key in [shard.first_key, shard.last_key] {
                    let having = shards.iter().filter(|other| other.has(key));
                    assert_eq!(having.collect::<Vec<_>>(), [shard]);
                }
            }
        }
    }

    #[test]
    fn the_ends_of_all_hash_keys_are_not_adjacent() {
        let shards = equal(3);
        assert!(!shards[2].is_right_before(&shards[0]));
        assert!(!shards[0].is_right_before(&shards[2]));
        assert!(!shards[0].is_right_before(&shards[0]));
    }

    #[test]
    fn keys_as_texts_are_in_the_order_of_keys() {
        let keys = [0, 1, 15, 16, u128::MAX / 2, u128::MAX];
        assert!(keys.map(key_text).is_sorted());
        assert_eq!(key_text(u128::MAX).len(), key_text(0).len());
    }

    #[test]
    fn a_shard_says_where_it_came_from_and_whether_it_has_ended() {
        let mut shard = equal(1).remove(0);
        let told = shard.describe();
        assert_eq!(told["HashKeyRange"]["EndingHashKey"], u128::MAX.to_string());
        assert!(told["ParentShardId"].is_null());
        assert!(told["SequenceNumberRange"]["EndingSequenceNumber"].is_null());
        (shard.number, shard.parent, shard.adjacent_parent) = (3, Some(1), Some(2));
        shard.last_record = Some(9);
        let told = shard.describe();
        assert_eq!(told["ShardId"], id(3));
        assert_eq!(told["ParentShardId"], id(1));
        assert_eq!(told["AdjacentParentShardId"], id(2));
        assert_eq!(
            told["SequenceNumberRange"]["EndingSequenceNumber"],
            sequence_number(9)
        );
        assert_eq!(
            shard.describe_child()["ParentShards"],
            json!([id(1), id(2)])
        );
    }

    #[test]
    fn ids_and_sequence_numbers_are_read_back() {
        assert_eq!(number_of(&id(4711)), Some(4711));
        assert_eq!(number_of("shardId--1"), None);
        assert_eq!(number_of("4711"), None);
        assert_eq!(record_of(&sequence_number(4711)), Some(4711));
        assert_eq!(sequence_number(1).len(), 56);
        assert_eq!(record_of("49x"), None);
        assert!(sequence_number(9) < sequence_number(10));
    }
}
