//! What holds for every execution: random machines whose tasks fail at random, stopped and redriven.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use asl::{EventType, Execution, Fold, HistoryEvent, Outcome, VisitStatus, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

mod simulation;

use simulation::{Action, Answer, START_MS, Simulated, shown, simulate, start};

/// A state, not yet named.
#[derive(Debug, Clone)]
enum Plan {
    Pass,
    Wait(u8),
    Task {
        retry: bool,
        catch: bool,
    },
    Fail,
    Choice,
    Parallel {
        branches: Vec<Vec<Plan>>,
        retry: bool,
        catch: bool,
    },
    Map {
        body: Vec<Plan>,
        concurrency: u8,
        tolerated: Option<u8>,
        catch: bool,
    },
}

fn plan() -> impl Strategy<Value = Vec<Plan>> {
    let leaf = prop_oneof![
        2 => Just(Plan::Pass),
        1 => (0..4_u8).prop_map(Plan::Wait),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(retry, catch)| Plan::Task { retry, catch }),
        1 => Just(Plan::Fail),
        1 => Just(Plan::Choice),
    ];
    let state = leaf.prop_recursive(3, 24, 3, |inner| {
        let scope = prop::collection::vec(inner, 1..4);
        prop_oneof![
            (
                prop::collection::vec(scope.clone(), 1..4),
                any::<bool>(),
                any::<bool>()
            )
                .prop_map(|(branches, retry, catch)| Plan::Parallel {
                    branches,
                    retry,
                    catch
                }),
            (scope, 0..4_u8, prop::option::of(0..3_u8), any::<bool>()).prop_map(
                |(body, concurrency, tolerated, catch)| Plan::Map {
                    body,
                    concurrency,
                    tolerated,
                    catch
                }
            ),
        ]
    });
    prop::collection::vec(state, 1..5)
}

/// Writes a scope as a definition; every state goes to the next one, and catchers skip to the end.
fn scope(plans: &[Plan], last_name: &mut usize) -> Value {
    let names: Vec<String> = plans
        .iter()
        .map(|_| {
            *last_name += 1;
            format!("S{last_name}")
        })
        .collect();
    *last_name += 1;
    let end = format!("S{last_name}");
    let mut states = serde_json::Map::new();
    for (index, plan) in plans.iter().enumerate() {
        let next = names.get(index + 1).unwrap_or(&end).clone();
        let mut state = match plan {
            Plan::Pass => json!({ "Type": "Pass" }),
            Plan::Wait(seconds) => json!({ "Type": "Wait", "Seconds": seconds }),
            Plan::Task { .. } => {
                json!({ "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "TimeoutSeconds": 9 })
            }
            Plan::Fail => json!({ "Type": "Fail", "Error": "E1", "Cause": "planned" }),
            Plan::Choice => {
                json!({ "Type": "Choice", "Choices": [{ "Variable": "$", "IsPresent": true, "Next": next }], "Default": end })
            }
            Plan::Parallel { branches, .. } => {
                let branches: Vec<Value> = branches
                    .iter()
                    .map(|branch| scope(branch, last_name))
                    .collect();
                json!({ "Type": "Parallel", "Branches": branches })
            }
            Plan::Map {
                body,
                concurrency,
                tolerated,
                ..
            } => {
                let mut map = json!({
                    "Type": "Map", "ItemsPath": "$$.Execution.Input", "MaxConcurrency": concurrency, "ItemProcessor": scope(body, last_name)
                });
                if let Some(tolerated) = tolerated {
                    map["ToleratedFailureCount"] = json!(tolerated);
                }
                map
            }
        };
        let (retry, catch) = match plan {
            Plan::Task { retry, catch } | Plan::Parallel { retry, catch, .. } => (*retry, *catch),
            Plan::Map { catch, .. } => (false, *catch),
            _ => (false, false),
        };
        if retry {
            state["Retry"] = json!([{ "ErrorEquals": ["E1", "States.Timeout"], "MaxAttempts": 2, "JitterStrategy": "FULL" }]);
        }
        if catch {
            state["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Next": end }]);
        }
        if !matches!(plan, Plan::Fail | Plan::Choice) {
            state["Next"] = json!(next);
        }
        states.insert(names[index].clone(), state);
        if matches!(plan, Plan::Fail) {
            break;
        }
    }
    states.insert(end.clone(), json!({ "Type": "Pass", "End": true }));
    let reached = states
        .values()
        .any(|state| state.to_string().contains(&format!("\"{end}\"")));
    if !reached {
        states.remove(&end);
    }
    json!({ "StartAt": names[0], "States": states })
}

/// How the tasks of a run answer: by a generator, so that a replay may differ only if the engine does.
fn answers(mut seed: u64) -> impl FnMut(&str, &Value) -> Answer {
    move |_, _| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let roll = (seed >> 33) % 100;
        let error = match roll {
            0..15 => Some("E1".to_owned()),
            15..22 => Some("E2".to_owned()),
            _ => None,
        };
        Answer {
            output: None,
            bytes: None,
            error,
            cause: "at random".into(),
            after_ms: (roll * 31 % 4_000) as i64,
            silent: roll > 96,
            ..Answer::default()
        }
    }
}

fn is_entered(kind: EventType) -> bool {
    kind.as_str().ends_with("StateEntered")
}

fn is_exited(kind: EventType) -> bool {
    kind.as_str().ends_with("StateExited")
}

/// Where a chain of previous events finds the state that an event leaves.
fn entered_for(history: &[HistoryEvent], exited: &HistoryEvent) -> i64 {
    let name = &exited.details.name;
    let mut at = exited.previous_event_id;
    let mut steps = 0;
    while at > 0 {
        let event = &history[at as usize - 1];
        if is_entered(event.kind) && &event.details.name == name {
            return event.id;
        }
        at = event.previous_event_id;
        steps += 1;
        assert!(steps <= history.len(), "the chain ends");
    }
    0
}

fn check_history(simulated: &Simulated) {
    let history = &simulated.history;
    for (index, event) in history.iter().enumerate() {
        assert_eq!(event.id, index as i64 + 1, "ids are consecutive");
        assert!(
            (0..event.id).contains(&event.previous_event_id),
            "{event:?}"
        );
        let earlier = index
            .checked_sub(1)
            .map_or(START_MS, |index| history[index].timestamp_ms);
        assert!(event.timestamp_ms >= earlier, "time does not go back");
        assert_eq!(
            HistoryEvent::from_wire(&event.to_wire(true)).as_ref(),
            Some(event),
            "the wire loses nothing"
        );
    }
    let redriven = history
        .iter()
        .any(|event| event.kind == EventType::ExecutionRedriven);
    let mut left = HashSet::new();
    let mut names: HashMap<i64, &str> = HashMap::new();
    for event in history {
        if is_entered(event.kind) {
            names.insert(
                event.id,
                event.details.name.as_deref().expect("states have names"),
            );
        }
        if is_exited(event.kind) {
            let entered = entered_for(history, event);
            if entered == 0 && redriven {
                // The main strand goes on behind ExecutionRedriven, which leads back to the end before.
                continue;
            }
            assert!(left.insert(entered), "{event:?} leaves a second time");
            assert_eq!(names.get(&entered).copied(), event.details.name.as_deref());
        }
    }
    let last = history.last().expect("there is a history").kind;
    let wanted = match simulated.execution.status() {
        Outcome::Succeeded { .. } => EventType::ExecutionSucceeded,
        Outcome::Failed { .. } => EventType::ExecutionFailed,
        Outcome::Aborted { .. } => EventType::ExecutionAborted,
        Outcome::TimedOut { .. } => EventType::ExecutionTimedOut,
        Outcome::Running => panic!("nothing is left to happen"),
    };
    assert_eq!(last, wanted);
    assert_eq!((simulated.open_tasks, simulated.open_timers), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_are_consistent(plans in plan(), seed in any::<u64>(), stop_at in prop::option::of(0..9_000_i64), redrives in 0..3_usize) {
        let mut definition = scope(&plans, &mut 0);
        definition["TimeoutSeconds"] = json!(60);
        let parsed = parse(&definition.to_string());
        prop_assert!(parsed.is_valid(), "{definition} {:?}", parsed.diagnostics);
        let machine = Arc::new(parsed.machine.expect("a valid definition gives a machine"));
        let stop = stop_at.map(|at_ms| Action { at_ms, stop: Some("Stopped".into()), redrive: false });
        let redrives = (0..redrives).map(|n| Action { at_ms: 200_000 * (n as i64 + 1), stop: None, redrive: true });
        let actions: Vec<Action> = stop.into_iter().chain(redrives).collect();
        let simulated = simulate(&machine, start(json!([1, 2, 3])), &actions, &mut answers(seed));
        check_history(&simulated);

        // The same inputs give the same history.
        let (mut again, commands) = Execution::start(machine.clone(), start(json!([1, 2, 3])), START_MS);
        let mut replayed = commands;
        for (at_ms, input) in &simulated.inputs {
            replayed.extend(again.apply(*at_ms, input.clone()));
        }
        let replayed: Vec<HistoryEvent> = replayed
            .into_iter()
            .filter_map(|command| if let asl::Command::Record(event) = command { Some(event) } else { None })
            .collect();
        prop_assert_eq!(shown(&replayed), shown(&simulated.history));
        prop_assert_eq!(again.status(), simulated.execution.status());

        // What people are shown agrees with it.
        let mut fold = Fold::new(Some(&machine));
        simulated.history.iter().for_each(|event| fold.apply(event));
        let entered = simulated.history.iter().filter(|event| is_entered(event.kind)).count();
        let entered_again = fold.visits().len();
        prop_assert!(entered_again <= entered);
        for visit in fold.visits() {
            prop_assert!(!matches!(visit.status, VisitStatus::Running | VisitStatus::Retrying), "{:?} {:#?}", visit, shown(&simulated.history));
        }
        if matches!(simulated.execution.status(), Outcome::Succeeded { .. }) {
            for visit in fold.visits() {
                let about = format!("{definition} {visit:?} {:#?}", shown(&simulated.history));
                prop_assert!(visit.exited_at_ms.is_some(), "{}", about);
            }
        }
    }
}
