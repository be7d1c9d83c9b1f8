//! Applies what AWS says about an execution. Before an end is told to anybody, what it ended with is read:
//! who sees a job succeeded sees its artifacts, who sees it failed sees where.

use model::ExecutionStatus;

use super::history;
use crate::{
    control::{Control, Failure, causes},
    store::{Applied, StatusChange},
};

/// Applies a change and tells those who watch.
#[tracing::instrument(level = "debug", skip_all, fields(arn = change.arn))]
pub(super) async fn hear(control: &Control, change: &StatusChange) -> Result<Applied, Failure> {
    let is_end = !matches!(
        change.status,
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive
    );
    let known = control.store.execution(&change.arn).await?;
    let ends = known
        .as_ref()
        .filter(|known| is_end && known.status != change.status);
    if let Some(execution) = ends {
        let read = async {
            history::read_on(control, execution).await?;
            if change.status == ExecutionStatus::Succeeded {
                control.learn_artifacts(&change.arn, execution.job).await?;
            }
            Ok::<_, Failure>(())
        };
        if let Err(failure) = read.await {
            // The end is told all the same; the loops for histories and manifests read later.
            tracing::debug!(arn = change.arn, causes = %causes(&failure), "an end was not read ahead");
        }
    }
    let applied = control.store.status_changed(change).await?;
    if let Some(execution) = known {
        if applied == Applied::Changed && is_end {
            let ended_at_ms = change.ended_at_ms.unwrap_or(change.heard_at_ms);
            let ran_ms = ended_at_ms - execution.started_at.0;
            control.aws.metrics().job_ended(ran_ms);
        }
        if applied == Applied::Changed && is_end {
            let read = history::read(control, &change.arn).await;
            if let Err(failure) = read {
                tracing::debug!(arn = change.arn, causes = %causes(&failure), "a history is read later");
            }
        }
        control.live.touch(execution.job);
    }
    Ok(applied)
}
