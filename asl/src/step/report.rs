//! Owns what is heard of tasks: how they begin and end, and the three families of events they leave.
//!
//! A plain function ARN leaves `LambdaFunction…` events, an activity ARN `Activity…` events and a
//! service integration (`arn:aws:states:::…`) `Task…` events.

use serde_json::Value;

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::Body;
use crate::resource::Resource;

use super::failure::{Failure, FailureKind};
use super::strand::{Alarm, Doing, StrandId, TaskRun};
use super::{Command, DATA_BYTES_MAX, Execution, TaskId};

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Scheduled,
    Started,
    Submitted,
    SubmitFailed,
    Succeeded,
    Failed,
    TimedOut,
}

impl Moment {
    /// The event that tells of it.
    pub(super) fn of(self, resource: Resource<'_>) -> EventType {
        use EventType::*;
        let (function, activity, service) = match self {
            Moment::Scheduled => (LambdaFunctionScheduled, ActivityScheduled, TaskScheduled),
            Moment::Started => (LambdaFunctionStarted, ActivityStarted, TaskStarted),
            Moment::Submitted => return TaskSubmitted,
            Moment::SubmitFailed => return TaskSubmitFailed,
            Moment::Succeeded => (LambdaFunctionSucceeded, ActivitySucceeded, TaskSucceeded),
            Moment::Failed => (LambdaFunctionFailed, ActivityFailed, TaskFailed),
            Moment::TimedOut => (LambdaFunctionTimedOut, ActivityTimedOut, TaskTimedOut),
        };
        match resource {
            Resource::Function => function,
            Resource::Activity => activity,
            Resource::Service { .. } => service,
        }
    }
}

impl Execution {
    /// The strand that waits for a task, and what is known of the task.
    fn run_of(&mut self, task: TaskId) -> Option<(StrandId, &mut TaskRun)> {
        let id = *self.tasks.get(&task)?;
        match &mut self.strand_mut(id).doing {
            Doing::Task(run) => Some((id, run)),
            _ => None,
        }
    }

    pub(super) fn activity_scheduled(&mut self, task: TaskId) {
        if let Some((id, run)) = self.run_of(task)
            && let Some(details) = run.scheduled.take()
        {
            self.task_event(id, Moment::Scheduled, *details);
        }
    }

    pub(super) fn activity_started(&mut self, task: TaskId, worker: Option<String>) {
        if self.is_activity(task)
            && let Some(id) = self.start_task(task, worker)
        {
            self.set_task_timers(id);
        }
    }

    pub(super) fn task_impossible(&mut self, task: TaskId, cause: &str) {
        let Some((id, _)) = self.run_of(task) else {
            return;
        };
        self.forget_task(task, id);
        let failure = self.runtime(id, cause);
        self.failed(id, failure);
    }

    pub(super) fn task_submitted(&mut self, task: TaskId, output: Value) {
        self.start_task(task, None);
        let Some((id, run)) = self.run_of(task) else {
            return;
        };
        if std::mem::replace(&mut run.submitted, true) {
            return;
        }
        let details = Details {
            output: Some(output.to_string()),
            ..Details::default()
        };
        self.task_event(id, Moment::Submitted, details);
    }

    pub(super) fn task_submit_failed(&mut self, task: TaskId, error: String, cause: String) {
        if self.run_of(task).is_some_and(|(_, run)| run.submitted) {
            return;
        }
        if let Some(id) = self.task_ended(task) {
            self.task_failure(id, Moment::SubmitFailed, Failure::error(&error, cause));
        }
    }

    pub(super) fn task_started(&mut self, task: TaskId) {
        // An activity's task is taken by a worker.
        if !self.is_activity(task) {
            self.start_task(task, None);
        }
    }

    /// Records that a task was begun, unless that is known already; the strand that waits for it.
    fn start_task(&mut self, task: TaskId, worker_name: Option<String>) -> Option<StrandId> {
        self.activity_scheduled(task);
        let (id, run) = self.run_of(task)?;
        if std::mem::replace(&mut run.started, true) {
            return None;
        }
        let details = Details {
            worker_name,
            ..Details::default()
        };
        self.task_event(id, Moment::Started, details);
        Some(id)
    }

    fn is_activity(&mut self, task: TaskId) -> bool {
        let id = self.run_of(task).map(|(id, _)| id);
        id.is_some_and(|id| Resource::of(&self.resource(id)) == Resource::Activity)
    }

    pub(super) fn task_heartbeat(&mut self, task: TaskId) {
        let Some((id, run)) = self.run_of(task) else {
            return;
        };
        let (Some(timer), Some(delay_ms)) = (run.heartbeat.take(), run.heartbeat_ms) else {
            return;
        };
        self.cancel_timer(Some(timer));
        let timer = self.set_timer(delay_ms, Alarm::Heartbeat(task));
        if let Doing::Task(run) = &mut self.strand_mut(id).doing {
            run.heartbeat = Some(timer);
        }
    }

    pub(super) fn task_succeeded(&mut self, task: TaskId, output: Value) {
        let output = Data::new(output);
        let Some(id) = self.task_ended(task) else {
            return;
        };
        if output.text().len() > DATA_BYTES_MAX {
            let resource = self.resource(id);
            let name = match Resource::of(&resource) {
                Resource::Service { service, .. } => service.to_owned(),
                Resource::Function | Resource::Activity => resource,
            };
            // AWS records this as the task's own failure, which `States.ALL` takes.
            let failure = Failure {
                kind: FailureKind::Error,
                ..Failure::too_large(&name)
            };
            return self.task_failure(id, Moment::Failed, failure);
        }
        self.task_event(
            id,
            Moment::Succeeded,
            Details {
                output: Some(output.text().to_owned()),
                ..Details::default()
            },
        );
        if !self.full {
            self.finish(id, output);
        }
    }

    pub(super) fn task_failed(
        &mut self,
        task: TaskId,
        error: Option<String>,
        cause: Option<String>,
    ) {
        let kind = FailureKind::Error;
        if let Some(id) = self.task_ended(task) {
            self.task_failure(id, Moment::Failed, Failure { error, cause, kind });
        }
    }

    pub(super) fn task_timed_out(&mut self, task: TaskId, heartbeat: bool) {
        let Some(&id) = self.tasks.get(&task) else {
            return;
        };
        self.forget_task(task, id);
        self.commands.push(Command::CancelTask { task });
        let kind = if heartbeat {
            FailureKind::Heartbeat
        } else {
            FailureKind::Error
        };
        let failure = Failure {
            error: Some("States.Timeout".to_owned()),
            cause: None,
            kind,
        };
        self.task_failure(id, Moment::TimedOut, failure);
    }

    fn task_failure(&mut self, id: StrandId, moment: Moment, failure: Failure) {
        let details = Details {
            error: failure.error.clone(),
            cause: failure.cause.clone(),
            ..Details::default()
        };
        self.task_event(id, moment, details);
        if !self.full {
            self.failed(id, failure);
        }
    }

    /// The strand of a task that reports its end, which is thereby forgotten.
    fn task_ended(&mut self, task: TaskId) -> Option<StrandId> {
        let (id, _) = self.run_of(task)?;
        self.start_task(task, None);
        self.forget_task(task, id);
        Some(id)
    }

    fn forget_task(&mut self, task: TaskId, id: StrandId) {
        self.tasks.remove(&task);
        if let Doing::Task(run) = std::mem::replace(&mut self.strand_mut(id).doing, Doing::Nothing)
        {
            self.cancel_timer(run.timeout);
            self.cancel_timer(run.heartbeat);
        }
    }

    fn resource(&self, id: StrandId) -> String {
        match &self.machine.state(self.strand(id).visit().state).body {
            Body::Task(task) => task.resource.clone(),
            _ => unreachable!("only Task states have tasks"),
        }
    }

    fn task_event(&mut self, id: StrandId, moment: Moment, mut details: Details) {
        let resource = self.resource(id);
        let resource = Resource::of(&resource);
        if let Resource::Service { service, action } = resource {
            details.resource_type = Some(service.to_owned());
            details.resource = Some(action.to_owned());
        }
        let last = self.strand(id).last_event;
        self.strand_mut(id).last_event = self.record(moment.of(resource), last, details);
    }
}
