//! Applies what AWS says about executions, and tells those who watch. Many changes at once are one write; an end that
//! may wait a little is read ahead: who sees a job succeeded sees its artifacts, who sees it failed sees where.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use model::ExecutionStatus;

use super::history;
use crate::{
    control::{Control, Failure, causes},
    store::{Applied, KnownExecution, StatusChange},
};

/// How long reading ahead may hold up an end.
const AHEAD_MAX: Duration = Duration::from_secs(10);

/// Whether a status is an end.
pub(super) fn is_end(status: ExecutionStatus) -> bool {
    !matches!(
        status,
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive
    )
}

/// Whether a change ends an execution, as far as that is known.
pub(super) fn ends(change: &StatusChange, known: &KnownExecution) -> bool {
    is_end(change.status)
        && (known.status != change.status
            || change
                .redrive_count
                .is_some_and(|count| count > known.redrive_count))
}

/// Applies a change after reading what it ended with.
#[tracing::instrument(level = "debug", skip_all, fields(arn = change.arn))]
pub(super) async fn hear(control: &Control, change: &StatusChange) -> Result<Applied, Failure> {
    let known = control.store.execution(&change.arn).await?;
    let ends = known
        .as_ref()
        .filter(|known| is_end(change.status) && known.status != change.status);
    if let Some(execution) = ends {
        let read = async {
            history::read_on(control, execution).await?;
            if change.status == ExecutionStatus::Succeeded {
                control.learn_artifacts(&change.arn, execution.job).await?;
            }
            Ok::<_, Failure>(())
        };
        // The end is told all the same; the loops for histories and manifests read later.
        match tokio::time::timeout(AHEAD_MAX, read).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                tracing::debug!(arn = change.arn, causes = %causes(&failure), "an end was not read ahead");
            }
            Err(_) => tracing::debug!(arn = change.arn, "an end was not read ahead in time"),
        }
    }
    let job = known.as_ref().map(|known| known.job);
    let known = known.map(|known| {
        let short = KnownExecution {
            job: known.job,
            status: known.status,
            redrive_count: known.redrive_count,
            started_at: known.started_at,
        };
        (known.arn, short)
    });
    let known: HashMap<_, _> = known.into_iter().collect();
    let mut applied = hear_all(control, std::slice::from_ref(change), &known).await?;
    let applied = applied.pop().unwrap_or(Applied::Unknown);
    if let Some(job) = job {
        // Also of what is no change of status, such as whether it can be redriven.
        control.live.touch(job);
    }
    if applied == Applied::Changed && is_end(change.status) {
        let read = history::read(control, &change.arn).await;
        if let Err(failure) = read {
            tracing::debug!(arn = change.arn, causes = %causes(&failure), "a history is read later");
        }
    }
    Ok(applied)
}

/// Applies changes of executions that are known, in one write. What became of each is in the answer.
pub(super) async fn hear_all(
    control: &Control,
    changes: &[StatusChange],
    known: &HashMap<String, KnownExecution>,
) -> Result<Vec<Applied>, Failure> {
    let applied = control.store.statuses_changed(changes).await?;
    let mut touched = HashSet::new();
    for (change, applied) in changes.iter().zip(&applied) {
        let Some(execution) = known.get(&change.arn) else {
            continue;
        };
        if *applied == Applied::Changed && is_end(change.status) {
            let ended_at_ms = change.ended_at_ms.unwrap_or(change.heard_at_ms);
            let ran_ms = ended_at_ms.saturating_sub(execution.started_at.0);
            control.aws.metrics().job_ended(ran_ms);
            // A place is free where only so many may run at once.
            control.outbox.notify_one();
        }
        if *applied == Applied::Changed {
            touched.insert(execution.job);
        }
    }
    control.live.touch_all(&touched);
    Ok(applied)
}
