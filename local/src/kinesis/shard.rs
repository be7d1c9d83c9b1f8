//! Shards: which part of the hash keys each has, and what its records' sequence numbers look like.

use md5::{Digest, Md5};
use serde_json::{Value, json};

/// The id of a shard.
pub fn id(index: i64) -> String {
    format!("shardId-{index:012}")
}

/// The shard that an id names, if a stream with so many shards has it.
pub fn index(id: &str, shards: i64) -> Option<i64> {
    let index = id.strip_prefix("shardId-")?.parse().ok()?;
    (0..shards).contains(&index).then_some(index)
}

/// The shard that a partition key's records go to.
pub fn of_key(partition_key: &str, shards: i64) -> i64 {
    let sum: [u8; 16] = Md5::digest(partition_key.as_bytes()).into();
    of_hash(u128::from_be_bytes(sum), shards)
}

/// The shard that a hash key belongs to.
pub fn of_hash(hash: u128, shards: i64) -> i64 {
    let index = hash / width(shards);
    i64::try_from(index).unwrap_or(i64::MAX).min(shards - 1)
}

/// A shard as the API describes it.
pub fn describe(index: i64, shards: i64) -> Value {
    let first = width(shards) * u128::from(index.unsigned_abs());
    let last = if index == shards - 1 {
        u128::MAX
    } else {
        first + (width(shards) - 1)
    };
    json!({
        "ShardId": id(index),
        "HashKeyRange": {"StartingHashKey": first.to_string(), "EndingHashKey": last.to_string()},
        "SequenceNumberRange": {"StartingSequenceNumber": sequence_number(0)},
    })
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

/// Hash keys in each shard (the last one has the remainder too).
fn width(shards: i64) -> u128 {
    match u128::from(shards.unsigned_abs()) {
        0 | 1 => u128::MAX,
        shards => u128::MAX / shards + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_share_all_hash_keys_without_gaps() {
        for shards in [1, 2, 3, 7] {
            let mut next = 0u128;
            for shard in 0..shards {
                let range = &describe(shard, shards)["HashKeyRange"];
                let number = |name: &str| range[name].as_str().unwrap().parse::<u128>().unwrap();
                let (first, last) = (number("StartingHashKey"), number("EndingHashKey"));
                assert_eq!(first, next);
                assert_eq!(
                    (of_hash(first, shards), of_hash(last, shards)),
                    (shard, shard)
                );
                next = last.wrapping_add(1);
            }
            assert_eq!(next, 0, "the last shard ends with the last key");
        }
    }

    #[test]
    fn sequence_numbers_are_read_back() {
        assert_eq!(record_of(&sequence_number(4711)), Some(4711));
        assert_eq!(sequence_number(1).len(), 56);
        assert_eq!(record_of("49x"), None);
        assert!(sequence_number(9) < sequence_number(10));
    }
}
