//! Whose signatures S3 takes: any access key id, with the secret that this stand-in names or one of those that
//! people are used to give other stand-ins.
//!
//! Owns trying them: a signature tells which secret it was made with by fitting it. Signatures, and a presigned
//! URL's end, are really checked.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode, header};
use s3s::S3Result;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::S3Service;

use crate::wire::SECRET_ACCESS_KEY;

/// Tried in this order.
const SECRETS: [&str; 3] = [SECRET_ACCESS_KEY, "test", "secret"];
/// Longer bodies are not held for a second try, bytes.
const REPEATED_BYTES_MAX: usize = 8 << 20;

tokio::task_local! {
    /// The secret that a request is tried with.
    static SECRET: &'static str;
}

/// What `s3s` asks for the secret of an access key.
pub struct Secrets;

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        let secret = SECRET.try_with(|secret| *secret);
        Ok(SecretKey::from(secret.unwrap_or(SECRET_ACCESS_KEY)))
    }
}

/// Answers a request with the first secret that its signature fits, and with the first one's refusal if none does.
pub async fn call(service: &S3Service, request: Request) -> Response<Body> {
    let signed = request.headers().contains_key(header::AUTHORIZATION)
        || request
            .uri()
            .query()
            .is_some_and(|query| query.contains("X-Amz-Signature"));
    if !signed || !is_short(&request) {
        return answer(service, request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REPEATED_BYTES_MAX).await else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let mut refusal = None;
    for secret in SECRETS {
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let response = SECRET.scope(secret, answer(service, request)).await;
        if response.status() != StatusCode::FORBIDDEN {
            return response;
        }
        refusal.get_or_insert(response);
    }
    refusal.unwrap_or_default()
}

fn is_short(request: &Request) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    match length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok()) {
        Some(length) => length <= REPEATED_BYTES_MAX,
        None => [Method::GET, Method::HEAD, Method::DELETE].contains(request.method()),
    }
}

async fn answer(service: &S3Service, request: Request) -> Response<Body> {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(?error, "S3 failed");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}
