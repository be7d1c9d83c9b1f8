//! The built site's static files: the browser half, its script and the style sheet, packed where the
//! browser takes Brotli. Their names do not change with their content, so a browser asks by ETag each time.

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
    },
    response::{IntoResponse, Response},
};
use tower::ServiceExt;
use tower_http::services::ServeDir;

use super::{Edge, page};

/// Serves a file of the site.
pub(super) async fn file(State(edge): State<Edge>, request: Request) -> Response {
    let files = ServeDir::new(&edge.control.config.site_root)
        .append_index_html_on_directories(false)
        .precompressed_br();
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), axum::body::Body::empty());
    let response = files.oneshot(Request::from_parts(parts, body)).await;
    let Ok(response) = response;
    if response.status().as_u16() == 404 {
        return page::missing(State(edge), again).await;
    }
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'"),
    );
    response
}
