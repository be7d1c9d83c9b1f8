//! Step Functions: states in JSONata.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::states::{States, types};

const ROLE: &str = "arn:aws:iam::000000000000:role/states";

#[tokio::test]
async fn expressions_are_evaluated_and_their_failures_recorded() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let queue = aws.watch().await;
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Ask", "States": {
        "Ask": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.n > 1 %}", "Assign": {"n": "{% $states.input.n * 2 %}"}, "Next": "Answer"}], "Default": "Answer"},
        "Answer": {"Type": "Pass", "Output": {"n": "{% $n %}", "id": "{% $states.context.Execution.Name %}"}, "End": true},
    }});
    let machine = aws.machine("m", definition).await;
    let execution = aws.run(&machine, "good", json!({"n": 21})).await;
    let end = aws.end(&queue, &execution).await;
    let output: Value = serde_json::from_str(end["output"].as_str().unwrap()).unwrap();
    assert_eq!(output, json!({"n": 42, "id": "good"}));

    let execution = aws.run(&machine, "bad", json!({"n": 1})).await;
    assert_eq!(aws.end(&queue, &execution).await["status"], "FAILED");
    let history = aws.history(&execution).await;
    assert_eq!(
        types(&history)[3..],
        ["PassStateEntered", "EvaluationFailed", "ExecutionFailed"]
    );
    let details = &history[4]["evaluationFailedEventDetails"];
    assert_eq!(details["error"], "States.QueryEvaluationError");
    assert_eq!(
        (&details["state"], &details["location"]),
        (&json!("Answer"), &json!("Output/n"))
    );
    let described = aws.describe(&execution).await;
    assert_eq!(described["cause"], details["cause"]);
}

#[tokio::test]
async fn a_wrong_expression_is_refused_with_its_place() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"x": ["{% 1 + %}"]}, "End": true},
    }});
    let create = json!({"name": "m", "definition": definition.to_string(), "roleArn": ROLE});
    let (_, kind, message) = refused(aws.states("CreateStateMachine", create).await);
    assert_eq!(kind, "InvalidDefinition");
    assert!(message.contains("/States/A/Output/x"), "{message}");
}
