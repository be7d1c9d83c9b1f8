//! Lambda's REST API.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;

use super::Lambda;
use crate::wire::{AwsError, rest_error};

/// Whether a path is Lambda's.
pub fn owns(path: &str) -> bool {
    path.starts_with("/2015-03-31/functions")
        || path.starts_with("/2017-03-31/")
        || path.starts_with("/2019-09-")
}

/// Answers one request.
pub async fn answer(_lambda: &Lambda, request: Request) -> Response<Body> {
    rest_error(&AwsError::unknown_operation(
        "Lambda",
        request.uri().path(),
        &[],
    ))
}
