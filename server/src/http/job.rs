//! The API's jobs: list, submit, look at, run again, stop.

use std::collections::HashMap;

use asl::Layout;
use axum::{
    Json,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::IntoResponse,
};
use model::{
    ApiError, JobFilter, JobPage, JobSummary, JobView, RerunChoice, StateDetail, SubmitJob,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Edge,
    answer::{Answered, job_id},
    request::{Actor, RequestId},
};
use crate::control::{Failure, input::Edit, job::Rerun};

/// What a query says.
pub(super) type Words = Query<HashMap<String, String>>;

/// Which jobs a query asks for.
pub(super) fn filter_of(words: &HashMap<String, String>) -> Result<JobFilter, Failure> {
    Ok(JobFilter::read(|name| words.get(name).cloned())?)
}

/// The largest body with a job's input: 8 MiB.
const BODY_BYTES_MAX: usize = 8 << 20;

/// A body that was not read, and why.
fn unread(status: StatusCode, problem: String) -> Failure {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::invalid(format!(
            "The body has more than {BODY_BYTES_MAX} bytes (8 MiB), which is the most that a job's input may have. Put the rest into S3 and name it in the input."
        )),
        _ => Failure::invalid(problem),
    }
}

/// Lists jobs, newest first, a page at a time.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs",
    params(
        ("status" = Option<String>, Query, description = "Only jobs of this status: queued, running, failed, timed_out, aborted or succeeded"),
        ("pipeline" = Option<String>, Query, description = "Only jobs of this pipeline"),
        ("text" = Option<String>, Query, description = "Only jobs in whose title or source this stands; three characters or more"),
        ("error" = Option<String>, Query, description = "Only jobs that ended with this error"),
        ("failed_state" = Option<String>, Query, description = "Only jobs that failed in this state"),
        ("since_ms" = Option<i64>, Query, description = "Only jobs submitted at this moment or later, in milliseconds since 1970"),
        ("until_ms" = Option<i64>, Query, description = "Only jobs submitted before this moment"),
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

/// Submits a job. The answer comes as soon as the job is stored; its execution starts right after. A request with an
/// idempotency key that came before answers with the first one's job.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = SubmitJob,
    responses(
        (status = 202, body = JobSummary, headers(("Location" = String, description = "The job's address"))),
        (status = 400, body = ApiError), (status = 404, body = ApiError, description = "No such pipeline"),
        (status = 409, body = ApiError, description = "The idempotency key was used for another request"),
        (status = 503, body = ApiError),
    ),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repeating the request harmless")))]
pub(super) async fn submit(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    headers: HeaderMap,
    mut body: Request,
) -> Answered<impl IntoResponse> {
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut body);
    let Json(mut request) = Json::<SubmitJob>::from_request(body, &())
        .await
        .map_err(|problem| request_id.answer(unread(problem.status(), problem.body_text())))?;
    if let Some(key) = headers.get("idempotency-key") {
        // A key that is no text is refused with the others that are not printable.
        request.idempotency_key = Some(key.to_str().unwrap_or_default().to_owned());
    }
    let job = edge
        .control
        .submit(request, actor.or("API"))
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
                    .map_err(|_| Failure::invalid("`visit` must be an event's id, a whole number."))
            })
            .transpose()?;
        edge.control.state_detail(job_id(&id)?, &name, visit).await
    };
    detail
        .await
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// How a job is to run again; all of it may be left away.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RerunRequest {
    /// `auto`, `redrive` or `restart`.
    #[serde(default)]
    mode: Option<RerunChoice>,
    /// A JSON Merge Patch (RFC 7396) of the input, for a new execution.
    #[serde(default)]
    edit: Option<Value>,
    /// Why, for the job's lineage.
    #[serde(default)]
    reason: String,
}

/// Runs a job again: as its `rerun` offer says, or as the body asks for.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/rerun", tag = "jobs", request_body = Option<RerunRequest>,
    params(("id" = String, Path), ("mode" = Option<String>, Query, description = "`restart` to start a new execution where a redrive is offered")),
    responses((status = 202, body = JobSummary), (status = 400, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn rerun(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    Path(id): Path<String>,
    Query(words): Words,
    mut body: Request,
) -> Answered<impl IntoResponse> {
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut body);
    let job = async {
        let body = String::from_request(body, &())
            .await
            .map_err(|problem| unread(problem.status(), problem.body_text()))?;
        let request: RerunRequest = match body.trim() {
            "" => RerunRequest::default(),
            text => serde_json::from_str(text).map_err(|error| {
                Failure::invalid(format!("The body is not a rerun's: {error}."))
            })?,
        };
        let rerun = Rerun {
            mode: match request.mode {
                Some(mode) => mode,
                None => mode_of(words.get("mode").map(String::as_str))?,
            },
            edit: request.edit.map(Edit::Patch),
            reason: request.reason,
        };
        edge.control
            .rerun(job_id(&id)?, rerun, actor.or("API"))
            .await
    };
    job.await
        .map(|job| (StatusCode::ACCEPTED, Json(job)))
        .map_err(|failure| request_id.answer(failure))
}

/// The way to rerun that a word names; by default as is offered.
pub(super) fn mode_of(mode: Option<&str>) -> Result<RerunChoice, Failure> {
    match mode {
        None | Some("") => Ok(RerunChoice::Auto),
        Some(word) => Ok(word.parse()?),
    }
}

/// Stops a job's execution.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/stop", tag = "jobs",
    params(("id" = String, Path), ("reason" = Option<String>, Query, description = "Why, for the job's lineage")),
    responses((status = 202, body = JobSummary), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn stop(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    Path(id): Path<String>,
    Query(words): Words,
) -> Answered<impl IntoResponse> {
    let reason = words.get("reason").map(String::as_str).unwrap_or_default();
    let job = async {
        edge.control
            .stop(job_id(&id)?, reason, actor.or("API"))
            .await
    };
    job.await
        .map(|job| (StatusCode::ACCEPTED, Json(job)))
        .map_err(|failure| request_id.answer(failure))
}
