//! States run by themselves.

use super::*;
use crate::{Input, isolate, parse};
use expect_test::{Expect, expect};
use serde_json::json;

fn probe(state: Value, input: Value, setup: ProbeSetup) -> (Execution, Vec<Command>) {
    let isolated = isolate(&state.to_string(), None).expect("an object");
    let parsed = parse(&isolated.definition);
    let machine = parsed
        .machine
        .unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let start = Start {
        execution_arn: "arn:aws:states:us-east-1:000000000000:express:m:e".into(),
        execution_name: "e".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:m".into(),
        state_machine_name: "m".into(),
        input,
        input_text: None,
        seed: 1,
    };
    Execution::probe(Arc::new(machine), start, setup, 0)
}

fn show(probed: &Probed) -> String {
    let inspection = format!("{:?}", probed.inspection);
    let inspection = inspection
        .trim_start_matches("Inspection { ")
        .trim_end_matches(" }");
    let there: Vec<&str> = inspection
        .split(", ")
        .filter(|field| !field.ends_with(": None"))
        .collect();
    format!(
        "{:?} {:?} next {:?} error {:?}\n{}",
        probed.status,
        probed.output,
        probed.next,
        probed.error,
        there.join(", ").replace('\\', "")
    )
}

fn check(state: Value, setup: ProbeSetup, expected: Expect) {
    let (execution, _) = probe(state, json!({"a": 1}), setup);
    expected.assert_eq(&show(&execution.probed().expect("it ended")));
}

fn mock(mock: Mock) -> ProbeSetup {
    ProbeSetup {
        mock: Some(mock),
        ..ProbeSetup::default()
    }
}

fn result(value: Value) -> ProbeSetup {
    let text = value.to_string();
    mock(Mock::Result { value, text })
}

fn task() -> Value {
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "B",
        "Parameters": {"FunctionName": "f", "Payload.$": "$.a"}, "ResultPath": "$.r",
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 3}],
        "Catch": [{"ErrorEquals": ["Other"], "Next": "X"}, {"ErrorEquals": ["Bad"], "Next": "C"}],
    })
}

#[test]
fn a_pass_state() {
    check(
        json!({"Type": "Pass", "InputPath": "$.a", "ResultPath": "$.b", "Next": "B"}),
        ProbeSetup::default(),
        expect![[r#"
            Succeeded Some("{\"a\":1,\"b\":1}") next Some("B") error None
            input: Some("{"a":1}"), after_input_path: Some("1"), after_parameters: Some("1"), after_result_selector: Some("1"), after_result_path: Some("{"a":1,"b":1}")"#]],
    );
}

#[test]
fn a_mocked_task() {
    check(
        task(),
        result(json!(7)),
        expect![[r#"
            Succeeded Some("{\"a\":1,\"r\":7}") next Some("B") error None
            input: Some("{"a":1}"), after_input_path: Some("{"a":1}"), after_parameters: Some("{"FunctionName":"f","Payload":1}"), result: Some("7"), after_result_selector: Some("7"), after_result_path: Some("{"a":1,"r":7}")"#]],
    );
}

#[test]
fn a_failure_that_is_retried_caught_or_neither() {
    let error = |name: &str, retries| ProbeSetup {
        retries,
        ..mock(Mock::Error {
            error: Some(name.into()),
            cause: None,
        })
    };
    check(
        task(),
        error("Busy", 2),
        expect![[r#"
            Retriable None next None error Some("Busy")
            input: Some("{"a":1}"), after_input_path: Some("{"a":1}"), after_parameters: Some("{"FunctionName":"f","Payload":1}"), retry_index: Some(0), retry_backoff_interval_seconds: Some(8)"#]],
    );
    check(
        task(),
        error("Busy", 3),
        expect![[r#"
            Failed None next None error Some("Busy")
            input: Some("{"a":1}"), after_input_path: Some("{"a":1}"), after_parameters: Some("{"FunctionName":"f","Payload":1}"), retry_index: Some(0)"#]],
    );
    check(
        task(),
        error("Bad", 0),
        expect![[r#"
            CaughtError Some("{\"Error\":\"Bad\",\"Cause\":\"\"}") next Some("C") error Some("Bad")
            input: Some("{"a":1}"), after_input_path: Some("{"a":1}"), after_parameters: Some("{"FunctionName":"f","Payload":1}"), catch_index: Some(1)"#]],
    );
}

#[test]
fn a_map_with_too_many_failures() {
    let map = json!({
        "Type": "Map", "ItemsPath": "$.a", "ToleratedFailureCount": 1, "End": true,
        "ItemSelector": {"x.$": "$$.Map.Item.Value"},
        "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}},
    });
    let setup = |failed_iterations| ProbeSetup {
        failed_iterations,
        ..result(json!([1, 2]))
    };
    let run = |setup| {
        let (execution, _) = probe(map.clone(), json!({"a": [5, 6]}), setup);
        show(&execution.probed().expect("it ended"))
    };
    expect![[r#"
        Succeeded Some("[1,2]") next None error None
        input: Some("{"a":[5,6]}"), after_input_path: Some("{"a":[5,6]}"), after_items_path: Some("[5,6]"), after_item_selector: Some("[{"x":5},{"x":6}]"), after_result_selector: Some("[1,2]"), after_result_path: Some("[1,2]"), max_concurrency: Some(0.0), tolerated_failure_count: Some(1.0)"#]]
    .assert_eq(&run(setup(1)));
    assert!(run(setup(2)).starts_with(
        "Failed None next None error Some(\"States.ExceedToleratedFailureThreshold\")"
    ));
}

#[test]
fn context_and_variables_are_as_given() {
    let state = json!({"Type": "Pass", "Parameters": {"c.$": "$$", "v.$": "$v"}, "Assign": {"w": 2}, "End": true});
    let context = json!({"Task": {"Token": "t"}});
    let setup = ProbeSetup {
        context: context.as_object().cloned(),
        variables: json!({"v": 1}).as_object().cloned().unwrap_or_default(),
        ..ProbeSetup::default()
    };
    let (execution, _) = probe(state, json!({}), setup);
    let probed = execution.probed().expect("it ended");
    assert_eq!(
        probed.output.as_deref(),
        Some(r#"{"c":{"Task":{"Token":"t"}},"v":1}"#)
    );
    assert_eq!(
        probed.inspection.variables.as_deref(),
        Some(r#"{"v":1,"w":2}"#)
    );
}

#[test]
fn a_task_that_is_not_mocked_is_asked_for() {
    let (mut execution, commands) = probe(task(), json!({"a": 1}), ProbeSetup::default());
    assert_eq!(execution.probed(), None);
    let asked = commands.into_iter().find_map(|command| match command {
        Command::InvokeTask { task, .. } => Some(task),
        _ => None,
    });
    let task = asked.expect("the task");
    let output = json!("x");
    execution.apply(5, Input::TaskSucceeded { task, output });
    let probed = execution.probed().expect("it ended");
    assert_eq!(probed.output.as_deref(), Some(r#"{"a":1,"r":"x"}"#));
}
