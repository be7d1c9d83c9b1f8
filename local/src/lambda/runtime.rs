//! The Lambda Runtime API, which the process in a sandbox speaks.
//!
//! Owns the four requests; each sandbox has a listener of its own, so that `AWS_LAMBDA_RUNTIME_API` is
//! host and port as on AWS and every runtime client understands it. Refuses extensions.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::sandbox::{Reply, Sandbox};

/// Largest answer of a function, bytes, as on AWS.
pub const RESPONSE_BYTES_MAX: usize = 6_291_556;

/// The listener's application for one sandbox.
pub(super) fn app(sandbox: Arc<Sandbox>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(response),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::disable())
        .with_state(sandbox)
}

async fn next(State(sandbox): State<Arc<Sandbox>>) -> Response<Body> {
    let Some(work) = sandbox.next().await else {
        return refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Sandbox.Ended",
            "the sandbox is ending",
        );
    };
    let mut response = Response::new(Body::from(work.payload));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let pairs = [
        ("lambda-runtime-aws-request-id", work.request_id),
        ("lambda-runtime-deadline-ms", work.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", work.function_arn),
        ("lambda-runtime-trace-id", work.trace_id),
    ];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

async fn response(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    match axum::body::to_bytes(request.into_body(), RESPONSE_BYTES_MAX).await {
        Ok(payload) => settle(&sandbox, &id, Reply::Answer(payload)),
        Err(_) => {
            let message = format!(
                "Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
            );
            let error =
                json!({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"});
            settle(&sandbox, &id, Reply::Error(error.to_string().into()));
            refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &message,
            )
        }
    }
}

async fn error(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response<Body> {
    settle(&sandbox, &id, Reply::Error(error_object(&headers, payload)))
}

async fn init_error(
    State(sandbox): State<Arc<Sandbox>>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response<Body> {
    sandbox.init_failed(error_object(&headers, payload));
    accepted()
}

fn settle(sandbox: &Sandbox, id: &str, reply: Reply) -> Response<Body> {
    if sandbox.settle(id, reply) {
        accepted()
    } else {
        refuse(
            StatusCode::BAD_REQUEST,
            "InvalidRequestID",
            "Invalid request ID",
        )
    }
}

/// The error object that the caller gets: the runtime's own, or one made of the header that names the type.
fn error_object(headers: &HeaderMap, payload: Bytes) -> Bytes {
    if serde_json::from_slice::<Value>(&payload).is_ok_and(|error| error.is_object()) {
        return payload;
    }
    let kind = headers
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok());
    json!({
        "errorType": kind.unwrap_or("Runtime.Unknown"),
        "errorMessage": String::from_utf8_lossy(&payload),
    })
    .to_string()
    .into()
}

fn accepted() -> Response<Body> {
    answer(StatusCode::ACCEPTED, &json!({"status": "OK"}))
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    answer(status, &json!({"errorType": kind, "errorMessage": message}))
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
