//! Carries out bulk operations: gives items their outcome, begins the next ones in the canary's order and at the
//! pace asked for, and pauses where the same failure comes again. Any server may do any round: an item begins in one
//! transaction, so that two servers, or a crash, begin nothing twice.

use std::time::Duration;

use model::{BulkId, BulkState, JobId};
use uuid::Uuid;

use super::Pause;
use crate::{
    clock,
    control::{Control, Failure, bulk::canary_allows, job::new_job},
    store::{Asked, BulkAction, BulkRecord, BulkTurn, Promise, RerunMode},
};

/// How often to look at what runs.
const LOOK: Duration = Duration::from_millis(500);
/// For how long a bulk operation is one server's: longer than a round takes.
const LEASE_MS: i64 = 10_000;
/// Items begun in a round at most.
const ROUND_MAX: u64 = 200;
/// How long previews that nobody began, and what was left half made, are kept.
const DRAFT_MS: i64 = 24 * 3_600_000;
const MAKING_MS: i64 = 3_600_000;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    let mut forgot_at_ms = 0;
    loop {
        let result = async {
            let now_ms = clock::now().0;
            if now_ms - forgot_at_ms > MAKING_MS {
                let store = &control.store;
                store
                    .bulks_forget(now_ms - MAKING_MS, now_ms - DRAFT_MS)
                    .await?;
                forgot_at_ms = now_ms;
            }
            round(&control).await
        };
        let result = result.await;
        let look = async {
            pause
                .after_round(&control, LOOK, "carry out bulk operations", result)
                .await
        };
        let ending = tokio::select! {
            ending = look => ending,
            () = control.bulks.notified() => std::ops::ControlFlow::Continue(()),
        };
        if ending.is_break() {
            return;
        }
    }
}

/// One look at every bulk operation that runs and is due.
pub(crate) async fn round(control: &Control) -> Result<(), Failure> {
    let now_ms = clock::now().0;
    for id in control.store.bulks_due(now_ms, now_ms + LEASE_MS).await? {
        let due_at_ms = advance(control, id).await?;
        control.store.bulk_due_at(id, due_at_ms).await?;
    }
    Ok(())
}

/// Takes a bulk operation a step further; tells when to look again.
async fn advance(control: &Control, id: BulkId) -> Result<i64, Failure> {
    let now_ms = clock::now().0;
    control.store.bulk_settle(id, now_ms).await?;
    let Some(record) = control.store.bulk(id).await? else {
        return Ok(now_ms);
    };
    let (bulk, counts) = (&record.bulk, record.bulk.counts);
    if bulk.state != BulkState::Running {
        return Ok(now_ms);
    }
    if bulk.canary
        && counts.waiting > 0
        && let Some(note) = verdict(control, &record).await?
    {
        tracing::warn!(bulk = %id, note, "bulk operation paused");
        let from: &[BulkState] = &[BulkState::Running];
        let store = &control.store;
        store
            .bulk_move(id, from, BulkState::Paused, Some(note), now_ms)
            .await?;
        return Ok(now_ms);
    }
    if counts.waiting == 0 && counts.begun == 0 {
        let from: &[BulkState] = &[BulkState::Running];
        control
            .store
            .bulk_move(id, from, BulkState::Done, None, now_ms)
            .await?;
        tracing::info!(bulk = %id, "bulk operation done");
        return Ok(now_ms);
    }
    let (paced, next_ms) = pace(bulk.pace_per_minute);
    let allowed = match bulk.canary {
        true => canary_allows(&counts),
        false => u64::MAX,
    };
    let count = allowed.min(paced).min(ROUND_MAX);
    let turns = match u32::try_from(count) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(limit) => control.store.bulk_turns(id, limit).await?,
    };
    let begun = turns.len();
    // Together, for the store commits together what comes together.
    let beginnings = turns.iter().map(|turn| begin(control, &record, turn));
    for result in futures::future::join_all(beginnings).await {
        result?;
    }
    if begun > 0 {
        control.outbox.notify_one();
    }
    Ok(now_ms + if begun > 0 { next_ms } else { 0 })
}

/// How many items a round may begin at a pace, and how long until the next may.
fn pace(per_minute: Option<u32>) -> (u64, i64) {
    let Some(per_minute) = per_minute else {
        return (u64::MAX, 0);
    };
    let round_ms = LOOK.as_millis() as u64;
    let count = (u64::from(per_minute) * round_ms / 60_000).max(1);
    let wait_ms = count * 60_000 / u64::from(per_minute.max(1));
    (count, i64::try_from(wait_ms).unwrap_or(i64::MAX))
}

/// Why a canary pauses, if it does: an item failed as its job had failed before, or as another item has.
async fn verdict(control: &Control, record: &BulkRecord) -> Result<Option<String>, Failure> {
    let id = record.bulk.id;
    let failed = control.store.bulk_unseen(id).await?;
    if failed.is_empty() {
        return Ok(None);
    }
    let gone = record.bulk.counts.settled();
    let waiting = record.bulk.counts.waiting;
    if let Some(item) = failed
        .iter()
        .find(|item| item.before.as_ref() == Some(&item.reason))
    {
        let reason = &item.reason;
        return Ok(Some(format!(
            "Item {} failed again with {reason}. {gone} are over, {waiting} wait: mend the cause, then go on, or cancel.",
            item.position
        )));
    }
    let all = control
        .store
        .bulk_reasons(id, model::BulkItemState::Failed, 20)
        .await?;
    let same = all
        .into_iter()
        .find(|known| known.count > 1 && failed.iter().any(|item| item.reason == known.reason));
    if let Some(known) = same {
        return Ok(Some(format!(
            "{} items failed with {}. {gone} are over, {waiting} wait: mend the cause, then go on, or cancel.",
            known.count, known.reason
        )));
    }
    control.store.bulk_seen(id, &failed).await?;
    Ok(None)
}

/// Begins one item.
async fn begin(control: &Control, record: &BulkRecord, turn: &BulkTurn) -> Result<(), Failure> {
    let now_ms = clock::now().0;
    let mut asked = Asked {
        actor: record.actor.clone(),
        reason: record.bulk.reason.clone(),
        bulk: Some(record.bulk.id),
        changes: Vec::new(),
    };
    let promise = match promise(control, record, turn, &mut asked).await {
        Ok(promise) => promise,
        Err(Failure::Refused(error)) => {
            return Ok(control.store.bulk_refuse(turn, &error.message).await?);
        }
        Err(other) => return Err(other),
    };
    let job = match &promise {
        Promise::Submit(job) => job.id,
        Promise::Rerun(job, _) | Promise::Stop(job) => *job,
    };
    if control
        .store
        .bulk_begin(turn, promise, &asked, now_ms)
        .await?
    {
        control.live.touch(job);
    }
    Ok(())
}

/// What an item wants to be promised, as its job stands now.
async fn promise(
    control: &Control,
    record: &BulkRecord,
    turn: &BulkTurn,
    asked: &mut Asked,
) -> Result<Promise, Failure> {
    if turn.action == BulkAction::Submit {
        let pipeline = record.pipeline.as_deref().unwrap_or_default();
        let input = turn.input.clone().unwrap_or_default();
        let mut job = new_job(JobId(Uuid::now_v7()), pipeline, input, record.priority)?;
        job.title.clone_from(&turn.title);
        return Ok(Promise::Submit(job));
    }
    let id = turn.job.ok_or(Failure::Fault("an item without a job"))?;
    Ok(match turn.action {
        BulkAction::Stop => Promise::Stop(id),
        BulkAction::Redrive => {
            let job = control.record(id).await?;
            let execution = match &job.execution_arn {
                Some(arn) => control.store.execution(arn).await?,
                None => None,
            };
            let execution = execution.ok_or_else(|| Failure::not_found("It has no execution."))?;
            Promise::Rerun(
                id,
                RerunMode::Redrive {
                    arn: execution.arn,
                    redrive_count: execution.redrive_count,
                },
            )
        }
        BulkAction::Restart | BulkAction::Submit => {
            if let Some(input) = &turn.input {
                let job = control.record(id).await?;
                asked.changes = crate::control::input::changes(&job.input, input);
            }
            Promise::Rerun(
                id,
                RerunMode::Restart {
                    input: turn.input.clone(),
                },
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_however_often_one_looks() {
        assert_eq!(pace(None), (u64::MAX, 0));
        assert_eq!(pace(Some(1)), (1, 60_000));
        assert_eq!(pace(Some(60)), (1, 1_000));
        assert_eq!(pace(Some(600)), (5, 500));
    }
}
