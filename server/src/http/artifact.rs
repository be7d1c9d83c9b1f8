//! Artifacts on their way from the bucket to the browser: streamed, with ranges, so that a player may seek.
//! What a job made came from outside, so it runs in a sandbox and is never guessed at.

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
        },
    },
    response::{IntoResponse, Response},
};

use super::{
    Edge,
    answer::{Answered, job_id},
    job::Words,
    request::RequestId,
};
use crate::{
    aws::{FetchRequest, Fetched},
    control::artifact::ArtifactContent,
};

/// Serves one file that a job made.
pub(super) async fn artifact(
    State(edge): State<Edge>,
    request_id: RequestId,
    Path((id, name)): Path<(String, String)>,
    Query(words): Words,
    headers: HeaderMap,
) -> Answered<Response> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let request = FetchRequest {
        range: text(RANGE),
        if_none_match: text(IF_NONE_MATCH),
    };
    let content = async { edge.control.artifact(job_id(&id)?, &name, request).await };
    let content = content
        .await
        .map_err(|failure| request_id.answer(failure))?;
    Ok(response_of(content, words.contains_key("download")))
}

fn response_of(content: ArtifactContent, download: bool) -> Response {
    let mut headers = HeaderMap::new();
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    };
    set(CONTENT_SECURITY_POLICY, Some("sandbox".to_owned()));
    // A video opened on its own asks for its later ranges from within that sandbox, which has no origin.
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        Some("cross-origin".to_owned()),
    );
    set(ACCEPT_RANGES, Some("bytes".to_owned()));
    // A rerun may write the same key again: ask each time, by ETag.
    set(CACHE_CONTROL, Some("private, no-cache".to_owned()));
    let disposition = if download { "attachment" } else { "inline" };
    set(
        CONTENT_DISPOSITION,
        Some(format!(
            "{disposition}; filename=\"{}\"",
            header_safe(&content.file_name)
        )),
    );
    let (status, body) = match content.fetched {
        Fetched::Object {
            body,
            bytes,
            content_range,
            etag,
            modified_at_ms,
        } => {
            let status = match &content_range {
                Some(_) => StatusCode::PARTIAL_CONTENT,
                None => StatusCode::OK,
            };
            set(CONTENT_TYPE, Some(content.content_type));
            set(CONTENT_LENGTH, Some(bytes.to_string()));
            set(CONTENT_RANGE, content_range);
            set(ETAG, etag);
            set(LAST_MODIFIED, modified_at_ms.and_then(http_date));
            (status, Body::new(body))
        }
        Fetched::NotModified => (StatusCode::NOT_MODIFIED, Body::empty()),
        Fetched::OutOfRange => (StatusCode::RANGE_NOT_SATISFIABLE, Body::empty()),
        Fetched::Missing => (StatusCode::NOT_FOUND, Body::empty()),
    };
    (status, headers, body).into_response()
}

/// A file's name that cannot end the quoted string it stands in.
fn header_safe(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            '"' | '\\' => '_',
            letter if letter.is_ascii_graphic() || letter == ' ' => letter,
            _ => '_',
        })
        .collect()
}

/// A moment as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(at_ms: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(at_ms).ok()?;
    let moment = moment.to_zoned(jiff::tz::TimeZone::UTC);
    Some(moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::primitives::SdkBody;

    fn content(fetched: Fetched) -> ArtifactContent {
        ArtifactContent {
            fetched,
            content_type: "video/mp4".to_owned(),
            file_name: "720p\"\n.mp4".to_owned(),
        }
    }

    #[test]
    fn a_range_is_passed_on_and_runs_in_a_sandbox() {
        let response = response_of(
            content(Fetched::Object {
                body: SdkBody::from("abc"),
                bytes: 3,
                content_range: Some("bytes 0-2/9".to_owned()),
                etag: Some("\"e\"".to_owned()),
                modified_at_ms: Some(0),
            }),
            true,
        );
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header(CONTENT_RANGE), "bytes 0-2/9");
        assert_eq!(header(CONTENT_TYPE), "video/mp4");
        assert_eq!(header(CONTENT_SECURITY_POLICY), "sandbox");
        assert_eq!(
            header(CONTENT_DISPOSITION),
            "attachment; filename=\"720p__.mp4\""
        );
        assert_eq!(header(LAST_MODIFIED), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_range_outside_of_the_file_is_refused() {
        let response = response_of(content(Fetched::OutOfRange), false);
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    }
}
