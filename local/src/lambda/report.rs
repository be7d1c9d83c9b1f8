//! What Lambda itself writes to a function's log: `platform.*` lines, or their text form.
//!
//! Owns the shape of those lines. The numbers come from whoever measured them.
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

use std::sync::Arc;

use serde_json::{Value, json};

use super::function::{Function, FunctionConfig};
use super::tail::Tail;
use crate::logs::{Line, Logs};
use crate::wire::now_ms;

/// How an invocation or an initialization ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It answered.
    Success,
    /// It answered that it failed.
    Error,
    /// Its process ended.
    Failure,
    /// It took too long.
    Timeout,
}

impl Status {
    /// Lambda's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Error => "error",
            Status::Failure => "failure",
            Status::Timeout => "timeout",
        }
    }
}

/// What an invocation cost.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The invocation.
    pub request_id: &'a str,
    /// How it ended.
    pub status: Status,
    /// The error's type, when it failed.
    pub error_type: Option<&'a str>,
    /// From handing over the event to the answer, milliseconds.
    pub duration_ms: f64,
    /// From starting the process to its first request for work; cold starts only.
    pub init_ms: Option<f64>,
    /// The most memory that the sandbox has used, MB.
    pub memory_used_mb: u64,
    /// Size of the answer, bytes.
    pub produced_bytes: usize,
}

/// Writes one sandbox's lines.
#[derive(Clone)]
pub struct Journal {
    logs: Arc<Logs>,
    group: Arc<str>,
    stream: Arc<str>,
    json: bool,
    tail: Tail,
}

impl Journal {
    /// The journal of a new sandbox of a function; its log stream is a new one.
    pub fn new(logs: Arc<Logs>, function: &Function) -> Journal {
        let today = jiff::Timestamp::now().strftime("%Y/%m/%d").to_string();
        let stream = format!(
            "{today}/[{}]{}",
            function.version,
            uuid::Uuid::new_v4().simple()
        );
        Journal {
            logs,
            group: function.config.log_group.as_str().into(),
            stream: stream.into(),
            json: function.config.log_format == "JSON",
            tail: Tail::default(),
        }
    }

    /// The log group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The log stream's name.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The end of what the invocation that was last begun has written.
    pub fn tail(&self) -> String {
        self.tail.text()
    }

    /// Writes what the function's process wrote.
    pub async fn output(&self, messages: Vec<String>) {
        self.tail.add(&messages);
        let now = now_ms();
        self.logs
            .append_soon(
                messages
                    .into_iter()
                    .map(|message| self.line(now, message))
                    .collect(),
            )
            .await;
    }

    /// A sandbox begins to start.
    pub async fn init_start(&self, function: &Function) {
        let line = if self.json {
            event(
                "platform.initStart",
                json!({
                    "initializationType": "on-demand",
                    "phase": "init",
                    "functionName": function.name,
                    "functionVersion": function.version,
                    "instanceMaxMemory": function.config.memory_mb * 1024 * 1024,
                }),
            )
        } else {
            format!(
                "INIT_START Runtime Version: image Runtime Version ARN: {}",
                function.config.image_uri
            )
        };
        self.output(vec![line]).await;
    }

    /// A sandbox asked for work for the first time, or failed before it did.
    pub async fn init_report(&self, status: Status, duration_ms: f64, error_type: Option<&str>) {
        let mut record = json!({
            "initializationType": "on-demand",
            "phase": "init",
            "status": status.as_str(),
            "metrics": {"durationMs": millis(duration_ms)},
        });
        if let Some(error_type) = error_type {
            record["errorType"] = json!(error_type);
        }
        let line = if self.json {
            event("platform.initReport", record)
        } else if status == Status::Success {
            return;
        } else {
            format!(
                "INIT_REPORT Init Duration: {:.2} ms\tPhase: init\tStatus: {}\tError Type: {}",
                duration_ms,
                status.as_str(),
                error_type.unwrap_or("Unknown")
            )
        };
        self.output(vec![line]).await;
    }

    /// An invocation is handed over.
    pub async fn start(&self, request_id: &str, version: &str) {
        self.tail.clear();
        let line = if self.json {
            event(
                "platform.start",
                json!({"requestId": request_id, "version": version}),
            )
        } else {
            format!("START RequestId: {request_id} Version: {version}")
        };
        self.output(vec![line]).await;
    }

    /// An invocation ended.
    pub async fn end(&self, config: &FunctionConfig, report: &Report<'_>) {
        let lines = if self.json {
            json_report(config, report)
        } else {
            text_report(config, report)
        };
        self.output(lines).await;
    }

    fn line(&self, timestamp_ms: i64, message: String) -> Line {
        Line {
            group: self.group.clone(),
            stream: self.stream.clone(),
            timestamp_ms,
            message,
        }
    }
}

fn json_report(config: &FunctionConfig, report: &Report<'_>) -> Vec<String> {
    let mut done = json!({
        "requestId": report.request_id,
        "status": report.status.as_str(),
        "metrics": {"durationMs": millis(report.duration_ms), "producedBytes": report.produced_bytes},
    });
    let mut end = json!({
        "requestId": report.request_id,
        "status": report.status.as_str(),
        "metrics": {
            "durationMs": millis(report.duration_ms),
            "billedDurationMs": billed(report),
            "memorySizeMB": config.memory_mb,
            "maxMemoryUsedMB": report.memory_used_mb,
        },
    });
    if let Some(init_ms) = report.init_ms {
        end["metrics"]["initDurationMs"] = millis(init_ms);
    }
    if let Some(error_type) = report.error_type {
        done["errorType"] = json!(error_type);
        end["errorType"] = json!(error_type);
    }
    vec![
        event("platform.runtimeDone", done),
        event("platform.report", end),
    ]
}

fn text_report(config: &FunctionConfig, report: &Report<'_>) -> Vec<String> {
    let id = report.request_id;
    let mut line = format!(
        "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB",
        report.duration_ms,
        billed(report),
        config.memory_mb,
        report.memory_used_mb
    );
    if let Some(init_ms) = report.init_ms {
        line += &format!("\tInit Duration: {init_ms:.2} ms");
    }
    if report.status != Status::Success {
        line += &format!("\tStatus: {}", report.status.as_str());
    }
    if let Some(error_type) = report.error_type {
        line += &format!("\tError Type: {error_type}");
    }
    vec![format!("END RequestId: {id}"), line]
}

/// Billed are whole milliseconds, the start included.
fn billed(report: &Report<'_>) -> u64 {
    (report.duration_ms + report.init_ms.unwrap_or(0.0)).ceil() as u64
}

fn event(kind: &str, record: Value) -> String {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string();
    json!({"time": now, "type": kind, "record": record}).to_string()
}

/// Milliseconds as Lambda writes them: three digits after the point.
fn millis(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
