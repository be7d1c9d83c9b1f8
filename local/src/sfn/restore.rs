//! Taking executions up again: replaying their inputs as the journal has them.
//!
//! Replaying invokes nothing. What was commanded and has not come to an end by the last input is done again:
//! tasks in flight are invoked once more, timers are set (and fire at once if their time has passed). A task
//! whose result was recorded is never invoked again.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use asl::{Command, Execution, Input, Start, StateMachine};
use serde_json::Value;
use sqlx::FromRow;

use super::Sfn;
use super::change::Facts;
use super::errand::Nested;
use super::execution::ExecutionRow;
use super::integration::is_nested;
use super::log::Destination;
use super::map_run::ChildOf;
use super::running::Running;
use crate::wire::AwsError;

/// Most definitions that are kept parsed.
const PARSED_MAX: usize = 256;

/// Why an execution cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] AwsError),
    /// This version of `asl` does not take the definition any more.
    #[error("The execution runs a definition that this version of local does not take: {0}")]
    Definition(String),
    /// Replaying broke off in the engine.
    #[error("The execution cannot be replayed; see the log of local, and start it anew.")]
    Broken,
    /// Replaying recorded something else than the first time.
    #[error(
        "The execution was begun by another version of local, which does not agree with this one about its step {seq}; start it anew."
    )]
    Diverged {
        /// The first step that differs.
        seq: i64,
    },
}

impl From<sqlx::Error> for RestoreError {
    fn from(error: sqlx::Error) -> Self {
        RestoreError::Store(error.into())
    }
}

/// An execution as it was after its last step.
pub(super) struct Restored {
    /// The execution.
    pub running: Running,
    /// What it commanded and has not seen the end of.
    pub outstanding: Vec<Command>,
    /// The executions that its tasks have started and wait for.
    pub nested: Vec<Nested>,
}

/// A revision of a state machine, ready to run.
#[derive(Clone)]
pub(super) struct Parsed {
    /// Its definition.
    pub machine: Arc<StateMachine>,
    /// Where its executions log to.
    pub log: Option<Arc<Destination>>,
}

/// What was commanded and has not come to its end.
#[derive(Default)]
struct Outstanding {
    tasks: BTreeMap<u64, Command>,
    timers: BTreeMap<u64, Command>,
    nested: BTreeMap<u64, Nested>,
    last_event_id: i64,
}

impl Outstanding {
    fn see_input(&mut self, input: &Input) {
        if let Some(task) = input.ended_task() {
            self.tasks.remove(&task.0);
            self.nested.remove(&task.0);
        }
        match input {
            // Somebody else has it in hand.
            Input::ActivityStarted { task, .. } => {
                self.tasks.remove(&task.0);
            }
            Input::TaskSubmitted { task, output } => {
                if let Some(Command::InvokeTask { resource, .. }) = self.tasks.remove(&task.0)
                    && is_nested(&resource)
                {
                    let nested = Nested {
                        task: *task,
                        resource,
                        submitted: output.clone(),
                    };
                    self.nested.insert(task.0, nested);
                }
            }
            Input::TimerFired { timer } => {
                self.timers.remove(&timer.0);
            }
            _ => {}
        }
    }

    fn see(&mut self, commands: Vec<Command>) {
        for command in commands {
            match &command {
                Command::Record(event) => self.last_event_id = event.id,
                Command::InvokeTask { task, .. }
                | Command::StartMapRun { task, .. }
                | Command::RedriveMapRun { task, .. } => {
                    self.tasks.insert(task.0, command);
                }
                Command::CancelTask { task } => {
                    self.tasks.remove(&task.0);
                    self.nested.remove(&task.0);
                }
                Command::SetTimer { timer, .. } => {
                    self.timers.insert(timer.0, command);
                }
                Command::CancelTimer { timer } => {
                    self.timers.remove(&timer.0);
                }
                Command::Finished(_) => {
                    self.tasks.clear();
                    self.nested.clear();
                    self.timers.clear();
                }
            }
        }
    }
}

/// A step as the journal has it.
#[derive(FromRow)]
struct StepRow {
    seq: i64,
    at_ms: i64,
    input: Option<String>,
    last_event_id: i64,
}

/// Applies the steps once more and holds what they record against what they recorded.
fn replay(
    machine: Arc<StateMachine>,
    map_state: Option<&str>,
    start: Start,
    started_at_ms: i64,
    steps: &[StepRow],
) -> Result<(Execution, Outstanding), RestoreError> {
    let mut outstanding = Outstanding::default();
    let (mut execution, commands) = match map_state {
        None => Execution::start(machine, start, started_at_ms),
        Some(state) => Execution::start_processor(machine, state, start, started_at_ms)
            .ok_or(RestoreError::Broken)?,
    };
    outstanding.see(commands);
    for step in steps {
        let diverged = RestoreError::Diverged { seq: step.seq };
        if let Some(text) = &step.input {
            let Ok(input) = super::input::read(text) else {
                return Err(diverged);
            };
            outstanding.see_input(&input);
            outstanding.see(execution.apply(step.at_ms, input));
        }
        if step.last_event_id != outstanding.last_event_id {
            return Err(diverged);
        }
    }
    Ok((execution, outstanding))
}

impl Sfn {
    /// Goes on with every execution that was running.
    pub(super) async fn resume_all(&self) -> Result<(), AwsError> {
        let running: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM sfn_executions WHERE status = 'RUNNING' ORDER BY id",
        )
        .fetch_all(&self.store.db)
        .await?;
        for id in running {
            let row = self.execution_by_id(id).await?;
            match self.restore(&row).await {
                Ok(restored) => {
                    let mut running = restored.running;
                    for nested in &restored.nested {
                        running
                            .nested
                            .insert(nested.task.0, nested.arn().to_owned());
                    }
                    self.driver.take(running, restored.outstanding);
                    for nested in restored.nested {
                        self.driver.follow_again(id, nested);
                    }
                }
                Err(RestoreError::Store(error)) => return Err(error),
                Err(error) => self.give_up(&row, &error).await?,
            }
        }
        Ok(())
    }

    /// Ends an execution that cannot be taken up again.
    pub(super) async fn give_up(
        &self,
        row: &ExecutionRow,
        error: &RestoreError,
    ) -> Result<(), AwsError> {
        tracing::error!(execution = %row.arn, %error, "an execution cannot go on");
        let (seq, last_event_id): (i64, i64) = sqlx::query_as(
            "SELECT MAX(seq) + 1, MAX(last_event_id) FROM sfn_steps WHERE execution = ?",
        )
        .bind(row.id)
        .fetch_one(&self.store.db)
        .await?;
        let facts = facts(row);
        self.driver
            .give_up(&facts, seq, last_event_id, &error.to_string());
        Ok(())
    }

    /// Replays an execution.
    pub(super) async fn restore(&self, row: &ExecutionRow) -> Result<Restored, RestoreError> {
        let Parsed { machine, log } = match self.parsed(row.revision).await {
            Err(error) if error.code == "InvalidDefinition" => {
                return Err(RestoreError::Definition(error.message));
            }
            parsed => parsed?,
        };
        let steps: Vec<StepRow> = sqlx::query_as(
            "SELECT seq, at_ms, input, last_event_id FROM sfn_steps WHERE execution = ? ORDER BY seq",
        )
        .bind(row.id)
        .fetch_all(&self.store.db)
        .await?;
        let start = start(row);
        let started_at_ms = row.started_at_ms;
        // A defect of the engine must cost one execution and not the start of local.
        let map_state = row.map_state.as_deref();
        let replay = || replay(machine, map_state, start, started_at_ms, &steps);
        let (execution, outstanding) =
            catch_unwind(AssertUnwindSafe(replay)).unwrap_or(Err(RestoreError::Broken))?;
        let (next_seq, clock_ms) = match steps.last() {
            Some(step) => (step.seq + 1, step.at_ms),
            None => (0, started_at_ms),
        };
        let running = Running::new(
            Facts {
                log: log.map(|destination| destination.begin()),
                ..facts(row)
            },
            execution,
            next_seq,
            outstanding.last_event_id,
            clock_ms,
            (row.redrive_count, row.redriven_at_ms),
        );
        let tasks = outstanding.tasks.into_values();
        Ok(Restored {
            running,
            nested: outstanding.nested.into_values().collect(),
            outstanding: tasks.chain(outstanding.timers.into_values()).collect(),
        })
    }

    /// The parsed definition of a revision, and where it logs to.
    pub(super) async fn parsed(&self, revision: i64) -> Result<Parsed, AwsError> {
        {
            let parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = parsed.get(&revision) {
                return Ok(known.clone());
            }
        }
        let (definition, logging, name): (String, String, String) = sqlx::query_as(
            "SELECT r.definition, r.logging, m.name
             FROM sfn_revisions r JOIN sfn_machines m ON m.id = r.machine WHERE r.id = ?",
        )
        .bind(revision)
        .fetch_one(&self.store.db)
        .await?;
        let known = Parsed {
            machine: Arc::new(super::definition::parse(&definition)?),
            log: Destination::of(&logging, &name),
        };
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.len() >= PARSED_MAX {
            parsed.clear();
        }
        Ok(parsed.entry(revision).or_insert(known).clone())
    }
}

/// What the engine starts an execution with.
pub(super) fn start(row: &ExecutionRow) -> Start {
    Start {
        execution_arn: row.arn.clone(),
        execution_name: row.name.clone(),
        role_arn: row.role_arn.clone(),
        state_machine_arn: row.machine_arn.clone(),
        state_machine_name: row.machine_name.clone(),
        // It was checked when the execution was started.
        input: serde_json::from_str(&row.input).unwrap_or(Value::Null),
        input_text: Some(row.input.clone()),
        seed: row.seed.cast_unsigned(),
    }
}

fn facts(row: &ExecutionRow) -> Facts {
    let qualified = |qualifier: String| format!("{}:{qualifier}", row.machine_arn);
    Facts {
        id: row.id,
        arn: row.arn.clone(),
        name: row.name.clone(),
        machine_arn: row.machine_arn.clone(),
        version_arn: row.version.map(|version| qualified(version.to_string())),
        alias_arn: row.alias.clone().map(qualified),
        input: row.input.clone(),
        started_at_ms: row.started_at_ms,
        child: row
            .map_run
            .zip(row.map_number)
            .map(|(map_run, number)| ChildOf { map_run, number }),
        log: None,
    }
}
