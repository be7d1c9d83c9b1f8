//! Made-up bulk operations: one of each state, the newest with items of every outcome.

use model::{
    Bulk, BulkCounts, BulkId, BulkItem, BulkItemState, BulkKind, BulkReason, BulkState, BulkView,
    InputChange, TimestampMs,
};
use uuid::Uuid;

use super::jobs::{all, now};

fn id(number: usize) -> BulkId {
    BulkId(Uuid::from_u128(
        0x0198_c0de_0000_7000_9000_0000_0000_0000 + number as u128,
    ))
}

pub fn bulks() -> Vec<Bulk> {
    let states = [
        BulkState::Paused,
        BulkState::Draft,
        BulkState::Running,
        BulkState::Cancelled,
        BulkState::Done,
    ];
    states
        .into_iter()
        .enumerate()
        .map(|(number, state)| Bulk {
            id: id(number),
            kind: match number {
                3 => BulkKind::Stop,
                4 => BulkKind::Submit,
                _ => BulkKind::Rerun,
            },
            state,
            title: match number {
                3 => "Stop running jobs".to_owned(),
                4 => "Submit what is under s3://media-archive/2026/ to media".to_owned(),
                _ => "Rerun failed jobs with error Source.NotMedia (redrive where possible, else start anew)".to_owned(),
            },
            reason: "the host is back".to_owned(),
            canary: number != 3,
            pace_per_minute: (number == 0).then_some(60),
            note: match state {
                BulkState::Paused => Some("Item 3 failed again with Source.NotMedia in Inspect. 3 are over, 118 wait: mend the cause, then go on, or cancel.".to_owned()),
                BulkState::Cancelled => Some("Somebody cancelled it.".to_owned()),
                _ => None,
            },
            created_at_ms: TimestampMs(now().0 - number as i64 * 4_000_000),
            started_at_ms: None,
            ended_at_ms: None,
            counts: match state {
                BulkState::Draft => BulkCounts { waiting: 121, refused: 7, ..BulkCounts::default() },
                BulkState::Done => BulkCounts { succeeded: 980, failed: 20, ..BulkCounts::default() },
                BulkState::Cancelled => BulkCounts { succeeded: 4, skipped: 12, ..BulkCounts::default() },
                _ => BulkCounts { waiting: 118, begun: 4, succeeded: 2, failed: 1, refused: 7, ..BulkCounts::default() },
            },
        })
        .collect()
}

pub fn view(wanted: &str) -> Option<BulkView> {
    let bulk = bulks()
        .into_iter()
        .find(|bulk| bulk.id.to_string() == wanted)?;
    let reason = |reason: &str, count| BulkReason {
        reason: reason.to_owned(),
        count,
    };
    let states = [
        BulkItemState::Succeeded,
        BulkItemState::Succeeded,
        BulkItemState::Failed,
        BulkItemState::Begun,
        BulkItemState::Refused,
        BulkItemState::Waiting,
    ];
    let items = all()
        .into_iter()
        .zip(states.iter().cycle())
        .take(14)
        .zip(1..);
    Some(BulkView {
        refusals: vec![
            reason(
                "It ended more than 14 days ago, and Step Functions redrives no longer than that.",
                5,
            ),
            reason("The job is running; stop it first.", 2),
        ],
        failures: match bulk.counts.failed {
            0 => Vec::new(),
            failed => vec![reason("Source.NotMedia in Inspect", failed)],
        },
        items: items
            .map(|((job, state), position)| BulkItem {
                position,
                job: Some(job.id),
                title: job.title,
                action: "restart".to_owned(),
                state: match bulk.state {
                    BulkState::Draft => BulkItemState::Waiting,
                    _ => *state,
                },
                reason: match state {
                    BulkItemState::Failed => Some("Source.NotMedia in Inspect".to_owned()),
                    BulkItemState::Refused => Some("The job is running; stop it first.".to_owned()),
                    _ => None,
                },
                changes: match position % 3 {
                    0 => vec![InputChange {
                        pointer: "/max_height".to_owned(),
                        before: Some(1080.into()),
                        after: Some(720.into()),
                    }],
                    _ => Vec::new(),
                },
            })
            .collect(),
        next: Some(100),
        bulk,
        as_of_ms: now(),
    })
}
