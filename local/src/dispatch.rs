//! Which service answers a request: by `X-Amz-Target`, else by path, else S3.
//!
//! The order is by cost and by traffic: one header lookup finds the JSON services, one look at the
//! path's first bytes finds the registry and Lambda, everything else is S3's.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::serve::Services;
use crate::wire::{self, AwsError};

/// Largest body of a JSON operation, bytes; larger than any of the services here allows (Kinesis: 5 MiB a call,
/// base64 inside JSON).
const JSON_BYTES_MAX: usize = 16 << 20;

/// The one application.
pub fn app(services: Arc<Services>) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::disable())
        .with_state(services)
}

async fn answer(State(services): State<Arc<Services>>, request: Request) -> Response<Body> {
    if let Some(target) = request.headers().get("x-amz-target").cloned() {
        return json_service(&services, target, request).await;
    }
    let path = request.uri().path();
    if path == "/v2" || path.starts_with("/v2/") {
        return crate::registry::http::answer(&services.registry, request).await;
    }
    if crate::lambda::api::owns(path) {
        return crate::lambda::api::answer(&services.lambda, request).await;
    }
    if path == "/_gantry/health" {
        return wire::rest_answer(StatusCode::OK, &serde_json::json!({"status": "ok"}));
    }
    crate::s3::answer(services.s3.clone(), request).await
}

async fn json_service(
    services: &Services,
    target: HeaderValue,
    request: Request,
) -> Response<Body> {
    let content_type = wire::json_content_type(request.headers());
    let body = match axum::body::to_bytes(request.into_body(), JSON_BYTES_MAX).await {
        Ok(body) => body,
        Err(_) => {
            let error = AwsError::new(
                413,
                "RequestEntityTooLarge",
                "The request is larger than 16 MiB or broke off.",
            );
            return wire::json_answer(content_type, Err(error));
        }
    };
    let input = if body.is_empty() {
        Ok(Value::Object(serde_json::Map::new()))
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| AwsError::bad_request("SerializationException", error.to_string()))
    };
    let result = match input {
        Ok(input) => call(services, target.to_str().unwrap_or_default(), input).await,
        Err(error) => Err(error),
    };
    wire::json_answer(content_type, result)
}

/// Calls `prefix.Operation` with its input.
async fn call(services: &Services, target: &str, input: Value) -> Result<Value, AwsError> {
    let (service, operation) = target.split_once('.').unwrap_or((target, ""));
    match service {
        "AWSStepFunctions" => services.sfn.call(operation, input).await,
        "AmazonSQS" => services.sqs.call(operation, input).await,
        "Kinesis_20131202" => services.kinesis.call(operation, input).await,
        "AWSEvents" => services.events.call(operation, input).await,
        "Logs_20140328" => services.logs.call(operation, input).await,
        "GraniteServiceVersion20100801" => services.cloudwatch.call(operation, input).await,
        "AmazonEC2ContainerRegistry_V20150921" => services.ecr.call(operation, input).await,
        _ => Err(AwsError::unknown_operation(
            "target",
            target,
            &[
                "Step Functions",
                "SQS",
                "Kinesis",
                "EventBridge",
                "CloudWatch Logs",
                "CloudWatch",
                "ECR",
                "Lambda",
                "S3",
            ],
        )),
    }
}
