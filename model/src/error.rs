//! The one error that reaches a caller. Causes and internals stay in the server's log, under the same request id.

use serde::{Deserialize, Serialize};

/// Why a request was not served, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{message}")]
pub struct ApiError {
    /// What kind of refusal it is; decides the HTTP status.
    pub code: ErrorCode,
    /// What was wrong and what to do about it.
    pub message: String,
    /// Problems of single fields of the request, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
    /// The request's id; the server's log has the causes under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field as a JSON pointer (RFC 6901) into the request's input, such as `/source`.
    pub pointer: String,
    /// What was wrong with it and what to do.
    pub message: String,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is malformed or a field is not valid: HTTP 400.
    Invalid,
    /// This caller may not do this: HTTP 403.
    Forbidden,
    /// There is no such thing: HTTP 404.
    NotFound,
    /// The thing is not in a state that allows this: HTTP 409.
    Conflict,
    /// The body is larger than the limit: HTTP 413.
    TooLarge,
    /// AWS, or the network to it, does not answer: HTTP 503.
    Unavailable,
    /// A fault of Gantry: HTTP 500.
    Internal,
}

impl ErrorCode {
    /// The HTTP status of an answer with this code (RFC 9110, section 15).
    pub fn http_status(self) -> u16 {
        match self {
            ErrorCode::Invalid => 400,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound => 404,
            ErrorCode::Conflict => 409,
            ErrorCode::TooLarge => 413,
            ErrorCode::Unavailable => 503,
            ErrorCode::Internal => 500,
        }
    }
}

impl ApiError {
    /// An error without field problems and without a request id yet.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ApiError {
            code,
            message: message.into(),
            fields: Vec::new(),
            request_id: None,
        }
    }
}
