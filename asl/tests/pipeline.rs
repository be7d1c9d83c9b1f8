//! Runs the pipeline that Gantry ships, in virtual time: well, failing deep inside, redriven, and
//! stopped half-way.

use std::collections::HashMap;
use std::sync::Arc;

use asl::{EventType, Fold, HistoryEvent, Outcome, StateMachine, VisitStatus, parse};
use serde_json::{Value, json};

mod simulation;

use simulation::{Action, Answer, Simulated, simulate, start};

fn machine() -> Arc<StateMachine> {
    let mut definition = include_str!("../../pipelines/media.asl.json").to_owned();
    for function in [
        "Inspect",
        "Transfer",
        "Assemble",
        "Probe",
        "Poster",
        "Ladder",
        "Rendition",
        "Package",
        "Audio",
        "Publish",
        "Abort",
    ] {
        let arn = format!(
            "arn:aws:lambda:us-east-1:000000000000:function:gantry-{}:live",
            function.to_lowercase()
        );
        definition = definition.replace(&format!("${{{function}FunctionArn}}"), &arn);
    }
    let parsed = parse(&definition);
    assert!(parsed.is_valid(), "{:#?}", parsed.diagnostics);
    Arc::new(parsed.machine.expect("a valid definition gives a machine"))
}

/// What a function answers when nothing is wrong, and after how long.
fn well(function: &str, parameters: &Value) -> Answer {
    let (after_ms, output) = match function {
        "inspect" => (
            1_000,
            json!({
                "from": "x", "upload": "u", "content_type": "video/mp4", "parts": [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}, {"n": 5}],
                "settings": { "source": "https://example.com/a.mp4", "max_height": 1080, "segment_seconds": 4 },
            }),
        ),
        "transfer" => (2_000, json!({ "part": parameters["part"]["n"] })),
        "assemble" => (500, json!({ "bytes": 5 })),
        "probe" => (500, json!({ "height": 1080 })),
        "poster" => (3_000, json!("poster")),
        "ladder" => (
            500,
            json!({ "rungs": [{"height": 1080}, {"height": 720}, {"height": 360}] }),
        ),
        "rendition" => (10_000, json!({ "made": parameters["rung"] })),
        "audio" => (20_000, json!("audio")),
        _ => (500, json!({ "manifest": "m", "artifacts": 9, "bytes": 9 })),
    };
    Answer {
        output: Some(output),
        bytes: None,
        error: None,
        cause: String::new(),
        after_ms,
        ..Answer::default()
    }
}

fn broken(error: &str, after_ms: i64) -> Answer {
    Answer {
        output: None,
        bytes: None,
        error: Some(error.into()),
        cause: "what was wrong".into(),
        after_ms,
        ..Answer::default()
    }
}

struct Run {
    simulated: Simulated,
    calls: HashMap<String, usize>,
    fold: Fold,
}

/// `answer` is asked first: it gets the function, how often it was called before, and its parameters.
fn run(actions: &[Action], answer: impl Fn(&str, usize, &Value) -> Option<Answer>) -> Run {
    let machine = machine();
    let mut calls: HashMap<String, usize> = HashMap::new();
    let input = json!({
        "source": "https://example.com/a.mp4", "title": "A", "max_height": 1080, "segment_seconds": 4, "part_mib": 8,
        "job": { "id": "j", "bucket": "gantry-media", "prefix": "jobs/j/" }
    });
    let simulated = simulate(
        &machine,
        start(input),
        actions,
        &mut |resource, parameters| {
            let name = resource.rsplit(':').nth(1).expect("an alias-qualified ARN");
            let function = name.strip_prefix("gantry-").expect("one of ours");
            let count = calls.entry(function.to_owned()).or_default();
            *count += 1;
            answer(function, *count - 1, parameters).unwrap_or_else(|| well(function, parameters))
        },
    );
    let mut fold = Fold::new(Some(&machine));
    for event in &simulated.history {
        fold.apply(event);
    }
    assert_eq!((simulated.open_tasks, simulated.open_timers), (0, 0));
    Run {
        simulated,
        calls,
        fold,
    }
}

impl Run {
    fn events(&self, kind: EventType) -> Vec<&HistoryEvent> {
        self.simulated
            .history
            .iter()
            .filter(|event| event.kind == kind)
            .collect()
    }

    fn count(&self, kind: EventType) -> usize {
        self.events(kind).len()
    }

    fn calls(&self, function: &str) -> usize {
        self.calls.get(function).copied().unwrap_or(0)
    }

    fn visits(&self, state: &str) -> Vec<VisitStatus> {
        self.fold
            .visits()
            .iter()
            .filter(|visit| visit.state == state)
            .map(|visit| visit.status)
            .collect()
    }

    fn failed_with(&self, wanted: &str) {
        match self.simulated.execution.status() {
            Outcome::Failed { error, cause } => {
                assert_eq!(error.as_deref(), Some(wanted));
                assert_eq!(cause.as_deref(), Some("what was wrong"));
            }
            other => panic!("{other:?}"),
        }
    }

    fn succeeded(&self) {
        let Outcome::Succeeded { output, .. } = self.simulated.execution.status() else {
            panic!("{:?}", self.simulated.execution.status())
        };
        assert_eq!(output["artifacts"], 9);
    }
}

#[test]
fn everything_goes_well() {
    let run = run(&[], |_, _, _| None);
    run.succeeded();
    assert_eq!(
        (
            run.calls("transfer"),
            run.calls("rendition"),
            run.calls("abort")
        ),
        (5, 3, 0)
    );
    assert!(
        run.fold
            .visits()
            .iter()
            .all(|visit| visit.status == VisitStatus::Succeeded)
    );
    assert_eq!(run.count(EventType::MapIterationSucceeded), 8);
    // Four parts at once and one after: two rounds of two seconds.
    let assembled = run
        .fold
        .visits()
        .iter()
        .find(|visit| visit.state == "Assemble")
        .expect("it was there");
    assert_eq!(assembled.entered_at_ms - simulation::START_MS, 5_000);
}

#[test]
fn a_rendition_fails_inside_map_inside_parallel() {
    let run = run(&[], |function, count, _| {
        (function == "rendition" && count == 1).then(|| broken("Media.Broken", 100))
    });
    run.failed_with("Media.Broken");
    assert_eq!(run.calls("abort"), 1);
    assert_eq!(run.count(EventType::MapIterationFailed), 1);
    assert_eq!(run.count(EventType::MapIterationAborted), 1);
    assert_eq!(run.count(EventType::MapStateFailed), 1);
    assert_eq!(run.count(EventType::ParallelStateFailed), 1);
    // The other rendition, the poster and the audio were still going.
    assert_eq!(run.count(EventType::TaskStateAborted), 3);
    assert_eq!(run.visits("Process"), [VisitStatus::Caught]);
    assert_eq!(run.visits("Renditions"), [VisitStatus::Caught]);
    assert_eq!(run.fold.ended_in_fail_state(), Some("Failed"));
    assert_eq!(run.fold.failed_state(), Some("Rendition"));
}

#[test]
fn a_part_is_retried() {
    let run = run(&[], |function, count, _| {
        (function == "transfer" && count < 2).then(|| broken("Source.Dropped", 100))
    });
    run.succeeded();
    assert_eq!(run.calls("transfer"), 7);
}

#[test]
fn redrive_goes_on_from_inspect() {
    let redrive = Action {
        at_ms: 60_000,
        stop: None,
        redrive: true,
    };
    let run = run(&[redrive], |function, count, _| {
        (function == "inspect" && count == 0).then(|| broken("Source.NotFound", 100))
    });
    run.succeeded();
    assert_eq!(run.calls("inspect"), 2);
    assert_eq!(run.visits("Inspect"), [VisitStatus::Succeeded]);
    let redriven = run.events(EventType::ExecutionRedriven);
    assert_eq!(redriven.len(), 1);
    assert_eq!(redriven[0].details.redrive_count, Some(1));
    let failed = run.events(EventType::ExecutionFailed)[0];
    assert_eq!(redriven[0].id, failed.id + 1);
    let inputs: Vec<_> = run
        .events(EventType::LambdaFunctionScheduled)
        .iter()
        .take(2)
        .map(|event| event.details.input.clone())
        .collect();
    assert_eq!(inputs[0], inputs[1]);
}

#[test]
fn redrive_after_abort_only_fails_again() {
    let redrive = Action {
        at_ms: 60_000,
        stop: None,
        redrive: true,
    };
    let run = run(&[redrive], |function, _, _| {
        (function == "assemble").then(|| broken("Storage.Mismatch", 100))
    });
    run.failed_with("Storage.Mismatch");
    assert_eq!((run.calls("assemble"), run.calls("abort")), (1, 1));
    assert_eq!(run.count(EventType::ExecutionFailed), 2);
    assert_eq!(run.count(EventType::FailStateEntered), 2);
}

#[test]
fn stop_and_redrive_half_way_through_parallel() {
    // Process begins at 5.5 s; at 12 s probe and poster are done, ladder too, renditions and audio go on.
    let stop = Action {
        at_ms: 12_000,
        stop: Some("Operator".into()),
        redrive: false,
    };
    let redrive = Action {
        at_ms: 60_000,
        stop: None,
        redrive: true,
    };
    let run = run(&[stop, redrive], |_, _, _| None);
    run.succeeded();
    let calls = [
        "inspect",
        "transfer",
        "probe",
        "poster",
        "ladder",
        "rendition",
        "audio",
        "package",
        "publish",
    ];
    assert_eq!(
        calls.map(|function| run.calls(function)),
        [1, 5, 1, 1, 1, 5, 2, 1, 1]
    );
    assert_eq!(run.count(EventType::ExecutionAborted), 1);
    assert_eq!(run.count(EventType::ParallelStateAborted), 1);
    assert_eq!(run.count(EventType::MapIterationAborted), 2);
    assert_eq!(run.count(EventType::ParallelStateSucceeded), 1);
    // Each was entered once, whatever happened in between.
    for state in ["Process", "Renditions", "Audio", "Publish"] {
        assert_eq!(run.visits(state), [VisitStatus::Succeeded], "{state}");
    }
    assert_eq!(run.visits("Rendition"), [VisitStatus::Succeeded; 3]);
}
