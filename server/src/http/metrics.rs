//! Metrics: the page that Prometheus reads, and the counting of requests. Routes are counted by the table's
//! path and methods by their standard names, so that nobody can make up labels.

use std::time::Duration;

use super::{Edge, answer::Answered, request::RequestId};
use crate::metrics::{self, Metrics};
use axum::{
    extract::State,
    http::{Method, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};

/// The route of what no route matches.
pub(super) const NO_ROUTE: &str = "none";

/// Every metric in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "probes",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn metrics(
    State(edge): State<Edge>,
    request_id: RequestId,
) -> Answered<impl IntoResponse> {
    let text = edge.control.metrics_text().await;
    text.map(|text| ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
        .map_err(|failure| request_id.answer(failure))
}

/// Counts an answered request.
pub(super) fn count(
    metrics: &Metrics,
    method: &Method,
    route: &str,
    status: StatusCode,
    took: Duration,
) {
    let method = match *method {
        Method::GET
        | Method::POST
        | Method::HEAD
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    };
    metrics.request(method, route, status.as_str(), took);
}
