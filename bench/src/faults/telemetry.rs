//! What the telemetry stream holds against what the server tells of it: each invocation once and as its report has it,
//! and of each state the newest progress. Exact as far as the server's API shows it: of a job its newest execution, of
//! the others' invocations their number.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use super::work::Client;

/// Differences that are told of many.
const TOLD: usize = 10;

/// How much of the stream was compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard {
    pub invocations: usize,
    pub progress: usize,
}

/// What the stream's records hold, each line once however often it came.
#[derive(Debug, Default)]
struct Told {
    /// Invocations of each execution's states, by their request ids.
    starts: BTreeMap<(String, String), BTreeMap<String, Value>>,
    reports: BTreeMap<String, Value>,
    /// Lines of each execution's states, by when they were written and how much was done.
    progress: BTreeMap<(String, String), BTreeMap<(i64, u64), Value>>,
}

/// Compares; an error names what differs. `views` are the server's views of all jobs.
pub async fn compare(
    client: &Client,
    records: &[Vec<u8>],
    views: &BTreeMap<String, Value>,
) -> anyhow::Result<Heard> {
    let told = Told::read(records)?;
    let mut wrong = Vec::new();
    for (id, view) in views {
        let execution = &view["execution"];
        let arn = text(&execution["arn"]);
        for state in execution["states"].as_array().into_iter().flatten() {
            let place = (arn.clone(), text(&state["name"]));
            let shown = shown_progress(&state["progress"]);
            let expected = told.newest_progress(&place);
            if shown != expected {
                wrong.push(format!(
                    "job {id}: {} is told to be at {shown}, and its newest line says {expected}",
                    place.1
                ));
            }
            if state["visit_count"] == 0 && !told.starts.contains_key(&place) {
                continue;
            }
            let shown = invocations(client, id, &place.1).await?;
            let expected = told.invocations(&place);
            if shown != expected {
                wrong.push(format!(
                    "job {id}: the invocations of {} are told to be {}, and are {}",
                    place.1,
                    json!(shown),
                    json!(expected)
                ));
            }
        }
    }
    let shown = counted(&client.get("/api/v1/cold-starts").await?);
    let expected = told.counted();
    if shown != expected {
        wrong.push(format!(
            "{shown:?} are told to be all invocations and cold ones, and {expected:?} are"
        ));
    }
    if !wrong.is_empty() {
        let count = wrong.len();
        wrong.truncate(TOLD);
        bail!("{count} differences from the stream:\n{}", wrong.join("\n"));
    }
    Ok(Heard {
        invocations: told.starts.values().map(BTreeMap::len).sum(),
        progress: told.progress.values().map(BTreeMap::len).sum(),
    })
}

/// The invocations that the server tells of a state's visits; an error where it tells one twice.
async fn invocations(
    client: &Client,
    job: &str,
    state: &str,
) -> anyhow::Result<BTreeMap<String, Value>> {
    let path = format!("/api/v1/jobs/{job}/states/{state}");
    let detail = client.get(&path).await?;
    let mut shown = BTreeMap::new();
    for visit in detail["visits"].as_array().into_iter().flatten() {
        let detail = client
            .get(&format!("{path}?visit={}", visit["entered_event_id"]))
            .await?;
        for invocation in detail["invocations"].as_array().into_iter().flatten() {
            let mut invocation = invocation.clone();
            let digest = invocation["digest"].take();
            ensure!(
                digest
                    .as_str()
                    .is_some_and(|digest| digest.starts_with("sha256:")),
                "the image of {invocation} is not known"
            );
            let id = text(&invocation["request_id"]);
            let twice = shown.insert(id, invocation);
            ensure!(
                twice.is_none(),
                "job {job}: {state} has an invocation twice: {twice:?}"
            );
        }
    }
    Ok(shown)
}

/// Of each function how many invocations the server tells of, and how many cold starts among them.
fn counted(view: &Value) -> BTreeMap<String, (u64, u64)> {
    let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for row in view["rows"].as_array().into_iter().flatten() {
        let count = counted.entry(text(&row["function"])).or_default();
        count.0 += row["invocation_count"].as_u64().unwrap_or(0);
        count.1 += row["count"].as_u64().unwrap_or(0);
    }
    counted
}

fn shown_progress(progress: &Value) -> Value {
    match progress {
        Value::Null => Value::Null,
        progress => {
            json!({ "unit": progress["unit"], "done": progress["done"], "total": progress["total"] })
        }
    }
}

impl Told {
    fn read(records: &[Vec<u8>]) -> anyhow::Result<Told> {
        let mut told = Told::default();
        for data in records {
            let mut unpacked = String::new();
            MultiGzDecoder::new(data.as_slice()).read_to_string(&mut unpacked)?;
            let record: Value = serde_json::from_str(&unpacked)?;
            if record["messageType"] != "DATA_MESSAGE" {
                continue;
            }
            for event in record["logEvents"].as_array().into_iter().flatten() {
                if let Ok(line) = serde_json::from_str::<Value>(&text(&event["message"])) {
                    told.add(&record, &line)
                        .with_context(|| format!("the stream has {line}"))?;
                }
            }
        }
        Ok(told)
    }

    fn add(&mut self, record: &Value, line: &Value) -> anyhow::Result<()> {
        let place = (text(&line["execution"]), text(&line["state"]));
        match line["type"].as_str() {
            Some("progress") => {
                let at = (moment(&line["timestamp"])?, whole(&line["done"])?);
                let lines = self.progress.entry(place).or_default();
                lines.insert(at, shown_progress(line));
            }
            Some("invocation") => {
                let (function, version) = function(record)?;
                let start = json!({
                    "request_id": line["requestId"],
                    "function": function,
                    "version": version,
                    "digest": null,
                    "attempt": whole(&line["retry"])? + 1,
                    "at_ms": moment(&line["timestamp"])?,
                });
                let starts = self.starts.entry(place).or_default();
                starts.insert(text(&line["requestId"]), start);
            }
            Some("platform.report") => {
                let (report, metrics) = (&line["record"], &line["record"]["metrics"]);
                let report_of = json!({
                    "function": function(record)?.0,
                    "status": report["status"],
                    "init_ms": metrics["initDurationMs"].as_f64(),
                    "duration_ms": metrics["durationMs"].as_f64(),
                    "max_memory_mib": metrics["maxMemoryUsedMB"],
                    "at_ms": moment(&line["time"])?,
                });
                self.reports.insert(text(&report["requestId"]), report_of);
            }
            _ => {}
        }
        Ok(())
    }

    /// What the newest line says of a state.
    fn newest_progress(&self, place: &(String, String)) -> Value {
        let lines = self.progress.get(place);
        lines
            .and_then(BTreeMap::last_key_value)
            .map_or(Value::Null, |(_, progress)| progress.clone())
    }

    /// The invocations of a state as the server shows them, without the image.
    fn invocations(&self, place: &(String, String)) -> BTreeMap<String, Value> {
        let mut invocations = self.starts.get(place).cloned().unwrap_or_default();
        for (id, invocation) in &mut invocations {
            let report = self.reports.get(id).unwrap_or(&Value::Null);
            for name in ["status", "init_ms", "duration_ms", "max_memory_mib"] {
                invocation[name] = report[name].clone();
            }
            if report["at_ms"].is_i64() {
                invocation["at_ms"] = report["at_ms"].clone();
            }
        }
        invocations
    }

    /// Of each function that started cold, invocations that were reported and cold starts among them.
    fn counted(&self) -> BTreeMap<String, (u64, u64)> {
        let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for report in self.reports.values() {
            let count = counted.entry(text(&report["function"])).or_default();
            count.0 += 1;
            count.1 += u64::from(report["init_ms"].is_f64());
        }
        counted.retain(|_, (_, cold)| *cold > 0);
        counted
    }
}

/// The function and its version whose log a record is of.
fn function(record: &Value) -> anyhow::Result<(String, String)> {
    let group = text(&record["logGroup"]);
    let function = group.strip_prefix("/aws/lambda/").context("no function")?;
    let stream = text(&record["logStream"]);
    let version = stream
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .context("no version")?;
    Ok((function.to_owned(), version.0.to_owned()))
}

/// Milliseconds since the epoch.
fn moment(value: &Value) -> anyhow::Result<i64> {
    Ok(text(value).parse::<jiff::Timestamp>()?.as_millisecond())
}

fn whole(value: &Value) -> anyhow::Result<u64> {
    value.as_u64().context("a number is missing")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn record(lines: &[Value]) -> Vec<u8> {
        let events: Vec<Value> = lines
            .iter()
            .map(|line| json!({ "timestamp": 5, "message": line.to_string() }))
            .collect();
        let record = json!({
            "messageType": "DATA_MESSAGE", "logGroup": "/aws/lambda/f",
            "logStream": "2026/11/22/[$LATEST]0", "logEvents": events,
        });
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(record.to_string().as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn lines_that_came_twice_count_once_and_the_newest_progress_stands() {
        let progress = |second: u64, done: u64| {
            json!({ "type": "progress", "timestamp": format!("2026-11-22T10:00:0{second}.250Z"),
                "execution": "arn", "state": "Works", "unit": "sources", "done": done, "total": 1 })
        };
        let start = json!({ "type": "invocation", "timestamp": "2026-11-22T10:00:00Z", "requestId": "r",
            "execution": "arn", "state": "Works", "entered": "e", "retry": 1 });
        let report = json!({ "type": "platform.report", "time": "2026-11-22T10:00:02Z", "record": {
            "requestId": "r", "status": "success",
            "metrics": { "durationMs": 12, "maxMemoryUsedMB": 40, "initDurationMs": 31.25 } } });
        let lines = [progress(3, 1), start, report, json!({ "level": "INFO" })];
        let again = [record(&lines), record(&[progress(1, 0)]), record(&lines)];
        let told = Told::read(&again).unwrap();
        let place = ("arn".to_owned(), "Works".to_owned());
        assert_eq!(
            told.newest_progress(&place),
            json!({ "unit": "sources", "done": 1, "total": 1 })
        );
        assert_eq!(
            json!(told.invocations(&place)),
            json!({ "r": { "request_id": "r", "function": "f", "version": "$LATEST", "digest": null, "attempt": 2,
                "status": "success", "init_ms": 31.25, "duration_ms": 12.0, "max_memory_mib": 40,
                "at_ms": 1_795_341_602_000_i64 } })
        );
        assert_eq!(told.counted(), BTreeMap::from([("f".to_owned(), (1, 1))]));
    }
}
