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

#[tokio::test]
async fn what_goes_with_a_machine_is_kept_and_shown() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
        "B": {"Type": "Pass", "InputPath": "$x", "End": true},
    }});
    let mut create = json!({
        "name": "m", "roleArn": "arn:aws:iam::000000000000:role/r", "definition": definition.to_string(),
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "tracingConfiguration": {"enabled": true},
    });
    let created = aws
        .states("CreateStateMachine", create.clone())
        .await
        .unwrap();
    let of = json!({"stateMachineArn": created["stateMachineArn"]});
    let described = aws
        .states("DescribeStateMachine", of.clone())
        .await
        .unwrap();
    assert_eq!(described["variableReferences"], json!({"B": ["x"]}));
    assert_eq!(
        described["encryptionConfiguration"]["type"],
        "AWS_OWNED_KEY"
    );
    assert_eq!(described["tracingConfiguration"]["enabled"], true);
    let mut without = of;
    without["includedData"] = json!("METADATA_ONLY");
    let described = aws.states("DescribeStateMachine", without).await.unwrap();
    assert_eq!(described["definition"], "{}");

    create["encryptionConfiguration"]["type"] = json!("CUSTOMER_MANAGED_KMS_KEY");
    let keyless = refused(aws.states("CreateStateMachine", create.clone()).await);
    assert_eq!(keyless.1, "InvalidEncryptionConfiguration");
    create["loggingConfiguration"] = json!({"level": "ALL"});
    let logless = refused(aws.states("CreateStateMachine", create.clone()).await);
    assert_eq!(logless.1, "InvalidLoggingConfiguration");
    create["definition"] = json!("x".repeat((1 << 20) + 1));
    let (_, code, message) = refused(aws.states("CreateStateMachine", create).await);
    assert_eq!(code, "ValidationException");
    assert!(
        message.ends_with("less than or equal to 1048576"),
        "{message}"
    );
}
