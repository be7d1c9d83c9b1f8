//! `states:startExecution`: state machines that start others, and wait for their end or do not.
//!
//! Owns how the end of the other execution is told. <https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html>

use asl::{Pattern, Resource};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Caller, Fault, exception, refused, with_metadata};
use crate::sfn::Sfn;

/// Whether a task starts an execution and waits for its end.
pub fn is_nested(resource: &str) -> bool {
    matches!(
        Resource::of(resource),
        Resource::Service {
            service: "states",
            ..
        }
    ) && matches!(Resource::of(resource).pattern(), Pattern::Sync(_))
}

/// Starts an execution. Without a name in the parameters its name is made of the task, so that it is started
/// once however often it is asked for.
pub async fn start(sfn: &Sfn, caller: &Caller, parameters: &Value) -> Result<Value, Fault> {
    let input = match &parameters["Input"] {
        Value::Null => "{}".to_owned(),
        Value::String(text) if serde_json::from_str::<Value>(text).is_ok() => text.clone(),
        value => value.to_string(),
    };
    let given = parameters["Name"].as_str();
    let name = given.map_or_else(|| name_of(caller), str::to_owned);
    let mut ask = json!({
        "stateMachineArn": parameters["StateMachineArn"],
        "input": input,
        "name": name,
    });
    if let Some(header) = parameters["TraceHeader"].as_str() {
        ask["traceHeader"] = json!(header);
    }
    let answer = match sfn.call("StartExecution", ask).await {
        Ok(answer) => answer,
        Err(error) if error.code == "ExecutionAlreadyExists" && given.is_none() => {
            let arn = error.message.split('\'').nth(1).unwrap_or_default();
            let asked = json!({"executionArn": arn});
            let found = sfn.call("DescribeExecution", asked).await;
            let found = found.map_err(|error| refusal(&error))?;
            json!({"executionArn": arn, "startDate": found["startDate"]})
        }
        Err(error) => return Err(refusal(&error)),
    };
    Ok(with_metadata(json!({
        "ExecutionArn": answer["executionArn"],
        "StartDate": millis(&answer["startDate"]),
    })))
}

fn refusal(error: &crate::wire::AwsError) -> Fault {
    refused(
        "StepFunctions",
        "AWSStepFunctions",
        &exception(&error.code),
        error,
    )
}

/// A name that is the same whenever the same task asks.
fn name_of(caller: &Caller) -> String {
    let mut hash = Sha256::new();
    hash.update(caller.execution_arn.as_bytes());
    hash.update(caller.task.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// Epoch seconds as the integrations have them.
fn millis(seconds: &Value) -> Value {
    match seconds.as_f64() {
        Some(seconds) => json!((seconds * 1000.0).round() as i64),
        None => Value::Null,
    }
}

/// How an execution ended that a task has waited for.
pub struct End {
    /// What DescribeExecution answers.
    pub described: Value,
}

impl End {
    /// What the task comes to: `.sync:2` gives input and output as JSON and not as texts.
    pub fn result(&self, resource: &str) -> Result<Value, Fault> {
        let parsed = Resource::of(resource).pattern() == Pattern::Sync(2);
        let described = &self.described;
        let data = |member: &str| match &described[member] {
            Value::String(text) if parsed => {
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            }
            value => value.clone(),
        };
        let mut told = Map::new();
        let members = [
            ("Cause", described["cause"].clone()),
            ("Error", described["error"].clone()),
            ("ExecutionArn", described["executionArn"].clone()),
            ("Input", data("input")),
            ("InputDetails", json!({"Included": true})),
            ("Name", described["name"].clone()),
            ("Output", data("output")),
            ("OutputDetails", included(&described["output"])),
            ("StartDate", millis(&described["startDate"])),
            ("StateMachineArn", described["stateMachineArn"].clone()),
            ("Status", described["status"].clone()),
            ("StopDate", millis(&described["stopDate"])),
            ("TraceHeader", described["traceHeader"].clone()),
        ];
        for (name, value) in members {
            if !value.is_null() || (name == "Output" && described["output"].is_string()) {
                told.insert(name.to_owned(), value);
            }
        }
        let told = Value::Object(told);
        if described["status"] == "SUCCEEDED" {
            Ok(told)
        } else {
            Err(("States.TaskFailed".into(), told.to_string()))
        }
    }
}

fn included(output: &Value) -> Value {
    match output {
        Value::Null => Value::Null,
        _ => json!({"Included": true}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let described = json!({"executionArn": "arn:e", "name": "e", "status": "SUCCEEDED",
            "input": "{}", "output": "[1]", "startDate": 1.5, "stopDate": 2.0});
        let end = End { described };
        let text = end
            .result("arn:aws:states:::states:startExecution.sync")
            .unwrap();
        assert_eq!(
            (&text["Output"], &text["StopDate"]),
            (&json!("[1]"), &json!(2000))
        );
        let parsed = end
            .result("arn:aws:states:::states:startExecution.sync:2")
            .unwrap();
        assert_eq!(
            (&parsed["Output"], &parsed["Input"]),
            (&json!([1]), &json!({}))
        );
        let described = json!({"status": "FAILED", "error": "E", "input": "{}"});
        let (error, cause) = End { described }
            .result("arn:aws:states:::states:startExecution.sync")
            .unwrap_err();
        assert_eq!(error, "States.TaskFailed");
        assert_eq!(
            cause,
            r#"{"Error":"E","Input":"{}","InputDetails":{"Included":true},"Status":"FAILED"}"#
        );
    }

    #[test]
    fn a_task_always_names_its_execution_alike() {
        let caller = |task| Caller {
            execution_arn: "arn:e".into(),
            machine_arn: "arn:m".into(),
            task,
        };
        assert_eq!(name_of(&caller(1)), name_of(&caller(1)));
        assert_ne!(name_of(&caller(1)), name_of(&caller(2)));
    }
}
