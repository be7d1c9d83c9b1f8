//! Taking executions up again: replaying their inputs as the journal has them.
//!
//! Replaying invokes nothing. What was commanded and has not come to an end by the last input is done again:
//! tasks in flight are invoked once more, timers are set (and fire at once if their time has passed). A task
//! whose result was recorded is never invoked again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use asl::{Command, Execution, Input, Start, StateMachine};
use serde_json::Value;
use sqlx::Row;

use super::Sfn;
use super::change::Facts;
use super::driver::Running;
use super::execution::ExecutionRow;
use crate::wire::AwsError;

/// Why an execution cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] AwsError),
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
}

/// What was commanded and has not come to its end.
#[derive(Default)]
struct Outstanding {
    tasks: BTreeMap<u64, Command>,
    timers: BTreeMap<u64, Command>,
    last_event_id: i64,
}

impl Outstanding {
    fn see_input(&mut self, input: &Input) {
        match input {
            Input::TaskSucceeded { task, .. } | Input::TaskFailed { task, .. } => {
                self.tasks.remove(&task.0);
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
                Command::InvokeTask { task, .. } => {
                    self.tasks.insert(task.0, command);
                }
                Command::CancelTask { task } => {
                    self.tasks.remove(&task.0);
                }
                Command::SetTimer { timer, .. } => {
                    self.timers.insert(timer.0, command);
                }
                Command::CancelTimer { timer } => {
                    self.timers.remove(&timer.0);
                }
                Command::Finished(_) => {
                    self.tasks.clear();
                    self.timers.clear();
                }
            }
        }
    }
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
                Ok(restored) => self.driver.take(restored.running, restored.outstanding),
                Err(RestoreError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(execution = %row.arn, %error, "an execution cannot go on");
                    let (seq, last_event_id): (i64, i64) = sqlx::query_as(
                        "SELECT MAX(seq) + 1, MAX(last_event_id) FROM sfn_steps WHERE execution = ?",
                    )
                    .bind(row.id)
                    .fetch_one(&self.store.db)
                    .await?;
                    let facts = facts(&row);
                    self.driver
                        .give_up(&facts, seq, last_event_id, &error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Replays an execution.
    pub(super) async fn restore(&self, row: &ExecutionRow) -> Result<Restored, RestoreError> {
        let machine = self.parsed(row.revision).await?;
        let start = start(row);
        let steps = sqlx::query(
            "SELECT seq, at_ms, input, last_event_id FROM sfn_steps WHERE execution = ? ORDER BY seq",
        )
        .bind(row.id)
        .fetch_all(&self.store.db)
        .await?;
        let mut outstanding = Outstanding::default();
        let (mut execution, commands) = Execution::start(machine, start, row.started_at_ms);
        outstanding.see(commands);
        let (mut next_seq, mut clock_ms) = (0, row.started_at_ms);
        for step in &steps {
            let seq: i64 = step.try_get("seq")?;
            clock_ms = step.try_get("at_ms")?;
            if let Some(text) = step.try_get::<Option<&str>, _>("input")? {
                let input = super::input::read(text).map_err(|_| RestoreError::Diverged { seq })?;
                outstanding.see_input(&input);
                outstanding.see(execution.apply(clock_ms, input));
            }
            let recorded: i64 = step.try_get("last_event_id")?;
            if recorded != outstanding.last_event_id {
                return Err(RestoreError::Diverged { seq });
            }
            next_seq = seq + 1;
        }
        let running = Running::new(
            facts(row),
            execution,
            next_seq,
            outstanding.last_event_id,
            clock_ms,
            (row.redrive_count, row.redriven_at_ms),
        );
        let tasks = outstanding.tasks.into_values();
        Ok(Restored {
            running,
            outstanding: tasks.chain(outstanding.timers.into_values()).collect(),
        })
    }

    /// The parsed definition of a revision.
    pub(super) async fn parsed(&self, revision: i64) -> Result<Arc<StateMachine>, AwsError> {
        {
            let parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(machine) = parsed.get(&revision) {
                return Ok(machine.clone());
            }
        }
        let definition: String =
            sqlx::query_scalar("SELECT definition FROM sfn_revisions WHERE id = ?")
                .bind(revision)
                .fetch_one(&self.store.db)
                .await?;
        let machine = Arc::new(super::definition::parse(&definition)?);
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(parsed.entry(revision).or_insert(machine).clone())
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
    Facts {
        id: row.id,
        arn: row.arn.clone(),
        name: row.name.clone(),
        machine_arn: row.machine_arn.clone(),
        input: row.input.clone(),
        started_at_ms: row.started_at_ms,
    }
}
