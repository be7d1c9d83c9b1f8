//! Owns random faults: how tasks and Map Runs answer, and what else befalls an execution.

use asl::{Input, TaskId};
use serde_json::{Value, json};

use super::dice::Dice;

/// What kind of task it is, for each answers in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Function,
    Activity,
    /// `.waitForTaskToken`.
    Callback,
    /// `.sync`.
    Nested,
    Service,
    MapRun,
}

/// How an execution breaks off and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// What was under way goes on: everything must be as without the crash.
    Seamless,
    /// What was under way is lost with the process, and done again.
    Redo,
}

/// Everything that befalls an execution besides its machine.
#[derive(Debug, Clone)]
pub struct Faults {
    pub seed: u64,
    /// Timers fire some time after their time.
    pub late_timers: bool,
    /// The wall clock is set: when, and by how much.
    pub jumps: Vec<(i64, i64)>,
    /// StopExecution.
    pub stops: Vec<i64>,
    /// RedriveExecution out of season.
    pub strange_redrives: Vec<i64>,
    /// How often it is redriven after it failed.
    pub redrives: usize,
    /// Before which steps it breaks off.
    pub crashes: Vec<(usize, Crash)>,
    /// How many of a hundred tasks fail.
    pub failing: usize,
    /// How many of a hundred tasks never answer, or very late.
    pub silent: usize,
    /// How many of a hundred tasks answer twice, in the wrong way or after they were cancelled.
    pub stray: usize,
    /// Every input is journalled with its time as it is, and not only those that changed something.
    pub journals_all: bool,
    /// What is run is the processor of a Map Run.
    pub processor: bool,
    /// The execution's input.
    pub input: Value,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        let mut dice = Dice::of(seed, 1);
        let times = |dice: &mut Dice, share: usize, most: usize| -> Vec<i64> {
            let count = if dice.percent(share) {
                1 + dice.roll(most)
            } else {
                0
            };
            (0..count).map(|_| dice.between(0, 20_000)).collect()
        };
        let jumps = times(&mut dice, 10, 3);
        let items: Vec<Value> = (0..dice.roll(5)).map(|item| json!(item)).collect();
        let t = match dice.roll(80) {
            0 => json!("soon"),
            1 => json!(0),
            _ => json!(dice.between(1, 3)),
        };
        // A loop that does not end fills the history.
        let n = if dice.roll(4000) == 0 {
            1_000_000
        } else {
            dice.between(0, 3)
        };
        let calm = dice.percent(10);
        let crashes = if dice.percent(50) {
            1 + dice.roll(3)
        } else {
            0
        };
        let mut crashes: Vec<(usize, Crash)> = (0..crashes)
            .map(|_| (dice.roll(40), *dice.pick(&[Crash::Seamless, Crash::Redo])))
            .collect();
        crashes.sort_by_key(|(step, _)| *step);
        Faults {
            seed,
            late_timers: dice.percent(10),
            jumps: jumps
                .into_iter()
                .map(|at| (at, dice.between(-30_000, 5_000)))
                .collect(),
            stops: times(&mut dice, 12, 2),
            strange_redrives: times(&mut dice, 5, 2),
            redrives: if dice.percent(60) { dice.roll(4) } else { 0 },
            crashes,
            failing: if calm { 0 } else { dice.roll(40) },
            silent: if calm { 0 } else { dice.roll(10) },
            stray: if calm { 0 } else { dice.roll(20) },
            journals_all: dice.percent(20),
            processor: dice.percent(20),
            input: json!({"items": items, "n": n, "t": t}),
        }
    }

    /// Whether times come out as they were said.
    pub fn is_exact(&self) -> bool {
        let redone = self.crashes.iter().any(|(_, crash)| *crash == Crash::Redo);
        !self.late_timers && self.jumps.is_empty() && !redone
    }

    /// What is heard of a task, and after how many milliseconds.
    pub fn answers(&self, task: TaskId, attempt: u64, kind: Kind) -> Vec<(i64, Input)> {
        let mut dice = Dice::of(self.seed, 1000 + task.0 * 8 + attempt);
        let mut heard = Vec::new();
        let mut at = dice.between(0, 100);
        match kind {
            Kind::MapRun => {
                if dice.percent(95) {
                    let map_run_arn = format!("arn:run:{}", task.0);
                    heard.push((at, Input::MapRunStarted { task, map_run_arn }));
                }
            }
            Kind::Activity => {
                if dice.permille(30) {
                    let cause = "There is no such activity".to_owned();
                    return vec![(at, Input::TaskImpossible { task, cause })];
                }
                heard.push((at, Input::ActivityScheduled { task }));
                at += dice.between(0, 1500);
                if dice.percent(92) {
                    let worker = dice.percent(50).then(|| "worker".to_owned());
                    heard.push((at, Input::ActivityStarted { task, worker }));
                }
            }
            _ => {
                if dice.percent(90) {
                    heard.push((at, Input::TaskStarted { task }));
                }
            }
        }
        if matches!(kind, Kind::Callback | Kind::Nested) {
            at += dice.between(0, 300);
            if dice.percent(80) {
                let output = json!({"id": task.0});
                heard.push((at, Input::TaskSubmitted { task, output }));
            }
        }
        for _ in 0..dice.roll(3) {
            heard.push((at + dice.between(0, 3000), Input::TaskHeartbeat { task }));
        }
        let silent = dice.percent(self.silent);
        if !silent || dice.percent(50) {
            let late = if silent { 20_000 } else { 0 };
            let end = self.end(&mut dice, task, kind);
            heard.push((at + late + dice.between(0, 3500), end));
        }
        if dice.percent(self.stray) {
            let again = self.end(&mut dice, task, kind);
            heard.push((at + dice.between(0, 9000), again));
            heard.push((
                at + dice.between(0, 4000),
                self.stray(&mut dice, task, kind),
            ));
        }
        heard
    }

    /// How a task ends.
    fn end(&self, dice: &mut Dice, task: TaskId, kind: Kind) -> Input {
        let fails = dice.percent(self.failing);
        let error = (*dice.pick(&[
            "E1",
            "E1",
            "E1",
            "E2",
            "States.TaskFailed",
            "States.Timeout",
        ]))
        .to_owned();
        let cause = "at random".to_owned();
        match (kind, fails) {
            (Kind::MapRun, true) => {
                let error = *dice.pick(&["States.ExceedToleratedFailureThreshold", "E1"]);
                let error = error.to_owned();
                Input::MapRunFailed { task, error, cause }
            }
            (Kind::MapRun, false) => Input::MapRunSucceeded {
                task,
                output: json!([1, 2]),
            },
            (Kind::Callback | Kind::Nested, true) if dice.percent(20) => {
                Input::TaskSubmitFailed { task, error, cause }
            }
            (_, true) => {
                let told = dice.percent(90);
                Input::TaskFailed {
                    task,
                    error: told.then_some(error),
                    cause: told.then_some(cause),
                }
            }
            (_, false) => {
                let output = match dice.roll(2000) {
                    0 => json!("x".repeat(300_000)),
                    1..1000 => json!({"x": dice.roll(9)}),
                    _ => json!(dice.roll(9)),
                };
                Input::TaskSucceeded { task, output }
            }
        }
    }

    /// Something that does not fit, or is about something unknown.
    fn stray(&self, dice: &mut Dice, task: TaskId, kind: Kind) -> Input {
        let unknown = TaskId(task.0 + 1000);
        let cause = "stray".to_owned();
        match (dice.roll(6), kind) {
            (0, _) => Input::TaskSucceeded {
                task: unknown,
                output: Value::Null,
            },
            (1, _) => Input::ActivityScheduled { task },
            (2, _) => Input::ActivityStarted { task, worker: None },
            (3, Kind::MapRun) => Input::TaskSucceeded {
                task,
                output: Value::Null,
            },
            (3, _) => Input::MapRunSucceeded {
                task,
                output: json!([]),
            },
            (4, Kind::MapRun) => Input::TaskFailed {
                task,
                error: None,
                cause: None,
            },
            (4, _) => Input::MapRunStarted {
                task,
                map_run_arn: "arn".to_owned(),
            },
            (_, Kind::MapRun) => Input::TaskImpossible { task, cause },
            (_, _) => Input::TaskStarted { task },
        }
    }
}
