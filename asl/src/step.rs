//! Owns the running of an execution: inputs in, commands out.

use std::sync::Arc;

use serde_json::Value;

use crate::event::HistoryEvent;
use crate::machine::StateMachine;

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

/// Something that happened to an execution. Inputs for unknown or finished tasks and timers, and
/// inputs that do not fit the execution's status, change nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Somebody began to work on the task.
    TaskStarted {
        /// Which.
        task: TaskId,
    },
    /// The task gave a sign of life (SendTaskHeartbeat): its heartbeat timer starts anew.
    TaskHeartbeat {
        /// Which.
        task: TaskId,
    },
    /// The task ended well.
    TaskSucceeded {
        /// Which.
        task: TaskId,
        /// Its result.
        output: Value,
    },
    /// The task failed.
    TaskFailed {
        /// Which.
        task: TaskId,
        /// The error's name.
        error: String,
        /// What people are told about it.
        cause: String,
    },
    /// The time of a timer has come.
    TimerFired {
        /// Which.
        timer: TimerId,
    },
    /// StopExecution.
    Stop {
        /// Error given by the caller.
        error: Option<String>,
        /// Cause given by the caller.
        cause: Option<String>,
    },
    /// RedriveExecution; see [`Execution::can_redrive`].
    Redrive,
}

/// Something the driver must do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Have a task done and report it by [`Input`]s.
    InvokeTask {
        /// Which.
        task: TaskId,
        /// The `Resource` of the state: a function ARN or `arn:aws:states:::lambda:invoke`.
        resource: String,
        /// The payload for a plain function ARN, else the API parameters.
        parameters: Value,
        /// Seconds after which the execution gives the task up.
        timeout_seconds: Option<u64>,
        /// Seconds without heartbeat after which the execution gives the task up.
        heartbeat_seconds: Option<u64>,
    },
    /// Nobody waits for the task any more.
    CancelTask {
        /// Which.
        task: TaskId,
    },
    /// Report [`Input::TimerFired`] at this time or as soon as possible after it.
    SetTimer {
        /// Which.
        timer: TimerId,
        /// Milliseconds since the Unix epoch.
        at_ms: i64,
    },
    /// Nobody waits for the timer any more.
    CancelTimer {
        /// Which.
        timer: TimerId,
    },
    /// Append to the history.
    Record(HistoryEvent),
    /// The execution ended; never [`Outcome::Running`].
    Finished(Outcome),
}

/// One execution of a state machine. Deterministic: the same machine, start and inputs with their
/// times give the same commands, so that a driver needs to store only these.
#[derive(Debug, Clone)]
pub struct Execution {
    machine: Arc<StateMachine>,
    start: Start,
    outcome: Outcome,
}

impl Execution {
    /// Starts an execution at `now_ms` (milliseconds since the Unix epoch).
    pub fn start(
        machine: Arc<StateMachine>,
        start: Start,
        now_ms: i64,
    ) -> (Execution, Vec<Command>) {
        let _ = now_ms;
        let execution = Execution {
            machine,
            start,
            outcome: Outcome::Running,
        };
        todo!("engine under construction {execution:?}")
    }

    /// Applies what happened at `now_ms` and tells what to do about it.
    pub fn apply(&mut self, now_ms: i64, input: Input) -> Vec<Command> {
        todo!("engine under construction {now_ms} {input:?}")
    }

    /// How far the execution is.
    pub fn status(&self) -> &Outcome {
        &self.outcome
    }

    /// How often the execution was redriven.
    pub fn redrive_count(&self) -> u32 {
        todo!("engine under construction")
    }

    /// Whether [`Input::Redrive`] would be accepted, else AWS's reason why not.
    pub fn can_redrive(&self) -> Result<(), String> {
        todo!(
            "engine under construction {:?} {:?}",
            self.machine,
            self.start
        )
    }
}
