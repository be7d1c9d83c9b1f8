//! `/bulks`: bulk operations, newest first.

use leptos::prelude::*;
use leptos_meta::Title;
use model::{Bulk, BulkItemState};

use super::{bulk::outcome::badge, failed, told};
use crate::{
    backend::{ActionFailure, SharedBackend},
    components::moment::moment,
};

/// The list.
#[component]
pub fn BulksPage() -> impl IntoView {
    let backend = expect_context::<SharedBackend>();
    let refused = use_context::<ActionFailure>();
    Suspend::new(async move {
        match backend.bulks().await {
            Ok(bulks) => list(bulks, refused),
            Err(error) => failed(&error),
        }
    })
}

fn list(bulks: Vec<Bulk>, refused: Option<ActionFailure>) -> AnyView {
    let begin = view! {
        <p class="bulk-actions">
            <a class="button primary" href="/bulks/new?kind=submit">
                "Submit many jobs…"
            </a>
            <a class="button" href="/bulks/new?kind=rerun&status=failed">
                "Rerun failed jobs…"
            </a>
            <a class="button" href="/bulks/new?kind=stop&status=running">
                "Stop running jobs…"
            </a>
        </p>
    };
    let body = match bulks.is_empty() {
        true => view! {
            <div class="empty">
                <h2>"No bulk operations yet"</h2>
                <p>
                    "Submit, rerun or stop many jobs at once: each begins with a preview of what it would do, and ends with an outcome for every job."
                </p>
            </div>
        }
        .into_any(),
        false => table(bulks),
    };
    view! {
        <Title text="Bulk operations" />
        <h1>"Bulk operations"</h1>
        {told(refused)}
        {begin}
        <div class="jobs bulks">{body}</div>
    }
    .into_any()
}

fn table(bulks: Vec<Bulk>) -> AnyView {
    let rows = bulks.into_iter().map(|bulk| {
        let counts = bulk.counts;
        view! {
            <tr>
                <td>{badge(&bulk)}</td>
                <th scope="row">
                    <a class="row-link" href=format!("/bulks/{}", bulk.id)>
                        {bulk.title.clone()}
                    </a>
                    {bulk.note.clone().map(|note| view! { <span class="why">{note}</span> })}
                </th>
                <td class="number">{format!("{} of {}", counts.settled(), counts.eligible())}</td>
                <td class="number narrow-hide">{counts.of(BulkItemState::Failed)}</td>
                <td class="when narrow-hide">{moment(bulk.created_at_ms)}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    view! {
        <table class="list">
            <caption class="sr">"Bulk operations, newest first"</caption>
            <thead>
                <tr>
                    <th scope="col">"State"</th>
                    <th scope="col">"What"</th>
                    <th scope="col" class="number">
                        "Over"
                    </th>
                    <th scope="col" class="number narrow-hide">
                        "Failed"
                    </th>
                    <th scope="col" class="narrow-hide">
                        "Made"
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
