//! Probes, and the Health page's view for programs.

use axum::{Json, extract::State, http::StatusCode};
use model::HealthView;

use super::Edge;
use crate::control::health::Readiness;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "probes", responses((status = 200)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store answers. AWS is not asked: without it Gantry still shows what it knows and accepts jobs; see
/// `/api/v1/health`.
#[utoipa::path(get, path = "/readyz", tag = "probes",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn readyz(State(edge): State<Edge>) -> (StatusCode, Json<Readiness>) {
    let readiness = edge.control.readiness().await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

/// Whether AWS answers, how much may be called, what waits.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", responses((status = 200, body = HealthView)))]
pub(super) async fn health(State(edge): State<Edge>) -> Json<HealthView> {
    Json(edge.control.health().await)
}
