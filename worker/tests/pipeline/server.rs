//! Web servers that media come from: steady, without ranges, breaking off, changing, silent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Response, StatusCode, header},
};
use futures::StreamExt;

use crate::storage::serve;

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Ranges, ETag, If-Range.
    Steady,
    /// Says that it has ranges and ignores them.
    NoRanges,
    /// Neither ranges nor a length.
    NoLength,
    /// Ranges, but every connection breaks off after half of what it should send, save for short ones.
    Breaking,
    /// Without ranges, and every connection breaks off half way.
    BreakingNoRanges,
    /// A new ETag with every request.
    Changing,
    /// Answers with headers and then nothing.
    Silent,
    /// Answers with this status alone.
    Status(u16),
}

/// A source and how often it was asked.
pub struct Source {
    pub address: String,
    pub requests: Arc<AtomicUsize>,
}

/// Serves `content` under every path.
pub async fn source(content: impl Into<Bytes>, manner: Manner) -> Source {
    let content = content.into();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let router = Router::new().fallback(move |headers: HeaderMap| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let answer = answer(&content, manner, number, &headers);
        async move { answer }
    });
    let address = format!("{}/clip.mp4?token=secret", serve(router).await);
    Source { address, requests }
}

fn answer(content: &Bytes, manner: Manner, number: usize, headers: &HeaderMap) -> Response<Body> {
    let etag = match manner {
        Manner::Changing => format!("\"{number}\""),
        _ => "\"same\"".to_owned(),
    };
    let response = Response::builder().header(header::ETAG, &etag);
    let total = content.len();
    if let Manner::Status(status) = manner {
        return response
            .status(status)
            .body(Body::empty())
            .expect("a response");
    }
    let ranged = matches!(
        manner,
        Manner::Steady | Manner::Breaking | Manner::Changing | Manner::Silent
    );
    let matches = headers
        .get(header::IF_RANGE)
        .is_none_or(|value| *value == *etag);
    let range = headers
        .get(header::RANGE)
        .filter(|_| ranged && matches)
        .and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'))
        .map(|(start, end)| {
            let start: usize = start.parse().expect("a start");
            let end = end
                .parse::<usize>()
                .map_or(total, |end| (end + 1).min(total));
            start..end
        });
    if range.as_ref().is_some_and(|range| range.start >= total) {
        return response
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .header(header::CONTENT_RANGE, format!("bytes */{total}"))
            .body(Body::empty())
            .expect("a response");
    }
    let (response, part) = match range {
        Some(range) => (
            response.status(StatusCode::PARTIAL_CONTENT).header(
                header::CONTENT_RANGE,
                format!("bytes {}-{}/{total}", range.start, range.end - 1),
            ),
            content.slice(range),
        ),
        None => (
            response.header(header::ACCEPT_RANGES, "bytes"),
            content.clone(),
        ),
    };
    let sent = match manner {
        Manner::Breaking | Manner::BreakingNoRanges if part.len() > 64 * 1024 => part.len() / 2,
        _ => part.len(),
    };
    let promised = part.len();
    let chunks = chunks(part.slice(..sent));
    let body = match manner {
        Manner::Silent => Body::from_stream(chunks.take(0).chain(futures::stream::pending())),
        // An error ends the connection before what Content-Length promised.
        _ if sent < promised => {
            // What came before goes out while the body waits.
            let broken = futures::stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            });
            Body::from_stream(chunks.chain(broken))
        }
        _ => Body::from_stream(chunks),
    };
    match manner {
        Manner::NoLength => response.body(body),
        _ => response.header(header::CONTENT_LENGTH, promised).body(body),
    }
    .expect("a response")
}

fn chunks(part: Bytes) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    let starts: Vec<usize> = (0..part.len()).step_by(16 * 1024).collect();
    futures::stream::iter(starts)
        .map(move |start| Ok(part.slice(start..part.len().min(start + 16 * 1024))))
}
