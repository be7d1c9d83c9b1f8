//! Owns what goes in and out of an execution: inputs and commands.

use serde_json::Value;

use crate::event::HistoryEvent;

use super::{MapRun, Outcome, TaskId, TimerId};

/// Something that happened to an execution. Inputs for unknown or finished tasks and timers, and
/// inputs that do not fit the execution's status, change nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The activity's workers can be given the task from now on.
    ActivityScheduled {
        /// Which.
        task: TaskId,
    },
    /// A worker of the activity took the task.
    ActivityStarted {
        /// Which.
        task: TaskId,
        /// `workerName` of GetActivityTask.
        worker: Option<String>,
    },
    /// The task cannot even be tried; the execution fails with `States.Runtime`.
    TaskImpossible {
        /// Which.
        task: TaskId,
        /// Why, as a sentence.
        cause: String,
    },
    /// Somebody began to work on the task.
    TaskStarted {
        /// Which.
        task: TaskId,
    },
    /// The request of a task that waits for more than its answer was answered.
    TaskSubmitted {
        /// Which.
        task: TaskId,
        /// The answer.
        output: Value,
    },
    /// The request of a task that waits for more than its answer was refused.
    TaskSubmitFailed {
        /// Which.
        task: TaskId,
        /// The error's name.
        error: String,
        /// What people are told about it.
        cause: String,
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
        /// The error's name, if it was told.
        error: Option<String>,
        /// What people are told about it, if anything.
        cause: Option<String>,
    },
    /// A Map Run began.
    MapRunStarted {
        /// Which.
        task: TaskId,
        /// Its ARN.
        map_run_arn: String,
    },
    /// A Map Run ended well.
    MapRunSucceeded {
        /// Which.
        task: TaskId,
        /// The outputs of its children, or where they were written.
        output: Value,
    },
    /// A Map Run failed.
    MapRunFailed {
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

impl Input {
    /// The task that this is about.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Input::ActivityScheduled { task }
            | Input::ActivityStarted { task, .. }
            | Input::TaskImpossible { task, .. }
            | Input::TaskStarted { task }
            | Input::TaskSubmitted { task, .. }
            | Input::TaskSubmitFailed { task, .. }
            | Input::TaskHeartbeat { task }
            | Input::TaskSucceeded { task, .. }
            | Input::TaskFailed { task, .. }
            | Input::MapRunStarted { task, .. }
            | Input::MapRunSucceeded { task, .. }
            | Input::MapRunFailed { task, .. } => Some(*task),
            Input::TimerFired { .. } | Input::Stop { .. } | Input::Redrive => None,
        }
    }

    /// The task of which nothing is to be expected after this.
    pub fn ended_task(&self) -> Option<TaskId> {
        match self {
            Input::TaskSucceeded { task, .. }
            | Input::TaskFailed { task, .. }
            | Input::TaskSubmitFailed { task, .. }
            | Input::TaskImpossible { task, .. }
            | Input::MapRunSucceeded { task, .. }
            | Input::MapRunFailed { task, .. } => Some(*task),
            _ => None,
        }
    }
}

/// Something the driver must do.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // Most commands are records: boxing them would only cost.
pub enum Command {
    /// Have a task done and report it by [`Input`]s.
    InvokeTask {
        /// Which.
        task: TaskId,
        /// The `Resource` of the state; see [`crate::Resource`].
        resource: String,
        /// The payload for a plain function ARN or an activity, else the API parameters.
        parameters: Value,
        /// By which an activity's worker, or whoever was called to report back, reports.
        token: Option<String>,
        /// Seconds after which the execution gives the task up.
        timeout_seconds: Option<u64>,
        /// Seconds without heartbeat after which the execution gives the task up.
        heartbeat_seconds: Option<u64>,
    },
    /// Run the children of a Map state in DISTRIBUTED mode and report it by [`Input`]s.
    StartMapRun {
        /// Which.
        task: TaskId,
        /// What is to be run.
        run: Box<MapRun>,
    },
    /// Run those children of a Map Run again that did not end well, and those that were never started.
    RedriveMapRun {
        /// Which.
        task: TaskId,
        /// The Map Run.
        map_run_arn: String,
    },
    /// Nobody waits for the task any more; it may be a Map Run.
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
