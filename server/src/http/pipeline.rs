//! What holds for a pipeline: read and set by programs, and by the form of the pipeline's page.

use app::backend::ActionFailure;
use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use model::{ApiError, ErrorCode, FieldError, PipelineSettings};

use super::{
    Edge,
    answer::{Answer, Answered, status_of},
    form::{wants_json, words},
    page::{Told, render_instead},
    request::RequestId,
};
use crate::control::Failure;

/// What holds for a pipeline.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/settings", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PipelineSettings), (status = 404, body = ApiError, description = "No such pipeline")))]
pub(super) async fn settings(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(name): Path<String>,
) -> Answered<Json<PipelineSettings>> {
    let settings = edge.control.pipeline_settings(&name).await;
    settings
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// Sets all that holds for a pipeline: what the body leaves away is not limited any more.
#[utoipa::path(post, path = "/api/v1/pipelines/{name}/settings", tag = "pipelines", params(("name" = String, Path)),
    request_body = PipelineSettings,
    responses((status = 200, body = PipelineSettings), (status = 400, body = ApiError),
        (status = 404, body = ApiError, description = "No such pipeline")))]
pub(super) async fn set(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(name): Path<String>,
    body: Result<Json<PipelineSettings>, JsonRejection>,
) -> Answered<Json<PipelineSettings>> {
    let Json(settings) =
        body.map_err(|problem| request_id.answer(Failure::invalid(problem.body_text())))?;
    let settings = edge.control.set_pipeline_settings(&name, settings).await;
    settings
        .map(Json)
        .map_err(|failure| request_id.answer(failure))
}

/// The same by the form of the pipeline's page, which is shown again.
pub(super) async fn set_by_form(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let result = async {
        let settings = typed(&body)?;
        edge.control.set_pipeline_settings(&name, settings).await
    };
    let page = format!("/pipelines/{}", model::percent_encoded(&name));
    let error = match result.await {
        Ok(_) => return Redirect::to(&page).into_response(),
        Err(failure) => failure.answer(&request_id.0),
    };
    if wants_json(&headers) {
        return Answer(error).into_response();
    }
    let told = Told {
        status: Some(status_of(&error)),
        action: Some(ActionFailure(error)),
        ..Told::default()
    };
    render_instead(&edge, request_id, &page, told).await
}

/// What was typed: nothing is no limit.
fn typed(body: &str) -> Result<PipelineSettings, Failure> {
    let words = words(body);
    let number = |name: &str| -> Result<Option<u32>, Failure> {
        let text = words.get(name).map_or("", |text| text.trim());
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            let message = format!("Must be a whole number, not “{text}”.");
            Failure::Refused(ApiError {
                fields: vec![FieldError {
                    pointer: format!("/{name}"),
                    message,
                }],
                ..ApiError::new(
                    ErrorCode::Invalid,
                    "The settings are not valid; see each field.",
                )
            })
        })
    };
    Ok(PipelineSettings {
        concurrency_max: number("concurrency_max")?,
        retain_days: number("retain_days")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_is_no_limit_and_words_are_refused() {
        let settings = typed("concurrency_max=+7&retain_days=").unwrap();
        assert_eq!(
            (settings.concurrency_max, settings.retain_days),
            (Some(7), None)
        );
        let Err(Failure::Refused(error)) = typed("retain_days=soon") else {
            panic!("it was taken")
        };
        assert_eq!(error.fields[0].pointer, "/retain_days");
    }
}
