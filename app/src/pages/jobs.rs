//! `/jobs?status=&before=`: the list of jobs.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{ApiError, ErrorCode, JobFilter, JobPage, JobStatus};

use super::failed;
use crate::{backend::SharedBackend, islands::jobs::JobsTable};

/// What the address asks for.
fn filter(status: Option<String>, before: Option<String>) -> Result<JobFilter, ApiError> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(JobFilter {
        status: given(status).map(|text| text.parse()).transpose()?,
        before: given(before)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::new(
                        ErrorCode::Invalid,
                        format!("“{text}” is no job's id. Start again from the newest jobs."),
                    )
                })
            })
            .transpose()?,
    })
}

/// The address of the page after this one.
fn older_href(page: &JobPage, status: Option<JobStatus>) -> Option<String> {
    let next = page.next?;
    Some(match status {
        Some(status) => format!("/jobs?status={}&before={next}", status.as_str()),
        None => format!("/jobs?before={next}"),
    })
}

/// The list.
#[component]
pub fn JobsPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let backend = expect_context::<SharedBackend>();
    let filter = filter(query.get("status"), query.get("before"));
    Suspend::new(async move {
        let filter = match filter {
            Ok(filter) => filter,
            Err(error) => return failed(&error),
        };
        match backend.jobs(filter.clone()).await {
            Ok(page) => list(page, filter),
            Err(error) => failed(&error),
        }
    })
}

fn list(page: JobPage, filter: JobFilter) -> AnyView {
    let older = older_href(&page, filter.status);
    let first = filter.before.is_none();
    let newest = match filter.status {
        Some(status) => format!("/jobs?status={}", status.as_str()),
        None => "/jobs".to_owned(),
    };
    let title = match filter.status {
        Some(status) => format!("{} jobs", status.label()),
        None => "Jobs".to_owned(),
    };
    view! {
        <Title text=title.clone() />
        <h1>{title}</h1>
        <JobsTable page status=filter.status live=first />
        <nav class="pages" aria-label="Pages of the list">
            {(!first).then(|| view! { <a class="button" href=newest>"Newest"</a> })}
            {older.map(|href| view! { <a class="button" href=href rel="next">"Older"</a> })}
        </nav>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_filter_or_says_what_is_wrong() {
        assert_eq!(filter(None, None), Ok(JobFilter::default()));
        assert_eq!(filter(Some(String::new()), None), Ok(JobFilter::default()));
        assert_eq!(
            filter(Some("timed_out".to_owned()), None).map(|filter| filter.status),
            Ok(Some(JobStatus::TimedOut))
        );
        let error = filter(None, Some("x".to_owned())).expect_err("x is no id");
        assert_eq!(error.code, ErrorCode::Invalid);
        assert!(error.message.contains("“x”"));
    }
}
