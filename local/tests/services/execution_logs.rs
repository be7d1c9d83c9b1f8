//! Step Functions: what executions write to CloudWatch Logs.

use serde_json::{Value, json};

use crate::aws::{Aws, eventually, refused};
use crate::states::States;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn machine(kind: &str, level: &str) -> Value {
    let definition = json!({"StartAt": "Wrong", "States": {"Wrong": {"Type": "Fail", "Error": "E", "Cause": "c"}}});
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:/states/m:*";
    json!({"name": kind, "type": kind, "definition": definition.to_string(), "roleArn": ROLE, "loggingConfiguration": {
        "level": level, "includeExecutionData": kind == "STANDARD",
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
    }})
}

/// The events that a state machine has logged, once there are so many of them.
async fn logged(aws: &Aws, name: &str, count: usize) -> Vec<Value> {
    let ask =
        json!({"logGroupName": "/states/m", "logStreamNamePrefix": format!("states/{name}/")});
    eventually("log lines", || async {
        let found = aws.logs("FilterLogEvents", ask.clone()).await.unwrap();
        let events: Vec<Value> = found["events"]
            .as_array()?
            .iter()
            .map(|event| serde_json::from_str(event["message"].as_str().unwrap()).unwrap())
            .collect();
        (events.len() == count).then_some(events)
    })
    .await
}

#[tokio::test]
async fn executions_log_at_their_level() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let (_, kind, message) = refused(
        aws.states("CreateStateMachine", machine("STANDARD", "ALL"))
            .await,
    );
    assert_eq!(kind, "InvalidLoggingConfiguration");
    assert!(message.ends_with("Log Destination not found."), "{message}");
    aws.logs("CreateLogGroup", json!({"logGroupName": "/states/m"}))
        .await
        .unwrap();

    let created = aws
        .states("CreateStateMachine", machine("STANDARD", "ALL"))
        .await
        .unwrap();
    let start = json!({"stateMachineArn": created["stateMachineArn"], "input": r#"{"a": 1}"#});
    let started = aws.states("StartExecution", start).await.unwrap();
    let all = logged(&aws, "STANDARD", 3).await;
    assert_eq!(
        (&all[0]["type"], &all[0]["details"]["input"], &all[0]["id"]),
        (
            &json!("ExecutionStarted"),
            &json!(r#"{"a": 1}"#),
            &json!("1")
        )
    );
    assert_eq!(all[2]["details"], json!({"error": "E", "cause": "c"}));
    assert_eq!(all[2]["execution_arn"], started["executionArn"]);
    assert_eq!(
        (&all[2]["previous_event_id"], &all[2]["redrive_count"]),
        (&json!("2"), &json!("0"))
    );

    let created = aws
        .states("CreateStateMachine", machine("EXPRESS", "ERROR"))
        .await
        .unwrap();
    let start = json!({"stateMachineArn": created["stateMachineArn"], "input": r#"{"a": 1}"#});
    aws.states("StartSyncExecution", start).await.unwrap();
    let errors = logged(&aws, "EXPRESS", 2).await;
    assert_eq!(
        (&errors[0]["type"], &errors[0]["details"]),
        (&json!("FailStateEntered"), &json!({"name": "Wrong"}))
    );
    assert_eq!(errors[1]["type"], "ExecutionFailed");
    aws.server.shutdown().await;
}
