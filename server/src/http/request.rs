//! A request's id, by which its caller and the log speak of the same thing, and the log's line about it.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderName, HeaderValue, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use uuid::Uuid;

use super::answer::Answer;
use crate::control::Failure;

/// The header that tells a caller its request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request being served.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts
            .extensions
            .get::<RequestId>()
            .cloned()
            .unwrap_or_else(|| RequestId("none".to_owned())))
    }
}

/// Gives each request an id and each answer its header. Logs the path without its query, which may hold an
/// address with a signature.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));
    // A fault in one request is that request's answer, and the log's; the connection lives on.
    let ran = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = ran.unwrap_or_else(|_| {
        let failure = Failure::Fault("a handler panicked");
        Answer(failure.answer(&id)).into_response()
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    tracing::debug!(
        request_id = id,
        %method,
        path,
        status = response.status().as_u16(),
        ms = started.elapsed().as_millis() as u64,
        "request"
    );
    response
}
