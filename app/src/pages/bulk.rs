//! `/bulks/{id}?state=&after=`: one bulk operation: its preview, its progress, the outcome of each item.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use model::{ApiError, BulkItemState, BulkReason, BulkState, BulkView, ErrorCode};

use super::{failed, told};
use crate::{
    backend::{ActionFailure, SharedBackend},
    components::moment::moment,
    islands::refresh::Refresh,
};

pub(super) mod outcome;

/// What follows the server.
const PANEL_ID: &str = "bulk";

use outcome::{badge, bar, buttons, item_tone, items, verdict};

/// The bulk operation.
#[component]
pub fn BulkPage() -> impl IntoView {
    let id = use_params_map()
        .get_untracked()
        .get("id")
        .unwrap_or_default();
    let query = use_query_map().get_untracked();
    let backend = expect_context::<SharedBackend>();
    let refused = use_context::<ActionFailure>();
    let word = |name: &str| query.get(name).filter(|word| !word.is_empty());
    let state = word("state").map(|text| text.parse::<BulkItemState>());
    let after = word("after").map_or(Ok(0), |text| {
        text.parse::<u64>()
            .map_err(|_| ApiError::new(ErrorCode::Invalid, "`after` must be an item's position."))
    });
    Suspend::new(async move {
        let asked = state.transpose().and_then(|state| Ok((state, after?)));
        let (state, after) = match asked {
            Ok(asked) => asked,
            Err(error) => return failed(&error),
        };
        match backend.bulk(id, state, after).await {
            Ok(view) => page(view, state, after, refused),
            Err(error) => failed(&error),
        }
    })
}

fn page(
    view: BulkView,
    state: Option<BulkItemState>,
    after: u64,
    refused: Option<ActionFailure>,
) -> AnyView {
    let bulk = &view.bulk;
    let moves = bulk.state == BulkState::Running || bulk.counts.begun > 0;
    let href = |state: Option<BulkItemState>, after: u64| {
        let state = state.map_or("", BulkItemState::as_str);
        format!("/bulks/{}?state={state}&after={after}", bulk.id)
    };
    let tab = |of: Option<BulkItemState>| {
        let (label, count, class) = match of {
            None => ("All", bulk.counts.total(), ""),
            Some(of) => (of.label(), bulk.counts.of(of), item_tone(of).class()),
        };
        (count > 0 || of.is_none()).then(|| {
            view! {
                <li>
                    <a href=href(of, 0) aria-current=(of == state).then_some("page")>
                        {label}
                        <span class=format!("count {class}")>{count}</span>
                    </a>
                </li>
            }
        })
    };
    let tabs = std::iter::once(None)
        .chain(BulkItemState::ALL.iter().copied().map(Some))
        .map(tab)
        .collect_view();
    let pace = match (bulk.pace_per_minute, bulk.canary) {
        (Some(pace), true) => format!("1, then 10, then the rest, at most {pace} a minute"),
        (Some(pace), false) => format!("at most {pace} a minute"),
        (None, true) => "1, then 10, then the rest, as fast as AWS allows".to_owned(),
        (None, false) => "as fast as AWS allows".to_owned(),
    };
    view! {
        <Title text=format!("{}: {}", bulk.state.label(), bulk.title) />
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/bulks">"Bulk operations"</a>
        </nav>
        {told(refused)}
        <div id=PANEL_ID class="bulk">
        <header class="title-line">
            <h1>{bulk.title.clone()}</h1>
            <span role="status" data-testid="bulk-state" data-state=bulk.state.as_str()>
                {badge(bulk)}
            </span>
        </header>
        <section class=if bulk.state == BulkState::Paused { "panel stopped" } else { "panel" }>
            {bulk.note.clone().map(|note| view! { <h2>{note}</h2> })}
            <p>{verdict(bulk)}</p>
            {bar(bulk)}
            {buttons(bulk)}
            {moves
                .then(|| {
                    view! {
                        <p class="hint">
                            "Followed every few seconds. "
                            <a href=href(state, after)>"Look again"</a>
                        </p>
                    }
                })}
        </section>
        <dl class="facts flow">
            <div>
                <dt>"Made"</dt>
                <dd>{moment(bulk.created_at_ms)}</dd>
            </div>
            <div>
                <dt>"Pace"</dt>
                <dd>{pace}</dd>
            </div>
            {(!bulk.reason.is_empty())
                .then(|| {
                    view! {
                        <div>
                            <dt>"Why"</dt>
                            <dd>{bulk.reason.clone()}</dd>
                        </div>
                    }
                })}
        </dl>
        {reasons("Not eligible, because", &view.refusals)}
        {reasons("Failed with", &view.failures)}
        <div class="jobs bulk-items">
            <nav class="tabs" aria-label="Items by state">
                <ul>{tabs}</ul>
            </nav>
            {items(&view)}
        </div>
        </div>
        {moves.then(|| view! { <Refresh id=PANEL_ID.to_owned() address=href(state, after) /> })}
        <nav class="pages" aria-label="Pages of the list">
            {(after > 0).then(|| view! { <a class="button" href=href(state, 0)>"First"</a> })}
            {view
                .next
                .map(|next| view! { <a class="button" href=href(state, next) rel="next">"Next"</a> })}
        </nav>
    }
    .into_any()
}

fn reasons(title: &'static str, reasons: &[BulkReason]) -> AnyView {
    if reasons.is_empty() {
        return ().into_any();
    }
    let rows = reasons
        .iter()
        .map(|reason| {
            view! {
                <li>
                    <span class="count">{reason.count}</span>
                    " "
                    {reason.reason.clone()}
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="reasons">
            <h2>{title}</h2>
            <ul>{rows}</ul>
        </section>
    }
    .into_any()
}
