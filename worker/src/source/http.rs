//! Sources on web servers: ranged GET (RFC 9110, section 14) with If-Range, and what the answers mean.
//! Trusts no `Accept-Ranges`: ranges count as working once one was read from the far end.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{
    Response, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
        HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED, RANGE,
    },
};

use super::{Chunks, HEAD_BYTES, Origin, Survey, changed};
use crate::{Clients, Failure, Kind, failure::chain, redact};

/// The first look: one GET for the head, and one for the last byte to see whether ranges are true.
pub async fn survey(clients: &Clients, source: &str, url: Url) -> Result<Survey, Failure> {
    let mut origin = Origin {
        source: source.to_owned(),
        bytes: None,
        etag: None,
        modified: None,
        ranges: false,
    };
    let range = format!("bytes=0-{}", HEAD_BYTES - 1);
    let mut response = get(clients, &url, Some(&range), None).await?;
    let status = response.status();
    let headers = response.headers();
    let stated = content_range(headers);
    if status == StatusCode::RANGE_NOT_SATISFIABLE
        && stated.is_none_or(|range| range.total == Some(0))
    {
        let message = format!("the source {} is empty (0 bytes)", origin.shown());
        return Err(Failure::new(Kind::SourceEmpty, message));
    }
    refused(&origin, status)?;
    if let Some(encoding) = header(headers, CONTENT_ENCODING).filter(|value| value != "identity") {
        let message = format!(
            "the server of {} sends it compressed ({encoding}) although it was asked not to: submit an address that gives the file as it is",
            origin.shown()
        );
        return Err(Failure::new(Kind::SourceUnsupported, message));
    }
    origin.etag = header(headers, ETAG);
    origin.modified = header(headers, LAST_MODIFIED);
    let content_type = header(headers, CONTENT_TYPE);
    let partial = status == StatusCode::PARTIAL_CONTENT;
    origin.bytes = match partial {
        true => stated.and_then(|range| range.total),
        false => header(headers, CONTENT_LENGTH).and_then(|value| value.parse().ok()),
    };
    let head = head_of(&origin, &mut response).await?;
    drop(response);
    if let (true, Some(total)) = (partial, origin.bytes) {
        origin.ranges = match total {
            0 => false,
            total => last_byte_works(clients, &url, &origin, total).await?,
        };
    }
    Ok(Survey {
        origin,
        content_type,
        head,
    })
}

async fn head_of(origin: &Origin, response: &mut Response) -> Result<Bytes, Failure> {
    let mut head = BytesMut::new();
    while (head.len() as u64) < HEAD_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => head.extend_from_slice(&chunk),
            Ok(None) => break,
            // Enough to judge by: Transfer meets the broken connection again and knows how to go on.
            Err(_) if !head.is_empty() => break,
            Err(error) => return Err(broken(origin, 0, error)),
        }
    }
    head.truncate(HEAD_BYTES as usize);
    Ok(head.freeze())
}

/// Whether the source's last byte can be read on its own, under the same validator.
async fn last_byte_works(
    clients: &Clients,
    url: &Url,
    origin: &Origin,
    total: u64,
) -> Result<bool, Failure> {
    let range = format!("bytes={}-{}", total - 1, total - 1);
    let response = get(clients, url, Some(&range), validator(origin)).await?;
    let stated = content_range(response.headers());
    Ok(response.status() == StatusCode::PARTIAL_CONTENT
        && stated.is_some_and(|stated| stated.start == total - 1 && stated.total == Some(total)))
}

/// A connection that sends the source from `start` on.
pub async fn open(
    clients: &Clients,
    origin: &Origin,
    url: &Url,
    start: u64,
    end: Option<u64>,
) -> Result<Chunks, Failure> {
    let range = match (origin.ranges, end) {
        (true, Some(end)) => Some(format!("bytes={start}-{}", end - 1)),
        (true, None) => Some(format!("bytes={start}-")),
        (false, _) => None,
    };
    let response = get(clients, url, range.as_deref(), validator(origin)).await?;
    let status = response.status();
    let headers = response.headers();
    if status == StatusCode::RANGE_NOT_SATISFIABLE || status == StatusCode::PRECONDITION_FAILED {
        return Err(changed(origin, "it is shorter than it was"));
    }
    refused(origin, status)?;
    same(origin, headers)?;
    match (origin.ranges, status) {
        (true, StatusCode::PARTIAL_CONTENT) => {
            let stated = content_range(headers);
            if stated.and_then(|range| range.total) != origin.bytes {
                return Err(changed(origin, "it has another size"));
            }
            if stated.is_none_or(|range| range.start != start) {
                return Err(unreachable(
                    origin,
                    "the server sent another range than was asked for",
                ));
            }
        }
        (true, _) if validator(origin).is_some() => {
            return Err(changed(origin, "the server says so by If-Range"));
        }
        (true, _) => return Err(unreachable(origin, "the server stopped serving ranges")),
        (false, _) => {
            let length =
                header(headers, CONTENT_LENGTH).and_then(|value| value.parse::<u64>().ok());
            if origin.bytes.is_some() && length.is_some() && length != origin.bytes {
                return Err(changed(origin, "it has another size"));
            }
        }
    }
    let origin = origin.clone();
    let mut at = start;
    let chunks = response.bytes_stream().map(move |chunk| match chunk {
        Ok(chunk) => {
            at += chunk.len() as u64;
            Ok(chunk)
        }
        Err(error) => Err(broken(&origin, at, error)),
    });
    Ok(chunks.boxed())
}

async fn get(
    clients: &Clients,
    url: &Url,
    range: Option<&str>,
    validator: Option<&str>,
) -> Result<Response, Failure> {
    let mut request = clients
        .http()?
        .get(url.clone())
        .header(ACCEPT_ENCODING, "identity");
    if let Some(range) = range {
        request = request.header(RANGE, range);
        if let Some(validator) = validator {
            request = request.header(IF_RANGE, validator);
        }
    }
    request.send().await.map_err(|error| {
        let shown = redact::address(url.as_str());
        let host = url.host_str().unwrap_or("its host");
        let what = if error.is_redirect() {
            format!("{shown} redirects too often: submit the address it ends at")
        } else if error.is_timeout() {
            format!("{host} did not answer in time for {shown}: try again later")
        } else if error.is_connect() {
            format!(
                "{host} cannot be reached for {shown}: check the address, and that the server is up"
            )
        } else {
            format!("{host} broke off before it answered for {shown}: try again later")
        };
        let cause = chain(&error.without_url());
        Failure::new(Kind::SourceUnreachable, format!("{what} ({cause})"))
    })
}

/// What an answer's status means, where it is no content.
fn refused(origin: &Origin, status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let shown = origin.shown();
    let (kind, advice) = match status.as_u16() {
        404 | 410 => (
            Kind::SourceNotFound,
            "there is nothing there: check the address",
        ),
        401 | 403 | 407 | 451 => (
            Kind::SourceForbidden,
            "the server does not hand it out: give the address its access rights, or sign it anew if it was signed",
        ),
        408 | 425 | 429 | 500..=599 => (
            Kind::SourceUnreachable,
            "the server cannot serve it now: try again later",
        ),
        _ => (
            Kind::SourceForbidden,
            "the server refuses this request: check the address",
        ),
    };
    Err(Failure::new(
        kind,
        format!("{shown} answered {status}: {advice}"),
    ))
}

/// Fails with `Source.Changed` when the answer is of another version of the source.
fn same(origin: &Origin, headers: &HeaderMap) -> Result<(), Failure> {
    let etag = header(headers, ETAG);
    if origin.etag.is_some() && etag.is_some() {
        return match etag == origin.etag {
            true => Ok(()),
            false => Err(changed(origin, "it has another ETag")),
        };
    }
    let modified = header(headers, LAST_MODIFIED);
    if origin.modified.is_some() && modified.is_some() && modified != origin.modified {
        return Err(changed(origin, "it has another modification date"));
    }
    Ok(())
}

/// What If-Range may carry: a strong entity tag, else a date (RFC 9110, section 13.1.5).
fn validator(origin: &Origin) -> Option<&str> {
    match origin.etag.as_deref() {
        Some(etag) if !etag.starts_with("W/") => Some(etag),
        Some(_) => None,
        None => origin.modified.as_deref(),
    }
}

fn broken(origin: &Origin, at: u64, error: reqwest::Error) -> Failure {
    let shown = origin.shown();
    let of = origin
        .bytes
        .map(|bytes| format!(" of {bytes}"))
        .unwrap_or_default();
    let advice = match origin.ranges {
        true => "going on from there did not work",
        false => "its server serves no ranges, so that one cannot go on from there",
    };
    let cause = chain(&error.without_url());
    Failure::new(
        Kind::SourceDropped,
        format!(
            "the source {shown} broke off at byte {at}{of}; {advice}. Try again, or submit a copy from a steadier server ({cause})"
        ),
    )
}

fn unreachable(origin: &Origin, why: &str) -> Failure {
    let message = format!("{}: {why}; try again later", origin.shown());
    Failure::new(Kind::SourceUnreachable, message)
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `Content-Range` (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    total: Option<u64>,
}

fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    Some(ContentRange {
        start: match range {
            "*" => 0,
            range => range.split_once('-')?.0.trim().parse().ok()?,
        },
        total: total.trim().parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_as_the_rfc_writes_them() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, value.parse().expect("a header"));
            content_range(&headers)
        };
        let range = |start, total| Some(ContentRange { start, total });
        assert_eq!(read("bytes 0-99/1000"), range(0, Some(1000)));
        assert_eq!(read("bytes 42-1233/*"), range(42, None));
        assert_eq!(read("bytes */0"), range(0, Some(0)));
        assert_eq!(read("items 0-9/10"), None);
    }

    #[test]
    fn a_weak_tag_is_no_validator_for_ranges() {
        let origin = |etag: Option<&str>| Origin {
            source: String::new(),
            bytes: None,
            etag: etag.map(str::to_owned),
            modified: Some("yesterday".to_owned()),
            ranges: true,
        };
        assert_eq!(validator(&origin(Some("\"a\""))), Some("\"a\""));
        assert_eq!(validator(&origin(Some("W/\"a\""))), None);
        assert_eq!(validator(&origin(None)), Some("yesterday"));
    }
}
