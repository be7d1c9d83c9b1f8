//! Step Functions: state machines, their revisions and their end.

use serde_json::{Value, json};

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
    let mut fast = task(&function("f"));
    fast["type"] = json!("FAST");
    assert_eq!(
        refused(aws.states("CreateStateMachine", fast).await).1,
        "ValidationException"
    );
    assert_eq!(
        refused(aws.states("DescribeMapOfTheWorld", json!({})).await).1,
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

#[tokio::test]
async fn everything_wrong_with_a_definition_is_told_with_its_place() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": "$.b", "Next": "X"}], "Default": "B"},
        "B": {"Type": "Pass", "Parameters": {"a": "$.a"}, "End": true},
        "C": {"Type": "Succeed"},
    }});
    let validate = |more: Value| {
        let mut ask = json!({"definition": definition.to_string()});
        let more = more.as_object().cloned().unwrap_or_default();
        ask.as_object_mut().unwrap().extend(more);
        aws.states("ValidateStateMachineDefinition", ask)
    };
    let told = |answer: &Value| -> Vec<String> {
        let diagnostics = answer["diagnostics"].as_array().unwrap();
        let text = |diagnostic: &Value, member: &str| {
            diagnostic[member].as_str().unwrap_or("-").to_owned()
        };
        diagnostics
            .iter()
            .map(|diagnostic| {
                format!(
                    "{} {} {}",
                    text(diagnostic, "severity"),
                    text(diagnostic, "code"),
                    text(diagnostic, "location")
                )
            })
            .collect()
    };
    let answer = validate(json!({})).await.unwrap();
    assert_eq!(
        (&answer["result"], &answer["truncated"]),
        (&json!("FAIL"), &json!(false))
    );
    let errors = [
        "ERROR MISSING_TRANSITION_TARGET /States/A/Choices[0]/Next",
        "ERROR MISSING_TRANSITION_TARGET /States/C",
    ];
    assert_eq!(told(&answer), errors);
    let all = validate(json!({"severity": "WARNING"})).await.unwrap();
    let warnings = [
        "WARNING NO_PATH /States/A/Choices[0]/StringEquals",
        "WARNING NO_DOLLAR /States/B/Parameters/a",
    ];
    assert_eq!(told(&all), [errors, warnings].concat());
    let one = validate(json!({"maxResults": 1})).await.unwrap();
    assert_eq!((told(&one).len(), &one["truncated"]), (1, &json!(true)));
    let (_, code, message) = refused(validate(json!({"maxResults": 101})).await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("'maxResults'"), "{message}");

    let create = json!({"name": "m", "roleArn": "arn:aws:iam::000000000000:role/r", "definition": definition.to_string()});
    let (_, _, message) = refused(aws.states("CreateStateMachine", create.clone()).await);
    assert_eq!(
        message,
        "Invalid State Machine Definition: 'MISSING_TRANSITION_TARGET: Missing 'Next' target: X at /States/A/Choices[0]/Next, MISSING_TRANSITION_TARGET: State \"C\" is not reachable. at /States/C'"
    );
    let mut endless = create;
    endless["definition"] =
        json!(r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}"#);
    let (_, _, message) = refused(aws.states("CreateStateMachine", endless).await);
    assert_eq!(
        message,
        "Invalid State Machine Definition: 'MISSING_END_STATE: Workflow has no terminal state at null'"
    );
}

#[tokio::test]
async fn tags_have_limits() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let machine = aws.machine("m", wait_forever()).await;
    let tags = |from: usize, to: usize| -> Vec<Value> {
        (from..to)
            .map(|number| json!({"key": format!("k{number}"), "value": "v"}))
            .collect()
    };
    let tag =
        |tags: Vec<Value>| aws.states("TagResource", json!({"resourceArn": machine, "tags": tags}));
    tag(tags(0, 50)).await.unwrap();
    tag(tags(20, 50)).await.expect("they are there already");
    assert_eq!(refused(tag(tags(50, 51)).await).1, "TooManyTags");
    let long = vec![json!({"key": "k".repeat(129), "value": "v"})];
    let (_, code, message) = refused(tag(long).await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("'tags.1.member.key'"), "{message}");
    let of = json!({"resourceArn": machine});
    let listed = aws.states("ListTagsForResource", of).await.unwrap();
    assert_eq!(listed["tags"].as_array().map(Vec::len), Some(50));
}
