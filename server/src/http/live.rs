//! Live views as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>):
//! the view now, again whenever it changed, and a sign of life every five seconds. They end with the server.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, Query, State},
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, stream};
use model::ApiError;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use super::{
    Edge,
    answer::{Answered, job_id},
    job::{Words, filter_of},
    request::RequestId,
};
use crate::{
    clock,
    live::{Latest, Topic},
};

/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// How often a sign of life is sent: proxies and pages take a silent connection for a dead one.
const ALIVE: Duration = Duration::from_secs(5);

type Events = Sse<axum::response::sse::KeepAliveStream<EventStream>>;
type EventStream = std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

/// Follows one job: event `job`, data a `JobView`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/live", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 404, body = ApiError)))]
pub(super) async fn job(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path(id): Path<String>,
) -> Answered<Events> {
    let known = async {
        let id = job_id(&id)?;
        // Whoever follows a job that does not exist is told so, instead of waiting for ever.
        edge.control.record(id).await?;
        Ok(id)
    };
    let id = known
        .await
        .map_err(|failure: crate::control::Failure| request_id.answer(failure))?;
    Ok(events(edge.control.watch(Topic::Job(id)), "job"))
}

/// Follows page one of the list of jobs: event `jobs`, data a `JobPage`.
#[utoipa::path(get, path = "/api/v1/jobs/live", tag = "jobs",
    params(("status" = Option<String>, Query, description = "Only jobs of this status")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 400, body = ApiError)))]
pub(super) async fn jobs(
    State(edge): State<Edge>,
    request_id: RequestId,
    Query(words): Words,
) -> Answered<Events> {
    let filter = filter_of(&words).map_err(|failure| request_id.answer(failure))?;
    Ok(events(
        edge.control.watch(Topic::Jobs(filter.status)),
        "jobs",
    ))
}

fn events(latest: watch::Receiver<Latest>, name: &'static str) -> Events {
    let first = stream::once(async { Ok(Event::default().retry(RETRY)) });
    let views = WatchStream::new(latest)
        .filter_map(|view| async { view })
        .map(move |view| Ok(Event::default().event(name).data(&*view)));
    // Not the keep-alive below: scripts do not see its comments, and the page wants to know.
    let alive = stream::unfold((), |()| async {
        tokio::time::sleep(ALIVE).await;
        let now = clock::now().0.to_string();
        Some((Some(Event::default().event("alive").data(now)), ()))
    });
    // The views' end is the stream's end, however long the signs of life would go on.
    let views = views
        .map(|event: Result<Event, Infallible>| event.ok())
        .chain(stream::once(async { None }));
    let both = stream::select(views, alive)
        .take_while(|event| std::future::ready(event.is_some()))
        .filter_map(|event| async { event.map(Ok) });
    let all: EventStream = Box::pin(first.chain(both));
    Sse::new(all).keep_alive(KeepAlive::new().interval(3 * ALIVE))
}
