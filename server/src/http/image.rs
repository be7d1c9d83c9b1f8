//! The API's images.

use axum::{Json, extract::State};
use model::{ApiError, ImageView};

use super::{Edge, answer::Answered, request::RequestId};

/// Lists the repository's images, newest first, with the function versions that run each.
#[utoipa::path(get, path = "/api/v1/images", tag = "images",
    responses((status = 200, body = ImageView), (status = 503, body = ApiError)))]
pub(super) async fn images(
    State(edge): State<Edge>,
    request_id: RequestId,
) -> Answered<Json<ImageView>> {
    let view = edge.control.images().await;
    view.map(Json).map_err(|failure| request_id.answer(failure))
}
