//! State machines that call the services here: SQS, S3, EventBridge, Step Functions itself.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::crash::start;
use crate::elsewhere::Elsewhere;
use crate::executions::wait_forever;
use crate::states::{Remote, States, types};

/// A machine of one task.
pub fn task(resource: &str, parameters: Value) -> Value {
    json!({"StartAt": "Do", "States": {
        "Do": {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": true},
    }})
}

/// Runs a task in a machine of its own; gives how its execution ended.
pub async fn done(aws: &impl States, queue: &str, name: &str, definition: Value) -> Value {
    let machine = aws.machine(name, definition).await;
    let execution = aws.run(&machine, name, json!({})).await;
    aws.end(queue, &execution).await
}

/// Makes the bucket `b-1` with one object, `in.json`.
pub async fn stored(aws: &impl States, queue: &str, body: Value) {
    let s3 = |action: &str| format!("arn:aws:states:::aws-sdk:s3:{action}");
    let bucket = task(&s3("createBucket"), json!({"Bucket": "b-1"}));
    output(&done(aws, queue, "bucket", bucket).await);
    let object = json!({"Bucket": "b-1", "Key": "in.json", "Body": body});
    output(&done(aws, queue, "put", task(&s3("putObject"), object)).await);
}

pub fn output(told: &Value) -> Value {
    assert_eq!(told["status"], "SUCCEEDED", "{told}");
    serde_json::from_str(told["output"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn messages_and_objects_go_through_state_machines() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let inbox = aws
        .sqs("CreateQueue", json!({"QueueName": "inbox"}))
        .await
        .unwrap();
    let url = inbox["QueueUrl"].clone();
    let parameters = json!({"QueueUrl": url, "MessageBody": {"n": 1}});
    let send = task("arn:aws:states:::sqs:sendMessage", parameters);
    let sent = output(&done(&aws, &queue, "send", send).await);
    assert_eq!(sent["SdkHttpMetadata"]["HttpStatusCode"], 200);

    let resource = "arn:aws:states:::aws-sdk:sqs:receiveMessage";
    let receive = task(resource, json!({"QueueUrl": url}));
    let received = output(&done(&aws, &queue, "receive", receive.clone()).await);
    let message = &received["Messages"][0];
    assert_eq!(
        (&message["Body"], &message["MessageId"]),
        (&json!(r#"{"n":1}"#), &sent["MessageId"])
    );
    assert_eq!(message["Md5OfBody"], sent["MD5OfMessageBody"]);
    let nothing = output(&done(&aws, &queue, "nothing", receive).await);
    assert_eq!(nothing, json!({}), "no messages are no member");

    let s3 = |action: &str| format!("arn:aws:states:::aws-sdk:s3:{action}");
    let made = task(&s3("createBucket"), json!({"Bucket": "b-1"}));
    assert_eq!(
        output(&done(&aws, &queue, "bucket", made).await)["Location"],
        "/b-1"
    );
    let parameters = json!({"Bucket": "b-1", "Key": "k", "Body": {"a": [1]}});
    let put = output(&done(&aws, &queue, "put", task(&s3("putObject"), parameters)).await);
    let at = json!({"Bucket": "b-1", "Key": "k"});
    let got = output(&done(&aws, &queue, "get", task(&s3("getObject"), at)).await);
    assert_eq!(
        (&got["Body"], &got["ETag"]),
        (&json!(r#"{"a":[1]}"#), &put["ETag"])
    );
    let listing = task(&s3("listObjectsV2"), json!({"Bucket": "b-1"}));
    let listed = output(&done(&aws, &queue, "list", listing).await);
    assert_eq!(
        (
            &listed["Contents"][0]["Key"],
            &listed["Contents"][0]["Size"]
        ),
        (&json!("k"), &json!(9))
    );
    let missing = task(&s3("getObject"), json!({"Bucket": "b-1", "Key": "none"}));
    let told = done(&aws, &queue, "missing", missing).await;
    assert_eq!(told["error"], "S3.NoSuchKeyException");
    let cause = told["cause"].as_str().unwrap();
    assert!(
        cause.starts_with(
            "The specified key does not exist. (Service: S3, Status Code: 404, Request ID: "
        ),
        "{cause}"
    );

    let parameters = json!({"Entries": [{"Detail": {"x": 1}, "DetailType": "t", "Source": "s"}]});
    let put = task("arn:aws:states:::events:putEvents", parameters);
    assert_eq!(
        output(&done(&aws, &queue, "events", put).await)["FailedEntryCount"],
        0
    );
    let told = done(
        &aws,
        &queue,
        "topic",
        task("arn:aws:states:::sns:publish", json!({})),
    )
    .await;
    assert_eq!(told["error"], "States.Runtime");
    assert!(
        told["cause"]
            .as_str()
            .unwrap()
            .contains("not supported yet")
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn an_execution_waits_for_the_one_it_starts_also_across_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let lambda = Elsewhere::start().await;
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let queue = aws.watch().await;
    let inner = aws
        .machine(
            "inner",
            json!({"StartAt": "Wait", "States": {
                "Wait": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:getQueueUrl",
                    "Parameters": {"QueueName.$": "$.name"},
                    "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 99}],
                    "End": true},
            }}),
        )
        .await;
    let parameters = json!({"StateMachineArn": inner, "Input": {"name.$": "$.name"}});
    let outer = task("arn:aws:states:::states:startExecution.sync:2", parameters);
    let outer = aws.machine("outer", outer).await;
    let execution = aws.run(&outer, "e", json!({"name": "later"})).await;
    aws.recorded(&execution, "TaskSubmitted", 1).await;
    local.kill();

    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    aws.sqs("CreateQueue", json!({"QueueName": "later"}))
        .await
        .unwrap();
    let told = output(&aws.end(&queue, &execution).await);
    assert_eq!(told["Status"], "SUCCEEDED");
    assert!(
        told["Output"]["QueueUrl"]
            .as_str()
            .unwrap()
            .ends_with("/later")
    );
    assert_eq!(
        types(&aws.history(&execution).await)[2..6],
        [
            "TaskScheduled",
            "TaskStarted",
            "TaskSubmitted",
            "TaskSucceeded"
        ]
    );
    let listed = json!({"stateMachineArn": inner});
    let listed = aws.states("ListExecutions", listed).await.unwrap();
    assert_eq!(
        listed["executions"].as_array().unwrap().len(),
        1,
        "it was started once"
    );
    local.kill();
}

#[tokio::test]
async fn a_nested_execution_fails_its_task_and_stops_with_it() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let failing =
        json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}});
    let failing = aws.machine("failing", failing).await;
    let sync = "arn:aws:states:::states:startExecution.sync";
    let told = done(
        &aws,
        &queue,
        "one",
        task(sync, json!({"StateMachineArn": failing})),
    )
    .await;
    assert_eq!(told["error"], "States.TaskFailed");
    let cause: Value = serde_json::from_str(told["cause"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&cause["Error"], &cause["Status"]),
        (&json!("E"), &json!("FAILED"))
    );

    let waiting = aws.machine("waiting", wait_forever()).await;
    let parameters = json!({"StateMachineArn": waiting, "Name": "inner"});
    let outer = aws.machine("two", task(sync, parameters)).await;
    let execution = aws.run(&outer, "two", json!({})).await;
    aws.recorded(&execution, "TaskSubmitted", 1).await;
    aws.states("StopExecution", json!({"executionArn": execution}))
        .await
        .unwrap();
    let inner = execution.replace(":two:two", ":waiting:inner");
    let told = aws.end(&queue, &inner).await;
    assert_eq!(told["status"], "ABORTED");

    let parameters = json!({"StateMachineArn": waiting, "Name": "inner"});
    let again = task("arn:aws:states:::states:startExecution", parameters);
    let told = done(&aws, &queue, "three", again).await;
    assert_eq!(
        told["error"],
        "StepFunctions.ExecutionAlreadyExistsException"
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn whoever_asks_is_the_one_accounts_user() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let ask = |action: &str| {
        let form = format!("Action={action}&Version=2011-06-15");
        let request = aws.client.post(&aws.endpoint);
        request
            .header(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(form)
            .send()
    };
    let answer = ask("GetCallerIdentity").await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.text().await.unwrap();
    assert!(body.contains("<Account>000000000000</Account>"), "{body}");
    let answer = ask("AssumeRole").await.unwrap();
    assert_eq!(answer.status(), 400);
    aws.server.shutdown().await;
}
