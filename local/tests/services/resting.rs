//! Executions that were let go of by the memory: time, reports and StopExecution reach them all the same.

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::elsewhere::Elsewhere;
use crate::states::{States, types};

/// Something that waits in one branch for time to pass, and in the other for somebody to report.
fn waiting(seconds: u64) -> Value {
    json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": seconds, "End": true}}},
        {"StartAt": "Ask", "States": {"Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}},
            "End": true,
        }}},
    ]}}})
}

async fn restless(data: &std::path::Path, lambda: &Elsewhere) -> Aws {
    let url = lambda.url.clone();
    Aws::start_with(data, |config| {
        config.lambda_endpoint = Some(url);
        config.rest = Duration::ZERO;
    })
    .await
}

/// Starts one and gives its ARN with the token of its task.
async fn start(aws: &Aws, lambda: &mut Elsewhere, seconds: u64) -> (String, String) {
    let name = format!("m{seconds}");
    let machine = aws.machine(&name, waiting(seconds)).await;
    let execution = aws.run(&machine, &name, json!({})).await;
    let asked = lambda.next().await;
    let token = asked.event["token"].as_str().unwrap().to_owned();
    asked.succeed(json!(null));
    aws.recorded(&execution, "TaskSubmitted", 1).await;
    (execution, token)
}

#[tokio::test]
async fn time_and_reports_reach_it() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let aws = restless(data.path(), &lambda).await;
    let queue = aws.watch().await;
    let (execution, token) = start(&aws, &mut lambda, 1).await;
    aws.recorded(&execution, "WaitStateExited", 1).await;
    let report = json!({"taskToken": token, "output": "7"});
    aws.states("SendTaskSuccess", report.clone()).await.unwrap();
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["output"], "[{},7]");
    let history = aws.history(&execution).await;
    let ids: Vec<i64> = history
        .iter()
        .filter_map(|event| event["id"].as_i64())
        .collect();
    assert_eq!(ids, (1..=history.len() as i64).collect::<Vec<_>>());
    assert_eq!(
        types(&history)
            .iter()
            .filter(|kind| **kind == "TaskSubmitted")
            .count(),
        1
    );
    let again = aws.states("SendTaskSuccess", report).await;
    assert_eq!(crate::aws::refused(again).1, "TaskTimedOut");
    assert!(lambda.nothing(), "the task was begun once");
    aws.server.shutdown().await;
}

#[tokio::test]
async fn it_is_stopped_and_redriven() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let aws = restless(data.path(), &lambda).await;
    let queue = aws.watch().await;
    let (execution, _) = start(&aws, &mut lambda, 3600).await;
    let of = json!({"executionArn": execution});
    aws.states("StopExecution", of.clone()).await.unwrap();
    let described = aws.describe(&execution).await;
    assert_eq!(
        described["status"], "ABORTED",
        "it is written when the call returns"
    );
    aws.end(&queue, &execution).await;
    aws.states("RedriveExecution", of.clone()).await.unwrap();
    lambda.next().await.succeed(json!(null));
    aws.recorded(&execution, "TaskSubmitted", 2).await;
    aws.states("StopExecution", of).await.unwrap();
    assert_eq!(aws.describe(&execution).await["status"], "ABORTED");
    aws.server.shutdown().await;
}
