//! A job's lineage: what was asked of it, by whom and why, and what came of each.

use leptos::prelude::*;
use model::LineageEvent;

use super::{
    change::changes,
    digest::{image_href, short_digest},
    moment::moment,
};

/// The whole of it, oldest first.
pub fn lineage(events: &[LineageEvent]) -> AnyView {
    if events.is_empty() {
        return ().into_any();
    }
    let rows = events.iter().map(event).collect_view();
    view! {
        <section class="lineage" aria-labelledby="lineage-title">
            <h2 id="lineage-title">"Lineage"</h2>
            <ol>{rows}</ol>
        </section>
    }
    .into_any()
}

fn event(event: &LineageEvent) -> AnyView {
    let outcome = match (&event.status, &event.error) {
        (Some(status), Some(error)) => format!("{} with {error}", status.to_lowercase()),
        (Some(status), None) => status.to_lowercase().replace('_', " "),
        (None, _) => "not started yet".to_owned(),
    };
    let digests = event
        .digests
        .iter()
        .map(|digest| {
            view! {
                <a href=image_href(digest) title=digest.clone()>
                    <code>{format!("sha256:{}…", short_digest(digest))}</code>
                </a>
            }
        })
        .collect_view();
    view! {
        <li>
            <strong>{event.kind.label()}</strong>
            {(!event.actor.is_empty()).then(|| format!(" by {}", event.actor))}
            ", "
            {moment(event.at_ms)}
            ": "
            {outcome}
            {(!event.reason.is_empty()).then(|| view! { <q>{event.reason.clone()}</q> })}
            {event
                .bulk
                .map(|bulk| view! { <a href=format!("/bulks/{bulk}")>"bulk operation"</a> })}
            {event
                .execution_arn
                .as_deref()
                .and_then(|arn| arn.rsplit(':').next())
                .map(|name| view! { <code class="hint">{name.to_owned()}</code> })}
            {digests}
            {changes(&event.changes)}
        </li>
    }
    .into_any()
}
