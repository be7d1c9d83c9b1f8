//! Owns the running of an execution: inputs in, commands out.
//!
//! An execution is a tree of strands ([`strand`]), each running one scope of the machine. Strands
//! that can go on wait in a queue, so that nothing recurses over transitions. What a state does is in
//! [`run`], [`task`] and [`fork`]; how it is left in [`exit`]; what happens when it fails in [`failure`]; how an execution ends
//! and begins again in [`end`] and [`redrive`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::data::Data;
use crate::event::{Details, EventType, HistoryEvent};
use crate::machine::{Body, ScopeId, StateMachine};
use crate::random::Random;
use crate::timestamp;

mod end;
mod exit;
mod failure;
mod fork;
mod map_run;
mod message;
mod probe;
mod query;
mod redrive;
mod report;
mod run;
mod strand;
mod task;
#[cfg(test)]
mod tests;
mod token;

pub use map_run::{Batch, Items, MapRun, Results};
pub use message::{Command, Input};
pub use probe::{Inspection, Mock, ProbeSetup, ProbeStatus, Probed};
use strand::{Alarm, Strand, StrandId, Todo};
pub use token::TaskToken;

/// A task of an execution; unique in it, and the same whenever the same inputs are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// A timer of an execution; unique in it, and the same whenever the same inputs are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// What an execution is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// ARN of the execution.
    pub execution_arn: String,
    /// Its name, the last part of the ARN.
    pub execution_name: String,
    /// ARN of the role of the state machine.
    pub role_arn: String,
    /// ARN of the state machine.
    pub state_machine_arn: String,
    /// Name of the state machine.
    pub state_machine_name: String,
    /// The execution's input.
    pub input: Value,
    /// The input as the caller wrote it, which AWS keeps in the history; `None`: compact JSON.
    pub input_text: Option<String>,
    /// Source of everything random: jitter, `States.UUID`, `States.MathRandom`.
    pub seed: u64,
}

/// How far an execution is.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Not ended.
    Running,
    /// Ended well; `output` is its result.
    Succeeded {
        /// The execution's output.
        output: Value,
        /// The output as JSON text, as in the history.
        output_text: String,
    },
    /// An error was caught by nobody.
    Failed {
        /// The error's name.
        error: Option<String>,
        /// What people are told about it.
        cause: Option<String>,
    },
    /// The machine's `TimeoutSeconds` elapsed.
    TimedOut {
        /// The error's name.
        error: Option<String>,
        /// What people are told about it.
        cause: Option<String>,
    },
    /// Stopped from outside.
    Aborted {
        /// As given to StopExecution.
        error: Option<String>,
        /// As given to StopExecution.
        cause: Option<String>,
    },
}

/// AWS's limit for the number of events of an execution.
pub const EVENTS_MAX: i64 = 25_000;
/// How long AWS lets an Express workflow run.
pub const EXPRESS_SECONDS_MAX: u64 = 300;
/// AWS's limit for inputs, outputs and results, in bytes of UTF-8.
pub const DATA_BYTES_MAX: usize = 262_144;

/// One execution of a state machine. Deterministic: the same machine, start and inputs with their
/// times give the same commands, so that a driver needs to store only these.
#[derive(Debug, Clone)]
pub struct Execution {
    machine: Arc<StateMachine>,
    /// What it runs: the machine, or the processor of a Map state.
    scope: ScopeId,
    role_arn: String,
    /// `$$.Execution`.
    execution: Value,
    /// `$$.StateMachine`.
    state_machine: Value,
    outcome: Outcome,
    now_ms: i64,
    random: Random,
    redrive_count: u32,
    last_event: i64,
    /// The history is full: the execution must fail.
    full: bool,
    last_task: u64,
    last_timer: u64,
    /// By id; those that ended are gone.
    strands: Vec<Option<Box<Strand>>>,
    ready: VecDeque<StrandId>,
    tasks: HashMap<TaskId, StrandId>,
    timers: HashMap<TimerId, Alarm>,
    machine_timer: Option<TimerId>,
    /// One state is run by itself.
    probe: Option<Box<probe::Probe>>,
    commands: Vec<Command>,
}

impl Execution {
    /// Starts an execution at `now_ms` (milliseconds since the Unix epoch).
    pub fn start(
        machine: Arc<StateMachine>,
        start: Start,
        now_ms: i64,
    ) -> (Execution, Vec<Command>) {
        Execution::begin(machine, ScopeId::ROOT, start, None, now_ms)
    }

    /// Starts an execution of a Map state's processor; `None` if there is no such state.
    pub fn start_processor(
        machine: Arc<StateMachine>,
        map_state: &str,
        start: Start,
        now_ms: i64,
    ) -> Option<(Execution, Vec<Command>)> {
        let scope = match &machine.state_named(map_state)?.body {
            Body::Map(map) => map.processor,
            _ => return None,
        };
        Some(Execution::begin(machine, scope, start, None, now_ms))
    }

    fn begin(
        machine: Arc<StateMachine>,
        scope: ScopeId,
        start: Start,
        probe: Option<Box<probe::Probe>>,
        now_ms: i64,
    ) -> (Execution, Vec<Command>) {
        let mut execution = json!({
            "Id": start.execution_arn,
            "Input": start.input,
            "StartTime": timestamp::format(now_ms),
            "Name": start.execution_name,
            "RoleArn": start.role_arn,
        });
        // TestState's context has none.
        if probe.is_none() {
            execution["RedriveCount"] = json!(0);
        }
        let state_machine =
            json!({ "Id": start.state_machine_arn, "Name": start.state_machine_name });
        let input = match start.input_text {
            Some(text) => Data::written(start.input, text),
            None => Data::new(start.input),
        };
        let mut this = Execution {
            scope,
            role_arn: start.role_arn,
            execution,
            state_machine,
            outcome: Outcome::Running,
            now_ms,
            random: Random::new(start.seed),
            redrive_count: 0,
            last_event: 0,
            full: false,
            last_task: 0,
            last_timer: 0,
            strands: Vec::new(),
            ready: VecDeque::new(),
            tasks: HashMap::new(),
            timers: HashMap::new(),
            machine_timer: None,
            probe,
            commands: Vec::new(),
            machine,
        };
        let details = Details {
            input: Some(input.text().to_owned()),
            role_arn: Some(this.role_arn.clone()),
            ..Details::default()
        };
        this.record(EventType::ExecutionStarted, 0, details);
        this.set_machine_timer();
        let first = this.machine.scope(scope).start;
        let root = this.add_strand(Strand::new(None, 0, None, Arc::new(this.probe_variables())));
        this.go(root, Todo::Enter(first, input));
        this.run();
        let commands = std::mem::take(&mut this.commands);
        (this, commands)
    }

    /// Applies what happened at `now_ms` and tells what to do about it.
    pub fn apply(&mut self, now_ms: i64, input: Input) -> Vec<Command> {
        self.now_ms = self.now_ms.max(now_ms);
        let running = self.outcome == Outcome::Running;
        match input {
            Input::Redrive => self.redrive(),
            _ if !running => {}
            Input::ActivityScheduled { task } => self.activity_scheduled(task),
            Input::ActivityStarted { task, worker } => self.activity_started(task, worker),
            Input::TaskImpossible { task, cause } => self.task_impossible(task, &cause),
            Input::TaskStarted { task } => self.task_started(task),
            Input::TaskSubmitted { task, output } => self.task_submitted(task, output),
            Input::TaskSubmitFailed { task, error, cause } => {
                self.task_submit_failed(task, error, cause);
            }
            Input::TaskHeartbeat { task } => self.task_heartbeat(task),
            Input::TaskSucceeded { task, output } => self.task_succeeded(task, output),
            Input::TaskFailed { task, error, cause } => self.task_failed(task, error, cause),
            Input::MapRunStarted { task, map_run_arn } => self.map_run_started(task, map_run_arn),
            Input::MapRunSucceeded { task, output } => self.map_run_succeeded(task, output),
            Input::MapRunFailed { task, error, cause } => self.map_run_failed(task, error, cause),
            Input::TimerFired { timer } => self.timer_fired(timer),
            Input::Stop { error, cause } => self.aborted(error, cause),
        }
        self.run();
        std::mem::take(&mut self.commands)
    }

    /// How far the execution is.
    pub fn status(&self) -> &Outcome {
        &self.outcome
    }

    /// How often the execution was redriven.
    pub fn redrive_count(&self) -> u32 {
        self.redrive_count
    }

    /// Id of the last event of the history.
    pub fn last_event_id(&self) -> i64 {
        self.last_event
    }

    /// Whether [`Input::Redrive`] would be accepted, else AWS's reason why not.
    pub fn can_redrive(&self) -> Result<(), String> {
        match self.outcome {
            Outcome::Running => Err("Execution is RUNNING and cannot be redriven".to_owned()),
            Outcome::Succeeded { .. } => {
                Err("Execution is SUCCEEDED and cannot be redriven".to_owned())
            }
            // ExecutionRedriven and at least one more event must fit.
            _ if self.last_event >= EVENTS_MAX - 1 => Err(format!(
                "Execution event history has reached {} events and cannot be redriven",
                EVENTS_MAX - 1
            )),
            _ => Ok(()),
        }
    }

    /// Appends an event and gives its id. The last place in the history is kept for the end.
    fn record(&mut self, kind: EventType, previous_event_id: i64, details: Details) -> i64 {
        let is_end = matches!(
            kind,
            EventType::ExecutionFailed
                | EventType::ExecutionAborted
                | EventType::ExecutionTimedOut
                | EventType::ExecutionSucceeded
        );
        if self.last_event >= EVENTS_MAX - 1 && !is_end {
            self.full = true;
            return self.last_event;
        }
        self.last_event += 1;
        let id = self.last_event;
        let event = HistoryEvent {
            id,
            previous_event_id,
            timestamp_ms: self.now_ms,
            kind,
            details,
        };
        self.commands.push(Command::Record(event));
        id
    }

    fn set_timer(&mut self, delay_ms: i64, alarm: Alarm) -> TimerId {
        self.set_timer_at(self.now_ms.saturating_add(delay_ms), alarm)
    }

    fn set_timer_at(&mut self, at_ms: i64, alarm: Alarm) -> TimerId {
        self.last_timer += 1;
        let timer = TimerId(self.last_timer);
        self.timers.insert(timer, alarm);
        self.commands.push(Command::SetTimer { timer, at_ms });
        timer
    }

    fn cancel_timer(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer
            && self.timers.remove(&timer).is_some()
        {
            self.commands.push(Command::CancelTimer { timer });
        }
    }

    fn set_machine_timer(&mut self) {
        let limit = match self.scope {
            ScopeId::ROOT => self.machine.timeout_seconds,
            scope if self.machine.is_express(scope) => Some(EXPRESS_SECONDS_MAX),
            _ => None,
        };
        if let Some(seconds) = limit {
            self.machine_timer = Some(self.set_timer(millis(seconds as f64), Alarm::Machine));
        }
    }

    fn timer_fired(&mut self, timer: TimerId) {
        match self.timers.remove(&timer) {
            Some(Alarm::Machine) => self.machine_timed_out(),
            Some(Alarm::Wait(strand)) => self.waited(strand),
            Some(Alarm::Retry(strand)) => self.go(strand, Todo::Run),
            Some(Alarm::Timeout(task)) => self.task_timed_out(task, false),
            Some(Alarm::Heartbeat(task)) => self.task_timed_out(task, true),
            None => {}
        }
    }
}

/// Seconds as milliseconds.
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
