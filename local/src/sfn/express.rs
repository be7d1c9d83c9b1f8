//! Express workflows: executions that live in memory, of which nothing is recorded but their logs.
//!
//! Owns running them to their end, for StartSyncExecution while the caller waits. Refuses to list, describe or
//! stop them, as AWS does.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html>

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use asl::{Command, Execution, Input, Outcome, Start, TaskId, TimerId};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::driver::Driver;
use super::execution::check_input;
use super::integration::Caller;
use super::log::ExecutionLog;
use super::machine::{Machine, deleting};
use super::{Sfn, arn};
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// How long an execution may take.
const EXECUTION_MAX: Duration = Duration::from_secs(asl::step::EXPRESS_SECONDS_MAX);
/// What AWS bills in steps of, milliseconds.
const BILLED_STEP_MS: i64 = 100;
/// What AWS bills in chunks of, and at least, MB.
const BILLED_CHUNK_MB: i64 = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartSyncExecution {
    state_machine_arn: String,
    name: Option<String>,
    input: Option<String>,
    trace_header: Option<String>,
    included_data: Option<String>,
}

/// The operation and the state machine do not go together.
pub(super) fn wrong_kind() -> AwsError {
    AwsError::bad_request(
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )
}

impl Sfn {
    pub(super) async fn start_sync_execution(
        &self,
        ask: StartSyncExecution,
    ) -> Result<Value, AwsError> {
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let name = ask.name.unwrap_or_else(|| Uuid::new_v4().to_string());
        arn::check_name(&name)?;
        let input = ask.input.unwrap_or_else(|| "{}".to_owned());
        check_input(&input)?;
        let seed = Uuid::new_v4().as_u128() as u64;
        let target = self.target(&ask.state_machine_arn, Some(seed)).await?;
        let machine = target.machine;
        if machine.kind != "EXPRESS" {
            return Err(wrong_kind());
        }
        if machine.deleting {
            return Err(deleting(&machine.arn));
        }
        let start = start(&machine, &name, &input, seed);
        let execution_arn = start.execution_arn.clone();
        let parsed = self.parsed(machine.revision.id).await?;
        let started_at_ms = now_ms();
        let caller = caller(&start);
        let log = parsed.log.map(|destination| destination.begin());
        let begun = Execution::start(parsed.machine, start, started_at_ms);
        // A caller that goes away does not stop the execution.
        let run = tokio::spawn(drive(self.driver.clone(), caller, log, begun.0, begun.1));
        let outcome = run.await.map_err(|error| {
            tracing::error!(execution = %execution_arn, %error, "the engine broke off");
            AwsError::new(
                500,
                "InternalServerError",
                "The engine of local broke off; see its log.",
            )
        })?;
        let stopped_at_ms = now_ms();
        let included = ask.included_data.as_deref() != Some("METADATA_ONLY");
        let steps = (stopped_at_ms - started_at_ms)
            .max(1)
            .div_euclid(BILLED_STEP_MS)
            + 1;
        let mut answer = json!({
            "executionArn": execution_arn,
            "stateMachineArn": machine.arn,
            "name": name,
            "startDate": epoch_seconds(started_at_ms),
            "stopDate": epoch_seconds(stopped_at_ms),
            "inputDetails": {"included": included},
            "billingDetails": {
                "billedMemoryUsedInMB": BILLED_CHUNK_MB,
                "billedDurationInMilliseconds": steps * BILLED_STEP_MS,
            },
        });
        if included {
            answer["input"] = json!(input);
        }
        if let Some(header) = ask.trace_header {
            answer["traceHeader"] = json!(header);
        }
        let (status, error, cause) = match outcome {
            Outcome::Succeeded { output_text, .. } => {
                answer["outputDetails"] = json!({"included": included});
                if included {
                    answer["output"] = json!(output_text);
                }
                ("SUCCEEDED", None, None)
            }
            Outcome::TimedOut { error, cause } => ("TIMED_OUT", error, cause),
            Outcome::Failed { error, cause } | Outcome::Aborted { error, cause } => {
                ("FAILED", error, cause)
            }
            Outcome::Running => ("FAILED", None, None),
        };
        answer["status"] = json!(status);
        for (member, text) in [("error", error), ("cause", cause)] {
            if let Some(text) = text {
                answer[member] = json!(text);
            }
        }
        Ok(answer)
    }

    /// StartExecution of an Express workflow: nobody hears of its end.
    pub(super) async fn start_express(
        &self,
        machine: &Machine,
        name: &str,
        input: String,
    ) -> Result<Value, AwsError> {
        let start = start(machine, name, &input, Uuid::new_v4().as_u128() as u64);
        let started_at_ms = now_ms();
        let answer = json!({
            "executionArn": start.execution_arn,
            "startDate": epoch_seconds(started_at_ms),
        });
        let parsed = self.parsed(machine.revision.id).await?;
        let caller = caller(&start);
        let log = parsed.log.map(|destination| destination.begin());
        let begun = Execution::start(parsed.machine, start, started_at_ms);
        tokio::spawn(drive(self.driver.clone(), caller, log, begun.0, begun.1));
        Ok(answer)
    }
}

fn start(machine: &Machine, name: &str, input: &str, seed: u64) -> Start {
    Start {
        execution_arn: arn::of_express(&machine.name, name, &Uuid::new_v4().to_string()),
        execution_name: name.to_owned(),
        role_arn: machine.revision.role_arn.clone(),
        state_machine_arn: machine.arn.clone(),
        state_machine_name: machine.name.clone(),
        // It was checked.
        input: serde_json::from_str(input).unwrap_or(Value::Null),
        input_text: Some(input.to_owned()),
        seed,
    }
}

/// Whom services are called for.
fn caller(start: &Start) -> Caller {
    Caller {
        execution_arn: start.execution_arn.clone(),
        machine_arn: start.state_machine_arn.clone(),
        task: 0,
    }
}

/// Runs an execution to its end.
async fn drive(
    driver: Arc<Driver>,
    caller: Caller,
    log: Option<ExecutionLog>,
    mut execution: Execution,
    commands: Vec<Command>,
) -> Outcome {
    let deadline = Instant::now() + EXECUTION_MAX;
    let mut running = Running {
        driver,
        caller,
        log,
        tasks: JoinSet::new(),
        handles: HashMap::new(),
        timers: BTreeSet::new(),
    };
    let mut commands = commands;
    loop {
        for task in running.act(std::mem::take(&mut commands)) {
            commands.extend(execution.apply(now_ms(), Input::TaskStarted { task }));
        }
        if *execution.status() != Outcome::Running {
            return execution.status().clone();
        }
        if !commands.is_empty() {
            continue;
        }
        let first = running.timers.first().copied();
        let due = first.map_or(deadline, |(at_ms, _)| {
            let left = u64::try_from(at_ms - now_ms()).unwrap_or(0);
            deadline.min(Instant::now() + Duration::from_millis(left))
        });
        let input = tokio::select! {
            Some(ended) = running.tasks.join_next() => ended.ok(),
            () = tokio::time::sleep_until(due) => {
                let Some((at_ms, timer)) = first.filter(|_| due < deadline) else {
                    return Outcome::TimedOut {
                        error: Some("States.Timeout".to_owned()),
                        cause: None,
                    };
                };
                running.timers.remove(&(at_ms, timer));
                Some(Input::TimerFired { timer })
            }
        };
        if let Some(input) = input {
            commands = execution.apply(now_ms(), input);
        }
    }
}

/// What an execution has going on outside of it. Dropping it ends that.
struct Running {
    driver: Arc<Driver>,
    caller: Caller,
    log: Option<ExecutionLog>,
    tasks: JoinSet<Input>,
    handles: HashMap<TaskId, AbortHandle>,
    timers: BTreeSet<(i64, TimerId)>,
}

impl Running {
    /// Does what is commanded; gives the tasks that were begun.
    fn act(&mut self, commands: Vec<Command>) -> Vec<TaskId> {
        let mut begun = Vec::new();
        let mut lines = Vec::new();
        for command in commands {
            match command {
                Command::InvokeTask {
                    task,
                    resource,
                    parameters,
                    ..
                } => {
                    let driver = self.driver.clone();
                    let caller = Caller {
                        task: task.0,
                        ..self.caller.clone()
                    };
                    let work =
                        async move { driver.perform_alone(caller, &resource, parameters).await };
                    self.handles.insert(task, self.tasks.spawn(work));
                    begun.push(task);
                }
                Command::CancelTask { task } => {
                    if let Some(handle) = self.handles.remove(&task) {
                        handle.abort();
                    }
                }
                Command::SetTimer { timer, at_ms } => {
                    self.timers.insert((at_ms, timer));
                }
                Command::CancelTimer { timer } => self.timers.retain(|(_, known)| *known != timer),
                Command::Record(event) => {
                    let line = self.log.as_ref();
                    lines.extend(
                        line.and_then(|log| log.line(&self.caller.execution_arn, 0, &event)),
                    );
                }
                // A definition with Map Runs is refused.
                _ => {}
            }
        }
        self.driver.peers.logs.offer(lines);
        begun
    }
}
