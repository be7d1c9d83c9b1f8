//! Which service answers a request: by `X-Amz-Target`, else by path, else S3.
//!
//! The order is by cost and by traffic: one header lookup finds the JSON services, one look at the
//! path's first bytes finds the registry and Lambda, a form is for STS, everything else is S3's.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
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
    if let Some(stranger) = stranger(request.headers()) {
        let why = format!("local answers this machine only, not {stranger}");
        return wire::rest_error(&AwsError::new(403, "AccessDeniedException", why));
    }
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
    if crate::sts::owns(&request) {
        return crate::sts::answer(request).await;
    }
    crate::s3::answer(services.s3.clone(), request).await
}

/// A web page that is not of this machine, or a name that was bent to point here.
///
/// Whoever can call Lambda runs programs: a page in the user's browser must not be able to, neither by a
/// request across origins nor by rebinding its own name to 127.0.0.1.
fn stranger(headers: &HeaderMap) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let origin = text(header::ORIGIN).filter(|origin| {
        let host = origin
            .split_once("://")
            .map_or(origin.as_str(), |(_, host)| host);
        !is_this_machine(host)
    });
    origin.or_else(|| text(header::HOST).filter(|host| !is_this_machine(host)))
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: Option<&str>, host: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        stranger(&headers)
    }

    #[test]
    fn pages_from_elsewhere_are_strangers() {
        assert_eq!(check(None, "127.0.0.1:4566"), None);
        assert_eq!(check(Some("http://localhost:8080"), "localhost:4566"), None);
        assert_eq!(check(Some("http://[::1]:8080"), "[::1]:4566"), None);
        assert_eq!(check(None, "media.localhost"), None);
        assert_eq!(
            check(Some("https://evil.example"), "127.0.0.1:4566").as_deref(),
            Some("https://evil.example")
        );
        assert_eq!(
            check(Some("null"), "127.0.0.1:4566").as_deref(),
            Some("null")
        );
        assert_eq!(
            check(None, "evil.example:4566").as_deref(),
            Some("evil.example:4566")
        );
        assert_eq!(
            check(None, "127.0.0.1.evil.example").as_deref(),
            Some("127.0.0.1.evil.example")
        );
    }
}
