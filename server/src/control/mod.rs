//! What Gantry does, one file per resource. Called by the HTTP edge and by pages; knows nothing of HTTP.
//! Owns what may happen to a job, and what views say; leaves the calling of AWS about jobs to the tracker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use model::{ApiError, ErrorCode};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    aws::{Aws, AwsError, AwsErrorKind, Caller},
    config::Config,
    live::Live,
    store::{Store, StoreError},
};

pub mod artifact;
pub mod bulk;
pub mod cold_start;
pub mod execution;
pub mod health;
pub mod image;
pub mod input;
pub mod job;
pub mod pipeline;
pub mod pipeline_setting;
pub mod upload;

use execution::Folds;

/// Why something was not done. One that is the caller's to know is an [`ApiError`] already; the others
/// become one in [`Failure::answer`], which tells the log what it does not tell the caller.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Something that cannot be, was.
    #[error("{0}")]
    Fault(&'static str),
}

impl Failure {
    /// There is no such thing.
    pub fn not_found(what: impl Into<String>) -> Failure {
        ApiError::new(ErrorCode::NotFound, what).into()
    }

    /// The request does not say what it must.
    pub fn invalid(message: impl Into<String>) -> Failure {
        ApiError::new(ErrorCode::Invalid, message).into()
    }

    /// The error for the caller. Logs the chain of causes, once, under the request's id.
    pub fn answer(self, request_id: &str) -> ApiError {
        let mut error = match &self {
            Failure::Refused(error) => error.clone(),
            Failure::Store(StoreError::Full { .. }) => ApiError::new(
                ErrorCode::Unavailable,
                "The disk with Gantry's database takes no more data. Free some space, then try again; nothing was lost.",
            ),
            Failure::Store(StoreError::Unavailable { .. }) => ApiError::new(
                ErrorCode::Unavailable,
                "Gantry's database does not answer. Try again in a few seconds; what was accepted before is kept.",
            ),
            Failure::Aws(error) => ApiError::new(ErrorCode::Unavailable, aws_message(error)),
            Failure::Store(_) | Failure::Fault(_) => ApiError::new(
                ErrorCode::Internal,
                "Gantry failed to do this. The server's log has the cause under the request's id.",
            ),
        };
        if !matches!(self, Failure::Refused(_)) {
            tracing::error!(request_id, causes = %causes(&self), "request failed");
        }
        error.request_id = Some(request_id.to_owned());
        error
    }
}

fn aws_message(error: &AwsError) -> &'static str {
    match error.kind {
        AwsErrorKind::Throttled => {
            "AWS asks Gantry to call less often. Try again in a few seconds."
        }
        AwsErrorKind::Denied => {
            "AWS does not let Gantry do this. The server's log names the call; its credentials or policy need a change."
        }
        AwsErrorKind::Unreachable => {
            "AWS does not answer. Try again in a few seconds; what was asked for before is kept."
        }
        AwsErrorKind::Refused => {
            "AWS refused a call that this needs. The server's log has AWS's answer under the request's id."
        }
    }
}

/// An error with everything that caused it, for the log.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // The SDK's wrappers repeat what they wrap.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Everything the server works with. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pub store: Store,
    pub aws: Aws,
    pub config: Arc<Config>,
    pub live: Arc<Live>,
    /// What loops noticed, for the Health page.
    pub signs: Arc<health::Signs>,
    /// Tells the dispatcher that the outbox has something new.
    pub outbox: Arc<Notify>,
    /// Tells the tracker that a bulk operation was begun or moved on.
    pub bulks: Arc<Notify>,
    /// Set when the server is to end.
    pub ending: CancellationToken,
    pub(crate) folds: Arc<Folds>,
    pub(crate) images: Arc<image::Cache>,
    pub(crate) drawings: Arc<Mutex<HashMap<String, Arc<execution::Drawing>>>>,
}

impl Control {
    /// Everything over this store and these clients.
    pub fn new(store: Store, aws: Aws, config: Config) -> Control {
        Control {
            store,
            aws,
            config: Arc::new(config),
            live: Arc::default(),
            signs: Arc::default(),
            outbox: Arc::default(),
            bulks: Arc::default(),
            ending: CancellationToken::new(),
            folds: Arc::default(),
            images: Arc::default(),
            drawings: Arc::default(),
        }
    }

    /// The same, for somebody else's calls to AWS: requests speak as a person, each loop as itself.
    pub fn speaking_as(&self, caller: Caller) -> Control {
        Control {
            aws: self.aws.speaking_as(caller),
            ..self.clone()
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::{config, store};

    /// A control over an empty store, with an AWS that nobody answers for.
    pub(crate) async fn control() -> (tempfile::TempDir, Control) {
        let (folder, store) = store::testing::store().await;
        let config = config::testing::config();
        let aws = Aws::connect(&config).await;
        (folder, Control::new(store, aws, config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_learns_what_to_do_and_not_what_broke_inside() {
        let failure = Failure::from(StoreError::Unreadable {
            what: "job status",
            text: "secret".to_owned(),
        });
        let error = failure.answer("r-1");
        assert_eq!(error.code, ErrorCode::Internal);
        assert_eq!(error.request_id.as_deref(), Some("r-1"));
        assert!(!error.message.contains("secret"), "{}", error.message);
    }

    #[test]
    fn a_chain_of_causes_is_one_line_without_repetition() {
        let error = Failure::from(StoreError::Open {
            url: "sqlite:x".to_owned(),
            hint: "",
            source: "disk I/O error".into(),
        });
        assert_eq!(
            causes(&error),
            "cannot open the database sqlite:x: disk I/O error"
        );
    }
}
