//! `/jobs?status=&text=&…&before=`: the list of jobs, what may be searched for, and what may be done to all of them.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use model::{ApiError, BulkKind, JobFilter, JobPage};

use super::{failed, told};
use crate::{
    backend::{ActionFailure, SharedBackend},
    islands::jobs::JobsTable,
};

/// What an address asks for.
pub(super) fn filter(query: &ParamsMap) -> Result<JobFilter, ApiError> {
    JobFilter::read(|name| query.get(name))
}

/// The address of a list.
fn href(filter: &JobFilter) -> String {
    let mut query = filter.query();
    if let Some(before) = filter.before {
        let and = if query.is_empty() { "" } else { "&" };
        query.push_str(&format!("{and}before={before}"));
    }
    match query.is_empty() {
        true => "/jobs".to_owned(),
        false => format!("/jobs?{query}"),
    }
}

/// The list.
#[component]
pub fn JobsPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let backend = expect_context::<SharedBackend>();
    let filter = filter(&query);
    let refused = use_context::<ActionFailure>();
    Suspend::new(async move {
        let filter = match filter {
            Ok(filter) => filter,
            Err(error) => return failed(&error),
        };
        match backend.jobs(filter.clone()).await {
            Ok(page) => list(page, filter, refused),
            Err(error) => failed(&error),
        }
    })
}

fn list(page: JobPage, filter: JobFilter, refused: Option<ActionFailure>) -> AnyView {
    let newest = JobFilter {
        before: None,
        ..filter.clone()
    };
    let older = page.next.map(|next| JobFilter {
        before: Some(next),
        ..filter.clone()
    });
    let first = filter.before.is_none();
    let title = match filter.status {
        Some(status) => format!("{} jobs", status.label()),
        None => "Jobs".to_owned(),
    };
    // What the server sends is page one by status alone.
    let live = first && newest.is_by_status();
    let some = !page.jobs.is_empty();
    view! {
        <Title text=title.clone() />
        <h1>{title}</h1>
        {told(refused)}
        {search(&filter)}
        {(!live || newest.status.is_some())
            .then(|| some.then(|| actions(&newest)))
            .flatten()}
        <JobsTable page filter=newest.clone() live />
        <nav class="pages" aria-label="Pages of the list">
            {(!first).then(|| view! { <a class="button" href=href(&newest)>"Newest"</a> })}
            {older.map(|older| view! { <a class="button" href=href(&older) rel="next">"Older"</a> })}
        </nav>
    }
    .into_any()
}

/// The search, with what else narrows the list beside it.
fn search(filter: &JobFilter) -> AnyView {
    let without = |change: fn(&mut JobFilter)| {
        let mut other = JobFilter {
            before: None,
            ..filter.clone()
        };
        change(&mut other);
        href(&other)
    };
    let chips = [
        (
            "Error",
            filter.error.clone(),
            without(|filter| filter.error = None),
        ),
        (
            "State",
            filter.failed_state.clone(),
            without(|filter| filter.failed_state = None),
        ),
        (
            "Pipeline",
            filter.pipeline.clone(),
            without(|filter| filter.pipeline = None),
        ),
        (
            "Submitted",
            (filter.since_ms.is_some() || filter.until_ms.is_some())
                .then(|| "in a span of time".to_owned()),
            without(|filter| {
                filter.since_ms = None;
                filter.until_ms = None;
            }),
        ),
    ];
    let hidden = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <input type="hidden" name=name value=value /> })
    };
    view! {
        <form class="search" method="get" action="/jobs" role="search">
            <label class="sr" for="search-text">
                "Title or source"
            </label>
            <input
                id="search-text"
                type="search"
                name="text"
                minlength="3"
                placeholder="Search title or source"
                value=filter.text.clone()
            />
            {hidden("status", filter.status.map(|status| status.as_str().to_owned()))}
            {hidden("error", filter.error.clone())}
            {hidden("failed_state", filter.failed_state.clone())}
            {hidden("pipeline", filter.pipeline.clone())}
            {hidden("since_ms", filter.since_ms.map(|at| at.to_string()))}
            {hidden("until_ms", filter.until_ms.map(|at| at.to_string()))}
            <button type="submit" class="button">"Search"</button>
            {filter.text.is_some().then(|| view! { <a href=without(|filter| filter.text = None)>"Clear"</a> })}
            {chips
                .into_iter()
                .filter_map(|(name, value, href)| Some((name, value?, href)))
                .map(|(name, value, href)| {
                    view! {
                        <a class="chip" href=href title="Show without this">
                            {name}": "<code>{value}</code>" ×"
                        </a>
                    }
                })
                .collect_view()}
        </form>
    }
    .into_any()
}

/// What may be done to all jobs of the filter.
fn actions(filter: &JobFilter) -> AnyView {
    let link = |kind: BulkKind| format!("/bulks/new?kind={}&{}", kind.as_str(), filter.query());
    let over = filter.status.is_some_and(model::JobStatus::is_final);
    let under_way = filter.status.is_some_and(|status| !status.is_final());
    view! {
        <p class="bulk-actions">
            "All of these: "
            {(!under_way)
                .then(|| view! { <a class="button" href=link(BulkKind::Rerun)>"Rerun…"</a> })}
            {(!over).then(|| view! { <a class="button" href=link(BulkKind::Stop)>"Stop…"</a> })}
        </p>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ErrorCode, JobStatus};

    fn read(words: &[(&'static str, &str)]) -> Result<JobFilter, ApiError> {
        let mut query = ParamsMap::new();
        for (name, value) in words {
            query.insert(*name, (*value).to_owned());
        }
        filter(&query)
    }

    #[test]
    fn an_address_is_a_filter_or_says_what_is_wrong() {
        assert_eq!(read(&[]), Ok(JobFilter::default()));
        assert_eq!(
            read(&[("status", ""), ("text", "")]),
            Ok(JobFilter::default())
        );
        assert_eq!(
            read(&[("status", "timed_out")]).map(|filter| filter.status),
            Ok(Some(JobStatus::TimedOut))
        );
        let error = read(&[("before", "x")]).expect_err("x is no id");
        assert_eq!(error.code, ErrorCode::Invalid);
        assert!(error.message.contains("“x”"));
    }

    #[test]
    fn a_filter_is_an_address_and_back() {
        let words = [
            ("status", "failed"),
            ("text", "a & b"),
            ("error", "Source.NotMedia"),
            ("since_ms", "5"),
        ];
        let filter = read(&words).expect("a filter");
        assert_eq!(
            href(&filter),
            "/jobs?status=failed&text=a%20%26%20b&error=Source.NotMedia&since_ms=5"
        );
    }
}
