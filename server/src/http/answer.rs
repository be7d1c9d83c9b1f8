//! Errors on their way out, as JSON, and the reading of what a path or a query says.

use std::str::FromStr;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use model::{ApiError, JobId};

use super::request::RequestId;
use crate::control::Failure;

/// An error as an answer: its code's status, itself as JSON.
pub(super) struct Answer(pub ApiError);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (status_of(&self.0), Json(self.0)).into_response()
    }
}

/// The HTTP status of an error.
pub(super) fn status_of(error: &ApiError) -> StatusCode {
    StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What a JSON handler returns.
pub(super) type Answered<T> = Result<T, Answer>;

impl RequestId {
    /// A failure as an answer, logged under this id.
    pub(super) fn answer(&self, failure: impl Into<Failure>) -> Answer {
        Answer(failure.into().answer(&self.0))
    }
}

/// A job's id from a path; what is no id is the id of no job.
pub(super) fn job_id(text: &str) -> Result<JobId, Failure> {
    JobId::from_str(text)
        .map_err(|_| Failure::not_found(format!("There is no job “{text}”: that is no job's id.")))
}

/// The answer to a method that an address does not have (RFC 9110, section 15.5.6).
pub(super) async fn method_not_allowed(request_id: RequestId) -> Response {
    let error = Failure::invalid("This address does not take requests of this method.");
    let mut response = request_id.answer(error).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
