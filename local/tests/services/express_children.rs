//! Map states in DISTRIBUTED mode whose children are Express workflows, and Map states in JSONata.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::elsewhere::Elsewhere;
use crate::integrations::{done, output, stored, task};
use crate::states::{States, function, types};

fn over(processor: Value) -> Value {
    let config = json!({"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"});
    let mut processor = processor;
    processor["ProcessorConfig"] = config;
    json!({"StartAt": "Map", "States": {"Map": {
        "Type": "Map", "Label": "each", "ItemProcessor": processor, "End": true,
    }}})
}

fn working(resource: &str) -> Value {
    json!({"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": resource, "End": true}}})
}

#[tokio::test]
async fn express_children_begin_anew_when_redriven() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let url = lambda.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let queue = aws.watch().await;
    let machine = aws.machine("m", over(working(&function("work")))).await;
    let execution = aws.run(&machine, "e", json!([1, 2])).await;
    for _ in 0..2 {
        let asked = lambda.next().await;
        match asked.event.as_i64() {
            Some(1) => asked.succeed(json!("one")),
            _ => asked.fail("E", "no"),
        }
    }
    // Nothing is heard of the children: the first that the queue has is the execution's own end.
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["error"], "States.ExceedToleratedFailureThreshold");
    let listed = aws
        .states("ListMapRuns", json!({"executionArn": execution}))
        .await
        .unwrap();
    let run = &listed["mapRuns"][0]["mapRunArn"];
    let (_, kind, _) = refused(
        aws.states("ListExecutions", json!({"mapRunArn": run}))
            .await,
    );
    assert_eq!(kind, "StateMachineTypeNotSupported");
    let mine = json!({"stateMachineArn": machine});
    let listed = aws.states("ListExecutions", mine).await.unwrap();
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);

    aws.states("RedriveExecution", json!({"executionArn": execution}))
        .await
        .unwrap();
    let asked = lambda.next().await;
    assert_eq!(asked.event, 2, "the other one has succeeded");
    asked.succeed(json!("two"));
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["output"], r#"["one","two"]"#);
    let run = aws
        .states("DescribeMapRun", json!({"mapRunArn": run}))
        .await
        .unwrap();
    assert_eq!(run["executionCounts"]["succeeded"], 2);
    assert_eq!(run["executionCounts"]["total"], 2);
    aws.server.shutdown().await;
}

#[tokio::test]
async fn express_children_cannot_wait_for_reports() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let waiting = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";
    let definition = over(working(waiting)).to_string();
    let role = "arn:aws:iam::000000000000:role/r";
    let create = json!({"name": "m", "definition": definition, "roleArn": role});
    let (_, kind, message) = refused(aws.states("CreateStateMachine", create).await);
    assert_eq!(kind, "InvalidDefinition");
    let place = "at /States/Map/ItemProcessor/States/Work/Resource";
    assert!(message.contains(place), "{message}");
    let answer = aws
        .states(
            "ValidateStateMachineDefinition",
            json!({"definition": definition}),
        )
        .await
        .unwrap();
    assert_eq!(answer["result"], "FAIL");
    aws.server.shutdown().await;
}

#[tokio::test]
async fn readers_batchers_and_writers_in_jsonata() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let s3 = |action: &str| format!("arn:aws:states:::aws-sdk:s3:{action}");
    let body = json!([{"n": "1"}, {"n": "2"}, {"n": "3"}, {"n": "4"}]);
    stored(&aws, &queue, body).await;
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "Map", "States": {"Map": {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Key": "{% 'in' & '.json' %}"},
            "ReaderConfig": {"InputType": "JSON", "MaxItems": "{% $states.input.most %}"},
        },
        "ItemSelector": {"n": "{% $number($states.context.Map.Item.Value.n) * 10 %}", "at": "{% $states.context.Map.Item.Index %}"},
        "ItemBatcher": {"MaxItemsPerBatch": "{% 1 + 1 %}", "BatchInput": {"of": "{% $states.input.bucket %}"}},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Sum",
            "States": {"Sum": {"Type": "Pass", "Output": "{% $sum($states.input.Items.n) %}", "End": true}},
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Prefix": "{% 'out/' & $states.context.Execution.Name %}"},
            "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSON"},
        },
        "End": true,
    }}});
    let machine = aws.machine("map", machine).await;
    let input = json!({"bucket": "b-1", "most": 3});
    let execution = aws.run(&machine, "run", input).await;
    let told = aws.end(&queue, &execution).await;
    let history = aws.history(&execution).await;
    assert_eq!(told["status"], "SUCCEEDED", "{:?}", types(&history));
    let key = output(&told)["ResultWriterDetails"]["Key"].clone();
    assert!(key.as_str().unwrap().starts_with("out/run/"), "{key}");
    let get = |key: &Value| task(&s3("getObject"), json!({"Bucket": "b-1", "Key": key}));
    let manifest = output(&done(&aws, &queue, "manifest", get(&key)).await);
    let manifest: Value = serde_json::from_str(manifest["Body"].as_str().unwrap()).unwrap();
    let file = &manifest["ResultFiles"]["SUCCEEDED"][0]["Key"];
    let sums = output(&done(&aws, &queue, "sums", get(file)).await);
    assert_eq!(sums["Body"], "[30,30]");
    aws.server.shutdown().await;
}
