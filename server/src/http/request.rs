//! A request's id, by which its caller and the log speak of the same thing; the span that carries it to
//! whatever is logged on the request's behalf; the log's line about its answer.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::{Edge, answer::Answer, metrics};
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

/// The header by which a caller says who asks: a program its name, a proxy that signs people in theirs.
const ACTOR: HeaderName = HeaderName::from_static("gantry-actor");
/// The longest name kept, in characters.
const ACTOR_LENGTH_MAX: usize = 100;

/// Who asks, in their own words: nobody has signed in.
#[derive(Debug, Clone)]
pub(super) struct Actor(Option<String>);

impl Actor {
    /// The name given, or else the way the request came.
    pub(super) fn or<'a>(&'a self, way: &'a str) -> &'a str {
        self.0.as_deref().unwrap_or(way)
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let name = parts.headers.get(ACTOR).and_then(|name| name.to_str().ok());
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        Ok(Actor(
            name.map(|name| name.chars().take(ACTOR_LENGTH_MAX).collect()),
        ))
    }
}

/// Gives each request an id and a span, and each answer its header. Logs the path without its query, which may
/// hold an address with a signature.
pub(super) async fn identify(
    State(edge): State<Edge>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = Uuid::now_v7().to_string();
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(metrics::NO_ROUTE, MatchedPath::as_str)
        .to_owned();
    // Of the level of errors, so that it is there whatever is logged.
    let span = tracing::error_span!("request", request_id = id, %method, route);
    request.extensions_mut().insert(RequestId(id.clone()));
    // A fault in one request is that request's answer, and the log's; the connection lives on.
    let ran = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let mut response = ran.unwrap_or_else(|_| {
        let failure = Failure::Fault("a handler panicked");
        Answer(failure.answer(&id)).into_response()
    });
    let took = started.elapsed();
    let counted = edge.control.aws.metrics();
    metrics::count(counted, &method, &route, response.status(), took);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    tracing::debug!(
        parent: &span,
        path,
        status = response.status().as_u16(),
        duration_ms = took.as_millis() as u64,
        "request"
    );
    response
}
