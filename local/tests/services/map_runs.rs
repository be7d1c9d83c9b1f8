//! Map states in DISTRIBUTED mode: their Map Runs and children, also across `kill -9`.

use serde_json::{Value, json};

use crate::aws::{Aws, eventually, refused};
use crate::crash::start;
use crate::elsewhere::{Asked, Elsewhere};
use crate::integrations::{done, output, stored, task};
use crate::states::{Remote, States, function, types};

/// A machine with one Map state, whose children run the function `work` on their item.
fn over(settings: Value) -> Value {
    let mut map = json!({
        "Type": "Map",
        "Label": "each",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Work",
            "States": {"Work": {"Type": "Task", "Resource": function("work"), "End": true}},
        },
        "End": true,
    });
    for (member, value) in settings.as_object().unwrap() {
        map[member] = value.clone();
    }
    json!({"StartAt": "Map", "States": {"Map": map}})
}

/// The Map Run of an execution.
async fn map_run(aws: &impl States, execution: &str) -> Value {
    let listed = aws
        .states("ListMapRuns", json!({"executionArn": execution}))
        .await
        .unwrap();
    let arn = &listed["mapRuns"][0]["mapRunArn"];
    aws.states("DescribeMapRun", json!({"mapRunArn": arn}))
        .await
        .unwrap()
}

async fn children(aws: &impl States, map_run: &Value, status: &str) -> Vec<Value> {
    let ask = json!({"mapRunArn": map_run["mapRunArn"], "statusFilter": status});
    let listed = aws.states("ListExecutions", ask).await.unwrap();
    listed["executions"].as_array().unwrap().clone()
}

/// The next invocations, in the order of their items.
async fn next(lambda: &mut Elsewhere, count: usize) -> Vec<Asked> {
    let mut asked = Vec::new();
    for _ in 0..count {
        asked.push(lambda.next().await);
    }
    asked.sort_by_key(|asked| asked.event.as_i64());
    asked
}

#[tokio::test]
async fn failed_children_are_redriven_and_no_others() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let url = lambda.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let queue = aws.watch().await;
    let machine = aws
        .machine("m", over(json!({"ToleratedFailureCount": 1})))
        .await;
    let execution = aws.run(&machine, "e", json!([1, 2, 3])).await;
    let [one, two, three]: [Asked; 3] = next(&mut lambda, 3).await.try_into().ok().unwrap();
    let run = map_run(&aws, &execution).await;
    assert_eq!(
        (
            &run["status"],
            &run["executionCounts"]["running"],
            &run["toleratedFailureCount"]
        ),
        (&json!("RUNNING"), &json!(3), &json!(1))
    );
    one.succeed(json!("1"));
    eventually("a success", || async {
        (!children(&aws, &run, "SUCCEEDED").await.is_empty()).then_some(())
    })
    .await;
    two.fail("E", "no");
    three.fail("E", "no");
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["error"], "States.ExceedToleratedFailureThreshold");
    let failed = children(&aws, &run, "FAILED").await;
    assert_eq!(failed.len(), 2);
    let child = aws
        .describe(failed[0]["executionArn"].as_str().unwrap())
        .await;
    assert_eq!(
        (&child["mapRunArn"], &child["redriveStatus"]),
        (&run["mapRunArn"], &json!("REDRIVABLE_BY_MAP_RUN"))
    );
    assert_eq!(child["stateMachineArn"], format!("{machine}/each"));
    let again = json!({"executionArn": child["executionArn"]});
    let (_, error, _) = refused(aws.states("RedriveExecution", again).await);
    assert_eq!(error, "ExecutionNotRedrivable");

    aws.states("RedriveExecution", json!({"executionArn": execution}))
        .await
        .unwrap();
    for asked in next(&mut lambda, 2).await {
        let item = asked.event.as_i64().unwrap();
        assert_ne!(item, 1, "it has succeeded");
        asked.succeed(json!(item * 10));
    }
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["output"], r#"["1",20,30]"#);
    let run = map_run(&aws, &execution).await;
    assert_eq!(
        (&run["status"], &run["redriveCount"]),
        (&json!("SUCCEEDED"), &json!(1))
    );
    let history = aws.history(&execution).await;
    assert_eq!(
        types(&history)[2..],
        [
            "MapStateStarted",
            "MapRunStarted",
            "MapRunFailed",
            "MapStateFailed",
            "ExecutionFailed",
            "ExecutionRedriven",
            "MapRunRedriven",
            "MapRunSucceeded",
            "MapStateSucceeded",
            "MapStateExited",
            "ExecutionSucceeded",
        ]
    );
    let listed = aws
        .states("ListExecutions", json!({"stateMachineArn": machine}))
        .await
        .unwrap();
    assert_eq!(
        listed["executions"].as_array().unwrap().len(),
        1,
        "children are listed by Map Run"
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn a_map_run_survives_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let queue = aws.watch().await;
    let machine = aws.machine("m", over(json!({"MaxConcurrency": 2}))).await;
    let execution = aws.run(&machine, "e", json!([0, 1, 2, 3])).await;
    let mut asked = next(&mut lambda, 2).await;
    asked.remove(0).succeed(json!("first"));
    // The third begins, so the end of the first is on disk.
    let third = lambda.next().await;
    assert_eq!(third.event, json!(2));
    local.kill();
    drop((asked, third));
    lambda.forget();

    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let asked = next(&mut lambda, 2).await;
    let items: Vec<&Value> = asked.iter().map(|asked| &asked.event).collect();
    assert_eq!(
        items,
        [&json!(1), &json!(2)],
        "those that ran, and no more at once"
    );
    for asked in asked {
        let item = asked.event.clone();
        asked.succeed(item);
    }
    let last = lambda.next().await;
    assert_eq!(last.event, json!(3));
    last.succeed(json!("last"));
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["output"], r#"["first",1,2,"last"]"#);
    let run = map_run(&aws, &execution).await;
    assert_eq!(run["itemCounts"]["succeeded"], 4);
    local.kill();
}

#[tokio::test]
async fn stopping_the_execution_stops_its_children() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let url = lambda.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let machine = aws.machine("m", over(json!({"MaxConcurrency": 1}))).await;
    let execution = aws.run(&machine, "e", json!([0, 1, 2])).await;
    let first = lambda.next().await;
    let run = map_run(&aws, &execution).await;
    let wider = json!({"mapRunArn": run["mapRunArn"], "maxConcurrency": 2});
    aws.states("UpdateMapRun", wider.clone()).await.unwrap();
    let second = lambda.next().await;
    assert_eq!((&first.event, &second.event), (&json!(0), &json!(1)));
    aws.states("StopExecution", json!({"executionArn": execution}))
        .await
        .unwrap();
    eventually("the end of the children", || async {
        (children(&aws, &run, "ABORTED").await.len() == 2).then_some(())
    })
    .await;
    let run = map_run(&aws, &execution).await;
    assert_eq!(
        (&run["status"], &run["executionCounts"]["pending"]),
        (&json!("ABORTED"), &json!(1))
    );
    assert_eq!(types(&aws.history(&execution).await)[4], "MapRunAborted");
    let (_, error, _) = refused(aws.states("UpdateMapRun", wider).await);
    assert_eq!(error, "ValidationException");
    let unknown = json!({"mapRunArn": "arn:aws:states:us-east-1:000000000000:mapRun:m/each:none"});
    let (_, error, _) = refused(aws.states("DescribeMapRun", unknown).await);
    assert_eq!(error, "ResourceNotFound");
    aws.server.shutdown().await;
}

#[tokio::test]
async fn items_come_from_objects_and_results_go_to_objects() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let s3 = |action: &str| format!("arn:aws:states:::aws-sdk:s3:{action}");
    let body = json!([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]);
    stored(&aws, &queue, body).await;
    let processor = json!({
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Three",
        "States": {
            "Three": {"Type": "Choice", "Choices": [
                {"Variable": "$.Items[0].item.n", "NumericEquals": 3, "Next": "Bad"},
            ], "Default": "Good"},
            "Good": {"Type": "Pass", "End": true},
            "Bad": {"Type": "Fail", "Error": "E", "Cause": "three"},
        },
    });
    let machine = over(json!({
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "Parameters": {"Bucket": "b-1", "Key": "in.json"},
            "ReaderConfig": {"InputType": "JSON", "MaxItems": 3},
        },
        "ItemSelector": {"item.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"},
        "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"who": "me"}},
        "ItemProcessor": processor,
        "ToleratedFailurePercentage": 50,
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": "b-1", "Prefix": "out"},
        },
    }));
    let told = output(&done(&aws, &queue, "map", machine).await);
    let at = &told["ResultWriterDetails"];
    assert_eq!(at["Bucket"], "b-1");
    let key = at["Key"].as_str().unwrap();
    let id = told["MapRunArn"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap();
    assert_eq!(key, format!("out/{id}/manifest.json"));
    let get = |key: &str| task(&s3("getObject"), json!({"Bucket": "b-1", "Key": key}));
    let read = |told: Value| -> Value {
        serde_json::from_str(output(&told)["Body"].as_str().unwrap()).unwrap()
    };
    let manifest = read(done(&aws, &queue, "manifest", get(key)).await);
    assert_eq!(manifest["ResultFiles"]["PENDING"], json!([]));
    let file = |kind: &str| {
        manifest["ResultFiles"][kind][0]["Key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let good = read(done(&aws, &queue, "good", get(&file("SUCCEEDED"))).await);
    let items = json!({"BatchInput": {"who": "me"}, "Items": [
        {"item": {"n": 1}, "index": 0}, {"item": {"n": 2}, "index": 1},
    ]});
    assert_eq!(good[0]["Output"], items.to_string());
    assert_eq!(
        (good.as_array().unwrap().len(), &good[0]["Status"]),
        (1, &json!("SUCCEEDED"))
    );
    let bad = read(done(&aws, &queue, "bad", get(&file("FAILED"))).await);
    assert_eq!(
        (&bad[0]["Error"], &bad[0]["Cause"]),
        (&json!("E"), &json!("three"))
    );
    assert!(file("FAILED").ends_with("/FAILED_0.json"));

    let lister = over(json!({
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:listObjectsV2",
            "Parameters": {"Bucket": "b-1", "Prefix": "in"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P",
            "States": {"P": {"Type": "Pass", "Parameters": {"key.$": "$.Key"}, "End": true}},
        },
    }));
    let listed = output(&done(&aws, &queue, "lister", lister).await);
    assert_eq!(listed, json!([{"key": "in.json"}]));
    let flat = over(json!({
        "ResultWriter": {"WriterConfig": {"Transformation": "FLATTEN"}},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P",
            "States": {"P": {"Type": "Pass", "Result": [1, [2]], "End": true}},
        },
    }));
    let machine = aws.machine("flat", flat).await;
    let execution = aws.run(&machine, "flat", json!([0, 0])).await;
    let flat = output(&aws.end(&queue, &execution).await);
    assert_eq!(flat, json!([1, [2], 1, [2]]));
    let missing = over(json!({"ItemReader": {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": "b-1", "Key": "none"},
        "ReaderConfig": {"InputType": "JSONL"},
    }}));
    let told = done(&aws, &queue, "missing", missing).await;
    assert_eq!(told["error"], "States.ItemReaderFailed");
    aws.server.shutdown().await;
}
