//! The pipeline's definition against the worker: every function that it calls is a step, and every Task of it
//! retries and catches.

use serde_json::Value;
use worker::Step;

const DEFINITION: &str = include_str!("../../pipelines/media.asl.json");

/// Every state of the machine, those inside Map and Parallel included, by name.
fn states(machine: &Value, found: &mut Vec<(String, Value)>) {
    for (name, state) in machine["States"].as_object().expect("states") {
        found.push((name.clone(), state.clone()));
        if state.get("ItemProcessor").is_some() {
            states(&state["ItemProcessor"], found);
        }
        for branch in state["Branches"].as_array().into_iter().flatten() {
            states(branch, found);
        }
    }
}

fn tasks() -> Vec<(String, Value)> {
    let machine: Value = serde_json::from_str(DEFINITION).expect("JSON");
    let mut found = Vec::new();
    states(&machine, &mut found);
    let names: std::collections::BTreeSet<_> = found.iter().map(|(name, _)| name).collect();
    assert_eq!(
        names.len(),
        found.len(),
        "state names are unique in the whole machine"
    );
    found.retain(|(_, state)| state["Type"] == "Task");
    found
}

#[test]
fn every_step_is_a_task_and_every_task_a_step() {
    let mut called: Vec<Step> = tasks()
        .iter()
        .map(|(name, task)| {
            let resource = task["Resource"].as_str().expect("a resource");
            let function = resource
                .strip_prefix("${")
                .and_then(|rest| rest.strip_suffix("FunctionArn}"));
            let function = function.unwrap_or_else(|| panic!("{name} calls {resource}"));
            function.to_lowercase().parse().expect("a step")
        })
        .collect();
    called.sort_by_key(|step| step.name());
    let mut all = Step::ALL;
    all.sort_by_key(|step| step.name());
    assert_eq!(called, all);
}

#[test]
fn every_task_retries_catches_and_ends_in_time() {
    for (name, task) in tasks() {
        for field in ["Retry", "Catch"] {
            assert!(
                task[field].as_array().is_some_and(|list| !list.is_empty()),
                "{name} has no {field}"
            );
        }
        let seconds = task["TimeoutSeconds"].as_u64();
        assert!(
            seconds.is_some_and(|seconds| (1..=900).contains(&seconds)),
            "{name}: {seconds:?}"
        );
        assert_eq!(
            task["Parameters"]["task"]["state.$"], "$$.State.Name",
            "{name}"
        );
        assert_eq!(
            task["Parameters"]["task"]["retry.$"], "$$.State.RetryCount",
            "{name}"
        );
    }
}

#[test]
fn inspect_lets_its_own_verdicts_through() {
    let tasks = tasks();
    let (_, inspect) = tasks
        .iter()
        .find(|(name, _)| name == "Inspect")
        .expect("Inspect");
    let caught = inspect["Catch"][0]["ErrorEquals"]
        .as_array()
        .expect("errors");
    assert!(caught.iter().all(|error| {
        !error
            .as_str()
            .is_some_and(|error| error.starts_with("Source.") || error == "States.ALL")
    }));
}
