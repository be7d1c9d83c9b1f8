//! The sweep: compares AWS's list of executions with the store, so that what no event told of is known, be it a start,
//! an end or both. A page of a thousand costs one call; a description is asked for where the list does not tell.
//! One server at a time sweeps.

use std::{collections::HashSet, time::Duration};

use model::ExecutionStatus;

use super::{
    Pause,
    adopt::{Unknown, learn},
    hear::{hear_all, is_end},
    reconcile::{ask, is_of_one},
};
use crate::{
    aws::ListedExecution,
    clock,
    control::{Control, Failure},
    store::{Applied, KnownExecution, StatusChange},
};

/// How often.
const PACE: Duration = Duration::from_secs(180);
/// For how long a sweep is one server's, from its last page on: a page may wait for its turn.
const LEASE_MS: i64 = 120_000;
/// How far behind the last sweep's beginning a list is read: ListExecutions is eventually consistent, and clocks
/// differ. <https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html>
const OVERLAP_MS: i64 = 600_000;
/// How often a list is read farther back, and how far: for as long as what has ended can be redriven elsewhere.
const DEEP_EVERY_MS: i64 = 86_400_000;
const DEEP_MS: i64 = 15 * 86_400_000;
/// Executions that the list left open and that are asked about at a time.
const OPEN_MAX: u32 = 100;

/// What a sweep came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Executions that AWS told about.
    pub told: u64,
    /// Of those, what the store had otherwise.
    pub corrected: u64,
    /// Of those, what no event had told of.
    pub adopted: u64,
}

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    loop {
        let result = round(&control).await;
        if pause
            .after_round(&control, PACE, "compare AWS's list of executions", result)
            .await
            .is_break()
        {
            return;
        }
    }
}

/// Sweeps, unless another server does.
async fn round(control: &Control) -> Result<(), Failure> {
    let machine = control.aws.states.state_machine().to_owned();
    let lease = format!("sweep:{machine}");
    if !hold(control, &lease).await? {
        return Ok(());
    }
    let began_at_ms = clock::now().0;
    let (since_ms, deep_at_ms) = match control.store.sweep(&machine).await? {
        None => (i64::MIN, began_at_ms),
        Some((_, deep_at_ms)) if began_at_ms - deep_at_ms > DEEP_EVERY_MS => {
            (began_at_ms - DEEP_MS, began_at_ms)
        }
        Some((last_at_ms, deep_at_ms)) => (last_at_ms - OVERLAP_MS, deep_at_ms),
    };
    let swept = sweep(control, since_ms, &lease).await;
    // Whether it went well or not, another server may go on now.
    control.store.lease_end(&lease).await?;
    let swept = swept?;
    // A sweep that the server's end cut off did not see everything.
    if control.ending.is_cancelled() {
        return Ok(());
    }
    control
        .store
        .swept(&machine, began_at_ms, deep_at_ms)
        .await?;
    if swept.corrected > 0 {
        tracing::info!(
            told = swept.told,
            corrected = swept.corrected,
            adopted = swept.adopted,
            "the sweep found what no event had told of"
        );
    }
    let shown = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    control
        .signs
        .swept(shown(swept.told), shown(swept.corrected));
    control.aws.metrics().corrected(swept.corrected);
    Ok(())
}

async fn hold(control: &Control, lease: &str) -> Result<bool, Failure> {
    let now_ms = clock::now().0;
    Ok(control
        .store
        .lease(lease, now_ms, now_ms + LEASE_MS)
        .await?)
}

/// Makes the store equal to what AWS lists: everything that runs, and what was started or redriven since a moment.
/// What the store takes to run though the list does not is asked about, one by one.
pub(crate) async fn sweep(control: &Control, since_ms: i64, lease: &str) -> Result<Swept, Failure> {
    let began_at_ms = clock::now().0;
    let mut swept = Swept::default();
    if since_ms > i64::MIN {
        list(control, true, since_ms, lease, &mut swept).await?;
    }
    list(control, false, since_ms, lease, &mut swept).await?;
    loop {
        let open = control
            .store
            .executions_silent(began_at_ms, OPEN_MAX)
            .await?;
        if open.is_empty() || control.ending.is_cancelled() {
            return Ok(swept);
        }
        let mut refused = 0;
        for arn in &open {
            swept.told += 1;
            match ask(control, arn).await {
                Ok(corrected) => swept.corrected += u64::from(corrected),
                Err(failure) if is_of_one(&failure) => refused += 1,
                Err(failure) => return Err(failure),
            }
        }
        // They stay open, and are asked about again by the next sweep.
        if refused == open.len() {
            return Ok(swept);
        }
        hold(control, lease).await?;
    }
}

async fn list(
    control: &Control,
    running_only: bool,
    since_ms: i64,
    lease: &str,
    swept: &mut Swept,
) -> Result<(), Failure> {
    let mut next = None;
    loop {
        let page = control.aws.states.list(running_only, next).await?;
        let is_old = |one: &ListedExecution| {
            one.started_at_ms.max(one.redriven_at_ms.unwrap_or(0)) < since_ms
        };
        let is_last = !running_only && page.executions.last().is_some_and(is_old);
        compare(control, page.executions, swept).await?;
        next = page.next;
        if next.is_none() || is_last || control.ending.is_cancelled() {
            return Ok(());
        }
        hold(control, lease).await?;
    }
}

/// Makes the store equal to a page.
async fn compare(
    control: &Control,
    mut page: Vec<ListedExecution>,
    swept: &mut Swept,
) -> Result<(), Failure> {
    page.retain(|one| control.aws.states.name_of(&one.arn).is_some());
    let arns: Vec<&str> = page.iter().map(|one| one.arn.as_str()).collect();
    let mut known = control.store.executions_known(&arns).await?;
    let unknown: Vec<Unknown> = page
        .iter()
        .filter(|one| !known.contains_key(&one.arn))
        .map(|one| Unknown {
            arn: one.arn.clone(),
            started_at_ms: one.started_at_ms,
            input: None,
        })
        .collect();
    swept.told += page.len() as u64;
    let is_new: HashSet<String> = unknown.iter().map(|one| one.arn.clone()).collect();
    if !unknown.is_empty() {
        swept.adopted += learn(control, unknown).await?;
        known.extend(control.store.executions_known(&arns).await?);
    }
    let now_ms = clock::now().0;
    let changes: Vec<StatusChange> = page
        .iter()
        .filter(|one| known.get(&one.arn).is_some_and(|known| is_news(one, known)))
        .map(|one| StatusChange {
            redrive_count: Some(one.redrive_count),
            started_at_ms: Some(one.started_at_ms),
            ended_at_ms: one.ended_at_ms.filter(|_| is_end(one.status)),
            ..StatusChange::new(&one.arn, one.status, now_ms)
        })
        .collect();
    let applied = hear_all(control, &changes, &known).await?;
    let is_changed = |(change, applied): &(&StatusChange, &Applied)| {
        **applied == Applied::Changed && !is_new.contains(&change.arn)
    };
    let changed = changes.iter().zip(&applied).filter(is_changed).count();
    swept.corrected += (is_new.len() + changed) as u64;
    Ok(())
}

/// Whether a listed execution is to be told to the store: one that runs always, for it was heard of.
fn is_news(one: &ListedExecution, known: &KnownExecution) -> bool {
    one.status == ExecutionStatus::Running
        || one.status != known.status
        || one.redrive_count != known.redrive_count
}

#[cfg(test)]
mod tests;
