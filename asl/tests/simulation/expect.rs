//! Owns what an input may lead to, as [`asl::Input`] promises it.

use asl::{Input, TaskId, TimerId};

use super::ensure;
use super::faults::Kind;
use super::world::{OpenTask, World};

/// What an input leads to.
pub enum Expected {
    Nothing,
    Something,
    /// The task is over.
    End(TaskId),
    /// The timer is over.
    Timer(TimerId),
}

fn something(is: bool) -> Expected {
    if is {
        Expected::Something
    } else {
        Expected::Nothing
    }
}

impl OpenTask {
    fn is_service(&self) -> bool {
        matches!(self.kind, Kind::Callback | Kind::Nested | Kind::Service)
    }
}

impl World<'_> {
    pub fn expect(&mut self, input: &Input, now_ms: i64) -> Result<Expected, String> {
        if *input == Input::Redrive {
            let fits = self.execution.can_redrive().is_ok();
            if fits {
                self.coverage.see(match self.execution.redrive_count() {
                    0 => "redrive",
                    _ => "redrive again",
                });
            }
            return Ok(something(fits));
        }
        if !self.is_running() {
            return Ok(Expected::Nothing);
        }
        let task = match input {
            Input::Stop { .. } => {
                self.coverage.see("stop");
                return Ok(Expected::Something);
            }
            Input::TimerFired { timer } => {
                return Ok(match self.timers.contains_key(&timer.0) {
                    true => Expected::Timer(*timer),
                    false => Expected::Nothing,
                });
            }
            about => about.task().expect("a redrive is dealt with above"),
        };
        let Some(open) = self.tasks.get(&task.0) else {
            self.coverage.see("late answer");
            return Ok(Expected::Nothing);
        };
        if self.faults.is_exact() {
            for (what, deadline) in [
                ("timeout", open.deadline),
                ("heartbeat", open.heartbeat_deadline),
            ] {
                ensure!(
                    deadline.is_none_or(|deadline| now_ms <= deadline),
                    "the {what} of task {} was due before {input:?}",
                    task.0
                );
            }
        }
        let is_map_run = open.kind == Kind::MapRun;
        let expected = match input {
            Input::ActivityScheduled { .. } => {
                something(open.kind == Kind::Activity && !open.scheduled)
            }
            Input::ActivityStarted { .. } => {
                something(open.kind == Kind::Activity && !open.started)
            }
            Input::TaskStarted { .. } => {
                something(!is_map_run && open.kind != Kind::Activity && !open.started)
            }
            Input::TaskSubmitted { .. } => something(open.is_service() && !open.submitted),
            Input::TaskSubmitFailed { .. } if open.is_service() && !open.submitted => {
                Expected::End(task)
            }
            Input::TaskHeartbeat { .. } => something(open.heartbeat_deadline.is_some()),
            Input::TaskSucceeded { .. }
            | Input::TaskFailed { .. }
            | Input::TaskImpossible { .. }
                if !is_map_run =>
            {
                Expected::End(task)
            }
            Input::MapRunStarted { .. } => something(is_map_run && !open.started),
            Input::MapRunSucceeded { .. } | Input::MapRunFailed { .. } if is_map_run => {
                Expected::End(task)
            }
            _ => Expected::Nothing,
        };
        match (&expected, open.kind) {
            (Expected::Nothing, _) => self.coverage.see("stray input"),
            (Expected::End(_), kind) => self.coverage.see(match kind {
                Kind::Function => "function done",
                Kind::Activity => "activity done",
                Kind::Callback => "callback done",
                Kind::Nested => "nested done",
                Kind::Service => "service done",
                Kind::MapRun => "map run done",
            }),
            _ => {}
        }
        Ok(expected)
    }

    /// Notes how far a task is after an input that fits.
    pub fn note_started(&mut self, input: &Input) {
        let now_ms = self.clock_ms;
        match input {
            Input::ActivityScheduled { task } => {
                if let Some(open) = self.tasks.get_mut(&task.0) {
                    open.scheduled = true;
                }
            }
            Input::ActivityStarted { task, .. } => {
                if let Some(open) = self.tasks.get_mut(&task.0)
                    && open.kind == Kind::Activity
                    && !open.started
                {
                    (open.scheduled, open.started) = (true, true);
                    open.deadline = open.timeout_ms.map(|delay| now_ms + delay);
                    open.heartbeat_deadline = open.heartbeat_ms.map(|delay| now_ms + delay);
                }
            }
            Input::TaskStarted { task } => {
                if let Some(open) = self.tasks.get_mut(&task.0) {
                    open.started |= !matches!(open.kind, Kind::Activity | Kind::MapRun);
                }
            }
            Input::TaskSubmitted { task, .. } => {
                if let Some(open) = self.tasks.get_mut(&task.0)
                    && open.is_service()
                {
                    (open.started, open.submitted) = (true, true);
                }
            }
            Input::TaskHeartbeat { task } => {
                if let Some(open) = self.tasks.get_mut(&task.0)
                    && open.heartbeat_deadline.is_some()
                {
                    open.heartbeat_deadline = open.heartbeat_ms.map(|delay| now_ms + delay);
                }
            }
            Input::MapRunStarted { task, .. } => {
                if let Some(open) = self.tasks.get_mut(&task.0) {
                    open.started |= open.kind == Kind::MapRun;
                }
            }
            _ => {}
        }
    }
}
