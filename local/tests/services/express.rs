//! Step Functions: Express workflows.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::elsewhere::Elsewhere;
use crate::states::{States, function};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

async fn express(aws: &Aws, name: &str, definition: Value) -> String {
    let create = json!({"name": name, "definition": definition.to_string(), "roleArn": ROLE, "type": "EXPRESS"});
    let created = aws.states("CreateStateMachine", create).await.unwrap();
    created["stateMachineArn"].as_str().unwrap().to_owned()
}

fn parts() -> Value {
    let work = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": function("f"), "End": true}}});
    json!({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": work, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 0, "End": true}}})
}

#[tokio::test]
async fn a_caller_waits_for_the_end() {
    let data = tempfile::tempdir().unwrap();
    let mut elsewhere = Elsewhere::start().await;
    let url = elsewhere.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let machine = express(&aws, "m", parts()).await;
    let ask = json!({"stateMachineArn": machine, "name": "one", "input": json!({"items": [1, 2]}).to_string()});
    let start = aws.states("StartSyncExecution", ask.clone());
    let (answer, ()) = tokio::join!(start, async {
        for _ in 0..2 {
            let asked = elsewhere.next().await;
            let doubled = asked.event.as_i64().unwrap() * 2;
            asked.succeed(json!(doubled));
        }
    });
    let answer = answer.unwrap();
    assert_eq!(
        (&answer["status"], &answer["output"]),
        (&json!("SUCCEEDED"), &json!("[2,4]"))
    );
    let arn = answer["executionArn"].as_str().unwrap();
    assert!(arn.contains(":express:m:one:"), "{arn}");
    assert_eq!(answer["billingDetails"]["billedMemoryUsedInMB"], 64);

    let start = aws.states("StartSyncExecution", ask);
    let (answer, ()) = tokio::join!(start, async {
        elsewhere.next().await.fail("Broken", "no");
    });
    let answer = answer.unwrap();
    assert_eq!(
        (&answer["status"], &answer["error"]),
        (&json!("FAILED"), &json!("Broken"))
    );
    assert_eq!(answer.get("output"), None);
}

#[tokio::test]
async fn the_kinds_are_kept_apart() {
    let data = tempfile::tempdir().unwrap();
    let mut elsewhere = Elsewhere::start().await;
    let url = elsewhere.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let machine = express(&aws, "m", parts()).await;
    let of = json!({"stateMachineArn": machine});
    let described = aws
        .states("DescribeStateMachine", of.clone())
        .await
        .unwrap();
    assert_eq!(described["type"], "EXPRESS");
    let listed = aws.states("ListStateMachines", json!({})).await.unwrap();
    assert_eq!(listed["stateMachines"][0]["type"], "EXPRESS");
    let mine = refused(aws.states("ListExecutions", of).await);
    assert_eq!(mine.1, "StateMachineTypeNotSupported");
    let start = json!({"stateMachineArn": machine, "input": r#"{"items": [7]}"#});
    aws.states("StartExecution", start).await.unwrap();
    assert_eq!(elsewhere.next().await.event, 7, "it runs, and nobody waits");

    let standard = aws.machine("s", parts()).await;
    let start = json!({"stateMachineArn": standard});
    let (_, code, message) = refused(aws.states("StartSyncExecution", start).await);
    assert_eq!(code, "StateMachineTypeNotSupported");
    assert_eq!(
        message,
        "This operation is not supported by this type of state machine"
    );

    let waits = json!({"StartAt": "T", "States": {"T": {
        "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync", "End": true,
    }}});
    let create =
        json!({"name": "w", "definition": waits.to_string(), "roleArn": ROLE, "type": "EXPRESS"});
    let (_, code, message) = refused(aws.states("CreateStateMachine", create).await);
    assert_eq!(code, "InvalidDefinition");
    assert_eq!(
        message,
        "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Express state machine does not support '.sync' service integration at /States/T/Resource'"
    );
}
