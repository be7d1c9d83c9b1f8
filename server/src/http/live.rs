//! Live views as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): who may
//! watch what, and where a watcher goes on. The sending is [`stream`]'s.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Query, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use model::{ApiError, ErrorCode};

use super::{Edge, answer::Answered, request::RequestId};
use crate::{
    control::Failure,
    live::{TOPICS_MAX, Topic, WATCHERS_MAX, Watcher},
};

pub(super) mod stream;

/// When somebody may ask again who found no seat, in seconds.
const RETRY_AFTER_S: u64 = 10;

/// A watcher on its way from the handler, through every guard, to the connection that its answer is to be sent on.
#[derive(Clone)]
pub(super) struct Watching(Arc<Mutex<Option<Watcher>>>);

impl Watching {
    /// The watcher, the first time.
    pub(super) fn take(&self) -> Option<Watcher> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Follows topics: for each an event of its name with the view now, and again whenever it changed.
///
/// Between two events that a client reads only the newest view is kept. Whoever comes back with the last event's
/// id, to this server or to another of the same installation, is sent what has changed since, and nothing if
/// nothing has.
#[utoipa::path(get, path = "/api/v1/live", tag = "jobs",
    params(
        ("topic" = Vec<String>, Query, description = "What to follow, at most 16 times: `job:` and a job's id (data: a `JobView`), `jobs` or `jobs:` and a status (data: a `JobPage`)"),
        ("last_event_id" = Option<String>, Query, description = "Like the header, for programs that cannot set it; the header goes first"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event of an earlier connection"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String), (status = 400, body = ApiError),
        (status = 404, body = ApiError, description = "No such job"),
        (status = 503, body = ApiError, description = "Too many follow already", headers(("Retry-After" = u64, description = "Seconds"))),
    ))]
pub(super) async fn follow(
    State(edge): State<Edge>,
    request_id: RequestId,
    headers: HeaderMap,
    Query(words): Query<Vec<(String, String)>>,
) -> Answered<Response> {
    let topics = topics(&edge, &words)
        .await
        .map_err(|failure| request_id.answer(failure))?;
    let Some(seat) = edge.control.live.seat() else {
        let error = ApiError::new(
            ErrorCode::Unavailable,
            format!("{WATCHERS_MAX} pages follow this server already. Try again in a moment."),
        );
        let retry_after = [(RETRY_AFTER, RETRY_AFTER_S)];
        return Ok((retry_after, request_id.answer(error)).into_response());
    };
    let told = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .or_else(|| word(&words, "last_event_id").next());
    let watcher = Watcher::new(&edge.control, &topics, told, seat);
    let mut response = (
        StatusCode::OK,
        [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-cache"),
            // The end of the connection is the end of the answer (RFC 9112, section 6.3).
            (CONNECTION, "close"),
            // nginx would collect what it passes on.
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ],
    )
        .into_response();
    let watching = Watching(Arc::new(Mutex::new(Some(watcher))));
    response.extensions_mut().insert(watching);
    Ok(response)
}

fn word<'a>(words: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = words.iter().filter(move |(given, _)| given == name);
    named.map(|(_, word)| word.as_str())
}

/// The topics that are asked for, each once. Whoever follows a job that does not exist is told so, instead of
/// waiting for ever.
async fn topics(edge: &Edge, words: &[(String, String)]) -> Result<Vec<Topic>, Failure> {
    let mut topics = Vec::new();
    for text in word(words, "topic") {
        let topic = Topic::from_str(text)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    if topics.is_empty() {
        return Err(Failure::invalid(
            "Say what to follow: `?topic=jobs`, or `?topic=job:` and a job's id.",
        ));
    }
    if topics.len() > TOPICS_MAX {
        return Err(Failure::invalid(format!(
            "These are {} topics, and one connection follows at most {TOPICS_MAX}. Open a second one.",
            topics.len()
        )));
    }
    for topic in &topics {
        if let Topic::Job(id) = topic {
            edge.control.record(*id).await?;
        }
    }
    Ok(topics)
}

#[cfg(test)]
mod tests;
