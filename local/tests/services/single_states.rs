//! Step Functions: states that are tested by themselves.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::elsewhere::Elsewhere;
use crate::states::{States, function};

async fn test(aws: &Aws, mut ask: Value) -> Result<Value, (u16, Value)> {
    ask["definition"] = json!(ask["definition"].to_string());
    if ask.get("input").is_some() {
        ask["input"] = json!(ask["input"].to_string());
    }
    aws.states("TestState", ask).await
}

#[tokio::test]
async fn a_task_runs_its_function() {
    let data = tempfile::tempdir().unwrap();
    let mut elsewhere = Elsewhere::start().await;
    let url = elsewhere.url.clone();
    let aws = Aws::start_with(data.path(), |config| config.lambda_endpoint = Some(url)).await;
    let ask = json!({
        "definition": {"Type": "Task", "Resource": function("f"), "ResultPath": "$.r", "End": true},
        "input": {"a": 1}, "inspectionLevel": "DEBUG", "roleArn": "arn:aws:iam::000000000000:role/r",
    });
    let (answer, ()) = tokio::join!(test(&aws, ask.clone()), async {
        let asked = elsewhere.next().await;
        assert_eq!(
            (asked.function.as_str(), &asked.event),
            ("f", &json!({"a": 1}))
        );
        asked.succeed(json!("done"));
    });
    let answer = answer.unwrap();
    assert_eq!(answer["status"], "SUCCEEDED");
    assert_eq!(answer["output"], r#"{"a":1,"r":"done"}"#);
    assert_eq!(answer["inspectionData"]["result"], r#""done""#);
    let (answer, ()) = tokio::join!(test(&aws, ask.clone()), async {
        elsewhere.next().await.fail("Broken", "no");
    });
    let answer = answer.unwrap();
    assert_eq!(
        (&answer["status"], &answer["error"]),
        (&json!("FAILED"), &json!("Broken"))
    );
    let mut roleless = ask;
    roleless.as_object_mut().unwrap().remove("roleArn");
    let (_, code, message) = refused(test(&aws, roleless).await);
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "RoleArn must be specified when testing a Task state"
    );
}

#[tokio::test]
async fn a_state_of_a_machine_is_tested_with_a_mock() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let definition = json!({"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"},
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 3}], "Catch": [{"ErrorEquals": ["Bad"], "Next": "C"}],
            "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 60, "Next": "C"},
        "C": {"Type": "Succeed"},
    }});
    let ask = |state: &str, more: Value| {
        let mut ask = json!({"definition": definition, "stateName": state, "input": {}, "inspectionLevel": "TRACE"});
        let more = more.as_object().cloned().unwrap_or_default();
        ask.as_object_mut().unwrap().extend(more);
        ask
    };
    let result = json!({"mock": {"result": "{\"StatusCode\": 200}"}});
    let answer = test(&aws, ask("T", result)).await.unwrap();
    assert_eq!(
        (&answer["output"], &answer["nextState"]),
        (&json!("{\"StatusCode\": 200}"), &json!("W"))
    );
    let busy = json!({"mock": {"errorOutput": {"error": "Busy", "cause": "later"}}, "stateConfiguration": {"retrierRetryCount": 1}});
    let answer = test(&aws, ask("T", busy)).await.unwrap();
    assert_eq!(answer["status"], "RETRIABLE");
    assert_eq!(
        answer["inspectionData"]["errorDetails"],
        json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 6})
    );
    let bad = json!({"mock": {"errorOutput": {"error": "Bad"}}});
    let answer = test(&aws, ask("T", bad)).await.unwrap();
    assert_eq!(
        (&answer["status"], &answer["nextState"]),
        (&json!("CAUGHT_ERROR"), &json!("C"))
    );
    let answer = test(&aws, ask("W", json!({}))).await.unwrap();
    assert_eq!(
        (&answer["status"], &answer["nextState"]),
        (&json!("SUCCEEDED"), &json!("C")),
        "time passes at once"
    );
    let waiting = json!({
        "definition": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": true},
        "roleArn": "arn:aws:iam::000000000000:role/r",
    });
    let (_, code, message) = refused(test(&aws, waiting).await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("'.waitForTaskToken'"), "{message}");
    for (state, more, wanted) in [
        ("X", json!({}), "State not found in definition"),
        (
            "T",
            json!({"mock": {"result": "no"}}),
            "Mocked result must be valid JSON",
        ),
        (
            "T",
            json!({"stateConfiguration": {"retrierRetryCount": 1}}),
            "TestState does not support RetrierRetryCount when a mock is not specified.",
        ),
        (
            "C",
            json!({"context": "{\"Moon\": {}}"}),
            "Invalid Context object provided: Field 'Moon' is not allowed",
        ),
    ] {
        let (_, code, message) = refused(test(&aws, ask(state, more)).await);
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("ValidationException", wanted)
        );
    }
}
