//! The API's description in OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.0>), made from the handlers.

use axum::Json;
use utoipa::OpenApi;

/// Every route of the API and the probes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gantry",
        description = "Submit jobs, watch their executions, run them again, and see which image runs where and how fast it starts."
    ),
    paths(
        super::job::list,
        super::job::submit,
        super::job::job,
        super::job::graph,
        super::job::state,
        super::job::rerun,
        super::job::stop,
        super::bulk::create,
        super::bulk::list,
        super::bulk::bulk,
        super::bulk::action,
        super::live::follow,
        super::pipeline::settings,
        super::pipeline::set,
        super::image::images,
        super::cold_start::cold_starts,
        super::health::health,
        super::health::healthz,
        super::health::readyz,
        super::metrics::metrics,
        document,
    )
)]
pub(super) struct Api;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "probes", responses((status = 200, body = Object)))]
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Api::openapi())
}
