//! Errands: what tasks have done elsewhere, and how their executions are told.
//!
//! Owns the tasks in flight: requests, the executions that others wait for, what is offered to activities'
//! workers. Refuses to decide what a result means; the execution does.

use std::sync::{Arc, Weak};

use asl::{Input, Pattern, Resource, TaskId};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::activity::Offer;
use super::driver::{Driver, lock};
use super::integration::{Caller, End, is_nested};

/// An execution that a task has started and waits for.
pub struct Nested {
    /// Which task.
    pub task: TaskId,
    /// Its resource.
    pub resource: String,
    /// What StartExecution answered, as the task saw it.
    pub submitted: Value,
}

impl Nested {
    /// The ARN of what was started.
    pub fn arn(&self) -> &str {
        self.submitted["ExecutionArn"].as_str().unwrap_or_default()
    }
}

impl Driver {
    /// Goes on waiting for an execution that a task of an execution has started.
    pub fn follow_again(self: &Arc<Self>, id: i64, nested: Nested) {
        let Some(running) = self.find(id) else {
            return;
        };
        let task = nested.task.0;
        let driver = self.clone();
        let mut running = lock(&running);
        let work = tokio::spawn(async move { driver.follow(id, nested).await });
        running.tasks.insert(task, work.abort_handle());
    }

    /// Has a task done, and tells its execution.
    pub(super) async fn perform(
        self: &Arc<Self>,
        id: i64,
        task: TaskId,
        caller: Caller,
        resource: String,
        parameters: Value,
    ) {
        self.apply(id, Input::TaskStarted { task });
        let waits = Resource::of(&resource).pattern() != Pattern::Response;
        let input = match self.peers.call(&caller, &resource, parameters).await {
            Ok(output) if waits => Input::TaskSubmitted { task, output },
            Ok(output) => Input::TaskSucceeded { task, output },
            Err((error, cause)) if error == "States.Runtime" => {
                Input::TaskImpossible { task, cause }
            }
            Err((error, cause)) if waits => Input::TaskSubmitFailed { task, error, cause },
            Err((error, cause)) => Input::TaskFailed {
                task,
                error: Some(error),
                cause: Some(cause),
            },
        };
        self.apply(id, input.clone());
        if let Input::TaskSubmitted { output, .. } = input
            && is_nested(&resource)
        {
            let nested = Nested {
                task,
                resource,
                submitted: output,
            };
            self.follow(id, nested).await;
        }
    }

    /// Has a task done for an execution that nobody records; the answer is what to tell it.
    pub(super) async fn perform_alone(
        &self,
        caller: Caller,
        resource: &str,
        parameters: Value,
    ) -> Input {
        let task = TaskId(caller.task);
        match self.peers.call(&caller, resource, parameters).await {
            Ok(output) => Input::TaskSucceeded { task, output },
            Err((error, cause)) if error == "States.Runtime" => {
                Input::TaskImpossible { task, cause }
            }
            Err((error, cause)) => Input::TaskFailed {
                task,
                error: Some(error),
                cause: Some(cause),
            },
        }
    }

    /// Waits for the end of an execution that a task has started, and tells the task's execution.
    pub(super) async fn follow(self: &Arc<Self>, id: i64, nested: Nested) {
        let task = nested.task;
        let arn = nested.arn().to_owned();
        match self.find(id) {
            Some(running) => lock(&running).nested.insert(task.0, arn.clone()),
            None => return,
        };
        let described = loop {
            let (told, end) = oneshot::channel();
            lock(&self.ends).entry(arn.clone()).or_default().push(told);
            let Some(sfn) = self.peers.sfn.get().and_then(Weak::upgrade) else {
                return;
            };
            let ask = json!({"executionArn": arn});
            let described = Box::pin(sfn.call("DescribeExecution", ask)).await;
            match described {
                Ok(described) if described["status"] != "RUNNING" => break Ok(described),
                Ok(_) => {
                    // The sender is dropped when the execution ends, and that is all it says.
                    let _ = end.await;
                }
                Err(error) => break Err((format!("StepFunctions.{}", error.code), error.message)),
            }
        };
        let result = described.and_then(|described| End { described }.result(&nested.resource));
        if let Some(running) = self.find(id) {
            lock(&running).nested.remove(&task.0);
        }
        let input = match result {
            Ok(output) => Input::TaskSucceeded { task, output },
            Err((error, cause)) => Input::TaskFailed {
                task,
                error: Some(error),
                cause: Some(cause),
            },
        };
        self.apply(id, input);
    }

    /// Stops an execution that nobody waits for any more.
    pub(super) fn stop_nested(&self, execution_arn: String) {
        let Some(sfn) = self.peers.sfn.get().and_then(Weak::upgrade) else {
            return;
        };
        tokio::spawn(async move {
            let ask = json!({"executionArn": execution_arn});
            if let Err(error) = sfn.call("StopExecution", ask).await {
                tracing::warn!(%error, execution_arn, "a nested execution goes on");
            }
        });
    }

    /// Offers a task to an activity's workers, if there is such an activity.
    pub(super) async fn offer(self: &Arc<Self>, activity: &str, offer: Offer) {
        let (id, task) = (offer.execution, offer.task);
        let exists = self.journal.activity_exists(activity).await;
        if exists {
            self.apply(id, Input::ActivityScheduled { task });
            self.offers.add(activity, offer);
        } else {
            let cause = format!("The activity {activity} does not exist.");
            self.apply(id, Input::TaskImpossible { task, cause });
        }
    }
}
