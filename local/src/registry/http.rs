//! The OCI distribution API under `/v2/`, as skopeo, podman, docker and oras speak it.
//!
//! Owns paths, headers and status codes. Takes any credentials: the registry is one laptop's.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#api>

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::manifest::{MANIFEST_BYTES_MAX, Manifest};
use super::{Registry, RegistryError};

type Answer = Result<Response<Body>, RegistryError>;

/// Answers a request under `/v2/`.
pub async fn answer(registry: &Registry, request: Request) -> Response<Body> {
    let method = request.method().clone();
    let mut response = route(registry, request).await.unwrap_or_else(refuse);
    response.headers_mut().insert(
        "docker-distribution-api-version",
        HeaderValue::from_static("registry/2.0"),
    );
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn route(registry: &Registry, request: Request) -> Answer {
    let query: HashMap<String, String> = Query::try_from_uri(request.uri())
        .map(|Query(query)| query)
        .unwrap_or_default();
    let path = request.uri().path().to_owned();
    let path = path
        .strip_prefix("/v2")
        .unwrap_or_default()
        .trim_start_matches('/');
    if path.is_empty() {
        return Ok(json_body(StatusCode::OK, &json!({})));
    }
    if path == "_catalog" {
        let limit = limit(&query);
        let names: Vec<String> = registry
            .repositories(last(&query), limit)
            .await?
            .into_iter()
            .map(|found| found.name)
            .collect();
        return Ok(json_body(StatusCode::OK, &json!({ "repositories": names })));
    }
    // A repository's name may hold slashes: the path is read from its end.
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""]
            if !name.is_empty() =>
        {
            begin_upload(registry, &name.join("/"), &query, request).await
        }
        [name @ .., "blobs", "uploads", id] if !name.is_empty() => {
            upload(registry, &name.join("/"), id, &query, request).await
        }
        [name @ .., "blobs", digest] if !name.is_empty() => {
            blob(registry, &name.join("/"), digest, request).await
        }
        [name @ .., "manifests", reference] if !name.is_empty() => {
            manifest(registry, &name.join("/"), reference, request).await
        }
        [name @ .., "tags", "list"] if !name.is_empty() => {
            tags(registry, &name.join("/"), &query).await
        }
        [name @ .., "referrers", digest] if !name.is_empty() => {
            let found = registry.referrers(&name.join("/"), digest).await?;
            Ok(index_of(
                &found,
                query.get("artifactType").map(String::as_str),
            ))
        }
        _ => Ok(json_body(
            StatusCode::NOT_FOUND,
            &json!({"errors": [{"code": "UNSUPPORTED", "message": format!("/v2/{path} is not in the distribution API")}]}),
        )),
    }
}

async fn begin_upload(
    registry: &Registry,
    name: &str,
    query: &HashMap<String, String>,
    request: Request,
) -> Answer {
    if request.method() != Method::POST {
        return Ok(not_allowed());
    }
    registry.repository(name).await?;
    if let Some(digest) = query.get("mount") {
        let from = query.get("from").map_or(name, String::as_str);
        if let Ok(size) = registry.blob_size(from, digest).await {
            registry.hold_blob(name, digest, size).await?;
            return Ok(created(name, digest));
        }
    }
    let id = registry.blobs.begin()?;
    if let Some(digest) = query.get("digest") {
        registry
            .blobs
            .append(&id, None, request.into_body())
            .await?;
        let size = registry.blobs.finish(&id, digest).await?;
        registry.hold_blob(name, digest, size).await?;
        return Ok(created(name, digest));
    }
    Ok(progress(StatusCode::ACCEPTED, name, &id, 0))
}

async fn upload(
    registry: &Registry,
    name: &str,
    id: &str,
    query: &HashMap<String, String>,
    request: Request,
) -> Answer {
    registry.repository(name).await?;
    match *request.method() {
        Method::PATCH => {
            let start = content_range_start(request.headers());
            let size = registry
                .blobs
                .append(id, start, request.into_body())
                .await?;
            Ok(progress(StatusCode::ACCEPTED, name, id, size))
        }
        Method::PUT => {
            let digest = query.get("digest").ok_or_else(|| {
                RegistryError::DigestInvalid("the digest parameter is missing".into())
            })?;
            let start = content_range_start(request.headers());
            registry
                .blobs
                .append(id, start, request.into_body())
                .await?;
            let size = registry.blobs.finish(id, digest).await?;
            registry.hold_blob(name, digest, size).await?;
            Ok(created(name, digest))
        }
        Method::GET => Ok(progress(
            StatusCode::NO_CONTENT,
            name,
            id,
            registry.blobs.offset(id)?,
        )),
        Method::DELETE => {
            registry.blobs.cancel(id)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Ok(not_allowed()),
    }
}

async fn blob(registry: &Registry, name: &str, digest: &str, request: Request) -> Answer {
    registry.repository(name).await?;
    if request.method() == Method::DELETE {
        registry.drop_blob(name, digest).await?;
        return Ok(empty(StatusCode::ACCEPTED));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(not_allowed());
    }
    let size = registry.blob_size(name, digest).await?;
    let path = registry.blobs.path(digest)?;
    let range = request
        .headers()
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let (status, start, length) = match range.map(|range| byte_range(range, size)) {
        None => (StatusCode::OK, 0, size),
        Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end - start + 1),
        Some(None) => return Ok(empty(StatusCode::RANGE_NOT_SATISFIABLE)),
    };
    let body = if request.method() == Method::HEAD {
        Body::empty()
    } else {
        let mut file = tokio::fs::File::open(path).await?;
        file.seek(std::io::SeekFrom::Start(start)).await?;
        Body::from_stream(ReaderStream::with_capacity(file.take(length), 256 << 10))
    };
    let mut response = with(
        Response::new(body),
        header::CONTENT_LENGTH,
        &length.to_string(),
    );
    *response.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        response = with(response, header::CONTENT_RANGE, &range);
    }
    response = with(response, header::ACCEPT_RANGES, "bytes");
    response = with(response, header::CONTENT_TYPE, "application/octet-stream");
    Ok(with_digest(response, digest))
}

async fn manifest(registry: &Registry, name: &str, reference: &str, request: Request) -> Answer {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let found = registry.manifest(name, reference).await?;
            if request.method() == Method::GET {
                registry.pulled(name, &found.digest).await?;
            }
            let length = found.body.len().to_string();
            let mut response = Response::new(Body::from(found.body));
            response = with(response, header::CONTENT_TYPE, &found.media_type);
            response = with(response, header::CONTENT_LENGTH, &length);
            Ok(with_digest(response, &found.digest))
        }
        Method::PUT => {
            let media_type = request
                .headers()
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .filter(|value| value.starts_with("application/vnd."))
                .map(str::to_owned);
            let body = axum::body::to_bytes(request.into_body(), MANIFEST_BYTES_MAX)
                .await
                .map_err(|error| {
                    RegistryError::ManifestInvalid(format!("the manifest cannot be read: {error}"))
                })?;
            let digest = registry
                .put_manifest(name, reference, media_type.as_deref(), &body)
                .await?;
            let mut response = empty(StatusCode::CREATED);
            response = with(
                response,
                header::LOCATION,
                &format!("/v2/{name}/manifests/{digest}"),
            );
            let subject = serde_json::from_slice::<Value>(&body).ok();
            if let Some(subject) = subject
                .as_ref()
                .and_then(|manifest| manifest["subject"]["digest"].as_str())
            {
                response = with(response, HeaderName::from_static("oci-subject"), subject);
            }
            Ok(with_digest(response, &digest))
        }
        Method::DELETE => {
            registry.remove(name, reference).await?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        _ => Ok(not_allowed()),
    }
}

async fn tags(registry: &Registry, name: &str, query: &HashMap<String, String>) -> Answer {
    let limit = limit(query);
    let tags = registry.tags(name, last(query), limit).await?;
    let response = json_body(StatusCode::OK, &json!({"name": name, "tags": tags}));
    let full = i64::try_from(tags.len()).is_ok_and(|count| count == limit);
    Ok(
        match tags.last().filter(|_| full && query.contains_key("n")) {
            Some(last) => {
                let next = format!("</v2/{name}/tags/list?n={limit}&last={last}>; rel=\"next\"");
                with(response, header::LINK, &next)
            }
            None => response,
        },
    )
}

fn index_of(found: &[Manifest], artifact_type: Option<&str>) -> Response<Body> {
    let manifests: Vec<Value> = found
        .iter()
        .map(|manifest| {
            let parsed: Value = serde_json::from_slice(&manifest.body).unwrap_or_default();
            let artifact = parsed["artifactType"]
                .as_str()
                .or_else(|| parsed["config"]["mediaType"].as_str());
            json!({
                "mediaType": manifest.media_type,
                "digest": manifest.digest,
                "size": manifest.body.len(),
                "artifactType": artifact,
                "annotations": parsed["annotations"],
            })
        })
        .filter(|found| artifact_type.is_none_or(|wanted| found["artifactType"] == wanted))
        .collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let response = json_body(
        StatusCode::OK,
        &json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}),
    );
    let response = with(response, header::CONTENT_TYPE, media_type);
    match artifact_type {
        Some(_) => with(
            response,
            HeaderName::from_static("oci-filters-applied"),
            "artifactType",
        ),
        None => response,
    }
}

fn limit(query: &HashMap<String, String>) -> i64 {
    query
        .get("n")
        .and_then(|n| n.parse().ok())
        .unwrap_or(1000)
        .clamp(1, 1000)
}

fn last(query: &HashMap<String, String>) -> &str {
    query.get("last").map_or("", String::as_str)
}

/// The first byte of a chunk: `Content-Range: 0-1023`, also written `bytes 0-1023/*`.
fn content_range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    value
        .trim_start_matches("bytes ")
        .split('-')
        .next()?
        .trim()
        .parse()
        .ok()
}

/// First and last byte of `Range: bytes=…`; `None` when it lies outside.
fn byte_range(range: &str, size: u64) -> Option<(u64, u64)> {
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (start, end) {
        ("", suffix) => (
            size.saturating_sub(suffix.parse().ok()?),
            size.checked_sub(1)?,
        ),
        (start, "") => (start.parse().ok()?, size.checked_sub(1)?),
        (start, end) => (
            start.parse().ok()?,
            end.parse::<u64>().ok()?.min(size.checked_sub(1)?),
        ),
    };
    (start <= end).then_some((start, end))
}

fn progress(status: StatusCode, name: &str, id: &str, size: u64) -> Response<Body> {
    let response = with(
        empty(status),
        header::LOCATION,
        &format!("/v2/{name}/blobs/uploads/{id}"),
    );
    let response = with(
        response,
        header::RANGE,
        &format!("0-{}", size.saturating_sub(1)),
    );
    with(response, HeaderName::from_static("docker-upload-uuid"), id)
}

fn created(name: &str, digest: &str) -> Response<Body> {
    let response = with(
        empty(StatusCode::CREATED),
        header::LOCATION,
        &format!("/v2/{name}/blobs/{digest}"),
    );
    with_digest(response, digest)
}

fn with_digest(response: Response<Body>, digest: &str) -> Response<Body> {
    with(
        response,
        HeaderName::from_static("docker-content-digest"),
        digest,
    )
}

fn with(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn not_allowed() -> Response<Body> {
    json_body(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({"errors": [{"code": "UNSUPPORTED", "message": "the operation is unsupported"}]}),
    )
}

fn json_body(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = with(
        Response::new(Body::from(value.to_string())),
        header::CONTENT_TYPE,
        "application/json",
    );
    *response.status_mut() = status;
    response
}

fn refuse(error: RegistryError) -> Response<Body> {
    let (status, code) = match &error {
        RegistryError::NameUnknown(_) => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        RegistryError::NameInvalid(_) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        RegistryError::DigestInvalid(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        RegistryError::BlobUnknown(_) => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        RegistryError::UploadUnknown(_) => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        RegistryError::UploadInvalid { .. } => {
            (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
        }
        RegistryError::ManifestUnknown(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        RegistryError::ManifestInvalid(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        RegistryError::ManifestBlobUnknown(_) => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
        RegistryError::TagImmutable(_) => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
        RegistryError::Store(_) | RegistryError::Files(_) => {
            tracing::error!(?error, "the registry failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN")
        }
    };
    json_body(
        status,
        &json!({"errors": [{"code": code, "message": error.to_string()}]}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_writes_them() {
        assert_eq!(byte_range("bytes=0-4", 10), Some((0, 4)));
        assert_eq!(byte_range("bytes=8-99", 10), Some((8, 9)));
        assert_eq!(byte_range("bytes=8-", 10), Some((8, 9)));
        assert_eq!(byte_range("bytes=-3", 10), Some((7, 9)));
        assert_eq!(byte_range("bytes=10-", 10), None);
        assert_eq!(byte_range("bytes=0-0", 0), None);
    }
}
