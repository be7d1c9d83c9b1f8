//! The telemetry stream of a fake, resharded: what is put before a split, between it and a merge, and after both is
//! shown. Owns records as CloudWatch Logs puts them; no worker runs here.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{Flows, PAUSE};
use crate::stream::{Shard, Stream};

/// The server looks for new shards every half minute, and a fake that forgets a closed shard says nothing of its end.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);
/// Partition keys with hash keys in the lower and the upper half, and the states of whose progress they tell.
const KEYS: [(&str, &str); 2] = [("a", "Sleeps"), ("0", "Waits")];

impl Flows {
    pub(super) async fn telemetry(&mut self, stream: &Stream) -> anyhow::Result<()> {
        let id = self.submit("sleeps-2").await?;
        let view = self.ends(&id, "sleeps-2", "running").await?;
        let arn = view["execution"]["arn"].as_str().unwrap_or_default();
        self.progress(stream, &id, arn, 1).await?;
        let shards = stream.shards().await?;
        let [parent] = shards.as_slice() else {
            anyhow::bail!("the stream has {} shards", shards.len());
        };
        stream.split(parent).await?;
        if !stream.has_end(parent).await? {
            self.tell("progress is shown; a shard that was split has no end here, so that nobody may read what was put after it".to_owned());
            return Ok(());
        }
        self.progress(stream, &id, arn, 2).await?;
        let [low, high] = open(stream).await?;
        stream.merge(&low, &high).await?;
        self.progress(stream, &id, arn, 3).await?;
        self.tell("progress is shown from before a split to after a merge".to_owned());
        Ok(())
    }

    /// Puts lines that each key's state has done so much, and waits until the job's view shows them.
    async fn progress(
        &self,
        stream: &Stream,
        id: &str,
        arn: &str,
        done: u64,
    ) -> anyhow::Result<()> {
        for (key, state) in KEYS {
            stream.put(key, &record(arn, state, done)?).await?;
        }
        let until = Instant::now() + SHOWN_WITHIN;
        loop {
            let view = self.get(&format!("/api/v1/jobs/{id}")).await?;
            let is_shown = |(_, name): &(&str, &str)| {
                let mut states = view["execution"]["states"].as_array().into_iter().flatten();
                states.any(|state| state["name"] == *name && state["progress"]["done"] == done)
            };
            if KEYS.iter().all(is_shown) {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "progress {done} is not shown: {view}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The two open shards, the one with the lower hash keys first.
async fn open(stream: &Stream) -> anyhow::Result<[Shard; 2]> {
    let mut open = stream.shards().await?;
    open.retain(|shard| shard.is_open);
    open.sort_by_key(|shard| shard.keys);
    open.try_into()
        .ok()
        .context("a split did not make two shards")
}

/// A record with one line of progress.
fn record(arn: &str, state: &str, done: u64) -> anyhow::Result<Vec<u8>> {
    let line: Value = json!({
        "type": "progress",
        "timestamp": format!("2026-01-01T00:00:0{done}Z"),
        "requestId": "r",
        "execution": arn,
        "state": state,
        "entered": "2026-01-01T00:00:00Z",
        "unit": "parts",
        "done": done,
        "total": 3,
    });
    let record = json!({
        "messageType": "DATA_MESSAGE",
        "owner": "000000000000",
        "logGroup": "/aws/lambda/gantry-bench",
        "logStream": "2026/01/01/[1]0123456789abcdef0123456789abcdef",
        "subscriptionFilters": ["telemetry"],
        "logEvents": [{ "id": "1", "timestamp": 0, "message": line.to_string() }],
    });
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(record.to_string().as_bytes())?;
    Ok(packed.finish()?)
}
