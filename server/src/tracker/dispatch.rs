//! The dispatcher: takes what was promised out of the outbox and calls Step Functions. An execution's name
//! comes from its job, so that trying again after a crash starts nothing twice.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use model::{InputReference, JobId};
use serde_json::{Value, json};

use super::{Pause, StoreResult, backoff, jitter, peers};
use crate::{
    aws::{AwsError, AwsErrorKind},
    clock,
    control::{Control, artifact::prefix, causes},
    store::{Command, NewExecution, OutboxRow},
};

/// Rows taken, and called for, at one time.
const ROWS_MAX: u32 = 16;
/// How long a row is this process's own: longer than every attempt of a call together.
const LEASE_MS: i64 = 240_000;
/// How often to look when nobody tells: another process may have promised something.
const LOOK: Duration = Duration::from_secs(2);

/// An execution's input at most, in bytes; a larger one goes by reference. AWS takes 262,144 for input and state alike,
/// and states add to it. <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
const INPUT_BYTES_MAX: usize = 200 * 1024;

/// What people read on AWS's side about a stopped execution.
const STOPPED_ERROR: &str = "Gantry.Stopped";
const STOPPED_CAUSE: &str = "Somebody pressed Stop in Gantry.";

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    // Whoever is not known to live has what it takes given to others.
    while let Err(error) = begin(&control).await {
        if pause
            .after_failure(&control, "give back to the outbox", &error)
            .await
            .is_break()
        {
            return;
        }
    }
    loop {
        let taken = control
            .store
            .outbox_take(clock::now().0, LEASE_MS, ROWS_MAX)
            .await;
        match taken {
            Ok(rows) if rows.is_empty() => {
                pause.reset();
                if idle(&control).await.is_break() {
                    return;
                }
            }
            Ok(rows) => {
                pause.reset();
                stream::iter(rows)
                    .for_each_concurrent(None, |row| dispatch(&control, row))
                    .await;
            }
            Err(error) => {
                if pause
                    .after_failure(&control, "read the outbox", &error)
                    .await
                    .is_break()
                {
                    return;
                }
            }
        }
    }
}

async fn begin(control: &Control) -> StoreResult<()> {
    peers::alive(control).await?;
    control.store.outbox_release(clock::now().0).await
}

/// Waits for the next promise or for the next row to be due.
async fn idle(control: &Control) -> std::ops::ControlFlow<()> {
    let due = control.store.outbox_next_due().await.ok().flatten();
    // What is due and was not taken waits for something else: for a place, or for a row before it.
    let until_due = due
        .and_then(|at| u64::try_from(at - clock::now().0).ok())
        .filter(|wait_ms| *wait_ms > 0)
        .map_or(LOOK, Duration::from_millis)
        .min(LOOK);
    tokio::select! {
        () = control.ending.cancelled() => std::ops::ControlFlow::Break(()),
        () = control.outbox.notified() => std::ops::ControlFlow::Continue(()),
        () = tokio::time::sleep(until_due) => std::ops::ControlFlow::Continue(()),
    }
}

#[tracing::instrument(level = "info", skip_all, fields(job = %row.job))]
async fn dispatch(control: &Control, row: OutboxRow) {
    let result = match &row.command {
        Command::Start { name } => start(control, &row, name).await,
        Command::Redrive { arn, .. } => redrive(control, &row, arn).await,
        Command::Stop { arn } => stop(control, &row, arn).await,
    };
    if let Err(error) = result {
        // The lease gives the row back later; nothing is lost.
        tracing::error!(job = %row.job, causes = %causes(&error), "an outbox row was not put away");
    }
    control.live.touch(row.job);
    // A stop may wait behind this row.
    control.outbox.notify_one();
}

async fn start(control: &Control, row: &OutboxRow, name: &str) -> StoreResult<()> {
    let Some(job) = control.store.job(row.job).await? else {
        return control.store.outbox_done(row.id).await;
    };
    let bucket = &control.aws.bucket;
    let told = told(job.input, row.job, number_of(name), bucket.name());
    if let Some((key, object)) = told.object
        && let Err(error) = bucket.write(&key, object).await
    {
        return failed(control, row, error).await;
    }
    let (arn, started_at_ms) = match control.aws.states.start(name, &told.input).await {
        Ok(started) => started,
        // An earlier attempt was heard after all, and its execution has ended since.
        Err(error) if error.is("ExecutionAlreadyExists") => {
            (control.aws.states.execution_arn(name), clock::now().0)
        }
        Err(error) => return failed(control, row, error).await,
    };
    tracing::info!(job = %row.job, arn, "execution started");
    let execution = NewExecution::new(row.job, &arn, number_of(name), started_at_ms);
    control
        .store
        .started(Some(row.id), &execution, clock::now().0)
        .await
}

async fn redrive(control: &Control, row: &OutboxRow, arn: &str) -> StoreResult<()> {
    let token = format!("{}-{}", row.job, row.id);
    match control.aws.states.redrive(arn, &token).await {
        Ok(()) => {
            tracing::info!(job = %row.job, arn, "execution redriven");
            control.store.redriven(row, clock::now().0).await
        }
        Err(error) if error.is("ExecutionNotRedrivable") => {
            // Either an earlier attempt was heard after all, or the offer was out of date: AWS knows which.
            match control.aws.states.describe(arn, clock::now().0).await {
                Ok(now) => {
                    tracing::info!(job = %row.job, arn, status = ?now.status, "execution was not redrivable");
                    control.store.status_changed(&now).await?;
                    control
                        .store
                        .outbox_refused(row, "ExecutionNotRedrivable", clock::now().0)
                        .await
                }
                Err(error) => retry(control, row, &error).await,
            }
        }
        Err(error) => failed(control, row, error).await,
    }
}

async fn stop(control: &Control, row: &OutboxRow, target: &str) -> StoreResult<()> {
    let arn = if target.starts_with("arn:") {
        target.to_owned()
    } else {
        control.aws.states.execution_arn(target)
    };
    match control
        .aws
        .states
        .stop(&arn, STOPPED_ERROR, STOPPED_CAUSE)
        .await
    {
        Ok(()) => {
            tracing::info!(job = %row.job, arn, "execution stopped");
            control.store.outbox_done(row.id).await
        }
        Err(error) => failed(control, row, error).await,
    }
}

/// Puts a row away for later when trying again may help, for good when AWS says no.
async fn failed(control: &Control, row: &OutboxRow, error: AwsError) -> StoreResult<()> {
    match error.kind {
        AwsErrorKind::Refused => {
            tracing::warn!(job = %row.job, causes = %causes(&error), "AWS refused for good");
            let code = error.code.as_deref().unwrap_or("Gantry.Refused");
            control
                .store
                .outbox_refused(row, code, clock::now().0)
                .await
        }
        AwsErrorKind::Unreachable | AwsErrorKind::Throttled | AwsErrorKind::Denied => {
            retry(control, row, &error).await
        }
    }
}

async fn retry(control: &Control, row: &OutboxRow, error: &AwsError) -> StoreResult<()> {
    let pause = backoff(row.attempts, jitter());
    if row.attempts == 0 {
        tracing::warn!(job = %row.job, causes = %causes(error), "AWS was not reached; trying again");
    }
    let due = clock::now().0 + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    control.store.outbox_retry(row.id, due).await
}

/// What an execution is told, and what has to be in S3 before.
struct Told {
    input: String,
    /// The key and the content of an input that is too large.
    object: Option<(String, Bytes)>,
}

/// What the execution is told: the job's input, or, when that is too large for Step Functions, where it is.
fn told(input: Value, job: JobId, number: u32, bucket: &str) -> Told {
    let content = input.to_string();
    let whole = execution_input(input, job, bucket).to_string();
    if whole.len() <= INPUT_BYTES_MAX {
        return Told {
            input: whole,
            object: None,
        };
    }
    // Each execution has an object of its own, so that what an earlier one was told stays true.
    let name = match number {
        1 => "input.json".to_owned(),
        number => format!("input-{number}.json"),
    };
    let reference = InputReference {
        bucket: bucket.to_owned(),
        key: format!("{}{name}", prefix(job)),
    };
    let named = execution_input(json!({InputReference::FIELD: reference}), job, bucket);
    Told {
        input: named.to_string(),
        object: Some((reference.key, content.into())),
    }
}

/// The input, and where the job's files go.
fn execution_input(input: Value, job: JobId, bucket: &str) -> Value {
    let mut input = input;
    input["job"] = json!({"id": job.to_string(), "bucket": bucket, "prefix": prefix(job)});
    input
}

/// The number at the end of an execution's name; a job's first has none.
pub(super) fn number_of(name: &str) -> u32 {
    name.get(UUID_LENGTH + 1..)
        .and_then(|number| number.parse().ok())
        .unwrap_or(1)
}

/// Characters of a UUID's text (RFC 9562, section 4).
pub(super) const UUID_LENGTH: usize = 36;

#[cfg(test)]
mod tests;
