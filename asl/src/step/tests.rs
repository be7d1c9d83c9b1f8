//! Tests of limits and of inputs that do not fit; what executions do otherwise is told by the corpus.

use std::sync::Arc;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Command, EVENTS_MAX, Execution, Input, Outcome, Start, TaskId, TimerId};
use crate::parse::parse;

fn begin(definition: &Value, input: Value) -> (Execution, Vec<Command>) {
    let parsed = parse(&definition.to_string());
    let machine = Arc::new(parsed.machine.expect("the definition gives a machine"));
    let start = Start {
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".into(),
        execution_name: "e".into(),
        role_arn: "r".into(),
        state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:m".into(),
        state_machine_name: "m".into(),
        input,
        input_text: None,
        seed: 0,
    };
    Execution::start(machine, start, 0)
}

fn task() -> Value {
    json!({ "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "TimeoutSeconds": 60, "End": true })
}

fn shown(commands: &[Command]) -> String {
    let lines = commands.iter().map(|command| match command {
        Command::InvokeTask { task, .. } => format!("invoke {}", task.0),
        Command::StartMapRun { task, run } => format!("map run {} {}", task.0, run.label),
        Command::RedriveMapRun { task, .. } => format!("redrive map run {}", task.0),
        Command::CancelTask { task } => format!("cancel task {}", task.0),
        Command::SetTimer { timer, at_ms } => format!("set timer {} at {at_ms}", timer.0),
        Command::CancelTimer { timer } => format!("cancel timer {}", timer.0),
        Command::Record(event) => format!("{} {}", event.id, event.kind),
        Command::Finished(outcome) => format!("finished {outcome:?}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn check(commands: &[Command], expected: Expect) {
    expected.assert_eq(&shown(commands));
}

#[test]
fn commands_of_a_task() {
    let definition = json!({ "StartAt": "A", "States": { "A": task() } });
    let (mut execution, commands) = begin(&definition, json!({}));
    check(
        &commands,
        expect![[r#"
            1 ExecutionStarted
            2 TaskStateEntered
            3 LambdaFunctionScheduled
            invoke 1
            set timer 1 at 60000"#]],
    );
    check(
        &execution.apply(5, Input::TaskStarted { task: TaskId(1) }),
        expect!["4 LambdaFunctionStarted"],
    );
    check(
        &execution.apply(6, Input::TaskStarted { task: TaskId(1) }),
        expect![[""]],
    );
    check(
        &execution.apply(
            9,
            Input::TaskSucceeded {
                task: TaskId(1),
                output: json!(1),
            },
        ),
        expect![[r#"
            cancel timer 1
            5 LambdaFunctionSucceeded
            6 TaskStateExited
            7 ExecutionSucceeded
            finished Succeeded { output: Number(1), output_text: "1" }"#]],
    );
    check(
        &execution.apply(10, Input::TimerFired { timer: TimerId(1) }),
        expect![[""]],
    );
}

#[test]
fn unknown_inputs_change_nothing() {
    let definition = json!({ "StartAt": "A", "States": { "A": task() } });
    let (mut execution, _) = begin(&definition, json!({}));
    let failed = Input::TaskFailed {
        task: TaskId(7),
        error: Some("E".into()),
        cause: None,
    };
    for input in [
        failed,
        Input::TimerFired { timer: TimerId(7) },
        Input::TaskHeartbeat { task: TaskId(1) },
        Input::Redrive,
    ] {
        assert_eq!(execution.apply(1, input), []);
    }
    assert_eq!(*execution.status(), Outcome::Running);
}

#[test]
fn a_loop_fills_the_history_and_not_the_stack() {
    let definition = json!({ "StartAt": "A", "States": {
        "A": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.n, 1)" }, "Next": "B" },
        "B": { "Type": "Choice", "Choices": [{ "Variable": "$.n", "IsNumeric": true, "Next": "A" }], "Default": "C" },
        "C": { "Type": "Succeed" },
    } });
    let (execution, commands) = begin(&definition, json!({ "n": 0 }));
    let events = commands
        .iter()
        .filter(|command| matches!(command, Command::Record(_)))
        .count();
    assert_eq!(events as i64, EVENTS_MAX);
    check(
        &commands[commands.len() - 2..],
        expect![[r#"
            25000 ExecutionFailed
            finished Failed { error: Some("States.Runtime"), cause: Some("The execution reached the maximum number of history events (25000).") }"#]],
    );
    assert!(execution.can_redrive().is_err());
}

#[test]
fn a_full_history_cancels_what_runs() {
    let definition = json!({ "StartAt": "P", "States": { "P": { "Type": "Parallel", "End": true, "Branches": [
        { "StartAt": "A", "States": { "A": task() } },
        { "StartAt": "B", "States": { "B": { "Type": "Pass", "Next": "C" }, "C": { "Type": "Pass", "Next": "D" },
            "D": { "Type": "Choice", "Choices": [{ "Variable": "$", "IsPresent": true, "Next": "B" }], "Default": "E" },
            "E": { "Type": "Succeed" } } },
    ] } } });
    let (_, commands) = begin(&definition, json!({}));
    check(
        &commands[commands.len() - 4..],
        expect![[r#"
            cancel timer 1
            cancel task 1
            25000 ExecutionFailed
            finished Failed { error: Some("States.Runtime"), cause: Some("The execution reached the maximum number of history events (25000).") }"#]],
    );
}

#[test]
fn too_large_data_fails() {
    let definition = json!({ "StartAt": "A", "States": { "A": {
        "Type": "Pass", "Parameters": { "twice.$": "States.Array($, $)" }, "End": true
    } } });
    let (execution, _) = begin(&definition, json!("x".repeat(200_000)));
    assert!(
        matches!(execution.status(), Outcome::Failed { error: Some(error), .. } if error == "States.DataLimitExceeded")
    );
}

#[test]
fn results_of_branches_that_are_too_large_together_are_run_again_by_a_redrive() {
    let definition = json!({ "StartAt": "M", "States": { "M": {
        "Type": "Map", "ItemProcessor": { "StartAt": "A", "States": { "A": task() } },
        "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "B" }], "End": true
    }, "B": { "Type": "Succeed" } } });
    let (mut execution, _) = begin(&definition, json!([1, 2]));
    for task in [1, 2] {
        execution.apply(
            1,
            Input::TaskSucceeded {
                task: TaskId(task),
                output: "x".repeat(200_000).into(),
            },
        );
    }
    assert!(
        matches!(execution.status(), Outcome::Failed { error: Some(error), .. } if error == "States.DataLimitExceeded")
    );
    let commands = execution.apply(2, Input::Redrive);
    let invoked = commands
        .iter()
        .filter(|command| matches!(command, Command::InvokeTask { .. }))
        .count();
    assert_eq!(invoked, 2);
}

#[test]
fn what_cannot_be_redriven() {
    let definition = json!({ "StartAt": "A", "States": { "A": task() } });
    let (mut execution, _) = begin(&definition, json!({}));
    expect!["Execution is RUNNING and cannot be redriven"]
        .assert_eq(&execution.can_redrive().expect_err("it runs"));
    execution.apply(
        1,
        Input::Stop {
            error: None,
            cause: None,
        },
    );
    assert_eq!(execution.can_redrive(), Ok(()));
    execution.apply(2, Input::Redrive);
    assert_eq!(execution.redrive_count(), 1);
    execution.apply(
        3,
        Input::TaskSucceeded {
            task: TaskId(2),
            output: Value::Null,
        },
    );
    expect!["Execution is SUCCEEDED and cannot be redriven"]
        .assert_eq(&execution.can_redrive().expect_err("it succeeded"));
}

#[test]
fn what_is_said_of_a_map_run_is_nothing_to_a_task_and_the_other_way_round() {
    let definition = json!({ "StartAt": "P", "States": { "P": { "Type": "Parallel", "Branches": [
        { "StartAt": "A", "States": { "A": task() } },
        { "StartAt": "M", "States": { "M": { "Type": "Map", "End": true, "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": "STANDARD" },
            "StartAt": "B", "States": { "B": { "Type": "Pass", "End": true } }
        } } } }
    ], "End": true } } });
    let (mut execution, _) = begin(&definition, json!([1]));
    let (function, map_run, output) = (TaskId(1), TaskId(2), Value::Null);
    for input in [
        Input::TaskSucceeded {
            task: map_run,
            output: output.clone(),
        },
        Input::TaskFailed {
            task: map_run,
            error: None,
            cause: None,
        },
        Input::TaskSubmitFailed {
            task: map_run,
            error: "E".into(),
            cause: String::new(),
        },
        Input::TaskImpossible {
            task: map_run,
            cause: String::new(),
        },
        Input::MapRunStarted {
            task: function,
            map_run_arn: "arn".into(),
        },
        Input::MapRunSucceeded {
            task: function,
            output,
        },
        // Only an activity's task is taken by a worker; its timers would be set twice.
        Input::ActivityStarted {
            task: function,
            worker: None,
        },
    ] {
        check(&execution.apply(1, input), expect![[""]]);
    }
}

#[test]
fn a_worker_may_be_heard_of_before_its_activity() {
    let definition = json!({ "StartAt": "A", "States": { "A": {
        "Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:a", "TimeoutSeconds": 9, "End": true
    } } });
    let task = TaskId(1);
    let (mut execution, commands) = begin(&definition, json!({}));
    check(
        &commands,
        expect![[r#"
            1 ExecutionStarted
            2 TaskStateEntered
            invoke 1"#]],
    );
    // Nobody but a worker begins it.
    check(
        &execution.apply(1, Input::TaskStarted { task }),
        expect![[""]],
    );
    check(
        &execution.apply(2, Input::ActivityStarted { task, worker: None }),
        expect![[r#"
            3 ActivityScheduled
            4 ActivityStarted
            set timer 1 at 9002"#]],
    );
    check(
        &execution.apply(3, Input::ActivityScheduled { task }),
        expect![[""]],
    );
}

#[test]
fn events_hold_what_the_api_has_a_place_for() {
    let mut state = task();
    state["HeartbeatSeconds"] = 5.into();
    let definition = json!({ "StartAt": "A", "States": { "A": state } });
    let (_, commands) = begin(&definition, json!({}));
    let scheduled = commands.iter().find_map(|command| match command {
        Command::Record(event) if event.id == 3 => Some(event),
        _ => None,
    });
    let scheduled = scheduled.expect("the function is scheduled");
    let wire = crate::HistoryEvent::from_wire(&scheduled.to_wire(true));
    assert_eq!(wire.as_ref(), Some(scheduled));
}

#[test]
fn an_evaluation_failed_where_the_expression_is() {
    let definition = json!({ "QueryLanguage": "JSONata", "StartAt": "P", "States": { "P": { "Type": "Parallel", "End": true,
        "Branches": [{ "StartAt": "A", "States": { "A": { "Type": "Pass", "Output": "{% $nothing %}", "End": true } } }]
    } } });
    let (_, commands) = begin(&definition, json!({}));
    let places = commands.iter().filter_map(|command| match command {
        Command::Record(event) => event.details.state.as_deref(),
        _ => None,
    });
    // Once for the state, once for the Parallel state that fails with it.
    assert_eq!(places.collect::<Vec<_>>(), ["A", "A"]);
}
