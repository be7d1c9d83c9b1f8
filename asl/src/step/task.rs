//! Owns how tasks are scheduled. What is heard of them then is in [`super::report`].

use serde_json::Value;

use crate::data::Data;
use crate::event::Details;
use crate::machine::{Count, Task};
use crate::resource::{Pattern, Resource};

use super::exit::within_limit;
use super::failure::Failure;
use super::probe::Stage;
use super::report::Moment;
use super::strand::{Alarm, Doing, StrandId, TaskRun};
use super::{Command, Execution, TaskId, millis};

impl Execution {
    pub(super) fn schedule(
        &mut self,
        id: StrandId,
        task: &Task,
        input: &Data,
    ) -> Result<(), Failure> {
        let resource = Resource::of(&task.resource);
        let next = TaskId(self.last_task + 1);
        let callback = resource.pattern() == Pattern::Callback;
        let token = (callback || resource == Resource::Activity).then(|| self.new_token(next));
        let visit = self.strand_mut(id).visit.as_mut();
        visit.expect("the strand is in a state").token = token.clone().filter(|_| callback);
        let parameters = self.filled(id, task.effort.parameters.as_ref(), input.clone())?;
        let name = &self.machine.state(self.strand(id).visit().state).name;
        let parameters = within_limit(name, parameters)?;
        let task_role_arn = match &task.credentials {
            None => Data::new(Value::Null),
            credentials => self.filled(id, credentials.as_ref(), input.clone())?,
        };
        let timeout = self.seconds(id, task.timeout.as_ref(), "TimeoutSecondsPath", input)?;
        let heartbeat = self.seconds(id, task.heartbeat.as_ref(), "HeartbeatSecondsPath", input)?;
        self.note(id, Stage::Parameters, &parameters);
        if let Some(mock) = self.mock(id) {
            return self.mocked(id, mock);
        }
        let mut details = Details {
            timeout_in_seconds: timeout.map(|seconds| seconds as i64),
            heartbeat_in_seconds: heartbeat.map(|seconds| seconds as i64),
            task_role_arn: task_role_arn.value()["RoleArn"].as_str().map(str::to_owned),
            ..Details::default()
        };
        match resource {
            Resource::Function | Resource::Activity => {
                details.resource = Some(task.resource.clone());
                details.input = Some(parameters.text().to_owned());
                // Their events in AWS's API have no place for these.
                if resource == Resource::Function {
                    details.heartbeat_in_seconds = None;
                } else {
                    details.task_role_arn = None;
                }
            }
            Resource::Service { service, action } => {
                details.resource_type = Some(service.to_owned());
                details.resource = Some(action.to_owned());
                details.region = self.execution["Id"]
                    .as_str()
                    .and_then(|arn| arn.split(':').nth(3))
                    .map(str::to_owned);
                details.parameters = Some(parameters.text().to_owned());
            }
        }
        let mut run = TaskRun {
            task: next,
            token: token.clone(),
            scheduled: None,
            started: false,
            submitted: false,
            timeout: None,
            heartbeat: None,
            timeout_ms: timeout.map(|seconds| millis(seconds as f64)),
            heartbeat_ms: heartbeat.map(|seconds| millis(seconds as f64)),
        };
        if resource == Resource::Activity {
            // Whether there is such an activity is not known here.
            run.scheduled = Some(Box::new(details));
        } else {
            let last = self.strand(id).last_event;
            let event = self.record(Moment::Scheduled.of(resource), last, details);
            self.strand_mut(id).last_event = event;
            if self.full {
                return Ok(());
            }
        }
        self.last_task = next.0;
        self.commands.push(Command::InvokeTask {
            task: next,
            resource: task.resource.clone(),
            parameters: parameters.value().clone(),
            token,
            timeout_seconds: timeout,
            heartbeat_seconds: heartbeat,
        });
        self.tasks.insert(next, id);
        self.strand_mut(id).doing = Doing::Task(run);
        if resource != Resource::Activity {
            self.set_task_timers(id);
        }
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
        if let Count::Query(query) = count {
            return Ok(Some(self.queried_count(id, query, 1)? as u64));
        }
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

    /// Time runs: for an activity from when a worker took its task, for all others from the start.
    pub(super) fn set_task_timers(&mut self, id: StrandId) {
        let Doing::Task(run) = &self.strand(id).doing else {
            return;
        };
        let (task, timeout_ms, heartbeat_ms) = (run.task, run.timeout_ms, run.heartbeat_ms);
        let timeout = timeout_ms.map(|delay| self.set_timer(delay, Alarm::Timeout(task)));
        let heartbeat = heartbeat_ms.map(|delay| self.set_timer(delay, Alarm::Heartbeat(task)));
        if let Doing::Task(run) = &mut self.strand_mut(id).doing {
            (run.timeout, run.heartbeat) = (timeout, heartbeat);
        }
    }
}
