//! The API's cold starts.

use axum::{
    Json,
    extract::{Query, State},
};
use model::ColdStartView;

use super::{Edge, answer::Answered, job::Words, request::RequestId};

/// Cold starts by function and image digest, and two digests side by side.
#[utoipa::path(get, path = "/api/v1/cold-starts", tag = "cold starts",
    params(
        ("base" = Option<String>, Query, description = "The digest to compare with; by default the second newest"),
        ("candidate" = Option<String>, Query, description = "The digest to compare; by default the newest"),
    ),
    responses((status = 200, body = ColdStartView)))]
pub(super) async fn cold_starts(
    State(edge): State<Edge>,
    request_id: RequestId,
    Query(mut words): Words,
) -> Answered<Json<ColdStartView>> {
    let mut word = |name: &str| words.remove(name).filter(|word| !word.is_empty());
    let (base, candidate) = (word("base"), word("candidate"));
    let view = edge.control.cold_starts(base, candidate).await;
    view.map(Json).map_err(|failure| request_id.answer(failure))
}
