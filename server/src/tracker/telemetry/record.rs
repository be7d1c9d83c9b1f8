//! What is in the telemetry stream's records: progress, the beginnings of invocations and Lambda's reports of them,
//! among whatever else functions log. Owns the shapes; refuses nothing but what it cannot read.

use std::{collections::HashSet, io::Read, str::FromStr};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use model::{InvocationLine, JobId, ProgressLine};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    clock,
    store::{Invocation, InvocationStart, Telemetry},
    tracker::dispatch::UUID_LENGTH,
};

/// A record's text once unpacked: Logs sends 1 MiB packed at most, which JSON packs tenfold.
const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;

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

/// What some records tell.
pub(super) fn told_by(records: &[Bytes]) -> Telemetry {
    let mut told = Telemetry::default();
    for data in records {
        match unpack(data) {
            Some(record) if record.message_type == "DATA_MESSAGE" => add(&mut told, &record),
            // A control message is how Logs tries out whether the stream is there.
            Some(_) => {}
            None => tracing::warn!("a telemetry record is unreadable; it is passed over"),
        }
    }
    told
}

fn add(told: &mut Telemetry, record: &LogRecord) {
    for event in &record.log_events {
        let Ok(line) = serde_json::from_str::<Value>(&event.message) else {
            continue;
        };
        match line["type"].as_str() {
            Some(ProgressLine::TYPE) => {
                if let Ok(line) = serde_json::from_value::<ProgressLine>(line) {
                    let at_ms = clock::moment_of(&line.timestamp).unwrap_or(event.timestamp);
                    told.lines.push((line, at_ms));
                }
            }
            Some(InvocationLine::TYPE) => told.starts.extend(start(record, event, line)),
            Some("platform.report") => told.invocations.extend(report(record, event, &line)),
            _ => {}
        }
    }
}

/// The jobs that these records tell of: of a report alone nothing says whose it is.
pub(super) fn jobs_of(told: &Telemetry) -> HashSet<JobId> {
    let lines = told.lines.iter().map(|(line, _)| &line.execution);
    let starts = told.starts.iter().map(|start| &start.execution_arn);
    lines.chain(starts).filter_map(|arn| job_of(arn)).collect()
}

/// The job whose id an execution's name begins with.
pub(super) fn job_of(arn: &str) -> Option<JobId> {
    let name = arn.rsplit(':').next()?;
    JobId::from_str(name.get(..UUID_LENGTH)?).ok()
}

fn unpack(data: &[u8]) -> Option<LogRecord> {
    let mut text = Vec::new();
    MultiGzDecoder::new(data)
        .take(TEXT_BYTES_MAX)
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

impl LogRecord {
    /// The function and its version whose log this is: a log stream is named YYYY/MM/DD/[version]id, a log group
    /// /aws/lambda/function.
    fn function(&self) -> Option<(&str, &str)> {
        let version = self.log_stream.split_once('[')?.1.split_once(']')?.0;
        let function = self.log_group.strip_prefix("/aws/lambda/")?;
        Some((function, version))
    }
}

/// An invocation from its worker's first line; none when that cannot be read.
fn start(record: &LogRecord, event: &LogEvent, line: Value) -> Option<InvocationStart> {
    let (function, version) = record.function()?;
    let line: InvocationLine = serde_json::from_value(line).ok()?;
    Some(InvocationStart {
        request_id: line.request_id,
        function: function.to_owned(),
        version: version.to_owned(),
        execution_arn: line.execution,
        state: line.state,
        entered: line.entered,
        iteration: line.index,
        attempt: line.retry.map(|failed| failed.saturating_add(1)),
        at_ms: clock::moment_of(&line.timestamp).unwrap_or(event.timestamp),
    })
}

/// An invocation from its report; none when a field it cannot do without is missing.
fn report(record: &LogRecord, event: &LogEvent, line: &Value) -> Option<Invocation> {
    let report = &line["record"];
    let metrics = &report["metrics"];
    let (function, version) = record.function()?;
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
            json!({"type": "invocation", "timestamp": "2026-11-22T10:00:00Z", "requestId": "r", "execution": "arn:x:y",
                "state": "Probe", "entered": "2026-11-22T09:59:59Z", "retry": 1}),
        ];
        let batch = told_by(&[record(&messages), Bytes::from_static(b"not gzip")]);
        assert_eq!(batch.lines.len(), 1);
        assert_eq!(batch.lines[0].1, 1_795_341_600_250);
        assert_eq!(
            jobs_of(&batch).into_iter().collect::<Vec<_>>(),
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
        let [start] = batch.starts.as_slice() else {
            panic!("{:?}", batch.starts)
        };
        assert_eq!((start.version.as_str(), start.attempt), ("7", Some(2)));
        assert_eq!((start.iteration, start.at_ms), (None, 1_795_341_600_000));
    }

    #[test]
    fn a_control_message_is_nothing() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed
            .write_all(br#"{"messageType":"CONTROL_MESSAGE","logEvents":[]}"#)
            .unwrap();
        let batch = told_by(&[packed.finish().unwrap().into()]);
        assert_eq!(batch, Telemetry::default());
    }
}
