//! The head of a job's page: what it is, how it stands, why it failed and what may be done.

use leptos::prelude::*;
use model::{JobStatus, JobSummary, JobView};

use super::{copy::copy_button, graph::state_href, moment, rerun, status};
use crate::clock::Clock;

/// The page's title: in a row of tabs the status is what is read first.
pub fn page_title(job: &JobSummary) -> String {
    format!("{}: {}", job.status.label(), job.title)
}

/// What it is called and how it stands.
pub fn title(job: &JobSummary) -> AnyView {
    view! {
        <header class="title-line">
            <h1>{job.title.clone()}</h1>
            <span role="status" data-testid="job-status" data-status=job.status.as_str()>
                {status::job_badge(job.status)}
            </span>
            {rerun::stop(job.id, job.status)}
        </header>
    }
    .into_any()
}

/// Figures and ids.
pub fn facts(job: &JobSummary, execution_arn: Option<&str>, clock: Clock) -> AnyView {
    let id = job.id.to_string();
    view! {
            <dl class="facts flow">
                <div>
                    <dt>"Submitted"</dt>
                    <dd>{moment::age(job.submitted_at_ms, clock)}</dd>
                </div>
                <div>
                    <dt>{if job.status.is_final() { "Took" } else { "Running for" }}</dt>
                    <dd>
                        {match job.started_at_ms {
                            Some(started) => moment::duration(started, job.ended_at_ms, clock),
                            None => "not started yet".into_any(),
                        }}
                    </dd>
                </div>
                <div>
                    <dt>"Pipeline"</dt>
                    <dd>
                        <a href=format!("/pipelines/{}", job.pipeline)>{job.pipeline.clone()}</a>
                    </dd>
                </div>
                <div>
                    <dt>"Reruns"</dt>
                    <dd>{job.rerun_count}</dd>
                </div>
                <div>
                    <dt>"Source"</dt>
                    <dd class="break">{job.source.clone()}</dd>
                </div>
                <div>
                    <dt>"Job"</dt>
                    <dd>
                        <code>{id.clone()}</code>
                        {copy_button(id, "job id".to_owned(), clock.alive_signal())}
                    </dd>
                </div>
                {execution_arn
                    .map(|arn| {
                        view! {
                            <div>
                                <dt>"Execution"</dt>
                                <dd class="break">
                                    <code>{arn.to_owned()}</code>
                                    {copy_button(arn.to_owned(), "execution ARN".to_owned(), clock.alive_signal())}
                                </dd>
                            </div>
                        }
                    })}
            </dl>
    }
    .into_any()
}

/// Above everything: what ended a job that did not succeed, and what to do about it.
pub fn outcome_above(view: &JobView) -> AnyView {
    let job = &view.job;
    if !job.status.is_final() || job.status == JobStatus::Succeeded {
        return ().into_any();
    }
    let execution = view.execution.as_ref();
    let failed_state = execution
        .and_then(|execution| execution.failed_state.clone())
        .or_else(|| job.failed_state.clone());
    let error = execution
        .and_then(|execution| execution.error.clone())
        .or_else(|| job.error.clone());
    let cause = execution.and_then(|execution| execution.cause.clone());
    let (verdict, class) = match job.status {
        JobStatus::Aborted => ("Stopped", "panel stopped"),
        JobStatus::TimedOut => ("Timed out", "panel failure"),
        _ => ("Failed", "panel failure"),
    };
    let id = job.id;
    view! {
        <section class=class aria-labelledby="failure-title" data-testid="job-error">
            <h2 id="failure-title">
                {verdict}
                {failed_state
                    .map(|state| {
                        view! {
                            " in "
                            <a href=state_href(id, &state, None)>{state.clone()}</a>
                        }
                    })}
                {error.map(|error| view! { ": " <code>{error}</code> })}
            </h2>
            {cause.map(|cause| view! { <p class="cause">{cause}</p> })}
            {rerun::rerun(view)}
        </section>
    }
    .into_any()
}

/// Below the head of a job that has succeeded: where its artifacts are and how to run it again.
pub fn outcome_below(view: &JobView) -> AnyView {
    (view.job.status == JobStatus::Succeeded)
        .then(|| rerun::rerun(view))
        .into_any()
}
