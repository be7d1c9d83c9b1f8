//! Owns what survives a crash: the inputs of an execution with their times, and what they command when they are
//! applied again. What is outstanding then is told as `local/src/sfn/restore.rs` tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use asl::{Command, Execution, Input, Resource, Start, StateMachine};

use super::ensure;

/// What is needed to begin an execution anew.
#[derive(Clone)]
pub struct Beginning {
    pub machine: Arc<StateMachine>,
    pub processor: Option<String>,
    pub start: Start,
    pub at_ms: i64,
}

impl Beginning {
    pub fn begin(&self) -> Option<(Execution, Vec<Command>)> {
        let (machine, start) = (self.machine.clone(), self.start.clone());
        match &self.processor {
            None => Some(Execution::start(machine, start, self.at_ms)),
            Some(map) => Execution::start_processor(machine, map, start, self.at_ms),
        }
    }
}

/// One thing that happened, and what it led to.
struct Entry {
    at_ms: i64,
    input: Input,
    commands: Vec<Command>,
}

/// Everything that happened.
#[derive(Default)]
pub struct Journal {
    first: Vec<Command>,
    entries: Vec<Entry>,
}

/// What was commanded and has not come to its end.
#[derive(Default)]
pub struct Outstanding {
    /// What is to be done again.
    pub tasks: BTreeMap<u64, Command>,
    pub timers: BTreeMap<u64, Command>,
}

impl Journal {
    pub fn begun(&mut self, commands: Vec<Command>) {
        self.first = commands;
    }

    pub fn note(&mut self, at_ms: i64, input: Input, commands: Vec<Command>) {
        self.entries.push(Entry {
            at_ms,
            input,
            commands,
        });
    }

    /// The inputs, a line each.
    pub fn shown(&self) -> Vec<String> {
        let entries = self.entries.iter();
        entries
            .map(|entry| format!("@{} {:?}", entry.at_ms - super::START_MS, entry.input))
            .collect()
    }

    /// The execution after everything that happened, which must command what it did the first time.
    pub fn replay(&self, beginning: &Beginning) -> Result<(Execution, Outstanding), String> {
        let (mut execution, first) = beginning.begin().ok_or("cannot begin again")?;
        ensure!(first == self.first, "replay: begins otherwise");
        let mut outstanding = Outstanding::default();
        outstanding.see(&first);
        for (index, entry) in self.entries.iter().enumerate() {
            let commands = execution.apply(entry.at_ms, entry.input.clone());
            if commands != entry.commands {
                return Err(format!(
                    "replay: input {index}, {:?}, led to\n  {}\nand now to\n  {}",
                    entry.input,
                    told(&entry.commands),
                    told(&commands)
                ));
            }
            if !commands.is_empty() {
                outstanding.see_input(&entry.input);
            }
            outstanding.see(&commands);
        }
        Ok((execution, outstanding))
    }
}

impl Outstanding {
    fn see_input(&mut self, input: &Input) {
        match input {
            Input::TaskSucceeded { task, .. }
            | Input::TaskFailed { task, .. }
            | Input::TaskSubmitFailed { task, .. }
            | Input::TaskImpossible { task, .. }
            | Input::MapRunSucceeded { task, .. }
            | Input::MapRunFailed { task, .. }
            // Somebody else has these in hand.
            | Input::ActivityStarted { task, .. }
            | Input::TaskSubmitted { task, .. } => {
                self.tasks.remove(&task.0);
            }
            Input::TimerFired { timer } => {
                self.timers.remove(&timer.0);
            }
            _ => {}
        }
    }

    fn see(&mut self, commands: &[Command]) {
        for command in commands {
            match command {
                Command::InvokeTask { task, .. }
                | Command::StartMapRun { task, .. }
                | Command::RedriveMapRun { task, .. } => {
                    self.tasks.insert(task.0, command.clone());
                }
                Command::CancelTask { task } => {
                    self.tasks.remove(&task.0);
                }
                Command::SetTimer { timer, .. } => {
                    self.timers.insert(timer.0, command.clone());
                }
                Command::CancelTimer { timer } => {
                    self.timers.remove(&timer.0);
                }
                Command::Record(_) | Command::Finished(_) => {}
            }
        }
    }
}

/// Commands, a line each.
pub fn told(commands: &[Command]) -> String {
    let lines = commands.iter().map(|command| match command {
        Command::Record(event) => super::shown(std::slice::from_ref(event)).concat(),
        other => format!("{other:?}"),
    });
    lines.collect::<Vec<_>>().join("\n  ")
}

/// Whether a resource is an activity's.
pub fn is_activity(resource: &str) -> bool {
    Resource::of(resource) == Resource::Activity
}
