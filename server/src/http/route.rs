//! The table of routes: every address the server answers, with who may call it. The router is built from
//! it and from nothing else, and tests walk it, so that no route can be without its guards.

use axum::{
    http::Method,
    routing::{MethodRouter, get, post},
};

use super::{
    Edge, artifact, bulk, cold_start, form, health, image, job, live, metrics, openapi, page,
    pipeline, site,
};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whatever reaches the port and names this server as its host: probes.
    Anyone,
    /// The operator. Until there is a sign-in that is whoever reaches the loopback port with a browser of
    /// this machine, from Gantry's own pages.
    Operator,
}

/// One route.
pub struct Route {
    pub method: Method,
    /// In axum's syntax.
    pub path: &'static str,
    pub access: Access,
    pub handler: fn() -> MethodRouter<Edge>,
}

impl Route {
    /// Whether calling it changes something: such a call must come from Gantry's own pages.
    pub fn changes(&self) -> bool {
        !self.method.is_safe()
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $handler:expr;)*) => {
        vec![$(Route {
            method: Method::$method,
            path: $path,
            access: Access::$access,
            handler: || routes!(@on $method $handler),
        }),*]
    };
    (@on GET $handler:expr) => { get($handler) };
    (@on POST $handler:expr) => { post($handler) };
}

/// Every route there is.
pub fn table() -> Vec<Route> {
    routes! {
        // Pages
        GET "/" Operator page::home;
        GET "/jobs" Operator page::page;
        GET "/jobs/new" Operator page::page;
        GET "/jobs/{id}" Operator page::page;
        GET "/bulks" Operator page::page;
        GET "/bulks/new" Operator page::page;
        GET "/bulks/{id}" Operator page::page;
        GET "/images" Operator page::page;
        GET "/pipelines/{name}" Operator page::page;
        GET "/cold-starts" Operator page::page;
        GET "/health" Operator page::page;
        // Forms
        POST "/jobs" Operator form::submit;
        POST "/jobs/{id}/rerun" Operator form::rerun;
        POST "/jobs/{id}/stop" Operator form::stop;
        POST "/pipelines/{name}" Operator pipeline::set_by_form;
        POST "/bulks" Operator bulk::create_by_form;
        POST "/bulks/{id}/{action}" Operator bulk::action_by_form;
        // Files
        GET "/jobs/{id}/artifacts/{*name}" Operator artifact::artifact;
        GET "/pkg/{*file}" Operator site::file;
        GET "/style.css" Operator site::file;
        GET "/favicon.svg" Operator site::file;
        // The API
        GET "/api/v1/jobs" Operator job::list;
        POST "/api/v1/jobs" Operator job::submit;
        GET "/api/v1/jobs/{id}" Operator job::job;
        GET "/api/v1/jobs/{id}/graph" Operator job::graph;
        GET "/api/v1/jobs/{id}/states/{name}" Operator job::state;
        POST "/api/v1/jobs/{id}/rerun" Operator job::rerun;
        POST "/api/v1/jobs/{id}/stop" Operator job::stop;
        GET "/api/v1/bulks" Operator bulk::list;
        POST "/api/v1/bulks" Operator bulk::create;
        GET "/api/v1/bulks/{id}" Operator bulk::bulk;
        POST "/api/v1/bulks/{id}/{action}" Operator bulk::action;
        GET "/api/v1/live" Operator live::follow;
        GET "/api/v1/pipelines/{name}/settings" Operator pipeline::settings;
        POST "/api/v1/pipelines/{name}/settings" Operator pipeline::set;
        GET "/api/v1/images" Operator image::images;
        GET "/api/v1/cold-starts" Operator cold_start::cold_starts;
        GET "/api/v1/health" Operator health::health;
        GET "/api/v1/openapi.json" Operator openapi::document;
        // Probes
        GET "/healthz" Anyone health::healthz;
        GET "/readyz" Anyone health::readyz;
        GET "/metrics" Anyone metrics::metrics;
    }
}
