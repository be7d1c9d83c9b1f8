//! Owns tasks: how they are scheduled, how they end, and the three families of events they leave.
//!
//! A plain function ARN leaves `LambdaFunction…` events, an activity ARN `Activity…` events and a
//! service integration (`arn:aws:states:::…`) `Task…` events.

use serde_json::Value;

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::{Body, Task};

use super::failure::{Failure, FailureKind};
use super::strand::{Alarm, Doing, StrandId, TaskRun};
use super::{Command, DATA_BYTES_MAX, Execution, TaskId, millis};

/// What kind of events a resource's tasks leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family<'a> {
    Lambda,
    Activity,
    Service {
        resource_type: &'a str,
        resource: &'a str,
    },
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Scheduled,
    Started,
    Succeeded,
    Failed,
    TimedOut,
}

impl Family<'_> {
    fn of(resource: &str) -> Family<'_> {
        let mut parts = resource.splitn(6, ':');
        let service = parts.nth(2);
        let rest = parts.nth(2).unwrap_or_default();
        match service {
            Some("lambda") => Family::Lambda,
            Some("states") if rest.starts_with("activity:") => Family::Activity,
            _ => {
                let (resource_type, resource) = rest.rsplit_once(':').unwrap_or((rest, ""));
                Family::Service {
                    resource_type,
                    resource,
                }
            }
        }
    }

    fn event(self, moment: Moment) -> EventType {
        match (self, moment) {
            (Family::Lambda, Moment::Scheduled) => EventType::LambdaFunctionScheduled,
            (Family::Lambda, Moment::Started) => EventType::LambdaFunctionStarted,
            (Family::Lambda, Moment::Succeeded) => EventType::LambdaFunctionSucceeded,
            (Family::Lambda, Moment::Failed) => EventType::LambdaFunctionFailed,
            (Family::Lambda, Moment::TimedOut) => EventType::LambdaFunctionTimedOut,
            (Family::Activity, Moment::Scheduled) => EventType::ActivityScheduled,
            (Family::Activity, Moment::Started) => EventType::ActivityStarted,
            (Family::Activity, Moment::Succeeded) => EventType::ActivitySucceeded,
            (Family::Activity, Moment::Failed) => EventType::ActivityFailed,
            (Family::Activity, Moment::TimedOut) => EventType::ActivityTimedOut,
            (Family::Service { .. }, Moment::Scheduled) => EventType::TaskScheduled,
            (Family::Service { .. }, Moment::Started) => EventType::TaskStarted,
            (Family::Service { .. }, Moment::Succeeded) => EventType::TaskSucceeded,
            (Family::Service { .. }, Moment::Failed) => EventType::TaskFailed,
            (Family::Service { .. }, Moment::TimedOut) => EventType::TaskTimedOut,
        }
    }
}

impl Execution {
    pub(super) fn schedule(
        &mut self,
        id: StrandId,
        task: &Task,
        input: &Data,
    ) -> Result<(), Failure> {
        let parameters = self.filled(id, task.effort.parameters.as_ref(), input.clone())?;
        if parameters.text().len() > DATA_BYTES_MAX {
            let name = &self.machine.state(self.strand(id).visit().state).name;
            return Err(Failure::too_large(name));
        }
        let task_role_arn = self.filled(id, task.credentials.as_ref(), Data::new(Value::Null))?;
        let timeout = self.seconds(id, task.timeout.as_ref(), "TimeoutSecondsPath", input)?;
        let heartbeat = self.seconds(id, task.heartbeat.as_ref(), "HeartbeatSecondsPath", input)?;
        let family = Family::of(&task.resource);
        let mut details = Details {
            timeout_in_seconds: timeout.map(|seconds| seconds as i64),
            heartbeat_in_seconds: heartbeat.map(|seconds| seconds as i64),
            task_role_arn: task_role_arn.value()["RoleArn"].as_str().map(str::to_owned),
            ..Details::default()
        };
        match family {
            Family::Lambda | Family::Activity => {
                details.resource = Some(task.resource.clone());
                details.input = Some(parameters.text().to_owned());
            }
            Family::Service {
                resource_type,
                resource,
            } => {
                details.resource_type = Some(resource_type.to_owned());
                details.resource = Some(resource.to_owned());
                details.region = self.execution["Id"]
                    .as_str()
                    .and_then(|arn| arn.split(':').nth(3))
                    .map(str::to_owned);
                details.parameters = Some(parameters.text().to_owned());
            }
        }
        let last = self.strand(id).last_event;
        self.strand_mut(id).last_event =
            self.record(family.event(Moment::Scheduled), last, details);
        if self.full {
            return Ok(());
        }
        self.last_task += 1;
        let run = TaskRun {
            task: TaskId(self.last_task),
            started: false,
            timeout: None,
            heartbeat: None,
            heartbeat_ms: heartbeat.map_or(0, |seconds| millis(seconds as f64)),
        };
        self.commands.push(Command::InvokeTask {
            task: run.task,
            resource: task.resource.clone(),
            parameters: parameters.value().clone(),
            timeout_seconds: timeout,
            heartbeat_seconds: heartbeat,
        });
        let run = TaskRun {
            timeout: timeout
                .map(|seconds| self.set_timer(millis(seconds as f64), Alarm::Timeout(run.task))),
            heartbeat: heartbeat
                .map(|_| self.set_timer(run.heartbeat_ms, Alarm::Heartbeat(run.task))),
            ..run
        };
        self.tasks.insert(run.task, id);
        self.strand_mut(id).doing = Doing::Task(run);
        Ok(())
    }

    fn seconds(
        &mut self,
        id: StrandId,
        count: Option<&crate::machine::Count>,
        field: &str,
        input: &Data,
    ) -> Result<Option<u64>, Failure> {
        let Some(count) = count else { return Ok(None) };
        match self.counted(id, count, input) {
            Ok(seconds) if seconds >= 1.0 && seconds.fract() == 0.0 => Ok(Some(seconds as u64)),
            Ok(seconds) => Err(self.runtime(
                id,
                format!(
                    "The {field} parameter must reference a positive integer, but was {seconds}"
                ),
            )),
            Err((path, value)) => Err(self.runtime(
                id,
                format!(
                    "The {field} parameter does not reference a valid integer: {path} == {value}"
                ),
            )),
        }
    }

    pub(super) fn task_started(&mut self, task: TaskId) {
        let Some(&id) = self.tasks.get(&task) else {
            return;
        };
        let Doing::Task(run) = &mut self.strand_mut(id).doing else {
            return;
        };
        if std::mem::replace(&mut run.started, true) {
            return;
        }
        self.task_event(id, Moment::Started, Details::default());
    }

    pub(super) fn task_heartbeat(&mut self, task: TaskId) {
        let Some(&id) = self.tasks.get(&task) else {
            return;
        };
        let Doing::Task(run) = &mut self.strand_mut(id).doing else {
            return;
        };
        let (timer, delay_ms) = (run.heartbeat.take(), run.heartbeat_ms);
        if timer.is_none() {
            return;
        }
        self.cancel_timer(timer);
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
            let name = match Family::of(&resource) {
                Family::Service { resource_type, .. } => resource_type.to_owned(),
                Family::Lambda | Family::Activity => resource,
            };
            return self.task_failure(id, Moment::Failed, Failure::too_large(&name));
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

    pub(super) fn task_failed(&mut self, task: TaskId, error: String, cause: String) {
        if let Some(id) = self.task_ended(task) {
            self.task_failure(id, Moment::Failed, Failure::error(&error, cause));
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
        let id = *self.tasks.get(&task)?;
        self.task_started(task);
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
        let family = Family::of(&resource);
        if let Family::Service {
            resource_type,
            resource,
        } = family
        {
            details.resource_type = Some(resource_type.to_owned());
            details.resource = Some(resource.to_owned());
        }
        let last = self.strand(id).last_event;
        self.strand_mut(id).last_event = self.record(family.event(moment), last, details);
    }
}
