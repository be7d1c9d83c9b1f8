//! The execution graph as SVG: a drawing by [`asl::layout`], coloured by what happened. Each state is a plain
//! link to its details. Owns looks and words; where boxes go is the layout's business.

use std::collections::HashMap;

use asl::{
    graph::{EdgeKind, NodeKind},
    layout::{EdgePath, Layout, NodeBox},
};
use leptos::{prelude::*, tachys::svg};
use model::{Execution, JobId, StateKind, StateStatus, StateView, percent_encoded};

use super::{
    progress::percent,
    status::{Tone, state_label, state_name, state_tone},
};

/// Corners of lines are rounded by this many pixels.
const CORNER: f32 = 8.0;
/// A drawing up to this wide (pixels) is shown as it is; a wider one fills its box.
const NATURAL_MAX: f32 = 760.0;
/// The smallest scale at which names are still 10 pixels high; below it the box scrolls.
const SCALE_MIN: f32 = 0.72;
/// A drawing higher than this (pixels) scrolls in its box instead of pushing the rest of the page away.
const TALL: f32 = 2_400.0;
/// Width of one character of a state's name, in pixels, on average.
const NAME_CHARACTER: f32 = 7.6;
/// Width of one character of the line below it.
const NOTE_CHARACTER: f32 = 6.1;

/// The address of a job's page with a state chosen.
pub fn state_href(id: JobId, state: &str, visit: Option<i64>) -> String {
    let state = percent_encoded(state);
    match visit {
        Some(visit) => format!("/jobs/{id}?state={state}&visit={visit}#detail"),
        None => format!("/jobs/{id}?state={state}#detail"),
    }
}

/// The line below a state's name: iterations of a Map, branches, attempts, else its kind.
pub fn note(state: &StateView) -> String {
    let mut parts = Vec::new();
    match state.kind {
        StateKind::Map => {
            parts.push(match state.iteration_count {
                Some(total) => {
                    let done = state
                        .iterations
                        .iter()
                        .filter(|iteration| iteration.status == StateStatus::Succeeded)
                        .count();
                    format!("Map · {done}/{total}")
                }
                None => "Map".to_owned(),
            });
        }
        StateKind::Parallel => {
            let done = state
                .branches
                .iter()
                .filter(|branch| branch.status == StateStatus::Succeeded)
                .count();
            parts.push(match state.branches.len() {
                0 => "Parallel".to_owned(),
                total => format!("Parallel · {done}/{total} branches"),
            });
        }
        kind => {
            parts.push(format!("{kind:?}"));
            if state.visit_count > 1 {
                parts.push(format!("{}/{}", state.succeeded_count, state.visit_count));
            }
        }
    }
    match state.retry_count {
        0 => {}
        1 => parts.push("1 retry".to_owned()),
        retries => parts.push(format!("{retries} retries")),
    }
    parts.join(" · ")
}

/// A text that fits into a width, with an ellipsis where it was cut.
fn fit(text: &str, width: f32, character: f32) -> String {
    let room = (width / character).max(1.0) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(room.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Path data of a line with rounded corners.
fn path(points: &[(f32, f32)]) -> String {
    let Some(((x, y), rest)) = points.split_first() else {
        return String::new();
    };
    let mut data = format!("M{x:.1} {y:.1}");
    for (index, corner) in rest.iter().enumerate() {
        match rest.get(index + 1) {
            None => data.push_str(&format!("L{:.1} {:.1}", corner.0, corner.1)),
            Some(next) => {
                let before = points[index];
                let (ax, ay) = toward(*corner, before);
                let (bx, by) = toward(*corner, *next);
                data.push_str(&format!(
                    "L{ax:.1} {ay:.1}Q{:.1} {:.1} {bx:.1} {by:.1}",
                    corner.0, corner.1
                ));
            }
        }
    }
    data
}

/// The point [`CORNER`] away from `from` on the way to `to`, or half the way where that is nearer.
fn toward(from: (f32, f32), to: (f32, f32)) -> (f32, f32) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).sqrt();
    if length == 0.0 {
        return from;
    }
    let share = CORNER.min(length / 2.0) / length;
    (from.0 + dx * share, from.1 + dy * share)
}

/// Whether the drawing gets a box of limited height.
pub fn is_tall(layout: &Layout) -> bool {
    layout.height > TALL
}

/// The whole drawing. `chosen` is the state whose details are shown.
pub fn graph(
    id: JobId,
    layout: &Layout,
    execution: Option<&Execution>,
    chosen: Option<&str>,
) -> AnyView {
    let states: HashMap<&str, &StateView> = execution
        .map(|execution| {
            execution
                .states
                .iter()
                .map(|state| (state.name.as_str(), state))
                .collect()
        })
        .unwrap_or_default();
    let edges: Vec<_> = layout
        .edges
        .iter()
        .map(|line| edge(line, &states))
        .collect();
    let nodes: Vec<_> = layout
        .nodes
        .iter()
        .map(|place| node(id, place, &states, chosen))
        .collect();
    let (containers, leaves): (Vec<_>, Vec<_>) = nodes
        .into_iter()
        .zip(&layout.nodes)
        .partition(|(_, place)| place.container);
    let containers: Vec<_> = containers.into_iter().map(|(view, _)| view).collect();
    let leaves: Vec<_> = leaves.into_iter().map(|(view, _)| view).collect();
    // The width is where it begins; the style sheet lets it grow, not shrink.
    let fills = layout.width > NATURAL_MAX;
    let width = layout.width.ceil() * if fills { SCALE_MIN } else { 1.0 };
    view! {
        <svg
            class=if fills { "graph fills" } else { "graph" }
            viewBox=format!("0 0 {:.0} {:.0}", layout.width.ceil(), layout.height.ceil())
            width=format!("{width:.0}")
            role="group"
            aria-label="States, from start to end"
        >
            <defs>
                <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
                    <path d="M0 0.6L7.4 4L0 7.4z" class="arrow" />
                </marker>
                <marker id="arrow-taken" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
                    <path d="M0 0.6L7.4 4L0 7.4z" class="arrow-taken" />
                </marker>
            </defs>
            {containers}
            {edges}
            {leaves}
        </svg>
    }
    .into_any()
}

/// Whether the execution has gone this way, as far as the states at both ends tell.
fn taken(line: &EdgePath, states: &HashMap<&str, &StateView>) -> bool {
    let status = |name: &str| states.get(name).map(|state| state.status);
    let left = match status(&line.from) {
        // Start has been left as soon as anything happened.
        None => !states.is_empty(),
        Some(status) => match line.kind {
            EdgeKind::Catch => status == StateStatus::Caught,
            _ => status == StateStatus::Succeeded,
        },
    };
    let entered = status(&line.to).is_none_or(|status| status != StateStatus::Idle);
    left && entered
}

fn edge(line: &EdgePath, states: &HashMap<&str, &StateView>) -> AnyView {
    let taken = taken(line, states);
    let mut class = match line.kind {
        EdgeKind::Catch => "edge catch",
        _ => "edge",
    }
    .to_owned();
    if taken {
        class.push_str(" taken");
    }
    let marker = if taken {
        "url(#arrow-taken)"
    } else {
        "url(#arrow)"
    };
    let why = match (&line.label, line.kind) {
        (Some(label), EdgeKind::Catch) => format!("{} → {} on {label}", line.from, line.to),
        (Some(label), _) => format!("{} → {} if {label}", line.from, line.to),
        (None, _) => String::new(),
    };
    view! {
        <path class=class d=path(&line.points) marker-end=marker>
            {(!why.is_empty()).then(|| svg::title().child(why))}
        </path>
    }
    .into_any()
}

fn node(
    id: JobId,
    place: &NodeBox,
    states: &HashMap<&str, &StateView>,
    chosen: Option<&str>,
) -> AnyView {
    let NodeKind::State(kind) = place.kind else {
        return terminal(place);
    };
    let state = states.get(place.name.as_str()).copied();
    let status = state.map_or(StateStatus::Idle, |state| state.status);
    let tone = state_tone(status);
    let is_chosen = chosen == Some(place.name.as_str());
    let note = state.map_or_else(|| kind.as_str().to_owned(), note);
    let share = state
        .filter(|state| state.status != StateStatus::Idle)
        .and_then(|state| state.progress.as_ref())
        .and_then(percent);
    // Begins with what is seen, as WCAG 2.5.3 wants it.
    let mut label = format!(
        "{} {note}, {}",
        place.name,
        state_label(status).to_lowercase()
    );
    if let Some(share) = share {
        label.push_str(&format!(", {share} %"));
    }
    let mut class = format!("node {}", tone.class());
    if place.container {
        class.push_str(" container");
    }
    if is_chosen {
        class.push_str(" chosen");
    }
    let room = place.width - 44.0;
    let (x, y, width) = (place.x, place.y, place.width);
    // A container's bar stands in its head, a state's along its lower edge.
    let (bar_y, bar_width) = if place.container {
        (y + 50.0, (width - 28.0).min(220.0))
    } else {
        (y + place.height - 9.0, width - 28.0)
    };
    svg::a()
        .attr("href", state_href(id, &place.name, None))
        .attr("class", class)
        .attr("data-state", place.name.clone())
        .attr("data-status", state_name(status))
        .attr("aria-label", label)
        .attr("aria-current", is_chosen.then_some("true"))
        .child(view! {
            <rect
                class="box"
                x=format!("{x:.1}")
                y=format!("{y:.1}")
                width=format!("{width:.1}")
                height=format!("{:.1}", place.height)
                rx="8"
            />
            <g class="icon" transform=format!("translate({:.1} {:.1})", x + 12.0, y + 13.0)>
                <path d=tone.icon() />
            </g>
            <text class="name" x=format!("{:.1}", x + 34.0) y=format!("{:.1}", y + 26.0)>
                {fit(&place.name, room, NAME_CHARACTER)}
            </text>
            // Not seen; keeps the two lines apart for who hears them.
            " "
            <text class="note" x=format!("{:.1}", x + 34.0) y=format!("{:.1}", y + 43.0)>
                {fit(&note, room, NOTE_CHARACTER)}
            </text>
            {share.map(|share| bar(x + 14.0, bar_y, bar_width, share))}
        })
        .into_any()
}

fn bar(x: f32, y: f32, width: f32, share: u32) -> AnyView {
    view! {
        <g class="bar">
            <rect class="track" x=format!("{x:.1}") y=format!("{y:.1}") width=format!("{width:.1}") height="4" rx="2" />
            <rect
                class="fill"
                x=format!("{x:.1}")
                y=format!("{y:.1}")
                width=format!("{:.1}", width * share as f32 / 100.0)
                height="4"
                rx="2"
            />
        </g>
    }
    .into_any()
}

fn terminal(place: &NodeBox) -> AnyView {
    let text = match place.kind {
        NodeKind::Start => "Start",
        _ => "End",
    };
    view! {
        <g class="terminal">
            <rect
                x=format!("{:.1}", place.x)
                y=format!("{:.1}", place.y)
                width=format!("{:.1}", place.width)
                height=format!("{:.1}", place.height)
                rx=format!("{:.1}", place.height / 2.0)
            />
            <text
                x=format!("{:.1}", place.x + place.width / 2.0)
                y=format!("{:.1}", place.y + place.height / 2.0 + 4.0)
                text-anchor="middle"
            >
                {text}
            </text>
        </g>
    }
    .into_any()
}

/// What the graph's looks mean.
pub fn legend() -> impl IntoView {
    let entries = [
        (Tone::Idle, "Not entered"),
        (Tone::Running, "Running"),
        (Tone::Retrying, "Waiting to retry"),
        (Tone::Succeeded, "Succeeded"),
        (Tone::Caught, "Failed, caught"),
        (Tone::Failed, "Failed"),
        (Tone::Stopped, "Stopped"),
    ];
    view! {
        <ul class="legend" aria-label="Legend">
            {entries
                .map(|(tone, label)| view! { <li>{super::status::badge(tone, label)}</li> })
                .into_iter()
                .collect_view()}
            <li class="dashed">"Dashed: taken on an error"</li>
        </ul>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_addresses() {
        let id = JobId(uuid::Uuid::nil());
        assert_eq!(
            state_href(id, "Make poster/ä", Some(7)),
            "/jobs/00000000-0000-0000-0000-000000000000?state=Make%20poster%2F%C3%A4&visit=7#detail"
        );
    }

    #[test]
    fn long_names_end_in_an_ellipsis() {
        assert_eq!(fit("Inspect", 100.0, 7.0), "Inspect");
        assert_eq!(fit("InspectTheSource", 56.0, 7.0), "Inspect…");
    }

    #[test]
    fn corners_are_rounded_and_ends_are_not() {
        assert_eq!(
            path(&[(0.0, 0.0), (0.0, 40.0), (40.0, 40.0)]),
            "M0.0 0.0L0.0 32.0Q0.0 40.0 8.0 40.0L40.0 40.0"
        );
        // Two corners nearer than twice the radius share the way between them.
        assert_eq!(
            path(&[(0.0, 0.0), (0.0, 10.0), (10.0, 10.0)]),
            "M0.0 0.0L0.0 5.0Q0.0 10.0 5.0 10.0L10.0 10.0"
        );
        assert_eq!(path(&[]), "");
    }
}
