//! Telemetry: the Kinesis stream to which CloudWatch Logs sends the functions' log lines. Takes progress and
//! Lambda's platform reports out of it, checkpointed shard by shard.
//! Records: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>
//! Reports: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

use std::{
    collections::{HashMap, HashSet},
    io::Read,
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use model::{JobId, ProgressLine};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Pause, dispatch::UUID_LENGTH, wait};
use crate::{
    clock,
    control::{Control, Failure},
    store::Invocation,
};

/// How often to look for new shards.
const SHARDS_PACE: Duration = Duration::from_secs(30);
/// Between two reads of a shard: Kinesis allows five a second to all readers together.
const BUSY_PACE: Duration = Duration::from_millis(300);
const IDLE_PACE: Duration = Duration::from_millis(700);
/// For how long a shard is one server's, and how often the others look whether it still is.
const LEASE_MS: i64 = 15_000;
const LEASE_PACE: Duration = Duration::from_secs(3);
/// A record's text once unpacked: Logs sends 1 MiB packed at most, which JSON packs tenfold.
const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    let mut readers: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        match control.aws.stream.shards().await {
            Ok(shards) => {
                pause.reset();
                for shard in shards {
                    readers
                        .entry(shard.clone())
                        .or_insert_with(|| tokio::spawn(read_shard(control.clone(), shard)));
                }
                if wait(&control, SHARDS_PACE).await.is_break() {
                    return;
                }
            }
            Err(error) => {
                if pause
                    .after_failure(&control, "list the telemetry stream's shards", &error)
                    .await
                    .is_break()
                {
                    return;
                }
            }
        }
    }
}

/// Reads a shard until it is closed and empty.
async fn read_shard(control: Control, shard: String) {
    let mut pause = Pause::default();
    let mut iterator: Option<String> = None;
    let mut held_until_ms = 0;
    loop {
        match hold(&control, &shard, &mut held_until_ms).await {
            Ok(true) => {}
            Ok(false) => {
                iterator = None;
                control.signs.shard_ended(&shard);
                if wait(&control, LEASE_PACE).await.is_break() {
                    return;
                }
                continue;
            }
            Err(failure) => {
                let waited = pause.after_failure(&control, "take a shard's lease", &failure);
                if waited.await.is_break() {
                    return;
                }
                continue;
            }
        }
        let next_pause = match read_once(&control, &shard, &mut iterator).await {
            Ok(Step::Busy) => BUSY_PACE,
            Ok(Step::Idle) => IDLE_PACE,
            Ok(Step::Closed) => {
                tracing::info!(shard, "a shard is closed and read to its end");
                control.signs.shard_ended(&shard);
                return;
            }
            Err(failure) => {
                // An iterator lives five minutes; whatever failed, a new one from the checkpoint is right.
                iterator = None;
                if pause
                    .after_failure(&control, "read the telemetry stream", &failure)
                    .await
                    .is_break()
                {
                    return;
                }
                continue;
            }
        };
        pause.reset();
        if wait(&control, next_pause).await.is_break() {
            return;
        }
    }
}

/// Whether this server reads the shard: one of those over a database does.
async fn hold(control: &Control, shard: &str, until_ms: &mut i64) -> Result<bool, Failure> {
    let now_ms = clock::now().0;
    if control.store.postgres_url().is_none() || *until_ms - now_ms > LEASE_MS / 2 {
        return Ok(true);
    }
    let name = format!("shard:{}/{shard}", control.aws.stream.name());
    let held = control
        .store
        .lease(&name, now_ms, now_ms + LEASE_MS)
        .await?;
    *until_ms = if held { now_ms + LEASE_MS } else { 0 };
    Ok(held)
}

enum Step {
    Busy,
    Idle,
    Closed,
}

async fn read_once(
    control: &Control,
    shard: &str,
    iterator: &mut Option<String>,
) -> Result<Step, Failure> {
    let stream = control.aws.stream.name().to_owned();
    let current = match iterator.take() {
        Some(current) => current,
        None => {
            let after = control.store.checkpoint(&stream, shard).await?;
            match control.aws.stream.iterator(shard, after.as_deref()).await {
                Ok(Some(first)) => first,
                Ok(None) => return Ok(Step::Closed),
                Err(error) if after.is_some() && error.is("InvalidArgumentException") => {
                    // The stream was made anew, or keeps less than the server was away for.
                    tracing::warn!(shard, "the checkpoint is not in the stream any more");
                    control.store.forget_checkpoint(&stream, shard).await?;
                    return Ok(Step::Busy);
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let records = control.aws.stream.records(&current).await?;
    if let Some(sequence) = &records.sequence {
        let batch = Batch::of(&records.data);
        control
            .store
            .add_telemetry((&stream, shard, sequence), &batch.lines, &batch.invocations)
            .await?;
        for job in batch.jobs() {
            control.live.touch(job);
        }
    }
    control.signs.shard_read(shard, records.behind_ms);
    let is_busy = !records.data.is_empty() || records.behind_ms > 0;
    *iterator = records.next;
    Ok(match (&iterator, is_busy) {
        (None, _) => Step::Closed,
        (_, true) => Step::Busy,
        (_, false) => Step::Idle,
    })
}

/// What CloudWatch Logs puts into a record, as far as it is read here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord {
    message_type: String,
    #[serde(default)]
    log_group: String,
    #[serde(default)]
    log_stream: String,
    #[serde(default)]
    log_events: Vec<LogEvent>,
}

#[derive(Debug, Deserialize)]
struct LogEvent {
    timestamp: i64,
    message: String,
}

/// What some records told.
#[derive(Debug, Default, PartialEq)]
struct Batch {
    lines: Vec<(ProgressLine, i64)>,
    invocations: Vec<Invocation>,
}

impl Batch {
    fn of(records: &[Bytes]) -> Batch {
        let mut batch = Batch::default();
        for data in records {
            match unpack(data) {
                Some(record) if record.message_type == "DATA_MESSAGE" => batch.add(&record),
                // A control message is how Logs tries out whether the stream is there.
                Some(_) => {}
                None => tracing::warn!("a telemetry record is unreadable; it is passed over"),
            }
        }
        batch
    }

    fn add(&mut self, record: &LogRecord) {
        for event in &record.log_events {
            let Ok(line) = serde_json::from_str::<Value>(&event.message) else {
                continue;
            };
            match line["type"].as_str() {
                Some(ProgressLine::TYPE) => {
                    if let Ok(line) = serde_json::from_value::<ProgressLine>(line) {
                        let at_ms = clock::moment_of(&line.timestamp).unwrap_or(event.timestamp);
                        self.lines.push((line, at_ms));
                    }
                }
                Some("platform.report") => self.invocations.extend(report(record, event, &line)),
                _ => {}
            }
        }
    }

    /// The jobs whose progress this is.
    fn jobs(&self) -> HashSet<JobId> {
        self.lines
            .iter()
            .filter_map(|(line, _)| {
                let name = line.execution.rsplit(':').next()?;
                JobId::from_str(name.get(..UUID_LENGTH)?).ok()
            })
            .collect()
    }
}

fn unpack(data: &[u8]) -> Option<LogRecord> {
    let mut text = Vec::new();
    MultiGzDecoder::new(data)
        .take(TEXT_BYTES_MAX)
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

/// An invocation from its report; none when a field it cannot do without is missing.
fn report(record: &LogRecord, event: &LogEvent, line: &Value) -> Option<Invocation> {
    let report = &line["record"];
    let metrics = &report["metrics"];
    // A log stream is named YYYY/MM/DD/[version]id, a log group /aws/lambda/function.
    let version = record.log_stream.split_once('[')?.1.split_once(']')?.0;
    let function = record.log_group.strip_prefix("/aws/lambda/")?;
    Some(Invocation {
        request_id: report["requestId"].as_str()?.to_owned(),
        function: function.to_owned(),
        version: version.to_owned(),
        status: report["status"].as_str().unwrap_or("success").to_owned(),
        init_ms: metrics["initDurationMs"].as_f64(),
        duration_ms: metrics["durationMs"].as_f64()?,
        max_memory_mib: metrics["maxMemoryUsedMB"].as_i64(),
        at_ms: line["time"]
            .as_str()
            .and_then(clock::moment_of)
            .unwrap_or(event.timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write;

    fn record(messages: &[Value]) -> Bytes {
        let events: Vec<_> = messages
            .iter()
            .map(|message| json!({"id": "1", "timestamp": 5, "message": message.to_string()}))
            .collect();
        let text = json!({
            "messageType": "DATA_MESSAGE", "owner": "000000000000",
            "logGroup": "/aws/lambda/gantry-probe", "logStream": "2026/11/22/[7]0123456789abcdef0123456789abcdef",
            "subscriptionFilters": ["gantry"], "logEvents": events,
        });
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.to_string().as_bytes()).unwrap();
        packed.finish().unwrap().into()
    }

    #[test]
    fn progress_and_reports_are_taken_out_of_other_log_lines() {
        let job = "01890a5d-ac96-774b-bcce-b302099a8057";
        let messages = [
            json!({"type": "progress", "timestamp": "2026-11-22T10:00:00.250Z", "requestId": "r",
                "execution": format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{job}-2"),
                "state": "Probe", "entered": "2026-11-22T09:59:59Z", "unit": "bytes", "done": 5, "total": 9}),
            json!({"level": "INFO", "message": "hello"}),
            json!({"time": "2026-11-22T10:00:01Z", "type": "platform.report", "record": {"requestId": "r",
                "status": "success", "metrics": {"durationMs": 12.5, "billedDurationMs": 13, "memorySizeMB": 512,
                "maxMemoryUsedMB": 40, "initDurationMs": 31.25}}}),
            json!({"time": "2026-11-22T10:00:02Z", "type": "platform.report", "record": {"requestId": "s",
                "status": "timeout", "metrics": {"durationMs": 1.0}}}),
        ];
        let batch = Batch::of(&[record(&messages), Bytes::from_static(b"not gzip")]);
        assert_eq!(batch.lines.len(), 1);
        assert_eq!(batch.lines[0].1, 1_795_341_600_250);
        assert_eq!(
            batch.jobs().into_iter().collect::<Vec<_>>(),
            [JobId::from_str(job).unwrap()]
        );
        let [cold, warm] = batch.invocations.as_slice() else {
            panic!("{:?}", batch.invocations)
        };
        assert_eq!(
            (cold.function.as_str(), cold.version.as_str()),
            ("gantry-probe", "7")
        );
        assert_eq!(cold.init_ms, Some(31.25));
        assert_eq!((warm.status.as_str(), warm.init_ms), ("timeout", None));
    }

    #[test]
    fn a_control_message_is_nothing() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed
            .write_all(br#"{"messageType":"CONTROL_MESSAGE","logEvents":[]}"#)
            .unwrap();
        let batch = Batch::of(&[packed.finish().unwrap().into()]);
        assert_eq!(batch, Batch::default());
    }
}
