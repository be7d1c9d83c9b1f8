//! Bulk operations as they look: the state of one, of its items, and how far it is.

use leptos::prelude::*;
use model::{Bulk, BulkItemState, BulkState, BulkView};

use crate::components::{
    change::changes,
    status::{Tone, badge as tone_badge},
};

/// A bulk operation's state.
pub fn badge(bulk: &Bulk) -> AnyView {
    let tone = match bulk.state {
        BulkState::Draft => Tone::Queued,
        BulkState::Running => Tone::Running,
        BulkState::Paused => Tone::Caught,
        BulkState::Cancelled => Tone::Stopped,
        BulkState::Done if bulk.counts.failed > 0 => Tone::Caught,
        BulkState::Done => Tone::Succeeded,
    };
    tone_badge(tone, bulk.state.label())
}

/// The look of an item's state.
pub fn item_tone(state: BulkItemState) -> Tone {
    match state {
        BulkItemState::Waiting => Tone::Queued,
        BulkItemState::Begun => Tone::Running,
        BulkItemState::Failed => Tone::Failed,
        BulkItemState::Succeeded => Tone::Succeeded,
        BulkItemState::Refused => Tone::Idle,
        BulkItemState::Skipped => Tone::Stopped,
    }
}

/// What it is about to do, does or has done, in one sentence.
pub fn verdict(bulk: &Bulk) -> String {
    let counts = &bulk.counts;
    let eligible = counts.eligible();
    let refused = match counts.refused {
        0 => String::new(),
        1 => " 1 is not eligible.".to_owned(),
        many => format!(" {many} are not eligible."),
    };
    let jobs = |count: u64| match count {
        1 => "1 job".to_owned(),
        many => format!("{many} jobs"),
    };
    match bulk.state {
        BulkState::Draft if eligible == 0 => {
            format!("There is nothing that could be done.{refused}")
        }
        BulkState::Draft => format!(
            "Nothing has happened yet. Pressing the button does this to {}.{refused}",
            jobs(eligible)
        ),
        BulkState::Running | BulkState::Paused => format!(
            "{} of {} are over: {} succeeded, {} failed. {} run, {} wait.{refused}",
            counts.settled(),
            jobs(eligible),
            counts.succeeded,
            counts.failed,
            counts.begun,
            counts.waiting
        ),
        BulkState::Cancelled | BulkState::Done => format!(
            "{} succeeded, {} failed, {} were left out.{refused}",
            counts.succeeded, counts.failed, counts.skipped
        ),
    }
}

/// How far it is, as a bar of every state's share.
pub fn bar(bulk: &Bulk) -> AnyView {
    let total = bulk.counts.eligible().max(1);
    let shown = [
        BulkItemState::Succeeded,
        BulkItemState::Failed,
        BulkItemState::Begun,
        BulkItemState::Skipped,
    ];
    let mut from = 0.0;
    let parts = shown
        .into_iter()
        .filter(|state| bulk.counts.of(*state) > 0)
        .map(|state| {
            let share = bulk.counts.of(state) as f64 * 1000.0 / total as f64;
            let x = from;
            from += share;
            view! { <rect class=item_tone(state).class() x=x y="0" width=share height="10" /> }
        })
        .collect_view();
    view! {
        <svg class="bulk-bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
            {parts}
        </svg>
    }
    .into_any()
}

/// The buttons that fit its state.
pub fn buttons(bulk: &Bulk) -> AnyView {
    let button = |action: &'static str, label: String, class: &'static str| {
        view! {
            <form method="post" action=format!("/bulks/{}/{action}", bulk.id)>
                <button type="submit" class=class>
                    {label}
                </button>
            </form>
        }
    };
    let eligible = bulk.counts.eligible();
    let verb = bulk.kind.label();
    view! {
        <div class="actions">
            {(bulk.state == BulkState::Draft && eligible > 0)
                .then(|| {
                    let jobs = if eligible == 1 { "job" } else { "jobs" };
                    button("start", format!("{verb} {eligible} {jobs}"), "button primary")
                })}
            {(bulk.state == BulkState::Paused)
                .then(|| button("start", "Go on".to_owned(), "button primary"))}
            {(bulk.state == BulkState::Running)
                .then(|| button("pause", "Pause".to_owned(), "button"))}
            {matches!(bulk.state, BulkState::Running | BulkState::Paused)
                .then(|| button("cancel", "Cancel the rest".to_owned(), "button danger"))}
        </div>
    }
    .into_any()
}

/// Items with their outcome.
pub fn items(view: &BulkView) -> AnyView {
    let rows = view
        .items
        .iter()
        .map(|item| {
            let tone = item_tone(item.state);
            let title = item.title.clone();
            view! {
                <tr class=tone.class() data-testid="bulk-item">
                    <td>{tone_badge(tone, item.state.label())}</td>
                    <th scope="row">
                        {match item.job {
                            Some(job) => {
                                view! { <a class="row-link" href=format!("/jobs/{job}")>{title}</a> }
                                    .into_any()
                            }
                            None => title.into_any(),
                        }}
                        <span class="hint">{format!("#{}, {}", item.position, item.action)}</span>
                        {item.reason.clone().map(|reason| view! { <span class="why">{reason}</span> })}
                        {changes(&item.changes)}
                    </th>
                </tr>
            }
        })
        .collect_view();
    view! {
        <table class="list">
            <caption class="sr">"Items in their order"</caption>
            <thead>
                <tr>
                    <th scope="col">"Outcome"</th>
                    <th scope="col">"Job"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{BulkCounts, BulkId, BulkKind, TimestampMs};

    #[test]
    fn a_preview_says_that_nothing_has_happened_yet() {
        let mut bulk = Bulk {
            id: BulkId(uuid::Uuid::nil()),
            kind: BulkKind::Rerun,
            state: BulkState::Draft,
            title: String::new(),
            reason: String::new(),
            canary: false,
            pace_per_minute: None,
            note: None,
            created_at_ms: TimestampMs(0),
            started_at_ms: None,
            ended_at_ms: None,
            counts: BulkCounts {
                waiting: 3,
                refused: 1,
                ..BulkCounts::default()
            },
        };
        assert_eq!(
            verdict(&bulk),
            "Nothing has happened yet. Pressing the button does this to 3 jobs. 1 is not eligible."
        );
        bulk.counts.waiting = 0;
        assert!(verdict(&bulk).starts_with("There is nothing that could be done."));
    }
}
