//! The OCI distribution API.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;

use super::Registry;

/// Answers a request under `/v2/`.
pub async fn answer(_registry: &Registry, _request: Request) -> Response<Body> {
    Response::new(Body::empty())
}
