//! Views of an execution at several moments of its life. `asl`'s own interpreter makes the history, so that
//! events are in the order and with the links that Step Functions gives them.

use std::sync::Arc;

use asl::{Command, Fold, HistoryEvent, Input, Start, TaskId, TimerId, step};
use model::{
    ExecutionStatus, InvocationView, JobId, Progress, RerunOffer, StateStatus, TimestampMs,
};
use serde_json::{Value, json};

use super::{Drawing, Folded, readable_cause};
use crate::store::{ExecutionRecord, ProgressRow, VisitInvocation};

/// The shape of the media pipeline, small: a Map whose iterations may fail into a Fail state, a Parallel
/// with a branch of two states, and a Fail at the end of a cleanup.
fn definition() -> Value {
    let task = |name: &str, more: Value| {
        let mut state = json!({
            "Type": "Task",
            "Resource": format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
        });
        for (key, value) in more.as_object().unwrap() {
            state[key] = value.clone();
        }
        state
    };
    let end = json!({"End": true});
    let abort =
        json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Abort"}]);
    json!({
        "StartAt": "Inspect",
        "States": {
            "Inspect": task("inspect", json!({"Next": "Transfer"})),
            "Transfer": {
                "Type": "Map",
                "ItemsPath": "$.parts",
                "MaxConcurrency": 2,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "INLINE"},
                    "StartAt": "TransferPart",
                    "States": {
                        "TransferPart": task("transfer", json!({
                            "Retry": [{"ErrorEquals": ["Source.Slow"], "IntervalSeconds": 1, "MaxAttempts": 1}],
                            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "PartFailed"}],
                            "End": true,
                        })),
                        "PartFailed": {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"},
                    },
                },
                "Catch": abort,
                "ResultPath": "$.transferred",
                "Next": "Process",
            },
            "Process": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "Probe", "States": {"Probe": task("probe", end.clone())}},
                    {"StartAt": "Ladder", "States": {
                        "Ladder": task("ladder", json!({"Next": "Package"})),
                        "Package": task("package", end.clone()),
                    }},
                ],
                "Catch": abort,
                "Next": "Publish",
            },
            "Publish": task("publish", end),
            "Abort": task("abort", json!({"ResultPath": null, "Next": "Failed"})),
            "Failed": {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"},
        },
    })
}

/// An execution driven by hand; each step takes a second.
struct Run {
    execution: step::Execution,
    now_ms: i64,
    events: Vec<HistoryEvent>,
    tasks: Vec<(TaskId, String)>,
    timers: Vec<TimerId>,
    drawing: Arc<Drawing>,
}

impl Run {
    fn start() -> Run {
        let text = definition().to_string();
        let parsed = asl::parse(&text);
        assert!(parsed.is_valid(), "{:?}", parsed.diagnostics);
        let start = Start {
            execution_arn: "arn:aws:states:us-east-1:000000000000:execution:gantry-media:run"
                .to_owned(),
            execution_name: "run".to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/gantry-states".to_owned(),
            state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:gantry-media"
                .to_owned(),
            state_machine_name: "gantry-media".to_owned(),
            input: json!({}),
            input_text: None,
            seed: 7,
        };
        let machine = Arc::new(parsed.machine.unwrap());
        let (execution, commands) = step::Execution::start(machine, start, 1_000);
        let mut run = Run {
            execution,
            now_ms: 1_000,
            events: Vec::new(),
            tasks: Vec::new(),
            timers: Vec::new(),
            drawing: Arc::new(Drawing::of(&text)),
        };
        run.take(commands);
        run
    }

    fn take(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::InvokeTask { task, resource, .. } => {
                    let function = resource.rsplit(':').next().unwrap().to_owned();
                    self.tasks.push((task, function));
                }
                Command::CancelTask { task } => self.tasks.retain(|(other, _)| *other != task),
                Command::SetTimer { timer, .. } => self.timers.push(timer),
                Command::CancelTimer { timer } => self.timers.retain(|other| *other != timer),
                Command::Record(event) => self.events.push(event),
                Command::Finished(_) => {}
                Command::StartMapRun { .. } | Command::RedriveMapRun { .. } => {
                    unreachable!("the pipeline has no Distributed Map")
                }
            }
        }
    }

    fn apply(&mut self, input: Input) {
        self.now_ms += 1_000;
        let commands = self.execution.apply(self.now_ms, input);
        self.take(commands);
    }

    fn task(&mut self, function: &str) -> TaskId {
        let place = self
            .tasks
            .iter()
            .position(|(_, other)| other == function)
            .unwrap_or_else(|| panic!("no {function} among {:?}", self.tasks));
        self.tasks.remove(place).0
    }

    fn succeed(&mut self, function: &str, output: Value) {
        let task = self.task(function);
        self.apply(Input::TaskStarted { task });
        self.apply(Input::TaskSucceeded { task, output });
    }

    fn fail(&mut self, function: &str, error: &str) {
        let task = self.task(function);
        self.apply(Input::TaskStarted { task });
        let cause = json!({"errorType": error, "errorMessage": "What happened, in words."});
        self.apply(Input::TaskFailed {
            task,
            error: Some(error.to_owned()),
            cause: Some(cause.to_string()),
        });
    }

    fn folded(&self) -> Folded {
        let mut fold = Fold::new(self.drawing.machine.as_ref());
        for event in &self.events {
            // As from the store.
            fold.apply(&HistoryEvent::from_wire(&event.to_wire(true)).unwrap());
        }
        Folded {
            fold,
            drawing: self.drawing.clone(),
            own_definition: true,
            archive: super::Archive::default(),
        }
    }

    fn view(&self, status: ExecutionStatus, progress: &[ProgressRow]) -> model::Execution {
        self.folded().view(&record(status), progress)
    }
}

fn record(status: ExecutionStatus) -> ExecutionRecord {
    ExecutionRecord {
        arn: "arn:run".to_owned(),
        job: JobId(uuid::Uuid::nil()),
        name: "run".to_owned(),
        number: 1,
        status,
        started_at: TimestampMs(1_000),
        ended_at: None,
        redrive_count: 0,
        redrive_status: Some("REDRIVABLE".to_owned()),
        redrive_reason: None,
        error: None,
        cause: None,
        definition: None,
        ended_in: None,
        resumes_from: None,
        archived: false,
        history_key: None,
        history_complete: false,
    }
}

fn part(iteration: u32, done: u64, at_ms: i64) -> ProgressRow {
    ProgressRow {
        entered: "1970-01-01T00:00:01Z".to_owned(),
        state: "TransferPart".to_owned(),
        iteration: Some(iteration),
        label: Some(format!("part {}", iteration + 1)),
        progress: Progress {
            unit: "bytes".to_owned(),
            done,
            total: Some(8),
        },
        at_ms,
    }
}

fn state<'v>(view: &'v model::Execution, name: &str) -> &'v model::StateView {
    view.states
        .iter()
        .find(|state| state.name == name)
        .unwrap_or_else(|| panic!("no state {name}"))
}

#[test]
fn a_functions_message_is_taken_out_of_lambdas_json() {
    let cause =
        r#"{"errorType":"Source.NotMedia","errorMessage":"This is text, not video.","trace":[]}"#;
    assert_eq!(readable_cause(cause), "This is text, not video.");
    assert_eq!(readable_cause("plain words"), "plain words");
    assert_eq!(readable_cause(r#"{"other":1}"#), r#"{"other":1}"#);
}

#[test]
fn parts_on_their_way() {
    let mut run = Run::start();
    run.succeed("inspect", json!({"parts": [{}, {}, {}]}));
    run.succeed("transfer", json!({}));
    run.fail("transfer", "Source.Slow");
    let progress = [part(1, 3, 1), part(0, 8, 2), part(2, 1, 3)];
    insta::assert_json_snapshot!(run.view(ExecutionStatus::Running, &progress));
}

#[test]
fn branches_on_their_way() {
    let mut run = Run::start();
    run.succeed("inspect", json!({"parts": []}));
    run.succeed("probe", json!({}));
    run.succeed("ladder", json!({}));
    let view = run.view(ExecutionStatus::Running, &[]);
    insta::assert_json_snapshot!(state(&view, "Process"));
}

#[test]
fn a_part_that_failed_ends_in_cleanup_and_its_own_error_is_shown() {
    let mut run = Run::start();
    run.succeed("inspect", json!({"parts": [{}, {}]}));
    run.fail("transfer", "Source.Gone");
    run.succeed("abort", json!({}));
    let view = run.view(ExecutionStatus::Failed, &[]);
    assert_eq!(view.failed_state.as_deref(), Some("TransferPart"));
    let statuses: Vec<_> = view
        .states
        .iter()
        .map(|state| (state.name.as_str(), state.status))
        .collect();
    insta::assert_json_snapshot!(statuses);
    let folded = run.folded();
    assert_eq!(folded.ended_in_fail_state(), Some("Failed"));
}

#[test]
fn a_redriven_state_is_what_it_became_and_its_past_is_counted() {
    let mut run = Run::start();
    run.fail("inspect", "Source.NotMedia");
    let failed = run.view(ExecutionStatus::Failed, &[]);
    let inspect = state(&failed, "Inspect");
    assert_eq!(inspect.status, StateStatus::Failed);
    assert_eq!(inspect.cause.as_deref(), Some("What happened, in words."));
    run.apply(Input::Redrive);
    run.succeed("inspect", json!({"parts": []}));
    let view = run.view(ExecutionStatus::Running, &[]);
    let inspect = state(&view, "Inspect");
    assert_eq!(inspect.status, StateStatus::Succeeded);
    assert_eq!(view.failed_state, None);
}

#[test]
fn a_states_detail_has_its_input_attempts_and_the_visit_asked_for() {
    let mut run = Run::start();
    run.succeed("inspect", json!({"parts": [{}, {}]}));
    run.fail("transfer", "Source.Slow");
    let timer = run.timers.pop().unwrap();
    run.apply(Input::TimerFired { timer });
    let progress = [part(0, 3, 1)];
    let folded = run.folded();
    let newest = folded.detail("TransferPart", None, &progress).unwrap();
    assert_eq!(newest.visits.len(), 2);
    let first = newest.visits[0].entered_event_id;
    let detail = folded
        .detail("TransferPart", Some(first), &progress)
        .unwrap();
    insta::assert_json_snapshot!(detail);
    assert!(folded.detail("Nonesuch", None, &progress).is_none());
}

#[test]
fn every_pipeline_that_ships_can_be_drawn() {
    let drawing = Drawing::of(
        crate::control::pipeline::pipeline("media")
            .unwrap_or_else(|_| panic!())
            .definition,
    );
    assert!(drawing.machine.is_some());
    let process: Vec<_> = drawing
        .tree
        .branches("Process")
        .map(|(_, branch)| (branch.name.clone(), branch.states.len()))
        .collect();
    let expected = [("Probe", 1), ("Poster", 1), ("Ladder", 3), ("Audio", 1)]
        .map(|(name, states)| (name.to_owned(), states));
    assert_eq!(process, expected);
}

#[test]
fn what_pressing_rerun_would_do() {
    let offer = |run: &Run, execution: ExecutionRecord| {
        let folded = run.folded();
        let execution = ExecutionRecord {
            history_complete: true,
            ended_in: folded.ended_in_fail_state().map(str::to_owned),
            resumes_from: folded.resumes_from().map(str::to_owned),
            ..execution
        };
        crate::control::job::rerun_offer(model::JobStatus::Failed, Some(&execution), 0)
    };
    let mut failed = Run::start();
    failed.fail("inspect", "Source.NotMedia");
    let from_inspect = RerunOffer::Redrive {
        from_state: "Inspect".to_owned(),
    };
    assert_eq!(
        offer(&failed, record(ExecutionStatus::Failed)),
        from_inspect
    );

    let mut cleaned = Run::start();
    cleaned.succeed("inspect", json!({"parts": [{}]}));
    cleaned.fail("transfer", "Source.Gone");
    cleaned.succeed("abort", json!({}));
    let restart = offer(&cleaned, record(ExecutionStatus::Failed));
    assert!(
        matches!(&restart, RerunOffer::Restart { reason } if reason.contains("Failed")),
        "{restart:?}"
    );

    let mut stopped = Run::start();
    stopped.succeed("inspect", json!({"parts": [{}]}));
    stopped.apply(Input::Stop {
        error: None,
        cause: None,
    });
    let redrive = offer(&stopped, record(ExecutionStatus::Aborted));
    assert!(matches!(redrive, RerunOffer::Redrive { .. }), "{redrive:?}");

    let expired = ExecutionRecord {
        redrive_status: Some("NOT_REDRIVABLE".to_owned()),
        redrive_reason: Some("Execution can be redriven within 14 days of completion".to_owned()),
        ..record(ExecutionStatus::Failed)
    };
    let restart = offer(&failed, expired);
    assert!(
        matches!(&restart, RerunOffer::Restart { reason } if reason.contains("14 days")),
        "{restart:?}"
    );
}

#[test]
fn an_invocation_belongs_to_the_visit_that_was_entered_when_it_says() {
    let mut run = Run::start();
    run.fail("inspect", "Source.NotMedia");
    run.apply(Input::Redrive);
    run.succeed("inspect", json!({"parts": [{}, {}]}));
    let folded = run.folded();
    let told = |request_id: &str, entered: &str| VisitInvocation {
        entered: entered.to_owned(),
        invocation: InvocationView {
            request_id: request_id.to_owned(),
            function: "gantry-inspect".to_owned(),
            version: "1".to_owned(),
            digest: None,
            attempt: Some(1),
            status: None,
            init_ms: None,
            duration_ms: None,
            max_memory_mib: None,
            at_ms: TimestampMs(0),
        },
    };
    let detail = folded.detail("Inspect", None, &[]).unwrap();
    let entered = |visit: &model::VisitView| {
        let visit = folded
            .fold
            .visits()
            .iter()
            .find(|other| other.entered_event_id == visit.entered_event_id);
        jiff::Timestamp::from_millisecond(visit.unwrap().entered_at_ms)
            .unwrap()
            .to_string()
    };
    let names: Vec<String> = (0..detail.visits.len())
        .map(|at| format!("r-{at}"))
        .collect();
    let all = || {
        let visits = detail.visits.iter().zip(&names);
        visits
            .map(|(visit, name)| told(name, &entered(visit)))
            .collect::<Vec<_>>()
    };
    for (visit, name) in detail.visits.iter().zip(&names) {
        let joined = folded.invocations_of(visit, "Inspect", all());
        let found: Vec<_> = joined.iter().map(|one| &one.request_id).collect();
        assert_eq!(found, [name]);
    }
    // The context object's clock need not be the history's to the millisecond.
    let near = told("r", "1970-01-01T00:00:01.004Z");
    assert_eq!(
        folded
            .invocations_of(&detail.visits[0], "Inspect", vec![near])
            .len(),
        1
    );
}
