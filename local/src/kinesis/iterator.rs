//! Shard iterators: a place in a shard, good for five minutes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::invalid_argument;
use crate::wire::AwsError;

/// How long an iterator is good, milliseconds.
const GOOD_FOR_MS: i64 = 300_000;

/// A place in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardIterator {
    /// The stream's row: a stream that was made anew under the same name is another one.
    pub stream: i64,
    /// The stream's name.
    pub name: String,
    /// Which shard.
    pub shard: i64,
    /// The last record before the place.
    pub after: i64,
    /// When it was handed out, milliseconds since the epoch.
    pub issued_at_ms: i64,
}

impl ShardIterator {
    /// The iterator as clients see it.
    pub fn token(&self) -> String {
        let json = serde_json::to_vec(self).expect("numbers and a name are JSON");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads an iterator; errors with `InvalidArgumentException` or `ExpiredIteratorException`.
    pub fn parse(token: &str, now_ms: i64) -> Result<ShardIterator, AwsError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let iterator: ShardIterator = bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| invalid_argument("Invalid ShardIterator."))?;
        if now_ms - iterator.issued_at_ms > GOOD_FOR_MS {
            return Err(AwsError::bad_request(
                "ExpiredIteratorException",
                format!(
                    "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than the tolerated delay of {GOOD_FOR_MS} milliseconds.",
                    time(iterator.issued_at_ms),
                    time(now_ms),
                ),
            ));
        }
        Ok(iterator)
    }
}

fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iterator_expires_after_five_minutes() {
        let iterator = ShardIterator {
            stream: 1,
            name: "s".into(),
            shard: 0,
            after: 7,
            issued_at_ms: 1_000,
        };
        let token = iterator.token();
        assert_eq!(ShardIterator::parse(&token, 301_000).unwrap(), iterator);
        assert_eq!(
            ShardIterator::parse(&token, 301_001).unwrap_err().code,
            "ExpiredIteratorException"
        );
        assert_eq!(
            ShardIterator::parse("no", 0).unwrap_err().code,
            "InvalidArgumentException"
        );
    }
}
