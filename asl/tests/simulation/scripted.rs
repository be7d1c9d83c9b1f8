//! Drives an execution in virtual time: tasks answer from a script, timers fire in order.

#![allow(dead_code)] // Each test uses its part of this.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use asl::step::{Items, MapRun};
use asl::{Command, Execution, HistoryEvent, Input, Outcome, Start, StateMachine, TaskId, TimerId};
use serde::Deserialize;
use serde_json::Value;

/// How a task answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Its result; without it and without an error, what it was given.
    pub output: Option<Value>,
    /// Its result is a text of this many bytes.
    pub bytes: Option<usize>,
    /// The answer to its request, which is reported apart from its result.
    pub submitted: Option<Value>,
    /// The error it fails with.
    pub error: Option<String>,
    /// What it says about its error.
    #[serde(default)]
    pub cause: String,
    /// How long it takes.
    #[serde(default)]
    pub after_ms: i64,
    /// Its request is refused with `error`.
    #[serde(default)]
    pub refused: bool,
    /// What it is called by is not there.
    #[serde(default)]
    pub impossible: bool,
    /// Who takes it, if it is an activity's.
    pub worker: Option<String>,
    /// It shows a sign of life after so many milliseconds.
    #[serde(default)]
    pub heartbeats_ms: Vec<i64>,
    /// It never answers.
    #[serde(default)]
    pub silent: bool,
}

impl Answer {
    /// The result of what was given something.
    fn result(&self, given: Value) -> Value {
        let long = self.bytes.map(|bytes| "x".repeat(bytes).into());
        long.or_else(|| self.output.clone()).unwrap_or(given)
    }
}

/// What is done to the execution from outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// When.
    pub at_ms: i64,
    /// StopExecution with this error.
    pub stop: Option<String>,
    /// RedriveExecution.
    #[serde(default)]
    pub redrive: bool,
}

/// Virtual time begins here.
pub const START_MS: i64 = 1_700_000_000_000;
/// How long a simulation may go on.
const INPUTS_MAX: usize = 200_000;
/// Data of more bytes is told by its size only.
const SHOWN_MAX: usize = 4_000;

/// What a simulation gave.
pub struct Simulated {
    pub execution: Execution,
    pub history: Vec<HistoryEvent>,
    /// Every input with its time, for replaying.
    pub inputs: Vec<(i64, Input)>,
    /// Tasks that were begun and neither answered nor cancelled.
    pub open_tasks: usize,
    /// Timers that were set and neither fired nor cancelled.
    pub open_timers: usize,
    /// Each Map Run that was to be run.
    pub map_runs: Vec<MapRun>,
}

/// A start with fixed names.
pub fn start(input: Value) -> Start {
    Start {
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:machine:one".into(),
        execution_name: "one".into(),
        role_arn: "arn:aws:iam::000000000000:role/machine".into(),
        state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:machine".into(),
        state_machine_name: "machine".into(),
        input,
        input_text: None,
        seed: 1,
    }
}

struct World<'a> {
    answer: &'a mut dyn FnMut(&str, &Value) -> Answer,
    /// By time, then in the order they came up.
    agenda: BTreeMap<(i64, usize), Input>,
    came_up: usize,
    tasks: HashMap<TaskId, Vec<(i64, usize)>>,
    timers: HashMap<TimerId, (i64, usize)>,
    history: Vec<HistoryEvent>,
    outcomes: Vec<Outcome>,
    map_runs: Vec<MapRun>,
}

impl World<'_> {
    fn plan(&mut self, at_ms: i64, input: Input) -> (i64, usize) {
        self.came_up += 1;
        self.agenda.insert((at_ms, self.came_up), input);
        (at_ms, self.came_up)
    }

    /// Plans the end of a Map Run.
    fn map_run(
        &mut self,
        now_ms: i64,
        task: TaskId,
        answer: Answer,
        items: Value,
    ) -> Option<(i64, usize)> {
        if answer.silent {
            return None;
        }
        let at_ms = now_ms + answer.after_ms;
        let input = match answer.error.clone() {
            Some(error) => Input::MapRunFailed {
                task,
                error,
                cause: answer.cause.clone(),
            },
            None => Input::MapRunSucceeded {
                task,
                output: answer.result(items),
            },
        };
        Some(self.plan(at_ms, input))
    }

    fn obey(&mut self, now_ms: i64, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::InvokeTask {
                    task,
                    resource,
                    parameters,
                    ..
                } => {
                    let answer = (self.answer)(&resource, &parameters);
                    let mut planned = Vec::new();
                    if asl::Resource::of(&resource) == asl::Resource::Activity {
                        planned.push(self.plan(now_ms, Input::ActivityScheduled { task }));
                        if let Some(worker) = answer.worker.clone() {
                            let worker = Some(worker);
                            planned
                                .push(self.plan(now_ms, Input::ActivityStarted { task, worker }));
                        }
                    } else {
                        planned.push(self.plan(now_ms, Input::TaskStarted { task }));
                    }
                    if let Some(output) = answer.submitted.clone() {
                        planned.push(self.plan(now_ms, Input::TaskSubmitted { task, output }));
                    }
                    for after_ms in &answer.heartbeats_ms {
                        planned.push(self.plan(now_ms + *after_ms, Input::TaskHeartbeat { task }));
                    }
                    if !answer.silent {
                        let at_ms = now_ms + answer.after_ms;
                        let input = match answer.error.clone() {
                            Some(error) if answer.refused => Input::TaskSubmitFailed {
                                task,
                                error,
                                cause: answer.cause.clone(),
                            },
                            Some(cause) if answer.impossible => {
                                Input::TaskImpossible { task, cause }
                            }
                            Some(error) => Input::TaskFailed {
                                task,
                                error: Some(error),
                                cause: Some(answer.cause.clone()),
                            },
                            None => Input::TaskSucceeded {
                                task,
                                output: answer.result(parameters),
                            },
                        };
                        planned.push(self.plan(at_ms, input));
                    }
                    assert!(
                        self.tasks.insert(task, planned).is_none(),
                        "task ids are unique"
                    );
                }
                Command::StartMapRun { task, run } => {
                    self.map_runs.push(run.as_ref().clone());
                    let items = match run.items {
                        Items::Given(items) => Value::Array(items),
                        Items::Read { parameters, .. } => parameters,
                    };
                    let answer = (self.answer)(&run.state, &items);
                    let map_run_arn = format!("arn:{}", run.state);
                    let started = Input::MapRunStarted { task, map_run_arn };
                    let mut planned = vec![self.plan(now_ms, started)];
                    planned.extend(self.map_run(now_ms, task, answer, items));
                    self.tasks.insert(task, planned);
                }
                Command::RedriveMapRun { task, map_run_arn } => {
                    let items = Value::Null;
                    let answer = (self.answer)(&map_run_arn, &items);
                    let planned = self.map_run(now_ms, task, answer, items);
                    self.tasks.insert(task, planned.into_iter().collect());
                }
                Command::CancelTask { task } => {
                    for at in self
                        .tasks
                        .remove(&task)
                        .expect("only known tasks are cancelled")
                    {
                        self.agenda.remove(&at);
                    }
                }
                Command::SetTimer { timer, at_ms } => {
                    let at = self.plan(at_ms.max(now_ms), Input::TimerFired { timer });
                    assert!(
                        self.timers.insert(timer, at).is_none(),
                        "timer ids are unique"
                    );
                }
                Command::CancelTimer { timer } => {
                    let at = self
                        .timers
                        .remove(&timer)
                        .expect("only known timers are cancelled");
                    self.agenda.remove(&at);
                }
                Command::Record(event) => self.history.push(event),
                Command::Finished(outcome) => self.outcomes.push(outcome),
            }
        }
    }
}

/// Runs an execution until nothing is left to happen.
pub fn simulate(
    machine: &Arc<StateMachine>,
    start: Start,
    actions: &[Action],
    answer: &mut dyn FnMut(&str, &Value) -> Answer,
) -> Simulated {
    let mut world = World {
        answer,
        agenda: BTreeMap::new(),
        came_up: 0,
        tasks: HashMap::new(),
        timers: HashMap::new(),
        history: Vec::new(),
        outcomes: Vec::new(),
        map_runs: Vec::new(),
    };
    for action in actions {
        let input = match (&action.stop, action.redrive) {
            (Some(error), false) => Input::Stop {
                error: Some(error.clone()),
                cause: None,
            },
            (None, true) => Input::Redrive,
            _ => panic!("an action either stops or redrives"),
        };
        world.plan(START_MS + action.at_ms, input);
    }
    let (mut execution, commands) = Execution::start(machine.clone(), start, START_MS);
    world.obey(START_MS, commands);
    let mut inputs = Vec::new();
    while let Some(((at_ms, _), input)) = world.agenda.pop_first() {
        assert!(inputs.len() < INPUTS_MAX, "the simulation does not end");
        if let Some(task) = input.ended_task() {
            world.tasks.remove(&task);
        }
        if let Input::TimerFired { timer } = &input {
            world.timers.remove(timer);
        }
        inputs.push((at_ms, input.clone()));
        let commands = execution.apply(at_ms, input);
        world.obey(at_ms, commands);
    }
    assert_eq!(
        world.outcomes.last().unwrap_or(&Outcome::Running),
        execution.status()
    );
    Simulated {
        execution,
        history: world.history,
        inputs,
        open_tasks: world.tasks.len(),
        open_timers: world.timers.len(),
        map_runs: world.map_runs,
    }
}

/// One line for each event: what it is, what it follows, what it is about.
pub fn shown(history: &[HistoryEvent]) -> Vec<String> {
    history
        .iter()
        .map(|event| {
            let details = &event.details;
            let mut line = format!("{} < {} {}", event.id, event.previous_event_id, event.kind);
            let ms = event.timestamp_ms - START_MS;
            if ms != 0 {
                line.push_str(&format!(" @{ms}"));
            }
            let numbers = [
                ("#", details.index),
                ("length ", details.length),
                ("redrive ", details.redrive_count),
                ("timeout ", details.timeout_in_seconds),
                ("heartbeat ", details.heartbeat_in_seconds),
            ];
            let role = &details.task_role_arn;
            for text in [&details.name, &details.error, &details.cause, role]
                .into_iter()
                .flatten()
            {
                line.push_str(&format!(" {text}"));
            }
            for (what, number) in numbers {
                if let Some(number) = number {
                    line.push_str(&format!(" {what}{number}"));
                }
            }
            let texts = [
                ("<", &details.input),
                ("<", &details.parameters),
                (">", &details.output),
            ];
            for (what, text) in texts {
                match text {
                    Some(text) if text.len() > SHOWN_MAX => {
                        line.push_str(&format!(" {what} {} bytes", text.len()));
                    }
                    Some(text) => line.push_str(&format!(" {what} {text}")),
                    None => {}
                }
            }
            for (name, text) in details.assigned_variables.iter().flatten() {
                line.push_str(&format!(" ${name} = {text}"));
            }
            line
        })
        .collect()
}
