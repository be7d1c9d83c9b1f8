//! AWS, as far as Gantry calls it: one file per service, each a thin wrapper that speaks in Gantry's types
//! and waits for the service's own token bucket. The endpoint comes from the environment alone
//! (`AWS_ENDPOINT_URL`), so nothing here can tell a laptop from AWS. Owns no state but connections.

use std::{error::Error, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;

mod bucket;
mod functions;
mod history;
mod queue;
mod rate;
mod registry;
mod states;
mod stream;

pub use bucket::{Bucket, FetchRequest, Fetched, Listed, ListedObject, Upload};
pub use functions::{FunctionVersion, Functions};
pub use history::event_of;
pub use queue::{Message, Queue};
pub use registry::{Registry, RegistryImage};
pub use states::{HistoryPage, States};
pub use stream::{Records, Stream};

use crate::config::Config;

/// Attempts of one call, the first included; whoever must not give up has an outbox or a loop of its own.
const ATTEMPTS_MAX: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Of one attempt. Longer than SQS's longest poll (20 s), long enough for a part over a slow line.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Every service, connected.
#[derive(Debug, Clone)]
pub struct Aws {
    pub states: States,
    pub queue: Queue,
    pub stream: Stream,
    pub bucket: Bucket,
    pub registry: Registry,
    pub functions: Functions,
}

impl Aws {
    /// Makes clients; calls nobody. Region, credentials and endpoint come from the environment and the
    /// files that AWS's own tools read. <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
    pub async fn connect(config: &Config) -> Aws {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .load()
            .await;
        Aws::with(&shared, config)
    }

    fn with(shared: &SdkConfig, config: &Config) -> Aws {
        Aws {
            states: States::new(shared, &config.state_machine_arn),
            queue: Queue::new(shared, &config.status_queue_url),
            stream: Stream::new(shared, &config.telemetry_stream),
            bucket: Bucket::new(shared, &config.bucket, config.s3_path_style),
            registry: Registry::new(shared, &config.repository),
            functions: Functions::new(shared),
        }
    }
}

/// What kind of failure a call met: decides whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// No answer, or a fault of AWS's: try again later.
    Unreachable,
    /// AWS asks to call less often: try again later, and later each time.
    Throttled,
    /// AWS does not let this server do it: a person has to change a policy or credentials.
    Denied,
    /// AWS says no to this very request.
    Refused,
}

/// A call to AWS that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {}", code.as_deref().unwrap_or("no answer"))]
pub struct AwsError {
    /// AWS's name for the operation.
    pub operation: &'static str,
    /// AWS's error code, when AWS answered.
    pub code: Option<String>,
    pub kind: AwsErrorKind,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

/// Codes by which services ask for patience, from the SDK's own classification and each API's reference.
const THROTTLING: [&str; 8] = [
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "SlowDown",
    "RequestThrottled",
];

/// Codes by which services say that the caller may not do this.
const DENIED: [&str; 9] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "MissingAuthenticationTokenException",
];

impl AwsError {
    fn new<E, R>(operation: &'static str, error: SdkError<E, R>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let code = error.code().map(str::to_owned);
        let kind = match (&error, code.as_deref()) {
            (_, Some(code)) if THROTTLING.contains(&code) => AwsErrorKind::Throttled,
            (_, Some(code)) if DENIED.contains(&code) => AwsErrorKind::Denied,
            (
                _,
                Some(
                    "InternalServerError"
                    | "InternalFailure"
                    | "ServiceException"
                    | "ServiceUnavailable"
                    | "InternalError",
                ),
            ) => AwsErrorKind::Unreachable,
            (SdkError::ServiceError(_), Some(_)) => AwsErrorKind::Refused,
            _ => AwsErrorKind::Unreachable,
        };
        AwsError {
            operation,
            code,
            kind,
            source: error.into(),
        }
    }

    /// An answer that is not what the API's reference promises.
    fn unreadable(
        operation: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> AwsError {
        AwsError {
            operation,
            code: Some("UnreadableAnswer".to_owned()),
            kind: AwsErrorKind::Refused,
            source: source.into(),
        }
    }

    /// Whether AWS answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// Milliseconds since 1970 of a moment in an answer.
fn moment_ms(moment: &aws_smithy_types::DateTime) -> i64 {
    moment.to_millis().unwrap_or(0)
}
