//! Probes: whether the process lives, and whether it can do its work.

use axum::{Json, extract::State, http::StatusCode};

use super::Edge;
use crate::control::health::Readiness;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "probes", responses((status = 200)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store and AWS answer.
#[utoipa::path(get, path = "/readyz", tag = "probes",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn readyz(State(edge): State<Edge>) -> (StatusCode, Json<Readiness>) {
    let readiness = edge.control.readiness().await;
    let status = if readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}
