//! The telemetry stream as whoever runs it sees it: its shards split and merged, records put, all of them read. Calls go
//! to AWS past any proxy. Owns no shape of what the records hold.
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html>

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::product::{STREAM, authorization};

/// From so many open shards on, two are merged, where fewer are split.
const SHARDS_MAX: usize = 4;

/// The stream.
#[derive(Clone)]
pub struct Stream {
    client: reqwest::Client,
    url: String,
}

/// A shard.
#[derive(Debug, Clone)]
pub struct Shard {
    pub id: String,
    /// The shard it was split from, or one of the two it was merged from.
    pub parent: Option<String>,
    /// The other one.
    pub adjacent_parent: Option<String>,
    pub is_open: bool,
    /// Its first and last hash key.
    pub keys: (u128, u128),
}

/// How often a stream was resharded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reshardings {
    pub splits: usize,
    pub merges: usize,
}

impl Stream {
    /// The stream of the AWS at that address.
    pub fn new(aws: SocketAddr) -> anyhow::Result<Stream> {
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()?;
        Ok(Stream {
            client,
            url: format!("http://{aws}/"),
        })
    }

    /// Splits the widest shard while there are few, else merges two that are adjacent, by a number drawn. AWS may be
    /// killed meanwhile: no answer is no error, a refusal is one.
    pub async fn reshard(&self, drawn: u64) -> anyhow::Result<()> {
        let list = json!({ "StreamName": STREAM });
        let Some(listed) = self.ask("ListShards", &list).await? else {
            return Ok(());
        };
        let (operation, mut input) = change(&read_shards(&listed)?, drawn)?;
        input["StreamName"] = json!(STREAM);
        self.ask(operation, &input).await?;
        Ok(())
    }

    /// Splits a shard in the middle.
    pub async fn split(&self, shard: &Shard) -> anyhow::Result<()> {
        let (operation, input) = split(shard);
        self.call(operation, input).await?;
        Ok(())
    }

    /// Merges two shards.
    pub async fn merge(&self, shard: &Shard, adjacent: &Shard) -> anyhow::Result<()> {
        let (operation, input) = merge(shard, adjacent);
        self.call(operation, input).await?;
        Ok(())
    }

    /// Every shard, closed ones too.
    pub async fn shards(&self) -> anyhow::Result<Vec<Shard>> {
        let listed = self.call("ListShards", json!({})).await?;
        ensure!(listed["NextToken"].is_null(), "there are many shards");
        read_shards(&listed)
    }

    /// Puts a record.
    pub async fn put(&self, partition_key: &str, data: &[u8]) -> anyhow::Result<()> {
        let record = json!({ "PartitionKey": partition_key, "Data": STANDARD.encode(data) });
        self.call("PutRecord", record).await?;
        Ok(())
    }

    /// Whether whoever reads a closed shard hears of its end, or that it is not there any more.
    pub async fn has_end(&self, shard: &Shard) -> anyhow::Result<bool> {
        if !self.shards().await?.iter().any(|one| one.id == shard.id) {
            return Ok(true);
        }
        let ask = json!({ "ShardId": shard.id, "ShardIteratorType": "TRIM_HORIZON" });
        let mut place = self.call("GetShardIterator", ask).await?["ShardIterator"].take();
        while place.is_string() {
            let ask = json!({ "ShardIterator": place });
            let mut page = self.read(&ask).await?;
            if records_of(&page)?.is_empty() && page["NextShardIterator"].is_string() {
                return Ok(false);
            }
            place = page["NextShardIterator"].take();
        }
        Ok(true)
    }

    /// The data of every record of every shard, each shard's oldest first.
    pub async fn records(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        for shard in self.shards().await? {
            let ask = json!({ "ShardId": shard.id, "ShardIteratorType": "TRIM_HORIZON" });
            let mut place = self.call("GetShardIterator", ask).await?["ShardIterator"].take();
            while place.is_string() {
                let ask = json!({ "ShardIterator": place });
                let mut page = self.read(&ask).await?;
                let records = records_of(&page)?;
                for record in records {
                    let sequence = text(&record["SequenceNumber"]);
                    ensure!(seen.insert(sequence), "{record} is there twice");
                    let data = record["Data"].as_str().context("no data")?;
                    all.push(STANDARD.decode(data)?);
                }
                // A closed shard ends by itself.
                if shard.is_open && records.is_empty() {
                    break;
                }
                place = page["NextShardIterator"].take();
            }
        }
        Ok(all)
    }

    async fn read(&self, ask: &Value) -> anyhow::Result<Value> {
        let answer = self.ask("GetRecords", ask).await?;
        answer.context("GetRecords was not answered")
    }

    /// Calls Kinesis about this stream.
    async fn call(&self, operation: &str, mut input: Value) -> anyhow::Result<Value> {
        input["StreamName"] = json!(STREAM);
        let answer = self.ask(operation, &input).await?;
        answer.with_context(|| format!("{operation} was not answered"))
    }

    /// None where no answer came.
    async fn ask(&self, operation: &str, input: &Value) -> anyhow::Result<Option<Value>> {
        let target = format!("Kinesis_20131202.{operation}");
        let sent = self
            .client
            .post(&self.url)
            .header("authorization", authorization(&target))
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .body(input.to_string())
            .send();
        let Ok(answer) = sent.await else {
            return Ok(None);
        };
        let status = answer.status();
        let Ok(text) = answer.text().await else {
            return Ok(None);
        };
        if !status.is_success() {
            bail!("{operation} {input} was answered with {status}: {text}");
        }
        Ok(Some(serde_json::from_str(&text).unwrap_or_default()))
    }
}

/// How often the stream with these shards was resharded.
pub fn reshardings(shards: &[Shard]) -> Reshardings {
    let merges = shards
        .iter()
        .filter(|shard| shard.adjacent_parent.is_some());
    let merges = merges.count();
    let children = shards.iter().filter(|shard| shard.parent.is_some());
    Reshardings {
        splits: (children.count() - merges) / 2,
        merges,
    }
}

/// The operation by which the stream is resharded next.
fn change(shards: &[Shard], drawn: u64) -> anyhow::Result<(&'static str, Value)> {
    let mut open: Vec<&Shard> = shards.iter().filter(|shard| shard.is_open).collect();
    open.sort_by_key(|shard| shard.keys);
    if open.len() < SHARDS_MAX {
        let widest = open.iter().max_by_key(|shard| shard.keys.1 - shard.keys.0);
        return Ok(split(widest.context("no shard is open")?));
    }
    let pairs: Vec<_> = open.windows(2).collect();
    let pair = pairs[usize::try_from(drawn)? % pairs.len()];
    // Either may be the one that is named first.
    Ok(match drawn % 2 {
        0 => merge(pair[0], pair[1]),
        _ => merge(pair[1], pair[0]),
    })
}

fn split(shard: &Shard) -> (&'static str, Value) {
    let middle = shard.keys.0 + (shard.keys.1 - shard.keys.0) / 2 + 1;
    let ask = json!({ "ShardToSplit": shard.id, "NewStartingHashKey": middle.to_string() });
    ("SplitShard", ask)
}

fn merge(shard: &Shard, adjacent: &Shard) -> (&'static str, Value) {
    let ask = json!({ "ShardToMerge": shard.id, "AdjacentShardToMerge": adjacent.id });
    ("MergeShards", ask)
}

fn read_shards(listed: &Value) -> anyhow::Result<Vec<Shard>> {
    let shards = listed["Shards"].as_array().context("no shards")?;
    shards
        .iter()
        .map(|shard| {
            let parent = |name: &str| shard[name].as_str().map(str::to_owned);
            let key = |name: &str| text(&shard["HashKeyRange"][name]).parse::<u128>();
            Ok(Shard {
                id: text(&shard["ShardId"]),
                parent: parent("ParentShardId"),
                adjacent_parent: parent("AdjacentParentShardId"),
                is_open: shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null(),
                keys: (key("StartingHashKey")?, key("EndingHashKey")?),
            })
        })
        .collect()
}

fn records_of(page: &Value) -> anyhow::Result<&Vec<Value>> {
    page["Records"].as_array().context("no records")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, keys: (u128, u128)) -> Shard {
        Shard {
            id: id.to_owned(),
            parent: None,
            adjacent_parent: None,
            is_open: true,
            keys,
        }
    }

    #[test]
    fn the_widest_shard_is_split_until_there_are_four_and_then_neighbours_are_merged() {
        let mut shards = vec![shard("0", (0, 9)), shard("1", (10, 99))];
        let (operation, ask) = change(&shards, 0).unwrap();
        assert_eq!(operation, "SplitShard");
        assert_eq!(
            ask,
            json!({ "ShardToSplit": "1", "NewStartingHashKey": "55" })
        );
        shards[1].is_open = false;
        shards.extend([
            shard("2", (55, 99)),
            shard("3", (10, 30)),
            shard("4", (31, 54)),
        ]);
        for (drawn, one, other) in [(0, "0", "3"), (1, "4", "3"), (5, "2", "4")] {
            let (operation, ask) = change(&shards, drawn).unwrap();
            assert_eq!(operation, "MergeShards");
            assert_eq!(
                ask,
                json!({ "ShardToMerge": one, "AdjacentShardToMerge": other })
            );
        }
    }

    #[test]
    fn reshardings_are_counted_by_their_children() {
        let mut shards = vec![shard("0", (0, 9)), shard("1", (0, 4)), shard("2", (5, 9))];
        for at in [1, 2] {
            shards[at].parent = Some("0".to_owned());
        }
        let mut merged = shard("3", (0, 9));
        merged.parent = Some("1".to_owned());
        merged.adjacent_parent = Some("2".to_owned());
        shards.push(merged);
        let expected = Reshardings {
            splits: 1,
            merges: 1,
        };
        assert_eq!(reshardings(&shards), expected);
    }
}
