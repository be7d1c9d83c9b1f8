//! What Map Runs come to: an array of outputs, or files in a bucket.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html>

use asl::machine::distributed::Transformation;
use asl::step::Results;
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use sqlx::FromRow;

use super::record::Row;
use crate::sfn::integration::Fault;
use crate::sfn::{Sfn, arn};
use crate::wire::AwsError;

/// Bytes after which another file is begun.
const FILE_BYTES: usize = 64 << 20;
/// An output that is longer is refused by the execution, however much longer.
const OUTPUT_BYTES_MAX: usize = 262_144;

/// A child with what became of it.
#[derive(FromRow)]
struct Done {
    input: String,
    arn: Option<String>,
    name: Option<String>,
    status: Option<String>,
    output: Option<String>,
    error: Option<String>,
    cause: Option<String>,
    started_at_ms: Option<i64>,
    stopped_at_ms: Option<i64>,
    redrive_count: Option<i64>,
    redrive_refusal: Option<String>,
}

const SELECT: &str = "SELECT c.input, e.arn, e.name, e.status, e.output, e.error, e.cause,
        e.started_at_ms, e.stopped_at_ms, e.redrive_count, e.redrive_refusal
    FROM sfn_map_children c LEFT JOIN sfn_executions e ON e.id = c.execution
    WHERE c.map_run = ? ORDER BY c.number";

/// The Map state's result.
pub async fn output(sfn: &Sfn, row: &Row) -> Result<Value, AwsError> {
    let results = row.plan.results.as_ref();
    if let Some(parameters) = results.and_then(|results| results.parameters.as_ref()) {
        return Ok(json!({
            "MapRunArn": row.arn,
            "ResultWriterDetails": {
                "Bucket": bucket(parameters),
                "Key": format!("{}manifest.json", folder(row, parameters)),
            },
        }));
    }
    let mut outputs: Vec<Value> = Vec::new();
    let mut length = 0;
    let mut children = sqlx::query_as::<_, Done>(SELECT)
        .bind(row.id)
        .fetch(&sfn.store.db);
    while let Some(child) = children.try_next().await? {
        if let Some(results) = results {
            let told = child.told(row, results);
            length += told
                .iter()
                .map(|result| result.to_string().len())
                .sum::<usize>();
            outputs.extend(told);
        } else if let Some(output) = child.output {
            length += output.len();
            outputs.push(serde_json::from_str(&output).unwrap_or(Value::Null));
        }
        if length > OUTPUT_BYTES_MAX {
            break;
        }
    }
    Ok(Value::Array(outputs))
}

/// Writes the results, if they are to be written; the inner error is the Map Run's.
pub async fn write(sfn: &Sfn, row: &Row) -> Result<Result<(), Fault>, AwsError> {
    let Some(results) = &row.plan.results else {
        return Ok(Ok(()));
    };
    let Some(at) = &results.parameters else {
        return Ok(Ok(()));
    };
    let mut files = [
        Files::new(row, results, at, "FAILED"),
        Files::new(row, results, at, "PENDING"),
        Files::new(row, results, at, "SUCCEEDED"),
    ];
    let mut children = sqlx::query_as::<_, Done>(SELECT)
        .bind(row.id)
        .fetch(&sfn.store.db);
    while let Some(child) = children.try_next().await? {
        let file = match child.status.as_deref() {
            None => &mut files[1],
            Some("SUCCEEDED") => &mut files[2],
            Some(_) => &mut files[0],
        };
        for result in child.told(row, results) {
            if let Err(fault) = file.add(sfn, &result.to_string()).await {
                return Ok(Err(fault));
            }
        }
    }
    drop(children);
    let mut listed = Map::new();
    for mut file in files {
        if let Err(fault) = file.flush(sfn).await {
            return Ok(Err(fault));
        }
        listed.insert(file.kind.to_owned(), json!(file.written));
    }
    let manifest = json!({
        "DestinationBucket": bucket(at),
        "MapRunArn": row.arn,
        "ResultFiles": listed,
    });
    let key = format!("{}manifest.json", folder(row, at));
    let body = Bytes::from(manifest.to_string());
    let s3 = &sfn.driver.peers.s3;
    Ok(s3.write(bucket(at), &key, body).await.map_err(refused))
}

impl Done {
    fn told(self, row: &Row, results: &Results) -> Vec<Value> {
        let output = self
            .output
            .as_deref()
            .map(|output| serde_json::from_str(output).unwrap_or(Value::Null));
        match (results.transformation, output) {
            (Transformation::Compact, Some(output)) => return vec![output],
            (Transformation::Flatten, Some(Value::Array(outputs))) => return outputs,
            (Transformation::Flatten, Some(output)) => return vec![output],
            _ => {}
        }
        let machine = self.arn.as_deref().map(|execution| {
            let machine = execution.split(':').nth(6).unwrap_or_default();
            arn::of_machine(machine)
        });
        let reason = match self.status.as_deref() {
            Some("SUCCEEDED") => Some("Execution is SUCCEEDED and cannot be redriven".to_owned()),
            _ => self.redrive_refusal,
        };
        let redrivable = self.status.is_some().then_some(match reason {
            Some(_) => "NOT_REDRIVABLE",
            None => "REDRIVABLE_BY_MAP_RUN",
        });
        let time = |at_ms: Option<i64>| {
            at_ms
                .and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok())
                .map(|at| format!("{at:.3}"))
        };
        let included = Some(json!({"Included": true}));
        let members = [
            ("Cause", self.cause.map(Value::from)),
            ("Error", self.error.map(Value::from)),
            ("ExecutionArn", self.arn.map(Value::from)),
            ("Input", Some(json!(self.input))),
            ("InputDetails", included.clone()),
            ("MapRunArn", self.name.is_none().then(|| json!(row.arn))),
            ("Name", self.name.map(Value::from)),
            ("OutputDetails", included.filter(|_| self.output.is_some())),
            ("Output", self.output.map(Value::from)),
            ("RedriveCount", self.redrive_count.map(Value::from)),
            ("RedriveStatus", redrivable.map(Value::from)),
            ("RedriveStatusReason", reason.map(Value::from)),
            ("StartDate", time(self.started_at_ms).map(Value::from)),
            ("StateMachineArn", machine.map(Value::from)),
            ("Status", self.status.map(Value::from)),
            ("StopDate", time(self.stopped_at_ms).map(Value::from)),
        ];
        let told = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        vec![Value::Object(told.collect())]
    }
}

/// The files of one kind of result.
struct Files<'a> {
    row: &'a Row,
    results: &'a Results,
    /// Where to.
    at: &'a Value,
    kind: &'static str,
    text: String,
    written: Vec<Value>,
}

impl<'a> Files<'a> {
    fn new(row: &'a Row, results: &'a Results, at: &'a Value, kind: &'static str) -> Files<'a> {
        Files {
            row,
            results,
            at,
            kind,
            text: String::new(),
            written: Vec::new(),
        }
    }

    async fn add(&mut self, sfn: &Sfn, result: &str) -> Result<(), Fault> {
        let between = match (self.text.is_empty(), self.results.json_lines) {
            (true, true) => "",
            (true, false) => "[",
            (false, true) => "\n",
            (false, false) => ",",
        };
        self.text.push_str(between);
        self.text.push_str(result);
        if self.text.len() >= FILE_BYTES {
            self.flush(sfn).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, sfn: &Sfn) -> Result<(), Fault> {
        if self.text.is_empty() {
            return Ok(());
        }
        if !self.results.json_lines {
            self.text.push(']');
        }
        let body = Bytes::from(std::mem::take(&mut self.text));
        let end = if self.results.json_lines {
            "jsonl"
        } else {
            "json"
        };
        let number = self.written.len();
        let key = format!("{}{}_{number}.{end}", folder(self.row, self.at), self.kind);
        let size = body.len();
        let s3 = &sfn.driver.peers.s3;
        s3.write(bucket(self.at), &key, body)
            .await
            .map_err(refused)?;
        self.written.push(json!({"Key": key, "Size": size}));
        Ok(())
    }
}

fn bucket(at: &Value) -> &str {
    at["Bucket"].as_str().unwrap_or_default()
}

/// Where a Map Run's files are: under the prefix, by the last part of its ARN.
fn folder(row: &Row, at: &Value) -> String {
    let prefix = at["Prefix"].as_str().unwrap_or_default();
    let prefix = prefix.trim_end_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let id = row.arn.rsplit(':').next().unwrap_or_default();
    format!("{prefix}{slash}{id}/")
}

fn refused(error: AwsError) -> Fault {
    let cause = format!("{} ({})", error.message, error.code);
    ("States.ResultWriterFailed".into(), cause)
}
