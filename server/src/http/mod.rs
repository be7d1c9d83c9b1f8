//! The HTTP edge: routes, extractors, errors, security. Thin: a handler reads the request, asks
//! [`crate::control`] and writes the answer. Every route is declared in [`route::TABLE`], nowhere else.

use axum::{Router, middleware};

use crate::control::Control;

mod answer;
mod artifact;
mod backend;
mod bulk;
mod cold_start;
mod form;
mod guard;
mod health;
mod image;
mod job;
mod live;
mod metrics;
mod openapi;
mod page;
mod pipeline;
mod request;
pub mod route;
mod serve;
mod site;

pub use guard::Hosts;
pub use serve::serve;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Edge {
    pub control: Control,
    pub hosts: Hosts,
    pub(crate) pages: page::Pages,
}

impl Edge {
    /// The edge of a server that is bound to `port`.
    pub fn new(control: Control, port: u16) -> Edge {
        Edge {
            hosts: Hosts::new(port, &control.config.hosts),
            pages: page::Pages::new(&control.config),
            control,
        }
    }
}

/// Every route of the table behind every guard.
pub fn router(edge: Edge) -> Router {
    let mut router = Router::new();
    for route in route::table() {
        router = router.route(route.path, (route.handler)());
    }
    // The last layer is the outermost: a request has its id before anything can refuse it.
    router
        .fallback(page::missing)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(middleware::from_fn_with_state(edge.clone(), guard::refuse))
        .layer(middleware::from_fn(guard::headers))
        .layer(middleware::from_fn_with_state(
            edge.clone(),
            request::identify,
        ))
        .with_state(edge)
}

#[cfg(test)]
mod tests;
