//! What a failed call to AWS means: whether to try again, to wait for a person, or to give the request up.
//! Owns the reading of codes and statuses; decides nothing about retries.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sfn::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use super::api::Api;

/// What kind of failure a call met: decides whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AwsErrorKind {
    /// No answer, or a fault of AWS's: try again later.
    Unreachable,
    /// AWS asks to call less often, or has no room just now: try again later, and later each time.
    Throttled,
    /// AWS does not let this server do it: a person has to change a policy or credentials.
    Denied,
    /// AWS says no to this very request.
    Refused,
}

/// A call to AWS that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {}", self.said())]
pub struct AwsError {
    /// AWS's name for the operation.
    pub operation: &'static str,
    /// AWS's error code, when AWS answered.
    pub code: Option<String>,
    pub kind: AwsErrorKind,
    /// The answer's HTTP status, when there was an answer.
    pub status: Option<u16>,
    is_late: bool,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

/// The code of a call that could not be signed.
pub const NO_CREDENTIALS: &str = "CredentialsNotLoaded";
/// The code of a caller that gave up waiting for its turn.
pub const NO_TURN: &str = "NoTurnInTime";

/// Codes by which services ask for patience, from the SDK's own classification (`aws_runtime::retries`) and each
/// API's reference. <https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html>
const THROTTLING: [&str; 20] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    // Step Functions: a million executions are open.
    "ExecutionLimitExceeded",
    // Kinesis.
    "ProvisionedThroughputExceededException",
    // S3.
    "SlowDown",
    // SQS: 120,000 messages are in flight.
    "OverLimit",
    "AWS.SimpleQueueService.OverLimit",
    // KMS, through whichever service has its data encrypted.
    "KmsThrottlingException",
    "KMSThrottlingException",
    "KmsThrottled",
    NO_TURN,
];

/// Codes by which services say that the caller may not do this, or not any more.
const DENIED: [&str; 18] = [
    "AccessDenied",
    "AccessDeniedException",
    "KmsAccessDeniedException",
    "UnauthorizedOperation",
    "NotAuthorized",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestTimeTooSkewed",
    "OptInRequired",
    "AllAccessDisabled",
    NO_CREDENTIALS,
];

/// Codes of credentials whose time is over.
const EXPIRED: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
    "ExpiredTokenId",
];

/// Faults of a service that it reports under a status of its callers' faults.
const FAULTS: [&str; 8] = [
    "InternalServerError",
    "InternalFailure",
    "InternalError",
    "ServiceException",
    "ServiceUnavailable",
    "ServerException",
    "RequestTimeout",
    "RequestTimeoutException",
];

fn kind_of(code: Option<&str>, status: Option<u16>) -> AwsErrorKind {
    match (code, status) {
        (Some(code), _) if THROTTLING.contains(&code) => AwsErrorKind::Throttled,
        (Some(code), _) if DENIED.contains(&code) || EXPIRED.contains(&code) => {
            AwsErrorKind::Denied
        }
        (Some(code), _) if FAULTS.contains(&code) => AwsErrorKind::Unreachable,
        (_, Some(429)) => AwsErrorKind::Throttled,
        // S3 answers HEAD without a body, and so without a code.
        (_, Some(401 | 403)) => AwsErrorKind::Denied,
        (_, Some(400..=499)) => AwsErrorKind::Refused,
        // A redirect to another region's bucket, or 304.
        (_, Some(300..=399)) => AwsErrorKind::Refused,
        _ => AwsErrorKind::Unreachable,
    }
}

impl AwsError {
    pub(super) fn new<E>(api: Api, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        let mut code = error.code().map(str::to_owned);
        if code.is_none() && status.is_none() && lacks_credentials(&error) {
            code = Some(NO_CREDENTIALS.to_owned());
        }
        let kind = match &error {
            // What was asked for makes no request: a bucket's name that is none. AWS was not even called.
            SdkError::ConstructionFailure(_) if code.is_none() => AwsErrorKind::Refused,
            _ => kind_of(code.as_deref(), status),
        };
        AwsError {
            operation: api.name(),
            kind,
            code,
            status,
            is_late: matches!(error, SdkError::TimeoutError(_)),
            source: error.into(),
        }
    }

    fn without_status(
        api: Api,
        code: Option<&str>,
        kind: AwsErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> AwsError {
        AwsError {
            operation: api.name(),
            code: code.map(str::to_owned),
            kind,
            status: None,
            is_late: false,
            source: source.into(),
        }
    }

    /// An answer that is not what the API's reference promises.
    pub(super) fn unreadable(
        api: Api,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> AwsError {
        let code = Some("UnreadableAnswer");
        AwsError::without_status(api, code, AwsErrorKind::Refused, source)
    }

    /// The connection ended, or there was none.
    pub(super) fn unreachable(
        api: Api,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> AwsError {
        AwsError::without_status(api, None, AwsErrorKind::Unreachable, source)
    }

    /// The caller could not wait until this process may call again.
    pub(super) fn no_turn(api: Api) -> AwsError {
        let source = "too many calls wait for their turn";
        AwsError::without_status(api, Some(NO_TURN), AwsErrorKind::Throttled, source)
    }

    #[cfg(test)]
    pub(super) fn without_credentials(api: Api) -> AwsError {
        let code = Some(NO_CREDENTIALS);
        AwsError::without_status(api, code, AwsErrorKind::Denied, "none found")
    }

    /// Whether AWS answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether the same call may go well in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.kind,
            AwsErrorKind::Throttled | AwsErrorKind::Unreachable
        )
    }

    /// AWS's code, or how it was silent: fit to be shown, as it holds no name of anything.
    pub fn said(&self) -> &str {
        match (&self.code, self.is_late) {
            (Some(code), _) => code,
            (None, true) => "no answer in time",
            (None, false) => "no answer",
        }
    }
}

/// Whether a code says that credentials have run out.
pub fn is_expired(code: &str) -> bool {
    EXPIRED.contains(&code)
}

/// Whether a code says that something is wrong with the credentials, and not with what they allow.
pub fn is_about_credentials(code: &str) -> bool {
    is_expired(code)
        || [
            NO_CREDENTIALS,
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "InvalidToken",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
        ]
        .contains(&code)
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_say_what_to_do() {
        use AwsErrorKind::{Denied, Refused, Throttled, Unreachable};
        for (code, status, kind) in [
            (Some("ThrottlingException"), Some(400), Throttled),
            (Some("ExecutionLimitExceeded"), Some(400), Throttled),
            (
                Some("ProvisionedThroughputExceededException"),
                Some(400),
                Throttled,
            ),
            (Some("SlowDown"), Some(503), Throttled),
            (Some("RequestThrottled"), Some(403), Throttled),
            (Some("TooManyRequestsException"), Some(429), Throttled),
            (None, Some(429), Throttled),
            (Some("ExpiredTokenException"), Some(400), Denied),
            (Some("ExpiredToken"), Some(403), Denied),
            (Some("UnrecognizedClientException"), Some(400), Denied),
            (Some(NO_CREDENTIALS), None, Denied),
            (None, Some(403), Denied),
            (Some("InternalError"), Some(500), Unreachable),
            (Some("NeverHeardOf"), Some(502), Unreachable),
            (Some("RequestTimeout"), Some(400), Unreachable),
            (None, None, Unreachable),
            (Some("ExecutionDoesNotExist"), Some(400), Refused),
            (Some("NoSuchKey"), Some(404), Refused),
            (None, Some(304), Refused),
        ] {
            assert_eq!(kind_of(code, status), kind, "{code:?} {status:?}");
        }
    }

    #[test]
    fn a_code_is_shown_and_a_cause_is_not() {
        let error = AwsError::unreachable(Api::StartExecution, "connect to 10.0.0.1: refused");
        assert_eq!(error.to_string(), "StartExecution failed: no answer");
        assert!(is_about_credentials("ExpiredToken") && !is_about_credentials("AccessDenied"));
    }
}
