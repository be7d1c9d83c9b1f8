//! The list of jobs, live on its first page: counts, rows and ages follow the server.

use leptos::prelude::*;
use model::{JobFilter, JobPage, JobStatus, JobSummary};

use crate::{
    clock::Clock,
    components::{moment, status},
    stream::{Link, follow, link_banner},
};

/// Tabs and table. `live` on the first page only: later pages do not change.
#[island]
pub fn JobsTable(page: JobPage, filter: JobFilter, live: bool) -> impl IntoView {
    let status = filter.status;
    let clock = Clock::new(page.as_of_ms);
    let page = RwSignal::new(page);
    let link = if live {
        let topic = match status {
            Some(status) => format!("jobs:{}", status.as_str()),
            None => "jobs".to_owned(),
        };
        follow(topic, move |view: JobPage| {
            clock.set(view.as_of_ms);
            page.set(view);
        })
    } else {
        signal(Link::Still).0
    };
    let as_of = Signal::derive(move || page.with(|page| page.as_of_ms));
    view! {
        <div class="jobs">
            {link_banner(link, as_of)}
            {
                let filter = filter.clone();
                move || page.with(|page| tabs(page, &filter))
            } {move || page.with(|page| table(page, &filter, clock))}
        </div>
    }
}

fn tabs(page: &JobPage, filter: &JobFilter) -> AnyView {
    let chosen = filter.status;
    // Counts are of all jobs: beside a narrower list they would mislead.
    let counted = filter.is_by_status();
    let tab = |status: Option<JobStatus>| {
        let (label, count) = match status {
            None => ("All", page.counts.total()),
            Some(status) => (status.label(), page.counts.of(status)),
        };
        let of_status = JobFilter {
            status,
            ..filter.clone()
        };
        let href = match of_status.query() {
            query if query.is_empty() => "/jobs".to_owned(),
            query => format!("/jobs?{query}"),
        };
        let class = match status {
            Some(status) if count > 0 => status::job_tone(status).class(),
            _ => "",
        };
        view! {
            <li>
                <a href=href aria-current=(status == chosen).then_some("page")>
                    {label}
                    {counted.then(|| view! { <span class=format!("count {class}")>{count}</span> })}
                </a>
            </li>
        }
    };
    view! {
        <nav class="tabs" aria-label="Status">
            <ul>
                {tab(None)} {JobStatus::ALL.into_iter().map(|status| tab(Some(status))).collect_view()}
            </ul>
        </nav>
    }
    .into_any()
}

fn table(page: &JobPage, filter: &JobFilter, clock: Clock) -> AnyView {
    if page.jobs.is_empty() {
        return match filter.is_by_status() {
            true => empty(page, filter.status),
            false => nothing_found(),
        };
    }
    let rows: Vec<_> = page.jobs.iter().map(|job| row(job, clock)).collect();
    view! {
        <table class="list">
            <caption class="sr">"Jobs, newest first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Status"</th>
                    <th scope="col">"Job"</th>
                    <th scope="col" class="narrow-hide">
                        "Pipeline"
                    </th>
                    <th scope="col">"Submitted"</th>
                    <th scope="col" class="number narrow-hide">
                        "Duration"
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(job: &JobSummary, clock: Clock) -> AnyView {
    let tone = status::job_tone(job.status);
    let why = job.error.clone().map(|error| {
        let place = job
            .failed_state
            .clone()
            .map(|state| format!(" in {state}"))
            .unwrap_or_default();
        let like_it = JobFilter {
            error: Some(error.clone()),
            failed_state: job.failed_state.clone(),
            ..JobFilter::default()
        };
        let href = format!("/jobs?{}", like_it.query());
        view! {
            <a class="why" href=href title="Jobs that failed like this">
                <code>{error}</code>
                {place}
            </a>
        }
    });
    let reruns = match job.rerun_count {
        0 => None,
        1 => Some("1 rerun".to_owned()),
        count => Some(format!("{count} reruns")),
    };
    view! {
        <tr class=tone.class() data-testid="job-row">
            <td>{status::job_badge(job.status)}</td>
            <th scope="row">
                <a class="row-link" href=format!("/jobs/{}", job.id)>
                    {job.title.clone()}
                </a>
                {why}
                {reruns.map(|reruns| view! { <span class="hint">{reruns}</span> })}
                {job.adopted.then(|| view! { <span class="hint">"started outside Gantry"</span> })}
                <span class="source">{job.source.clone()}</span>
            </th>
            <td class="narrow-hide">{job.pipeline.clone()}</td>
            <td class="when">{moment::age(job.submitted_at_ms, clock)}</td>
            <td class="number narrow-hide">
                {job.started_at_ms.map(|started| moment::duration(started, job.ended_at_ms, clock))}
            </td>
        </tr>
    }
    .into_any()
}

fn nothing_found() -> AnyView {
    view! {
        <div class="empty">
            <h2>"No job is like that"</h2>
            <p>
                <a href="/jobs">"Show all jobs"</a>
            </p>
        </div>
    }
    .into_any()
}

fn empty(page: &JobPage, status: Option<JobStatus>) -> AnyView {
    match (page.counts.total(), status) {
        (0, _) => view! {
            <div class="empty">
                <h2>"No jobs yet"</h2>
                <p>
                    "A job takes one video through the pipeline. Give an address or a file, and watch it move."
                </p>
                <p>
                    <a class="button primary" href="/jobs/new">
                        "Submit the first job"
                    </a>
                </p>
            </div>
        }
        .into_any(),
        (_, Some(status)) => view! {
            <div class="empty">
                <h2>{format!("No jobs are {}", status.label().to_lowercase())}</h2>
                <p>
                    <a href="/jobs">"Show all jobs"</a>
                </p>
            </div>
        }
        .into_any(),
        (_, None) => view! {
            <div class="empty">
                <h2>"No older jobs"</h2>
                <p>
                    <a href="/jobs">"Back to the newest"</a>
                </p>
            </div>
        }
        .into_any(),
    }
}
