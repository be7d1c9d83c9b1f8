//! S3: `s3s` over plain files.
//!
//! Owns what a browser on another port needs (CORS); [`secrets`] checks signatures, [`objects`] is what `s3s`
//! asks, and [`json`] what state machines ask. Refuses to interpret S3 itself: that is `s3s`'s.

mod json;
mod objects;
mod secrets;
mod upload;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;

pub use json::Storage;
use objects::Objects;
use secrets::Secrets;
use upload::Uploads;

use crate::store::Store;
use crate::wire::AwsError;

/// Opens S3 over `DIR/s3`: for HTTP, and for the other services here.
pub async fn open(store: &Store) -> Result<(S3Service, Storage), AwsError> {
    let root = store.data.join("s3");
    std::fs::create_dir_all(&root)?;
    let files = FileSystem::new(&root).map_err(|error| {
        tracing::error!(?error, "cannot open the objects");
        AwsError::new(
            500,
            "InternalError",
            format!("cannot open {}", root.display()),
        )
    })?;
    let objects = Objects::new(files, Uploads::open(store.clone()).await?);
    let mut builder = S3ServiceBuilder::new(objects.clone());
    builder.set_auth(Secrets);
    Ok((builder.build(), Storage::new(objects)))
}

/// Answers one request.
pub async fn answer(service: S3Service, request: Request) -> Response<Body> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let (&Method::OPTIONS, Some(origin)) = (request.method(), &origin) {
        let asked = request
            .headers()
            .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
            .cloned();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        allow(&mut response, origin.clone());
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE"),
        );
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("3600"),
        );
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
        return response;
    }
    let bucket = made(&request);
    let mut response = secrets::call(&service, request).await;
    if let Some(bucket) = bucket.filter(|_| response.status().is_success())
        && let Ok(arn) = HeaderValue::from_str(&format!("arn:aws:s3:::{bucket}"))
    {
        response.headers_mut().insert("x-amz-bucket-arn", arn);
    }
    if let Some(origin) = origin {
        allow(&mut response, origin);
    }
    response
}

/// The bucket that a request is to make.
fn made(request: &Request) -> Option<String> {
    let path = request.uri().path().trim_matches('/');
    let plain = request.method() == Method::PUT && request.uri().query().is_none();
    (plain && !path.is_empty() && !path.contains('/')).then(|| path.to_owned())
}

/// What a bucket's CORS rule would say: every origin of this laptop may read and upload.
fn allow(response: &mut Response<Body>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("ETag, Content-Length, Content-Range, Accept-Ranges"),
    );
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}
