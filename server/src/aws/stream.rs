//! Kinesis Data Streams: the telemetry stream, shard by shard.
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>

use aws_config::SdkConfig;
use aws_sdk_kinesis::{Client, types::ShardIteratorType};
use bytes::Bytes;

use super::{Api, AwsError, call::Calls};

/// Records asked for in one call.
const RECORDS_MAX: i32 = 1_000;

/// The telemetry stream.
#[derive(Debug, Clone)]
pub struct Stream {
    client: Client,
    pub(super) calls: Calls,
    name: String,
}

/// What one GetRecords brought.
#[derive(Debug)]
pub struct Records {
    /// The data of each record, oldest first.
    pub data: Vec<Bytes>,
    /// The last record's sequence number; none when there was no record.
    pub sequence: Option<String>,
    /// For the next call; none when the shard is closed and was read to its end.
    pub next: Option<String>,
    /// How far behind the newest record this is.
    pub behind_ms: i64,
}

/// A shard of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    pub id: String,
    /// The shard it was split from, or the two it was merged from.
    pub parents: Vec<String>,
    /// Whether it takes no more records.
    pub closed: bool,
}

impl Stream {
    pub(super) fn new(shared: &SdkConfig, calls: Calls, name: &str) -> Stream {
        Stream {
            client: Client::new(shared),
            calls,
            name: name.to_owned(),
        }
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every shard, closed ones that still hold records included.
    pub async fn shards(&self) -> Result<Vec<Shard>, AwsError> {
        let mut shards = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let request = match next {
                // The API wants either the stream's name or a token, not both.
                Some(token) => self.client.list_shards().next_token(token),
                None => self.client.list_shards().stream_name(&self.name),
            };
            let answer = self
                .calls
                .sdk(Api::ListShards, || request.clone().send())
                .await?;
            shards.extend(answer.shards.unwrap_or_default().into_iter().map(|shard| {
                Shard {
                    id: shard.shard_id,
                    parents: [shard.parent_shard_id, shard.adjacent_parent_shard_id]
                        .into_iter()
                        .flatten()
                        .collect(),
                    closed: shard
                        .sequence_number_range
                        .is_some_and(|range| range.ending_sequence_number.is_some()),
                }
            }));
            next = answer.next_token;
            if next.is_none() {
                return Ok(shards);
            }
        }
    }

    /// An iterator that goes on after a sequence number, or starts with the oldest record there is.
    pub async fn iterator(
        &self,
        shard: &str,
        after: Option<&str>,
    ) -> Result<Option<String>, AwsError> {
        let (kind, sequence) = match after {
            Some(sequence) => (
                ShardIteratorType::AfterSequenceNumber,
                Some(sequence.to_owned()),
            ),
            None => (ShardIteratorType::TrimHorizon, None),
        };
        let request = self
            .client
            .get_shard_iterator()
            .stream_name(&self.name)
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_starting_sequence_number(sequence);
        let answer = self
            .calls
            .sdk(Api::GetShardIterator, || request.clone().send())
            .await?;
        Ok(answer.shard_iterator)
    }

    /// The next records.
    pub async fn records(&self, iterator: &str) -> Result<Records, AwsError> {
        let request = self
            .client
            .get_records()
            .shard_iterator(iterator)
            .limit(RECORDS_MAX);
        let answer = self
            .calls
            .sdk(Api::GetRecords, || request.clone().send())
            .await?;
        Ok(Records {
            sequence: answer
                .records
                .last()
                .map(|record| record.sequence_number.clone()),
            data: answer
                .records
                .into_iter()
                .map(|record| Bytes::from(record.data.into_inner()))
                .collect(),
            next: answer.next_shard_iterator,
            behind_ms: answer.millis_behind_latest.unwrap_or(0),
        })
    }
}
