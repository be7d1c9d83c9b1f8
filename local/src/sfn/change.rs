//! Status changes: the row that DescribeExecution reads, and the event that EventBridge carries.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>

use asl::Outcome;
use serde_json::{Value, json};

use super::journal::{NewExecution, Status};
use super::log::ExecutionLog;
use super::map_run::ChildOf;
use crate::events::envelope;

/// Most bytes of input and output in an event, as escaped JSON; larger ones are left out.
const DATA_BYTES_MAX: usize = 248 << 10;

/// What of an execution never changes.
#[derive(Debug)]
pub struct Facts {
    /// Its number.
    pub id: i64,
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The ARN of its state machine.
    pub machine_arn: String,
    /// The ARN of the version it was started through.
    pub version_arn: Option<String>,
    /// The ARN of the alias it was started through.
    pub alias_arn: Option<String>,
    /// Its input as written.
    pub input: String,
    /// Milliseconds since the epoch.
    pub started_at_ms: i64,
    /// The Map Run that it is a child of, if it is one.
    pub child: Option<ChildOf>,
    /// Where it logs to, if it does.
    pub log: Option<ExecutionLog>,
}

impl Facts {
    /// Those of a new execution.
    pub fn of(new: &NewExecution, machine_arn: &str) -> Facts {
        let qualified = |qualifier: String| format!("{machine_arn}:{qualifier}");
        Facts {
            id: new.id,
            arn: new.arn.clone(),
            name: new.name.clone(),
            machine_arn: machine_arn.to_owned(),
            version_arn: new.version.map(|version| qualified(version.to_string())),
            alias_arn: new.alias.clone().map(qualified),
            input: new.input.clone(),
            started_at_ms: new.started_at_ms,
            child: new.child,
            log: new.log.as_ref().map(|destination| destination.begin()),
        }
    }
}

/// Whether the ARN is that of an execution of an Express workflow, of which EventBridge hears nothing.
pub fn is_express(execution_arn: &str) -> bool {
    execution_arn.split(':').nth(5) == Some("express")
}

/// The row for an outcome.
pub fn status(execution: i64, at_ms: i64, outcome: &Outcome, refusal: Option<String>) -> Status {
    let mut row = Status {
        execution,
        status: name(outcome),
        at_ms,
        output: None,
        error: None,
        cause: None,
        redrive_refusal: refusal,
        redrive: None,
    };
    match outcome {
        Outcome::Running => {}
        Outcome::Succeeded { output_text, .. } => row.output = Some(output_text.clone()),
        Outcome::Failed { error, cause }
        | Outcome::TimedOut { error, cause }
        | Outcome::Aborted { error, cause } => {
            row.error.clone_from(error);
            row.cause.clone_from(cause);
        }
    }
    row
}

/// AWS's name of a status.
fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Running => "RUNNING",
        Outcome::Succeeded { .. } => "SUCCEEDED",
        Outcome::Failed { .. } => "FAILED",
        Outcome::TimedOut { .. } => "TIMED_OUT",
        Outcome::Aborted { .. } => "ABORTED",
    }
}

/// The event that tells of a status; redrives are how many there were and when the last one was.
pub fn event(facts: &Facts, status: &Status, redrives: (i64, Option<i64>)) -> Value {
    let running = status.status == "RUNNING";
    let (redrive_status, reason) = if running {
        (
            "NOT_REDRIVABLE",
            Some("Execution is RUNNING and cannot be redriven"),
        )
    } else {
        match &status.redrive_refusal {
            Some(reason) => ("NOT_REDRIVABLE", Some(reason.as_str())),
            None => ("REDRIVABLE", None),
        }
    };
    let fits =
        escaped(&facts.input) + status.output.as_deref().map_or(0, escaped) <= DATA_BYTES_MAX;
    let data = |text: Option<&str>| match text {
        Some(text) if fits => (json!(text), json!({"included": true})),
        Some(_) => (Value::Null, json!({"included": false})),
        None => (Value::Null, Value::Null),
    };
    let (input, input_details) = data(Some(&facts.input));
    let (output, output_details) = data(status.output.as_deref());
    let detail = json!({
        "executionArn": facts.arn,
        "stateMachineArn": facts.machine_arn,
        "name": facts.name,
        "status": status.status,
        "startDate": facts.started_at_ms,
        "stopDate": (!running).then_some(status.at_ms),
        "input": input,
        "output": output,
        "inputDetails": input_details,
        "outputDetails": output_details,
        "error": status.error,
        "cause": status.cause,
        "stateMachineVersionArn": facts.version_arn,
        "stateMachineAliasArn": facts.alias_arn,
        "redriveCount": redrives.0,
        "redriveDate": redrives.1,
        "redriveStatus": redrive_status,
        "redriveStatusReason": reason,
    });
    envelope(
        "aws.states",
        "Step Functions Execution Status Change",
        status.at_ms,
        std::slice::from_ref(&facts.arn),
        detail,
    )
}

/// The length of a text as a JSON string.
fn escaped(text: &str) -> usize {
    let extra = text
        .bytes()
        .filter(|byte| matches!(byte, b'"' | b'\\' | 0..=31));
    text.len() + extra.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(input: String) -> Facts {
        Facts {
            id: 1,
            arn: "arn:e".into(),
            name: "e".into(),
            machine_arn: "arn:m".into(),
            version_arn: Some("arn:m:1".into()),
            alias_arn: None,
            input,
            started_at_ms: 1_700_000_000_123,
            child: None,
            log: None,
        }
    }

    #[test]
    fn a_failure_is_told_with_its_error_and_how_to_go_on() {
        let outcome = Outcome::Failed {
            error: Some("E".into()),
            cause: Some("c".into()),
        };
        let row = status(1, 1_700_000_001_500, &outcome, None);
        let event = event(&facts("{}".into()), &row, (0, None));
        assert_eq!(event["time"], "2023-11-14T22:13:21Z");
        assert_eq!(event["resources"], json!(["arn:e"]));
        let detail = &event["detail"];
        assert_eq!(detail["stateMachineVersionArn"], "arn:m:1");
        assert_eq!(detail["stateMachineAliasArn"], Value::Null);
        assert_eq!(detail["status"], "FAILED");
        assert_eq!(
            (&detail["error"], &detail["cause"]),
            (&json!("E"), &json!("c"))
        );
        assert_eq!(detail["stopDate"], 1_700_000_001_500_i64);
        assert_eq!(detail["redriveStatus"], "REDRIVABLE");
        assert_eq!(
            (&detail["output"], &detail["outputDetails"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(detail["inputDetails"], json!({"included": true}));
    }

    #[test]
    fn large_data_is_left_out() {
        let outcome = Outcome::Succeeded {
            output: json!(1),
            output_text: "1".into(),
        };
        let row = status(1, 5, &outcome, Some("no".into()));
        let event = event(&facts("\"".repeat(DATA_BYTES_MAX / 2)), &row, (2, Some(3)));
        let detail = &event["detail"];
        assert_eq!(
            (&detail["input"], &detail["output"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(detail["inputDetails"], json!({"included": false}));
        assert_eq!(detail["outputDetails"], json!({"included": false}));
        assert_eq!(
            (&detail["redriveCount"], &detail["redriveDate"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(detail["redriveStatusReason"], "no");
    }

    #[test]
    fn a_running_execution_has_no_end() {
        let row = status(1, 7, &Outcome::Running, None);
        let detail = &event(&facts("{}".into()), &row, (0, None))["detail"];
        assert_eq!(
            (&detail["status"], &detail["stopDate"]),
            (&json!("RUNNING"), &Value::Null)
        );
        assert_eq!(detail["redriveStatus"], "NOT_REDRIVABLE");
    }
}
