//! Retention: the histories of executions that ended longer ago than their pipeline keeps them go to S3, packed.
//! An object is read back before anything is deleted here, and the deletion is one write with the note of where the
//! history went: a crash at any point loses nothing, and what is done twice does no harm.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::Pause;
use crate::{
    clock,
    control::{
        Control, Failure, causes,
        execution::archive::{UNPACKED_BYTES_MAX, history_key, joined, packed, progress_key},
    },
    store::ExecutionRecord,
};

/// How often to look for outdated histories.
const LOOK: Duration = Duration::from_secs(600);
/// Histories looked for at a time.
const PAGE: u32 = 50;
/// Events of one execution at most: AWS ends one that has more.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
const EVENTS_MAX: u32 = 30_000;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    loop {
        let result = round(&control, clock::now().0).await;
        if pause
            .after_round(&control, LOOK, "move old histories to S3", result)
            .await
            .is_break()
        {
            return;
        }
    }
}

/// Archives every outdated history, one broken one beside the others. Answers the first failure.
pub(super) async fn round(control: &Control, now_ms: i64) -> Result<(), Failure> {
    let mut after = (i64::MIN, String::new());
    let mut first = Ok(());
    loop {
        let outdated = control.store.histories_outdated(now_ms, &after, PAGE);
        let outdated = outdated.await?;
        let Some(last) = outdated.last().cloned() else {
            return first;
        };
        for (_, arn) in &outdated {
            if control.ending.is_cancelled() {
                return first;
            }
            if let Err(failure) = archive(control, arn).await {
                tracing::warn!(arn, causes = %causes(&failure), "a history was not moved to S3");
                first = first.and(Err(failure));
            }
        }
        after = last;
    }
}

/// Moves one history.
async fn archive(control: &Control, arn: &str) -> Result<(), Failure> {
    let Some(execution) = control.store.execution(arn).await? else {
        return Ok(());
    };
    let bytes = control.store.history_bytes(arn).await?;
    if bytes > UNPACKED_BYTES_MAX / 2 {
        tracing::debug!(arn, bytes, "a history is too large to be moved; it stays");
        return Ok(());
    }
    let key = history_key(arn);
    // Progress first: whoever moves this history too deletes both at once, so that events which are there say
    // that the progress was.
    let progress = progress(control, &execution).await?;
    let events = control.store.history_after(arn, 0, EVENTS_MAX).await?;
    if events.is_empty() {
        return Ok(());
    }
    if !progress.is_empty() {
        keep(control, &progress_key(&key), progress).await?;
    }
    keep(control, &key, events).await?;
    let moved = control
        .store
        .history_archived(arn, execution.redrive_count, &key)
        .await?;
    if moved {
        tracing::info!(arn, key, bytes, "a history was moved to S3");
    }
    Ok(())
}

/// The execution's progress, with what went to S3 before a redrive.
async fn progress(
    control: &Control,
    execution: &ExecutionRecord,
) -> Result<Vec<crate::store::ProgressRow>, Failure> {
    let kept = control.store.progress(&execution.arn).await?;
    let earlier = match &execution.history_key {
        Some(key) => control.archived(&progress_key(key)).await?,
        None => None,
    };
    Ok(joined(earlier.unwrap_or_default(), kept))
}

/// Writes an archive and reads it back.
async fn keep<T: Serialize + Send + 'static>(
    control: &Control,
    key: &str,
    rows: Vec<T>,
) -> Result<(), Failure> {
    let archive: Bytes = tokio::task::spawn_blocking(move || packed(&rows))
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(Failure::Fault("a history cannot be packed"))?;
    let bucket = &control.aws.bucket;
    bucket.write(key, archive.clone()).await?;
    match bucket.read(key, UNPACKED_BYTES_MAX).await? {
        Some(read) if read == archive => Ok(()),
        _ => Err(Failure::Fault(
            "an archived history reads otherwise than it was written",
        )),
    }
}

#[cfg(test)]
mod tests;
