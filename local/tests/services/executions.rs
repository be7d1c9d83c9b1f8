//! Step Functions: state machines and executions.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::elsewhere::Elsewhere;
use crate::states::{States, function, types};

async fn with_functions(data: &std::path::Path) -> (Aws, Elsewhere) {
    let elsewhere = Elsewhere::start().await;
    let url = elsewhere.url.clone();
    let aws = Aws::start_with(data, |config| config.lambda_endpoint = Some(url)).await;
    (aws, elsewhere)
}

pub fn one_task() -> Value {
    json!({"StartAt": "Work", "States": {
        "Work": {"Type": "Task", "Resource": function("work"), "End": true},
    }})
}

pub fn wait_forever() -> Value {
    json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1_000_000, "End": true}}})
}

#[tokio::test]
async fn an_execution_runs_to_its_end_and_everybody_is_told() {
    let data = tempfile::tempdir().unwrap();
    let (aws, mut lambda) = with_functions(data.path()).await;
    let queue = aws.watch().await;
    let machine = aws
        .machine(
            "m",
            json!({"StartAt": "Work", "States": {
                "Work": {"Type": "Task", "Resource": function("work"), "ResultPath": "$.work", "Next": "Each"},
                "Each": {"Type": "Map", "ItemsPath": "$.work.items", "MaxConcurrency": 2, "End": true,
                    "ItemProcessor": {"StartAt": "One", "States": {
                        "One": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
                            "Parameters": {"FunctionName": "one", "Payload.$": "$"},
                            "OutputPath": "$.Payload", "End": true},
                    }}},
            }}),
        )
        .await;
    let execution = aws.run(&machine, "e", json!({"a": 1})).await;
    let told = aws.next_change(&queue).await;
    assert_eq!(
        (&told["status"], &told["stopDate"]),
        (&json!("RUNNING"), &Value::Null)
    );
    assert_eq!(aws.describe(&execution).await["status"], "RUNNING");

    let asked = lambda.next().await;
    assert_eq!(
        (asked.function.as_str(), &asked.event),
        ("work", &json!({"a": 1}))
    );
    asked.succeed(json!({"items": [1, 2, 3]}));
    for _ in 0..3 {
        let asked = lambda.next().await;
        assert_eq!(asked.function, "one");
        let item = asked.event.as_i64().unwrap();
        asked.succeed(json!(item * 10));
    }
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["status"], &told["output"]),
        (&json!("SUCCEEDED"), &json!("[10,20,30]"))
    );
    assert_eq!(told["input"], r#"{"a":1}"#);

    let described = aws.describe(&execution).await;
    assert_eq!(described["output"], "[10,20,30]");
    assert_eq!(described["redriveStatus"], "NOT_REDRIVABLE");
    assert_eq!(
        described["redriveStatusReason"],
        "Execution is SUCCEEDED and cannot be redriven"
    );
    let stop_ms = (described["stopDate"].as_f64().unwrap() * 1000.0).round();
    assert_eq!(told["stopDate"].as_f64().unwrap(), stop_ms);

    let history = aws.history(&execution).await;
    let ids: Vec<i64> = history
        .iter()
        .map(|event| event["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, (1..=ids.len() as i64).collect::<Vec<_>>());
    let names = types(&history);
    assert_eq!(names.first(), Some(&"ExecutionStarted"));
    assert_eq!(names.last(), Some(&"ExecutionSucceeded"));
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == "LambdaFunctionStarted")
            .count(),
        1
    );
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == "MapIterationSucceeded")
            .count(),
        3
    );
}

#[tokio::test]
async fn histories_come_in_pages_both_ways_and_without_data() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let states: serde_json::Map<String, Value> = (0..9)
        .map(|n| {
            let mut state = json!({"Type": "Pass"});
            match n {
                8 => state["End"] = json!(true),
                _ => state["Next"] = json!(format!("P{}", n + 1)),
            }
            (format!("P{n}"), state)
        })
        .collect();
    let machine = aws
        .machine("m", json!({"StartAt": "P0", "States": states}))
        .await;
    let execution = aws.run(&machine, "e", json!({"secret": 1})).await;
    aws.end(&queue, &execution).await;
    let whole = aws.history(&execution).await;
    assert_eq!(whole.len(), 20);
    for reverse in [false, true] {
        let mut paged = Vec::new();
        let mut ask = json!({"executionArn": execution, "maxResults": 7, "reverseOrder": reverse});
        loop {
            let page = aws
                .states("GetExecutionHistory", ask.clone())
                .await
                .unwrap();
            paged.extend(page["events"].as_array().unwrap().clone());
            match page.get("nextToken") {
                Some(token) => ask["nextToken"] = token.clone(),
                None => break,
            }
        }
        if reverse {
            paged.reverse();
        }
        assert_eq!(paged, whole);
    }
    let ask = json!({"executionArn": execution, "includeExecutionData": false});
    let bare = aws.states("GetExecutionHistory", ask).await.unwrap();
    assert!(!bare.to_string().contains("secret"));
    let ask = json!({"executionArn": execution, "nextToken": "nonsense"});
    assert_eq!(
        refused(aws.states("GetExecutionHistory", ask).await).1,
        "InvalidToken"
    );
}

#[tokio::test]
async fn starting_twice_under_one_name() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let machine = aws.machine("m", wait_forever()).await;
    let ask = |input: &str| json!({"stateMachineArn": machine, "name": "e", "input": input});
    let first = aws.states("StartExecution", ask("{}")).await.unwrap();
    let again = aws.states("StartExecution", ask("{}")).await.unwrap();
    assert_eq!(first, again, "the same while it runs");
    let other = refused(aws.states("StartExecution", ask("[]")).await);
    assert_eq!(other.1, "ExecutionAlreadyExists");
    let stop = json!({"executionArn": first["executionArn"]});
    aws.states("StopExecution", stop).await.unwrap();
    let ended = refused(aws.states("StartExecution", ask("{}")).await);
    assert_eq!(ended.1, "ExecutionAlreadyExists");

    // Ten at once: one starts, the others get its answer.
    let starts = (0..10).map(|_| {
        aws.states(
            "StartExecution",
            json!({"stateMachineArn": machine, "name": "many"}),
        )
    });
    let answers = futures::future::join_all(starts).await;
    let first = answers[0].as_ref().unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap() == first)
    );
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let machine = aws.machine("m", wait_forever()).await;
    let unknown = "arn:aws:states:us-east-1:000000000000:stateMachine:x";
    let cases = [
        (
            json!({"stateMachineArn": machine, "name": "a b"}),
            "InvalidName",
        ),
        (
            json!({"stateMachineArn": machine, "input": "{"}),
            "InvalidExecutionInput",
        ),
        (
            json!({"stateMachineArn": machine, "input": format!("\"{}\"", "x".repeat(262_144))}),
            "ValidationException",
        ),
        (
            json!({"stateMachineArn": unknown}),
            "StateMachineDoesNotExist",
        ),
        (json!({"stateMachineArn": "nonsense"}), "InvalidArn"),
        (json!({"name": "e"}), "SerializationException"),
    ];
    for (ask, code) in cases {
        assert_eq!(refused(aws.states("StartExecution", ask).await).1, code);
    }
    let nobody = json!({"executionArn": "arn:aws:states:us-east-1:000000000000:execution:m:x"});
    for operation in [
        "DescribeExecution",
        "GetExecutionHistory",
        "StopExecution",
        "RedriveExecution",
    ] {
        let (status, code, _) = refused(aws.states(operation, nobody.clone()).await);
        assert_eq!(
            (status, code.as_str()),
            (400, "ExecutionDoesNotExist"),
            "{operation}"
        );
    }
}

#[tokio::test]
async fn errors_of_functions_and_of_lambda_keep_their_names() {
    let data = tempfile::tempdir().unwrap();
    let (aws, mut lambda) = with_functions(data.path()).await;
    let queue = aws.watch().await;
    let catch = |error: &str, next: &str| json!({"ErrorEquals": [error], "ResultPath": "$.caught", "Next": next});
    let end = json!({"Type": "Pass", "OutputPath": "$.caught", "End": true});
    let machine = aws
        .machine(
            "m",
            json!({"StartAt": "Work", "States": {
                "Work": {"Type": "Task", "Resource": function("work"), "End": true,
                    "Catch": [catch("Media.Broken", "Broken"), catch("Lambda.TooManyRequestsException", "Busy")]},
                "Broken": end, "Busy": end,
            }}),
        )
        .await;
    let execution = aws.run(&machine, "broken", json!({})).await;
    lambda.next().await.fail("Media.Broken", "no moov atom");
    let told = aws.end(&queue, &execution).await;
    let caught: Value = serde_json::from_str(told["output"].as_str().unwrap()).unwrap();
    assert_eq!(caught["Error"], "Media.Broken");
    let cause: Value = serde_json::from_str(caught["Cause"].as_str().unwrap()).unwrap();
    assert_eq!(cause["errorMessage"], "no moov atom");

    let execution = aws.run(&machine, "busy", json!({})).await;
    lambda.next().await.refuse(429, "TooManyRequestsException");
    let told = aws.end(&queue, &execution).await;
    let caught: Value = serde_json::from_str(told["output"].as_str().unwrap()).unwrap();
    assert_eq!(caught["Error"], "Lambda.TooManyRequestsException");

    let execution = aws.run(&machine, "gone", json!({})).await;
    lambda.next().await.refuse(404, "ResourceNotFoundException");
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["status"], &told["error"]),
        (&json!("FAILED"), &json!("Lambda.ResourceNotFoundException"))
    );
}

#[tokio::test]
async fn a_stopped_execution_is_over_whatever_its_task_says() {
    let data = tempfile::tempdir().unwrap();
    let (aws, mut lambda) = with_functions(data.path()).await;
    let queue = aws.watch().await;
    let machine = aws.machine("m", one_task()).await;
    let execution = aws.run(&machine, "e", json!({})).await;
    let asked = lambda.next().await;
    let stop = json!({"executionArn": execution, "error": "Enough", "cause": "of this"});
    let stopped = aws.states("StopExecution", stop.clone()).await.unwrap();
    asked.succeed(json!("late"));
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["status"], &told["error"], &told["cause"]),
        (&json!("ABORTED"), &json!("Enough"), &json!("of this"))
    );
    let described = aws.describe(&execution).await;
    assert_eq!(described["stopDate"], stopped["stopDate"]);
    assert_eq!(described["redriveStatus"], "REDRIVABLE");
    assert_eq!(
        types(&aws.history(&execution).await).last(),
        Some(&"ExecutionAborted")
    );
    assert_eq!(
        aws.states("StopExecution", stop).await.unwrap(),
        stopped,
        "again is the same"
    );
}

#[tokio::test]
async fn a_redrive_goes_on_where_it_failed() {
    let data = tempfile::tempdir().unwrap();
    let (aws, mut lambda) = with_functions(data.path()).await;
    let queue = aws.watch().await;
    let machine = aws
        .machine(
            "m",
            json!({"StartAt": "First", "States": {
                "First": {"Type": "Task", "Resource": function("first"), "Next": "Second"},
                "Second": {"Type": "Task", "Resource": function("second"), "End": true},
            }}),
        )
        .await;
    let execution = aws.run(&machine, "e", json!({})).await;
    let redrive = json!({"executionArn": execution, "clientToken": "t"});
    let (_, code, reason) = refused(aws.states("RedriveExecution", redrive.clone()).await);
    assert_eq!(code, "ExecutionNotRedrivable");
    assert_eq!(reason, "Execution is RUNNING and cannot be redriven");
    lambda.next().await.succeed(json!("one"));
    lambda.next().await.fail("E", "not yet");
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["status"], &told["redriveStatus"]),
        (&json!("FAILED"), &json!("REDRIVABLE"))
    );

    let redriven = aws
        .states("RedriveExecution", redrive.clone())
        .await
        .unwrap();
    let told = aws.next_change(&queue).await;
    assert_eq!(
        (&told["status"], &told["redriveCount"]),
        (&json!("RUNNING"), &json!(1))
    );
    assert_eq!(told["stopDate"], Value::Null);
    let same = aws
        .states("RedriveExecution", redrive.clone())
        .await
        .unwrap();
    assert_eq!(same, redriven, "the client's token makes it the same call");
    let described = aws.describe(&execution).await;
    assert_eq!(
        (&described["status"], &described["redriveCount"]),
        (&json!("RUNNING"), &json!(1))
    );
    assert_eq!(described["redriveDate"], redriven["redriveDate"]);
    assert_eq!(described.get("stopDate"), None);

    let asked = lambda.next().await;
    assert_eq!(
        (asked.function.as_str(), &asked.event),
        ("second", &json!("one")),
        "the first is not run again"
    );
    asked.succeed(json!("two"));
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["status"], &told["output"]),
        (&json!("SUCCEEDED"), &json!("\"two\""))
    );
    assert!(types(&aws.history(&execution).await).contains(&"ExecutionRedriven"));
    let (_, code, reason) = refused(
        aws.states("RedriveExecution", json!({"executionArn": execution}))
            .await,
    );
    assert_eq!(code, "ExecutionNotRedrivable");
    assert_eq!(reason, "Execution is SUCCEEDED and cannot be redriven");
    let list = aws
        .states("ListExecutions", json!({"stateMachineArn": machine}))
        .await
        .unwrap();
    assert_eq!(list["executions"][0]["redriveCount"], 1);
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_filtered() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let machine = aws.machine("m", wait_forever()).await;
    for n in 0..5 {
        aws.run(&machine, &format!("e{n}"), json!({})).await;
    }
    let stop = json!({"executionArn": "arn:aws:states:us-east-1:000000000000:execution:m:e1"});
    aws.states("StopExecution", stop).await.unwrap();
    let mut ask = json!({"stateMachineArn": machine, "statusFilter": "RUNNING", "maxResults": 3});
    let first = aws.states("ListExecutions", ask.clone()).await.unwrap();
    let names = |page: &Value| -> Vec<String> {
        let executions = page["executions"].as_array().unwrap();
        executions
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&first), ["e4", "e3", "e2"]);
    ask["nextToken"] = first["nextToken"].clone();
    let second = aws.states("ListExecutions", ask).await.unwrap();
    assert_eq!(names(&second), ["e0"]);
    assert_eq!(second.get("nextToken"), None);
    let all = aws
        .states("ListExecutions", json!({"stateMachineArn": machine}))
        .await
        .unwrap();
    assert_eq!(names(&all)[0], "e1", "what ended last comes first");
    let bad = json!({"stateMachineArn": machine, "statusFilter": "running"});
    assert_eq!(
        refused(aws.states("ListExecutions", bad).await).1,
        "ValidationException"
    );
}

#[tokio::test]
async fn an_execution_that_cannot_be_replayed_fails_and_the_others_go_on() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let machine = aws.machine("m", wait_forever()).await;
    let lost = aws.run(&machine, "lost", json!({})).await;
    let good = aws.run(&machine, "good", json!({})).await;
    aws.server.shutdown().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("local.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    // As if another version had recorded one event more.
    let changed = sqlx::query(
        "UPDATE sfn_steps SET last_event_id = last_event_id + 1
         WHERE execution = (SELECT id FROM sfn_executions WHERE name = 'lost')",
    )
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    pool.close().await;

    let aws = Aws::start(data.path()).await;
    let told = aws.end(&queue, &lost).await;
    assert_eq!(
        (&told["status"], &told["error"]),
        (&json!("FAILED"), &json!("States.Runtime"))
    );
    assert_eq!(
        types(&aws.history(&lost).await).last(),
        Some(&"ExecutionFailed")
    );
    assert_eq!(aws.describe(&good).await["status"], "RUNNING");
    let redrive = aws
        .states("RedriveExecution", json!({"executionArn": lost}))
        .await;
    assert_eq!(refused(redrive).1, "ExecutionNotRedrivable");
    let stop = json!({"executionArn": good});
    aws.states("StopExecution", stop).await.unwrap();
    assert_eq!(aws.end(&queue, &good).await["status"], "ABORTED");
}
