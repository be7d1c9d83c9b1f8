//! The peer: plain axum with tokio's broadcast, written as its documentation shows it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt};

/// Topics there are, more than any load has.
const TOPICS: usize = 1_000;
/// Events that a slow client may be behind.
const BEHIND_MAX: usize = 16;

type Topics = Arc<Vec<broadcast::Sender<String>>>;

/// Serves on a port of its own, which the first line of its output names, until it is killed.
pub fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let topics: Topics = Arc::new(
            (0..TOPICS)
                .map(|_| broadcast::channel(BEHIND_MAX).0)
                .collect(),
        );
        let router = Router::new()
            .route("/live/{topic}", get(live))
            .route("/change/{topic}", post(change))
            .with_state(topics);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?.port());
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn live(
    State(topics): State<Topics>,
    Path(topic): Path<usize>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let topic = topics.get(topic).ok_or(StatusCode::NOT_FOUND)?;
    let events = BroadcastStream::new(topic.subscribe())
        .filter_map(Result::ok)
        .map(|text| Ok(Event::default().event("job").data(text)));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

async fn change(
    State(topics): State<Topics>,
    Path(topic): Path<usize>,
    text: String,
) -> Result<(), StatusCode> {
    let topic = topics.get(topic).ok_or(StatusCode::NOT_FOUND)?;
    // Nobody listening is no error.
    let _ = topic.send(text);
    Ok(())
}
