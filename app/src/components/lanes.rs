//! Parallel work as lanes: the iterations of each Map and the branches of each Parallel, with live progress.

use leptos::{prelude::*, tachys::svg};
use model::{BranchView, Execution, IterationView, Progress, StateKind, StateStatus, StateView};

use super::{
    graph::note,
    moment,
    progress::bar,
    status::{icon, state_badge, state_label, state_tone},
};
use crate::clock::Clock;

/// A Map with more iterations than this lists those in work and those that failed, and draws all as a strip.
const LISTED_MAX: usize = 12;
/// Cells in one row of the strip.
const STRIP_COLUMNS: usize = 50;

/// Every Map and Parallel that was entered, in the definition's order.
pub fn lanes(execution: Option<&Execution>, clock: Clock) -> AnyView {
    let sections: Vec<_> = execution
        .map(|execution| execution.states.as_slice())
        .unwrap_or_default()
        .iter()
        .filter(|state| state.status != StateStatus::Idle)
        .filter_map(|state| match state.kind {
            StateKind::Map => Some(map(state, clock)),
            StateKind::Parallel => Some(parallel(state, clock)),
            _ => None,
        })
        .collect();
    (!sections.is_empty())
        .then(|| {
            view! {
                <section class="lanes" aria-labelledby="lanes-title">
                    <h2 id="lanes-title">"Parallel work"</h2>
                    {sections}
                </section>
            }
        })
        .into_any()
}

/// One Map or Parallel: open while there is something to watch or to repair.
fn group(state: &StateView, content: AnyView) -> AnyView {
    let open = state.status != StateStatus::Succeeded;
    view! {
        <details class=format!("lane-group {}", state_tone(state.status).class()) open=open>
            <summary>
                <h3>{state.name.clone()}</h3>
                " "
                <span class="hint">{note(state)}</span>
                {state_badge(state.status)}
            </summary>
            {content}
        </details>
    }
    .into_any()
}

/// The iterations worth a line of their own: all of a small Map; of a large one those that are in work, wait or
/// failed.
pub fn listed(iterations: &[IterationView]) -> Vec<&IterationView> {
    if iterations.len() <= LISTED_MAX {
        return iterations.iter().collect();
    }
    iterations
        .iter()
        .filter(|iteration| {
            matches!(
                iteration.status,
                StateStatus::Running
                    | StateStatus::Retrying
                    | StateStatus::Failed
                    | StateStatus::Caught
            )
        })
        .take(LISTED_MAX)
        .collect()
}

fn map(state: &StateView, clock: Clock) -> AnyView {
    let listed = listed(&state.iterations);
    let unlisted = state.iterations.len() - listed.len();
    let strip = (state.iterations.len() > LISTED_MAX).then(|| strip(state));
    let total = state
        .progress
        .as_ref()
        .map(|progress| bar(progress, format!("{}, all iterations", state.name)));
    let rows: Vec<_> = listed
        .into_iter()
        .map(|iteration| {
            let name = iteration
                .label
                .clone()
                .unwrap_or_else(|| format!("#{}", iteration.index));
            lane(
                Lane {
                    name,
                    status: iteration.status,
                    place: iteration.state.clone(),
                    progress: iteration.progress.as_ref(),
                    note: iteration.error.clone(),
                    time: iteration
                        .started_at_ms
                        .map(|started| moment::duration(started, iteration.ended_at_ms, clock)),
                },
                &state.name,
            )
        })
        .collect();
    let content = view! {
            {total} {strip} <ul>{rows}</ul>
            {(unlisted > 0)
                .then(|| {
                    view! {
                        <p class="hint">
                            {format!("{unlisted} more are in the strip: done, or not started.")}
                        </p>
                    }
                })}
    }
    .into_any();
    group(state, content)
}

fn parallel(state: &StateView, clock: Clock) -> AnyView {
    let rows: Vec<_> = state
        .branches
        .iter()
        .map(|branch| {
            let coarse = coarse(branch);
            lane(
                Lane {
                    name: branch.name.clone(),
                    status: branch.status,
                    place: branch.state.clone(),
                    progress: branch.progress.as_ref().or(Some(&coarse)),
                    note: None,
                    time: branch
                        .started_at_ms
                        .map(|started| moment::duration(started, branch.ended_at_ms, clock)),
                },
                &state.name,
            )
        })
        .collect();
    group(state, view! { <ul>{rows}</ul> }.into_any())
}

/// States done as progress, for a branch whose work reports none.
fn coarse(branch: &BranchView) -> Progress {
    Progress {
        unit: "states".to_owned(),
        done: branch.states_done.into(),
        total: Some(branch.states_total.into()),
    }
}

struct Lane<'a> {
    name: String,
    status: StateStatus,
    /// The state it is in.
    place: Option<String>,
    progress: Option<&'a Progress>,
    note: Option<String>,
    time: Option<AnyView>,
}

fn lane(lane: Lane<'_>, of: &str) -> AnyView {
    let tone = state_tone(lane.status);
    let place = lane.place.filter(|place| *place != lane.name);
    let label = format!("{of}, {}", lane.name);
    view! {
        <li class=format!("lane {}", tone.class())>
            <span class="lane-name">
                {icon(tone)} <span class="sr">{state_label(lane.status)}</span>
                <span class="break">{lane.name}</span>
                {place.map(|place| view! { <span class="hint">{place}</span> })}
            </span>
            {lane.progress.map(|progress| bar(progress, label))}
            <span class="lane-time">{lane.time}</span>
            {lane.note.map(|note| view! { <code class="lane-error">{note}</code> })}
        </li>
    }
    .into_any()
}

/// One cell an iteration, coloured by status; the numbers stand in the label for those who do not see it.
fn strip(state: &StateView) -> impl IntoView {
    let total = state.iterations.len();
    let rows = total.div_ceil(STRIP_COLUMNS);
    let columns = total.min(STRIP_COLUMNS);
    let count = |status| {
        state
            .iterations
            .iter()
            .filter(|iteration| iteration.status == status)
            .count()
    };
    let label = [
        StateStatus::Succeeded,
        StateStatus::Running,
        StateStatus::Retrying,
        StateStatus::Failed,
        StateStatus::Idle,
    ]
    .into_iter()
    .filter(|status| count(*status) > 0)
    .map(|status| format!("{} {}", count(status), state_label(status).to_lowercase()))
    .collect::<Vec<_>>()
    .join(", ");
    let cells = state
        .iterations
        .iter()
        .enumerate()
        .map(|(at, iteration)| {
            let name = iteration
                .label
                .clone()
                .unwrap_or_else(|| format!("#{}", iteration.index));
            view! {
                <rect
                    class=state_tone(iteration.status).class()
                    x=(at % STRIP_COLUMNS * 12).to_string()
                    y=(at / STRIP_COLUMNS * 12).to_string()
                    width="10"
                    height="10"
                    rx="2"
                >
                    {svg::title().child(format!("{name}: {}", state_label(iteration.status)))}
                </rect>
            }
        })
        .collect_view();
    view! {
        <svg
            class="strip"
            role="img"
            aria-label=format!("{total} iterations: {label}")
            viewBox=format!("0 0 {} {}", columns * 12 - 2, rows * 12 - 2)
            width=(columns * 12 - 2).to_string()
        >
            {cells}
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iteration(index: u32, status: StateStatus) -> IterationView {
        IterationView {
            index,
            status,
            label: None,
            state: None,
            progress: None,
            started_at_ms: None,
            ended_at_ms: None,
            error: None,
        }
    }

    #[test]
    fn a_small_map_lists_every_iteration() {
        let iterations: Vec<_> = (0..12)
            .map(|index| iteration(index, StateStatus::Idle))
            .collect();
        assert_eq!(listed(&iterations).len(), 12);
    }

    #[test]
    fn a_large_map_lists_what_is_in_work_or_failed() {
        let mut iterations: Vec<_> = (0..40)
            .map(|index| iteration(index, StateStatus::Succeeded))
            .collect();
        iterations[7].status = StateStatus::Failed;
        iterations[30].status = StateStatus::Running;
        let indices: Vec<_> = listed(&iterations).iter().map(|i| i.index).collect();
        assert_eq!(indices, [7, 30]);
    }
}
