//! The Lambda Runtime API, which sandboxes speak.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;

use super::Lambda;

/// Answers one request of a sandbox.
pub async fn answer(_lambda: &Lambda, _request: Request) -> Response<Body> {
    Response::new(Body::empty())
}
