//! The API's jobs: list, submit, look at, run again, stop.

use std::{collections::HashMap, str::FromStr};

use asl::Layout;
use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
};
use model::{ApiError, JobFilter, JobPage, JobStatus, JobSummary, JobView, StateDetail, SubmitJob};

use super::{
    Edge,
    answer::{Answered, invalid, job_id},
    request::RequestId,
};
use crate::control::Failure;

/// What a query says.
pub(super) type Words = Query<HashMap<String, String>>;

/// Which jobs a query asks for; what is empty counts as not said, as forms send it.
pub(super) fn filter_of(words: &HashMap<String, String>) -> Result<JobFilter, Failure> {
    let word = |name: &str| words.get(name).filter(|word| !word.is_empty());
    Ok(JobFilter {
        status: word("status")
            .map(|text| JobStatus::from_str(text))
            .transpose()?,
        before: word("before")
            .map(|text| {
                text.parse()
                    .map_err(|_| invalid(format!("`before` must be a job's id, not “{text}”.")))
            })
            .transpose()?,
    })
}

/// Lists jobs, newest first, a page at a time.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs",
    params(
        ("status" = Option<String>, Query, description = "Only jobs of this status: queued, running, failed, timed_out, aborted or succeeded"),
        ("before" = Option<String>, Query, description = "Only jobs older than this one: the `next` of an earlier page"),
    ),
    responses((status = 200, body = JobPage), (status = 400, body = ApiError)))]
pub(super) async fn list(
    State(edge): State<Edge>,
    request_id: RequestId,
    Query(words): Words,
) -> Answered<Json<JobPage>> {
    let filter = filter_of(&words).map_err(|failure| request_id.answer(failure))?;
    let page = edge.control.jobs(filter).await;
    page.map(Json).map_err(|failure| request_id.answer(failure))
}

/// Submits a job. The answer comes as soon as the job is stored; its execution starts right after.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = SubmitJob,
    responses(
        (status = 202, body = JobSummary, headers(("Location" = String, description = "The job's address"))),
        (status = 400, body = ApiError), (status = 404, body = ApiError, description = "No such pipeline"),
        (status = 503, body = ApiError),
    ))]
pub(super) async fn submit(
    State(edge): State<Edge>,
    request_id: RequestId,
    body: Result<Json<SubmitJob>, JsonRejection>,
) -> Answered<impl IntoResponse> {
    let Json(request) = body.map_err(|problem| request_id.answer(invalid(problem.body_text())))?;
    let job = edge
        .control
        .submit(request)
        .await
        .map_err(|failure| request_id.answer(failure))?;
    let address = format!("/api/v1/jobs/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, address)], Json(job)))
}

/// A job with its newest execution, every state of it, and what it made.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = ApiError)))]
pub(super) async fn job(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(id): Path<String>,
) -> Answered<Json<JobView>> {
    let view = async { edge.control.job(job_id(&id)?).await };
    view.await
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// The drawing of the state machine that the job's execution runs: boxes and lines in CSS pixels.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/graph", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = ApiError)))]
pub(super) async fn graph(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(id): Path<String>,
) -> Answered<Json<Layout>> {
    let layout = async { edge.control.job_layout(job_id(&id)?).await };
    layout
        .await
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// One state with its visits, and input, output, error and attempts of the chosen one.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/states/{name}", tag = "jobs",
    params(
        ("id" = String, Path), ("name" = String, Path),
        ("visit" = Option<i64>, Query, description = "`entered_event_id` of the visit; by default the newest failed, else the newest"),
    ),
    responses((status = 200, body = StateDetail), (status = 404, body = ApiError)))]
pub(super) async fn state(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path((id, name)): Path<(String, String)>,
    Query(words): Words,
) -> Answered<Json<StateDetail>> {
    let detail = async {
        let visit = words
            .get("visit")
            .filter(|word| !word.is_empty())
            .map(|word| {
                word.parse()
                    .map_err(|_| invalid("`visit` must be an event's id, a whole number."))
            })
            .transpose()?;
        edge.control.state_detail(job_id(&id)?, &name, visit).await
    };
    detail
        .await
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// Runs a job again as its `rerun` offer says; with `mode=restart` from its beginning.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/rerun", tag = "jobs",
    params(("id" = String, Path), ("mode" = Option<String>, Query, description = "`restart` to start a new execution where a redrive is offered")),
    responses((status = 202, body = JobSummary), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn rerun(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(id): Path<String>,
    Query(words): Words,
) -> Answered<impl IntoResponse> {
    let job = async {
        let restart = is_restart(words.get("mode").map(String::as_str))?;
        edge.control.rerun(job_id(&id)?, restart).await
    };
    job.await
        .map(|job| (StatusCode::ACCEPTED, Json(job)))
        .map_err(|failure| request_id.answer(failure))
}

/// Whether a rerun's mode asks for a new execution.
pub(super) fn is_restart(mode: Option<&str>) -> Result<bool, Failure> {
    match mode {
        None | Some("") => Ok(false),
        Some("restart") => Ok(true),
        Some(other) => Err(invalid(format!(
            "`mode` may be “restart” or left away, not “{other}”."
        ))),
    }
}

/// Stops a job's execution.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/stop", tag = "jobs", params(("id" = String, Path)),
    responses((status = 202, body = JobSummary), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn stop(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(id): Path<String>,
) -> Answered<impl IntoResponse> {
    let job = async { edge.control.stop(job_id(&id)?).await };
    job.await
        .map(|job| (StatusCode::ACCEPTED, Json(job)))
        .map_err(|failure| request_id.answer(failure))
}
