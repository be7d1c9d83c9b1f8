//! The API's bulk operations and the forms of their pages: make, look at, begin, pause, cancel.

use std::{collections::HashMap, str::FromStr};

use app::backend::{ActionFailure, TypedCsv};
use axum::{
    Json,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Redirect, Response},
};
use model::{
    ApiError, Bulk, BulkId, BulkItemState, BulkJobs, BulkRerun, BulkSubmit, BulkView, BulkWhat,
    CreateBulk, RerunChoice,
};
use serde_json::Value;

use super::{
    Edge,
    answer::{Answer, Answered, job_id, status_of},
    form::{PAGE, wants_json, words},
    job::{Words, filter_of},
    page::{Told, render_instead},
    request::{Actor, RequestId},
};
use crate::control::{Failure, pipeline::FOLLOWED};

/// A CSV or a list of many thousand inputs.
const BODY_BYTES_MAX: usize = 32 << 20;

pub(super) fn bulk_id(text: &str) -> Result<BulkId, Failure> {
    BulkId::from_str(text).map_err(|_| {
        Failure::not_found(format!(
            "There is no bulk operation “{text}”: that is no such id."
        ))
    })
}

/// Makes a bulk operation: previewed, or begun at once with `start`.
#[utoipa::path(post, path = "/api/v1/bulks", tag = "bulk operations", request_body = CreateBulk,
    responses(
        (status = 202, body = Bulk, headers(("Location" = String, description = "The bulk operation's address"))),
        (status = 400, body = ApiError), (status = 404, body = ApiError, description = "No such pipeline"),
    ))]
pub(super) async fn create(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    mut request: Request,
) -> Answered<impl IntoResponse> {
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
    let Json(request) = Json::<CreateBulk>::from_request(request, &())
        .await
        .map_err(|problem| request_id.answer(Failure::invalid(problem.body_text())))?;
    let made = edge.control.create_bulk(request, actor.or("API")).await;
    let bulk = made.map_err(|failure| request_id.answer(failure))?;
    let address = format!("/api/v1/bulks/{}", bulk.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, address)], Json(bulk)))
}

/// Lists bulk operations, newest first; without previews that nobody began.
#[utoipa::path(get, path = "/api/v1/bulks", tag = "bulk operations", responses((status = 200, body = [Bulk])))]
pub(super) async fn list(
    State(edge): State<Edge>,
    request_id: RequestId,
) -> Answered<Json<Vec<Bulk>>> {
    let bulks = edge.control.bulks().await;
    bulks
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// Which items a query asks for.
pub(super) fn items_of(
    words: &HashMap<String, String>,
) -> Result<(Option<BulkItemState>, u64), Failure> {
    let word = |name: &str| words.get(name).filter(|word| !word.is_empty());
    let state = word("state")
        .map(|text| BulkItemState::from_str(text))
        .transpose()?;
    let after = match word("after") {
        Some(text) => text
            .parse()
            .map_err(|_| Failure::invalid("`after` must be an item's position, a whole number."))?,
        None => 0,
    };
    Ok((state, after))
}

/// A bulk operation with a page of its items, each with its outcome.
#[utoipa::path(get, path = "/api/v1/bulks/{id}", tag = "bulk operations",
    params(
        ("id" = String, Path),
        ("state" = Option<String>, Query, description = "Only items of this state: waiting, begun, failed, succeeded, refused or skipped"),
        ("after" = Option<u64>, Query, description = "Only items after this position: the `next` of an earlier page"),
    ),
    responses((status = 200, body = BulkView), (status = 404, body = ApiError)))]
pub(super) async fn bulk(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(id): Path<String>,
    Query(words): Words,
) -> Answered<Json<BulkView>> {
    let view = async {
        let (state, after) = items_of(&words)?;
        edge.control.bulk_view(bulk_id(&id)?, state, after).await
    };
    view.await
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// What may be done to a bulk operation.
async fn act(edge: &Edge, id: &str, action: &str) -> Result<Bulk, Failure> {
    let id = bulk_id(id)?;
    match action {
        "start" => edge.control.start_bulk(id).await,
        "pause" => edge.control.pause_bulk(id).await,
        "cancel" => edge.control.cancel_bulk(id).await,
        other => Err(Failure::not_found(format!(
            "There is no action “{other}”; there is start, pause and cancel."
        ))),
    }
}

/// Begins a preview or goes on with what is paused (`start`), begins no more for now (`pause`) or ever (`cancel`).
#[utoipa::path(post, path = "/api/v1/bulks/{id}/{action}", tag = "bulk operations",
    params(("id" = String, Path), ("action" = String, Path, description = "start, pause or cancel")),
    responses((status = 202, body = Bulk), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn action(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path((id, action)): Path<(String, String)>,
) -> Answered<impl IntoResponse> {
    act(&edge, &id, &action)
        .await
        .map(|bulk| (StatusCode::ACCEPTED, Json(bulk)))
        .map_err(|failure| request_id.answer(failure))
}

/// The same from a page's button.
pub(super) async fn action_by_form(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match act(&edge, &id, &action).await {
        Ok(bulk) => Redirect::to(&format!("/bulks/{}", bulk.id)).into_response(),
        Err(failure) => {
            let address = match bulk_id(&id) {
                Ok(id) => format!("/bulks/{id}"),
                Err(_) => "/bulks".to_owned(),
            };
            refused(&edge, request_id, &headers, &address, failure).await
        }
    }
}

/// Makes a preview of what a form asks for and goes to it.
pub(super) async fn create_by_form(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    headers: HeaderMap,
    mut request: Request,
) -> Response {
    DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
    let body = match String::from_request(request, &()).await {
        Ok(body) => body,
        Err(problem) => {
            let failure = Failure::invalid(problem.body_text());
            return refused(&edge, request_id, &headers, "/bulks", failure).await;
        }
    };
    let words = words(&body);
    let made = async {
        let request = asked(&words)?;
        edge.control.create_bulk(request, actor.or(PAGE)).await
    };
    match made.await {
        Ok(bulk) => Redirect::to(&format!("/bulks/{}", bulk.id)).into_response(),
        Err(failure) => {
            // An edit of one job is asked for on that job's page.
            if let Some(Ok(job)) = words.get("job").map(|job| job_id(job)) {
                let address = format!("/jobs/{job}");
                return refused(&edge, request_id, &headers, &address, failure).await;
            }
            // Back to the form, with the jobs it was about.
            let said = words
                .iter()
                .filter(|(name, value)| *name != "csv" && !value.is_empty());
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(said)
                .finish();
            let address = format!("/bulks/new?{query}");
            let csv = words.get("csv").filter(|csv| !csv.is_empty());
            let told = Told {
                csv: csv.cloned().map(TypedCsv),
                ..Told::default()
            };
            refused_with(&edge, request_id, &headers, &address, failure, told).await
        }
    }
}

async fn refused(
    edge: &Edge,
    request_id: RequestId,
    headers: &HeaderMap,
    address: &str,
    failure: Failure,
) -> Response {
    refused_with(edge, request_id, headers, address, failure, Told::default()).await
}

/// The same with what else the page is told.
async fn refused_with(
    edge: &Edge,
    request_id: RequestId,
    headers: &HeaderMap,
    address: &str,
    failure: Failure,
    told: Told,
) -> Response {
    let error = failure.answer(&request_id.0);
    if wants_json(headers) {
        return Answer(error).into_response();
    }
    let told = Told {
        status: Some(status_of(&error)),
        action: Some(ActionFailure(error)),
        ..told
    };
    render_instead(edge, request_id, address, told).await
}

/// The request that a form makes. What is empty counts as not said.
fn asked(words: &HashMap<String, String>) -> Result<CreateBulk, Failure> {
    let word = |name: &str| {
        words
            .get(name)
            .map(|word| word.trim())
            .filter(|word| !word.is_empty())
    };
    let json = |name: &str| -> Result<Option<Value>, Failure> {
        word(name)
            .map(|text| {
                serde_json::from_str(text)
                    .map_err(|error| Failure::invalid(format!("`{name}` is not JSON: {error}.")))
            })
            .transpose()
    };
    let number = |name: &str| -> Result<Option<u32>, Failure> {
        word(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Failure::invalid(format!("`{name}` must be a whole number.")))
            })
            .transpose()
    };
    let what = match word("kind") {
        Some("submit") => BulkWhat::Submit(BulkSubmit {
            pipeline: word("pipeline").unwrap_or(FOLLOWED).to_owned(),
            inputs: None,
            csv: word("csv").map(str::to_owned),
            prefix: word("prefix").map(str::to_owned),
            suffix: word("suffix").map(str::to_owned),
            fields: json("fields")?,
            priority: number("priority")?.map(|priority| u8::try_from(priority).unwrap_or(u8::MAX)),
        }),
        Some("rerun") => {
            let job = word("job").map(job_id).transpose()?;
            BulkWhat::Rerun(BulkRerun {
                filter: match job {
                    Some(_) => None,
                    None => Some(filter_of(words)?),
                },
                jobs: job.map(|job| vec![job]),
                mode: word("mode").map_or(Ok(RerunChoice::Auto), RerunChoice::from_str)?,
                edit: json("edit")?,
                input: json("input")?,
            })
        }
        Some("stop") => BulkWhat::Stop(BulkJobs {
            jobs: None,
            filter: Some(filter_of(words)?),
        }),
        _ => {
            return Err(Failure::invalid(
                "`kind` must say what to do: submit, rerun or stop.",
            ));
        }
    };
    Ok(CreateBulk {
        what,
        reason: word("reason").unwrap_or_default().to_owned(),
        canary: word("canary").is_some(),
        pace_per_minute: number("pace_per_minute")?,
        start: false,
    })
}
