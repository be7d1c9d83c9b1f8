//! AWS's JSON protocols on the wire: how an error looks and how an operation is answered.
//!
//! Owns the shape shared by every service that is addressed by `X-Amz-Target` (JSON 1.0 and 1.1) and by
//! Lambda's REST JSON. Refuses to know any service: what an operation does is its own module's business.
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The account that everything in `local` belongs to.
pub const ACCOUNT: &str = "000000000000";
/// The one region that `local` plays.
pub const REGION: &str = "us-east-1";
/// The secret access key that this stand-in names; any access key id goes. S3 takes two others as well.
pub const SECRET_ACCESS_KEY: &str = "local";

/// An error as AWS's clients understand it: HTTP status, exception name, message for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// HTTP status, 400 for most client errors.
    pub status: u16,
    /// The exception's name, e.g. `ResourceNotFoundException`.
    pub code: String,
    /// What was wrong, for people.
    pub message: String,
    /// Further members of the exception's shape, e.g. Lambda's `Type` or `Reason`.
    pub fields: Box<Map<String, Value>>,
    /// SQS only: the name that the old query protocol had, sent as `x-amzn-query-error`.
    pub query_code: Option<&'static str>,
}

impl AwsError {
    /// An error with an explicit HTTP status.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        AwsError {
            status,
            code: code.to_owned(),
            message: message.into(),
            fields: Box::default(),
            query_code: None,
        }
    }

    /// A client error: HTTP 400.
    pub fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// A required member is missing or has the wrong form.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::bad_request("ValidationException", message)
    }

    /// The answer to an operation that `local` does not play: it says what it does play.
    pub fn unknown_operation(service: &str, operation: &str, supported: &[&str]) -> Self {
        Self::bad_request(
            "UnknownOperationException",
            format!(
                "local does not play {service} {operation}; it plays {}. Use AWS itself for the rest.",
                supported.join(", ")
            ),
        )
    }

    /// Adds a member to the exception's body.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Sets the query protocol's name of this error (SQS clients still read it).
    #[must_use]
    pub fn query(mut self, code: &'static str) -> Self {
        self.query_code = Some(code);
        self
    }

    fn body(&self, with_type: bool) -> Value {
        let mut body = (*self.fields).clone();
        if with_type {
            body.insert("__type".into(), self.code.clone().into());
        }
        body.insert("message".into(), self.message.clone().into());
        body.entry("Message")
            .or_insert_with(|| self.message.clone().into());
        Value::Object(body)
    }
}

/// A failing store is the server's fault: HTTP 500, the cause goes to the log and not to the client.
impl From<sqlx::Error> for AwsError {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(error = %error, "the store failed");
        Self::new(
            500,
            "InternalServerError",
            "The local store failed; see the log of local.",
        )
    }
}

impl From<std::io::Error> for AwsError {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(error = %error, "the data directory failed");
        Self::new(
            500,
            "InternalServerError",
            "The local data directory failed; see the log of local.",
        )
    }
}

/// Reads an operation's input into its type; a mismatch is the `SerializationException` AWS answers.
pub fn input<T: DeserializeOwned>(input: Value) -> Result<T, AwsError> {
    serde_json::from_value(input)
        .map_err(|error| AwsError::bad_request("SerializationException", error.to_string()))
}

/// Answers an operation of a JSON 1.0 or 1.1 service; `content_type` is the request's own.
pub fn json_answer(content_type: HeaderValue, result: Result<Value, AwsError>) -> Response<Body> {
    let (status, body) = match &result {
        Ok(value) => (StatusCode::OK, value.to_string()),
        Err(error) => (
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST),
            error.body(true).to_string(),
        ),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    finish(&mut response, result.err().as_ref());
    response
}

/// Answers an error of a REST JSON service (Lambda).
pub fn rest_error(error: &AwsError) -> Response<Body> {
    let mut response = Response::new(Body::from(error.body(false).to_string()));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    finish(&mut response, Some(error));
    response
}

/// Answers a success of a REST JSON service (Lambda).
pub fn rest_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let body = if status == StatusCode::NO_CONTENT {
        Body::empty()
    } else {
        Body::from(value.to_string())
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    finish(&mut response, None);
    response
}

/// Puts the request id (and the error's name) where every AWS client looks for them.
fn finish(response: &mut Response<Body>, error: Option<&AwsError>) {
    let headers = response.headers_mut();
    let id = uuid::Uuid::new_v4().to_string();
    headers.insert(
        "x-amzn-requestid",
        HeaderValue::from_str(&id).expect("a uuid is a valid header value"),
    );
    if let Some(error) = error {
        if let Ok(code) = HeaderValue::from_str(&error.code) {
            headers.insert("x-amzn-errortype", code);
        }
        if let Some(code) = error.query_code {
            let fault = if error.status >= 500 {
                "Receiver"
            } else {
                "Sender"
            };
            if let Ok(value) = HeaderValue::from_str(&format!("{code};{fault}")) {
                headers.insert("x-amzn-query-error", value);
            }
        }
    }
}

/// The content type to answer with: the request's own when it names a JSON version, else 1.0.
pub fn json_content_type(headers: &HeaderMap) -> HeaderValue {
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if value.as_bytes().starts_with(b"application/x-amz-json-1.1") => {
            HeaderValue::from_static("application/x-amz-json-1.1")
        }
        _ => HeaderValue::from_static("application/x-amz-json-1.0"),
    }
}

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A moment as AWS's JSON protocols write it: epoch seconds with a fraction.
pub fn epoch_seconds(at_ms: i64) -> Value {
    json!(at_ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_operation_names_itself_and_what_is_played() {
        let error =
            AwsError::unknown_operation("Kinesis", "MergeShards", &["PutRecord", "GetRecords"]);
        assert_eq!(error.code, "UnknownOperationException");
        assert!(
            error.message.contains("MergeShards")
                && error.message.contains("PutRecord, GetRecords")
        );
    }

    #[test]
    fn an_error_carries_its_name_in_header_and_body() {
        let error = AwsError::bad_request("QueueDoesNotExist", "no such queue")
            .query("AWS.SimpleQueueService.NonExistentQueue");
        let response = json_answer(
            HeaderValue::from_static("application/x-amz-json-1.0"),
            Err(error),
        );
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["x-amzn-errortype"], "QueueDoesNotExist");
        assert_eq!(
            response.headers()["x-amzn-query-error"],
            "AWS.SimpleQueueService.NonExistentQueue;Sender"
        );
    }
}
