//! Every page with made-up jobs in every state, for looking at: `cargo run -p app --features ssr --example preview`.
//! Takes the port and the folder of built static files: `preview 8099 target/site`. Keeps nothing, changes nothing.
//! Query `?as=empty` on a page shows it without data, `?as=away` with AWS gone.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use app::backend::{PageStatus, SharedBackend, SubmitFailure};
use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use leptos::prelude::{LeptosOptions, provide_context};
use model::{ApiError, ErrorCode, FieldError, JobFilter};
use tower_http::services::ServeDir;

use backend::{Preview, Shown};

#[path = "preview/backend.rs"]
mod backend;
#[path = "preview/bulks.rs"]
mod bulks;
#[path = "preview/deploy.rs"]
mod deploy;
#[path = "preview/health.rs"]
mod health;
#[path = "preview/jobs.rs"]
mod jobs;
#[path = "preview/states.rs"]
mod states;

async fn page(request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let shown = match () {
        () if query.contains("as=empty") => Shown::Empty,
        () if query.contains("as=away") => Shown::Away,
        () if query.contains("as=stale") => Shown::Stale,
        () => Shown::Full,
    };
    render(request, shown, None).await
}

async fn render(request: Request, shown: Shown, refused: Option<SubmitFailure>) -> Response {
    let options = LeptosOptions::builder().output_name("app").build();
    let status = PageStatus::new();
    let read = status.clone();
    let handler = leptos_axum::render_app_async_with_context(
        move || {
            provide_context::<SharedBackend>(Arc::new(Preview(shown)));
            provide_context(status.clone());
            if let Some(refused) = refused.clone() {
                provide_context(refused);
            }
        },
        move || app::shell(options.clone()),
    );
    let mut response = handler(request).await;
    *response.status_mut() =
        StatusCode::from_u16(read.get()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Refuses every submission, to show how that looks.
async fn submit(body: axum::body::Body) -> Response {
    // Read to its end, or the browser would see a broken connection. A broken upload needs no answer.
    let _ = axum::body::to_bytes(body, usize::MAX).await;
    let request = axum::http::Request::get("/jobs/new")
        .body(axum::body::Body::empty())
        .expect("a fixed request is valid");
    let field = |pointer: &str, message: &str| FieldError {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
    };
    let refused = SubmitFailure {
        pipeline: "media".to_owned(),
        input: serde_json::json!({
            "source": "ftp://example.com/talk.mp4", "title": "Opening talk", "segment_seconds": "12"
        }),
        error: ApiError {
            fields: vec![
                field("/source", "This is no https://, http:// or s3:// address."),
                field("/segment_seconds", "12 is more than the maximum of 10."),
            ],
            ..ApiError::new(ErrorCode::Invalid, "Two fields are not valid.")
        },
    };
    render(request, Shown::Full, Some(refused)).await
}

async fn state(
    axum::extract::Path((id, state)): axum::extract::Path<(String, String)>,
) -> Response {
    match id
        .parse()
        .ok()
        .and_then(|id| jobs::detail(id, &state, None))
    {
        Some(detail) => axum::Json(detail).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The first topic: the running job, moving, or the list; any other job stands still.
async fn live(
    axum::extract::Query(words): axum::extract::Query<Vec<(String, String)>>,
) -> Response {
    let topic = words.into_iter().find(|(name, _)| name == "topic");
    let topic = topic.map(|(_, topic)| topic).unwrap_or_default();
    let Some(id) = topic.strip_prefix("job:") else {
        let stream = tokio_stream::StreamExt::map(ticks(), move |tick| {
            let mut page = jobs::page(&jobs::all(), JobFilter::default());
            page.counts.running += tick;
            event(&topic, &page)
        });
        return axum::response::Sse::new(stream).into_response();
    };
    let Some(mut view) = id.parse().ok().and_then(jobs::view) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let stream = tokio_stream::StreamExt::map(ticks(), move |tick| {
        jobs::advance(&mut view, tick);
        event(&topic, &view)
    });
    axum::response::Sse::new(stream).into_response()
}

fn ticks() -> impl tokio_stream::Stream<Item = u64> {
    let interval =
        tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(Duration::from_secs(1)));
    tokio_stream::StreamExt::map(futures::StreamExt::enumerate(interval), |(tick, _)| {
        tick as u64
    })
}

fn event<T: serde::Serialize>(
    name: &str,
    data: &T,
) -> Result<axum::response::sse::Event, std::convert::Infallible> {
    let data = serde_json::to_string(data).expect("views serialise");
    Ok(axum::response::sse::Event::default().event(name).data(data))
}

#[tokio::main]
async fn main() {
    // Readies what Leptos spawns its tasks on.
    let options = LeptosOptions::builder().output_name("app").build();
    leptos_axum::generate_route_list(move || app::shell(options.clone()));
    let mut words = std::env::args().skip(1);
    let port = words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(8099);
    let site = words.next().unwrap_or_else(|| "target/site".to_owned());
    let routes = Router::new()
        .route("/", get(|| async { Redirect::to("/jobs") }))
        .route("/jobs", get(page).post(submit))
        .route("/jobs/{id}/rerun", post(|| async { Redirect::to("/jobs") }))
        .route("/api/v1/jobs/{id}/states/{state}", get(state))
        .route("/api/v1/live", get(live))
        .fallback_service(ServeDir::new(site).fallback(get(page)));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .expect("the port is free");
    println!("http://127.0.0.1:{port}/");
    axum::serve(listener, routes).await.expect("serving");
}
