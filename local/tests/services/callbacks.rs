//! Task tokens and activities, also across `kill -9`.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::crash::start;
use crate::elsewhere::Elsewhere;
use crate::states::{Remote, States, types};

/// A machine whose one task waits until the bearer of its token reports.
fn approval() -> Value {
    json!({"StartAt": "Ask", "States": {"Ask": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token", "who.$": "$.who"}},
        "HeartbeatSeconds": 600,
        "End": true,
    }}})
}

fn work_of(activity: &str) -> Value {
    json!({"StartAt": "Work", "States": {
        "Work": {"Type": "Task", "Resource": activity, "End": true},
    }})
}

fn token(event: &Value) -> &str {
    event["token"].as_str().expect("a token")
}

#[tokio::test]
async fn the_bearer_of_a_token_ends_its_task_once() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let url = lambda.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let queue = aws.watch().await;
    let machine = aws.machine("m", approval()).await;
    let execution = aws.run(&machine, "e", json!({"who": "ann"})).await;
    let asked = lambda.next().await;
    assert_eq!(asked.event["who"], "ann");
    let token = token(&asked.event).to_owned();
    asked.succeed(json!("asked"));
    aws.recorded(&execution, "TaskSubmitted", 1).await;
    let heartbeat = aws.states("SendTaskHeartbeat", json!({"taskToken": token}));
    assert_eq!(heartbeat.await.unwrap(), json!({}));
    let success = |output: &str| json!({"taskToken": token, "output": output});
    let answer = refused(aws.states("SendTaskSuccess", success("{")).await);
    assert_eq!(answer.1, "InvalidOutput");
    aws.states("SendTaskSuccess", success(r#"{"ok": true}"#))
        .await
        .unwrap();
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["output"], r#"{"ok":true}"#);
    let history = aws.history(&execution).await;
    assert_eq!(
        types(&history)[2..6],
        [
            "TaskScheduled",
            "TaskStarted",
            "TaskSubmitted",
            "TaskSucceeded"
        ]
    );
    let (_, error, message) = refused(aws.states("SendTaskSuccess", success("1")).await);
    assert_eq!(error, "TaskTimedOut");
    assert_eq!(
        message,
        "Task Timed Out: 'Provided task does not exist anymore'"
    );
    let stranger = json!({"taskToken": "mine", "error": "E"});
    let (_, error, message) = refused(aws.states("SendTaskFailure", stranger).await);
    assert_eq!(
        (error.as_str(), message.as_str()),
        ("InvalidToken", "Invalid Token: 'Invalid token'")
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn a_token_outlives_kill_9_and_its_request_is_not_sent_again() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let queue = aws.watch().await;
    let machine = aws.machine("m", approval()).await;
    let execution = aws.run(&machine, "e", json!({"who": "ann"})).await;
    let asked = lambda.next().await;
    let token = token(&asked.event).to_owned();
    asked.succeed(json!("asked"));
    aws.recorded(&execution, "TaskSubmitted", 1).await;
    local.kill();

    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let failure = json!({"taskToken": token, "error": "Refused", "cause": "no"});
    aws.states("SendTaskFailure", failure).await.unwrap();
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["error"], &told["cause"]),
        (&json!("Refused"), &json!("no"))
    );
    assert!(lambda.nothing(), "the function was asked once");
    local.kill();
}

#[tokio::test]
async fn workers_take_an_activitys_tasks() {
    let data = tempfile::tempdir().unwrap();
    let lambda = Elsewhere::start().await;
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let queue = aws.watch().await;
    let made = aws
        .states("CreateActivity", json!({"name": "a"}))
        .await
        .unwrap();
    assert_eq!(
        made,
        aws.states("CreateActivity", json!({"name": "a"}))
            .await
            .unwrap()
    );
    let activity = made["activityArn"].as_str().unwrap().to_owned();
    let machine = aws.machine("m", work_of(&activity)).await;
    let poll = json!({"activityArn": activity, "workerName": "w"});
    let execution = aws.run(&machine, "e", json!({"n": 1})).await;
    aws.recorded(&execution, "ActivityScheduled", 1).await;
    local.kill();

    // Nobody had taken it: it is offered again.
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let taken = aws.states("GetActivityTask", poll.clone()).await.unwrap();
    assert_eq!(taken["input"], r#"{"n":1}"#);
    local.kill();

    // It is taken: the next worker gets the next execution's.
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let second = aws.run(&machine, "f", json!({"n": 2})).await;
    let next = aws.states("GetActivityTask", poll.clone()).await.unwrap();
    assert_eq!(next["input"], r#"{"n":2}"#);
    for (task, output) in [(&taken, "1"), (&next, "2")] {
        let success = json!({"taskToken": task["taskToken"], "output": output});
        aws.states("SendTaskSuccess", success).await.unwrap();
    }
    assert_eq!(aws.end(&queue, &execution).await["output"], "1");
    assert_eq!(aws.end(&queue, &second).await["output"], "2");
    let history = aws.history(&execution).await;
    assert_eq!(
        types(&history)[2..5],
        ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    );
    assert_eq!(history[3]["activityStartedEventDetails"]["workerName"], "w");

    aws.states("DeleteActivity", json!({"activityArn": activity}))
        .await
        .unwrap();
    let (_, error, _) = refused(aws.states("GetActivityTask", poll).await);
    assert_eq!(error, "ActivityDoesNotExist");
    let third = aws.run(&machine, "g", json!({})).await;
    let told = aws.end(&queue, &third).await;
    assert_eq!(told["error"], "States.Runtime");
    assert!(told["cause"].as_str().unwrap().ends_with("does not exist."));
    local.kill();
}
