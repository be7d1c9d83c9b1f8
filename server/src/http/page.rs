//! Pages: rendered whole by `app` on the server, so that each is useful before its script arrives and
//! without it. Owns the context pages are rendered in and what browsers let them do.

use std::sync::{Arc, OnceLock};

use app::backend::{ActionFailure, PageStatus, SharedBackend, SubmitFailure, TypedCsv};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header::CONTENT_SECURITY_POLICY},
    response::{IntoResponse, Redirect, Response},
};
use leptos::{config::LeptosOptions, nonce::use_nonce, prelude::provide_context};

use super::{Edge, answer::Answer, backend::RequestBackend, request::RequestId};
use crate::{config::Config, control::Failure};

/// How pages are rendered.
#[derive(Clone)]
pub(crate) struct Pages {
    options: LeptosOptions,
    /// The addresses that `app` has pages for, so that a test can hold them against the table of routes.
    #[cfg(test)]
    pub routes: Arc<Vec<String>>,
}

impl Pages {
    pub(crate) fn new(config: &Config) -> Pages {
        let options = LeptosOptions::builder()
            .output_name("app")
            .site_root(config.site_root.display().to_string())
            .site_pkg_dir("pkg")
            .site_addr(config.listen)
            .build();
        // Also readies what Leptos spawns its tasks on.
        let listed = leptos_axum::generate_route_list({
            let options = options.clone();
            move || app::shell(options.clone())
        });
        tracing::debug!(pages = listed.len(), "pages are ready");
        Pages {
            options,
            #[cfg(test)]
            routes: Arc::new(listed.iter().map(|route| route.path().to_owned()).collect()),
        }
    }
}

/// What a page is told beside its address.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub submit: Option<SubmitFailure>,
    pub action: Option<ActionFailure>,
    pub csv: Option<TypedCsv>,
    /// Instead of the status that the page itself finds.
    pub status: Option<StatusCode>,
}

/// The list of jobs is home.
pub(super) async fn home() -> Redirect {
    Redirect::to("/jobs")
}

/// Serves a page.
pub(super) async fn page(State(edge): State<Edge>, request: Request) -> Response {
    render(&edge, request, Told::default()).await
}

/// The answer at an address that has nothing: an error for the API's callers, a page for people.
pub(super) async fn missing(State(edge): State<Edge>, request: Request) -> Response {
    if request.uri().path().starts_with("/api/") {
        let id = request_id(&request);
        let failure = Failure::not_found(
            "There is nothing at this address; /api/v1/openapi.json lists what there is.",
        );
        return Answer(failure.answer(&id)).into_response();
    }
    render(&edge, request, Told::default()).await
}

/// Renders a page in place of a form's answer: the form's page again, at `address`, with what was wrong.
pub(super) async fn render_instead(
    edge: &Edge,
    RequestId(id): RequestId,
    address: &str,
    told: Told,
) -> Response {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = address.parse().unwrap_or(Uri::from_static("/jobs"));
    request.extensions_mut().insert(RequestId(id));
    render(edge, request, told).await
}

fn request_id(request: &Request) -> String {
    let id = request.extensions().get::<RequestId>();
    id.map(|id| id.0.clone()).unwrap_or_default()
}

async fn render(edge: &Edge, request: Request, told: Told) -> Response {
    let backend: SharedBackend = Arc::new(RequestBackend {
        control: edge.control.clone(),
        request_id: request_id(&request),
    });
    let status = PageStatus::new();
    let nonce = Arc::new(OnceLock::<String>::new());
    let options = edge.pages.options.clone();
    let handler = {
        let (status, nonce, told) = (status.clone(), nonce.clone(), told.clone());
        leptos_axum::render_app_async_with_context(
            move || {
                provide_context(backend.clone());
                provide_context(status.clone());
                if let Some(failure) = told.submit.clone() {
                    provide_context(failure);
                }
                if let Some(failure) = told.action.clone() {
                    provide_context(failure);
                }
                if let Some(csv) = told.csv.clone() {
                    provide_context(csv);
                }
                if let Some(made) = use_nonce() {
                    let _ = nonce.set(made.to_string());
                }
            },
            move || app::shell(options.clone()),
        )
    };
    let mut response = handler(request).await;
    if let Some(status) = told
        .status
        .or_else(|| StatusCode::from_u16(status.get()).ok())
    {
        *response.status_mut() = status;
    }
    let policy = policy(nonce.get().map_or("", String::as_str));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What a page may load and do: everything from this server, scripts only with the page's own nonce.
/// <https://www.w3.org/TR/CSP3/>
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic' 'wasm-unsafe-eval'; \
         style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}
