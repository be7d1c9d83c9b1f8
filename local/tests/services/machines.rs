//! Step Functions: state machines, their revisions and their end.

use serde_json::json;

use crate::aws::{Aws, refused};
use crate::executions::{one_task, wait_forever};
use crate::states::{States, function};

#[tokio::test]
async fn a_running_execution_keeps_its_definition() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let machine = aws.machine("m", wait_forever()).await;
    assert_eq!(
        aws.machine("m", wait_forever()).await,
        machine,
        "the same again is no error"
    );
    let other = json!({"name": "m", "definition": one_task().to_string(), "roleArn": "arn:aws:iam::000000000000:role/r"});
    assert_eq!(
        refused(aws.states("CreateStateMachine", other).await).1,
        "StateMachineAlreadyExists"
    );

    let execution = aws.run(&machine, "e", json!({})).await;
    let same = json!({"stateMachineArn": machine, "definition": wait_forever().to_string()});
    let unchanged = aws.states("UpdateStateMachine", same).await.unwrap();
    assert_eq!(unchanged.get("revisionId"), None);
    let update = json!({"stateMachineArn": machine, "definition": one_task().to_string()});
    let updated = aws.states("UpdateStateMachine", update).await.unwrap();
    let described = aws
        .states("DescribeStateMachine", json!({"stateMachineArn": machine}))
        .await
        .unwrap();
    assert_eq!(described["definition"], one_task().to_string());
    assert_eq!(described["revisionId"], updated["revisionId"]);
    assert_eq!(
        (&described["status"], &described["type"]),
        (&json!("ACTIVE"), &json!("STANDARD"))
    );
    let ask = json!({"executionArn": execution});
    let running = aws
        .states("DescribeStateMachineForExecution", ask)
        .await
        .unwrap();
    assert_eq!(running["definition"], wait_forever().to_string());
}

#[tokio::test]
async fn a_deleted_machine_takes_its_executions_along() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let machine = aws.machine("m", wait_forever()).await;
    let execution = aws.run(&machine, "e", json!({})).await;
    let of_machine = json!({"stateMachineArn": machine});
    aws.states("DeleteStateMachine", of_machine.clone())
        .await
        .unwrap();
    assert_eq!(aws.end(&queue, &execution).await["status"], "ABORTED");
    let gone = refused(aws.states("DescribeStateMachine", of_machine.clone()).await);
    assert_eq!(gone.1, "StateMachineDoesNotExist");
    let gone = refused(
        aws.states("DescribeExecution", json!({"executionArn": execution}))
            .await,
    );
    assert_eq!(gone.1, "ExecutionDoesNotExist");
    aws.states("DeleteStateMachine", of_machine).await.unwrap();
    let list = aws.states("ListStateMachines", json!({})).await.unwrap();
    assert_eq!(list["stateMachines"], json!([]));
}

#[tokio::test]
async fn what_is_not_played_is_refused_and_nothing_is_made() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let task = |resource: &str| {
        json!({"name": "m", "roleArn": "arn:aws:iam::000000000000:role/r", "definition": json!({
            "StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": true}},
        }).to_string()})
    };
    let (_, code, message) = refused(
        aws.states(
            "CreateStateMachine",
            json!({"name": "m", "definition": "{}", "roleArn": "arn:aws:iam::000000000000:role/r"}),
        )
        .await,
    );
    assert_eq!(code, "InvalidDefinition");
    assert!(
        message.starts_with("Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: "),
        "{message}"
    );
    let mut express = task(&function("f"));
    express["type"] = json!("EXPRESS");
    assert_eq!(
        refused(aws.states("CreateStateMachine", express).await).1,
        "StateMachineTypeNotSupported"
    );
    assert_eq!(
        refused(aws.states("StartSyncExecution", json!({})).await).1,
        "UnknownOperationException"
    );
    let list = aws.states("ListStateMachines", json!({})).await.unwrap();
    assert_eq!(list["stateMachines"], json!([]));
}
