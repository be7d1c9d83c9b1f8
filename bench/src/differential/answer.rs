//! What an endpoint makes of a machine. Owns the calls; refuses to judge what they answer.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};

use super::generate::Machine;
use crate::endpoint::Endpoint;

/// How often to ask whether an execution is over.
const LOOK: Duration = Duration::from_millis(10);
/// How long an execution may take.
const OVER_WITHIN: Duration = Duration::from_secs(60);

/// How an execution ended, or why there was none.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `SUCCEEDED`, `FAILED`, …; `REFUSED` if no execution began, with the answer as cause.
    pub status: String,
    pub output: Value,
    pub error: String,
    pub cause: String,
    /// The names of the states that were entered, in order.
    pub entered: Vec<String>,
    /// Whether a Parallel or Map state failed, so that how far its other branches came is open.
    pub cut_short: bool,
    /// Bytes of the largest value that a state was given or left.
    pub largest: usize,
    /// The causes of errors that were caught.
    pub caught: Vec<String>,
}

/// Creates the machine on the endpoint and runs it to its end.
pub fn answer(endpoint: &Endpoint, machine: &Machine) -> anyhow::Result<Answer> {
    let name = format!("differential-{}", machine.seed);
    let created = endpoint.call(
        "CreateStateMachine",
        &json!({ "name": name, "definition": machine.definition.to_string(),
            "roleArn": "arn:aws:iam::000000000000:role/differential" }),
    );
    let created = match created {
        Ok(created) => created,
        Err(error) => return Ok(refused(&error)),
    };
    let arn = &created["stateMachineArn"];
    let started = endpoint.call(
        "StartExecution",
        &json!({ "stateMachineArn": arn, "input": machine.input.to_string(), "name": name }),
    );
    let answer = match started {
        Ok(started) => ended(endpoint, &started["executionArn"])?,
        Err(error) => refused(&error),
    };
    endpoint.call("DeleteStateMachine", &json!({ "stateMachineArn": arn }))?;
    Ok(answer)
}

fn refused(error: &anyhow::Error) -> Answer {
    Answer {
        status: "REFUSED".to_owned(),
        output: Value::Null,
        error: String::new(),
        cause: format!("{error:#}"),
        entered: Vec::new(),
        cut_short: false,
        largest: 0,
        caught: Vec::new(),
    }
}

fn ended(endpoint: &Endpoint, execution: &Value) -> anyhow::Result<Answer> {
    let until = Instant::now() + OVER_WITHIN;
    let found = loop {
        let found = endpoint.call("DescribeExecution", &json!({ "executionArn": execution }))?;
        if found["status"] != "RUNNING" {
            break found;
        }
        if Instant::now() > until {
            break json!({ "status": "RUNNING", "cause": "it does not end" });
        }
        std::thread::sleep(LOOK);
    };
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    let succeeded = found["status"] == "SUCCEEDED";
    let output = match found["output"].as_str().filter(|_| succeeded) {
        Some(output) => {
            serde_json::from_str(output).unwrap_or_else(|_| json!(format!("no JSON: {output}")))
        }
        None => Value::Null,
    };
    let mut answer = Answer {
        status: text("status"),
        output,
        error: text("error"),
        cause: text("cause"),
        entered: Vec::new(),
        cut_short: false,
        largest: 0,
        caught: Vec::new(),
    };
    add_history(&mut answer, endpoint, execution)?;
    Ok(answer)
}

fn add_history(answer: &mut Answer, endpoint: &Endpoint, execution: &Value) -> anyhow::Result<()> {
    let mut request = json!({ "executionArn": execution, "maxResults": 1000 });
    loop {
        let page = endpoint.call("GetExecutionHistory", &request)?;
        let Some(events) = page["events"].as_array() else {
            bail!("GetExecutionHistory answered {page}");
        };
        for event in events {
            let (entered, exited) = (
                &event["stateEnteredEventDetails"],
                &event["stateExitedEventDetails"],
            );
            if let Some(name) = entered["name"].as_str() {
                answer.entered.push(name.to_owned());
            }
            for text in [&entered["input"], &exited["output"]] {
                let Some(value) = text
                    .as_str()
                    .and_then(|text| serde_json::from_str(text).ok())
                else {
                    continue;
                };
                // Some write JSON with spaces and escapes, which do not count.
                let value: Value = value;
                answer.largest = answer.largest.max(value.to_string().len());
                add_caught(&mut answer.caught, &value);
            }
            answer.cut_short |= [
                "ParallelStateFailed",
                "MapStateFailed",
                "MapIterationFailed",
            ]
            .iter()
            .any(|kind| event["type"] == *kind);
        }
        let Some(token) = page["nextToken"].as_str() else {
            return Ok(());
        };
        request["nextToken"] = json!(token);
    }
}

/// Adds the causes in outputs of errors, wherever in a value.
fn add_caught(caught: &mut Vec<String>, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let (Some(Value::String(_)), Some(Value::String(cause))) =
                (fields.get("Error"), fields.get("Cause"))
            {
                caught.push(cause.clone());
            }
            fields.values().for_each(|value| add_caught(caught, value));
        }
        Value::Array(list) => list.iter().for_each(|value| add_caught(caught, value)),
        _ => {}
    }
}
