//! Histories: read on from where they were read to. Of executions that somebody watches often, of each that
//! ended until its last event, and of the other running ones at a gentle pace.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use asl::{EventType, HistoryEvent};
use futures::{StreamExt, stream};
use model::ExecutionStatus;

use super::Pause;
use crate::{
    clock,
    control::{Control, Failure},
    store::ExecutionRecord,
};

/// How often to look for what is to be read.
const LOOK: Duration = Duration::from_millis(150);
/// The shortest time between two readings of an execution that is watched.
const WATCHED_PACE: Duration = Duration::from_millis(600);
/// The same for one that ended but whose last event has not come yet.
const ENDED_PACE_MS: i64 = 1_000;
/// The same for one that runs and that nobody watches.
const GENTLE_PACE_MS: i64 = 20_000;
/// Histories read at one time.
const READS_MAX: usize = 4;
/// New events held in memory; a gap larger than this is read from its older end, page by page into the store.
const GAP_MAX: usize = 5_000;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    let mut watched: HashMap<String, Instant> = HashMap::new();
    loop {
        let result = round(&control, &mut watched).await;
        if pause
            .after_round(&control, LOOK, "read histories", result)
            .await
            .is_break()
        {
            return;
        }
    }
}

/// Reads what is due, one broken history beside the others. Answers the first failure.
async fn round(control: &Control, watched: &mut HashMap<String, Instant>) -> Result<(), Failure> {
    let arns = due(control, watched).await?;
    let mut results = stream::iter(arns)
        .map(|arn| async move { read(control, &arn).await })
        .buffer_unordered(READS_MAX);
    let mut last = Ok(());
    while let Some(result) = results.next().await {
        last = last.and(result);
    }
    last
}

/// Executions whose history is to be read now.
async fn due(
    control: &Control,
    read_at: &mut HashMap<String, Instant>,
) -> Result<Vec<String>, Failure> {
    let now = clock::now().0;
    let mut arns = Vec::new();
    read_at.retain(|_, at| at.elapsed() < WATCHED_PACE);
    for job in control.live.watched_jobs(now) {
        let Some(arn) = control
            .store
            .job(job)
            .await?
            .and_then(|job| job.execution_arn)
        else {
            continue;
        };
        if !read_at.contains_key(&arn) {
            read_at.insert(arn.clone(), Instant::now());
            arns.push(arn);
        }
    }
    for arn in control
        .store
        .histories_unread(now - ENDED_PACE_MS, now - GENTLE_PACE_MS, READS_MAX as u32)
        .await?
    {
        if !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    Ok(arns)
}

/// Reads what is new of one history.
#[tracing::instrument(level = "info", skip_all, fields(arn))]
pub(super) async fn read(control: &Control, arn: &str) -> Result<(), Failure> {
    let Some(execution) = control.store.execution(arn).await? else {
        return Ok(());
    };
    if execution.history_complete {
        return Ok(());
    }
    control.learn_definition(&execution).await?;
    let result = read_on(control, &execution).await;
    let (complete, result) = match result {
        Ok(Some(newest)) => (ends(newest, execution.status), Ok(())),
        Ok(None) => (false, Ok(())),
        // AWS has forgotten it: what the store has is all there will be.
        Err(Failure::Aws(error)) if error.is("ExecutionDoesNotExist") => {
            (execution.status != ExecutionStatus::Running, Ok(()))
        }
        Err(failure) => (false, Err(failure)),
    };
    let kept = match complete {
        true => keep_ending(control, &execution).await,
        false => Ok(()),
    };
    let now = clock::now().0;
    // Noted as read all the same, so that one broken history does not keep the others waiting.
    control
        .store
        .history_read(arn, execution.redrive_count, complete && kept.is_ok(), now)
        .await?;
    kept.and(result)?;
    if complete
        && execution.redrive_status.is_none()
        && execution.status != ExecutionStatus::Succeeded
    {
        // The event of its end did not say whether it can be redriven, and its page offers that.
        let said = control.aws.states.describe(arn, now).await?;
        control.store.status_changed(&said).await?;
    }
    control.live.touch(execution.job);
    Ok(())
}

/// Keeps what a whole history says about its end: where the error arose, and where a rerun would go on.
async fn keep_ending(control: &Control, execution: &ExecutionRecord) -> Result<(), Failure> {
    let Some(job) = control.store.job(execution.job).await? else {
        return Ok(());
    };
    let folded = control.folded(&job.summary.pipeline, execution).await?;
    let (failed_state, ended_in, resumes_from) = {
        let folded = folded.lock().await;
        let owned = |state: Option<&str>| state.map(str::to_owned);
        (
            owned(folded.failed_state()),
            owned(folded.ended_in_fail_state()),
            owned(folded.resumes_from()),
        )
    };
    let (arn, store) = (&execution.arn, &control.store);
    store
        .keep_resumption(arn, ended_in.as_deref(), resumes_from.as_deref())
        .await?;
    if let Some(state) = failed_state {
        store.keep_failed_state(arn, &state).await?;
    }
    Ok(())
}

/// Reads the events that are not in the store yet. Returns the newest event's type.
pub(super) async fn read_on(
    control: &Control,
    execution: &ExecutionRecord,
) -> Result<Option<EventType>, Failure> {
    let arn = &execution.arn;
    let last = control.store.history_last_id(arn).await?;
    if last > 0
        && let Some(newest) = read_newest(control, arn, last).await?
    {
        return Ok(newest);
    }
    // From the beginning, each page into the store as it comes: nothing has to be held.
    let mut newest = None;
    let mut next = None;
    loop {
        let page = control.aws.states.history(arn, false, next).await?;
        newest = page.events.last().map(|event| event.kind).or(newest);
        keep(control, arn, &page.events).await?;
        next = page.next;
        if next.is_none() {
            return Ok(newest);
        }
        control.live.touch(execution.job);
    }
}

/// Reads backwards from the newest event to the last one known, then keeps all at once: the store never has
/// a gap. None when there are too many of them for that.
async fn read_newest(
    control: &Control,
    arn: &str,
    last: i64,
) -> Result<Option<Option<EventType>>, Failure> {
    let mut events: Vec<HistoryEvent> = Vec::new();
    let mut newest = None;
    let mut next = None;
    loop {
        let page = control.aws.states.history(arn, true, next).await?;
        // By their ids: not everybody who plays AWS heeds `reverseOrder`.
        let last_of_page = page.events.iter().max_by_key(|event| event.id);
        newest = newest.or(last_of_page.map(|event| event.kind));
        let known = page.events.iter().any(|event| event.id <= last);
        events.extend(page.events.into_iter().filter(|event| event.id > last));
        next = page.next;
        if known || next.is_none() {
            break;
        }
        if events.len() > GAP_MAX {
            return Ok(None);
        }
    }
    events.sort_by_key(|event| event.id);
    keep(control, arn, &events).await?;
    Ok(Some(newest))
}

async fn keep(control: &Control, arn: &str, events: &[HistoryEvent]) -> Result<(), Failure> {
    let events: Vec<_> = events
        .iter()
        .map(|event| (event.id, event.to_wire(true)))
        .collect();
    if !events.is_empty() {
        control.store.add_history(arn, &events).await?;
    }
    Ok(())
}

/// Whether an event is the last of an execution that ended like this.
fn ends(event: EventType, status: ExecutionStatus) -> bool {
    matches!(
        (event, status),
        (EventType::ExecutionSucceeded, ExecutionStatus::Succeeded)
            | (EventType::ExecutionFailed, ExecutionStatus::Failed)
            | (EventType::ExecutionTimedOut, ExecutionStatus::TimedOut)
            | (EventType::ExecutionAborted, ExecutionStatus::Aborted)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_ends_with_the_event_of_its_executions_status() {
        assert!(ends(EventType::ExecutionFailed, ExecutionStatus::Failed));
        // The status of before a redrive: its history goes on.
        assert!(!ends(
            EventType::ExecutionFailed,
            ExecutionStatus::Succeeded
        ));
        assert!(!ends(EventType::TaskStateEntered, ExecutionStatus::Failed));
    }
}
