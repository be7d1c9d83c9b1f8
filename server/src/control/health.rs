//! Whether the server can do its work: the store answers, and AWS does.

use std::time::Duration;

use super::{Control, causes};

/// How long a check may take before it counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a readiness check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// The database answers.
    pub store: bool,
    /// AWS answers, asked for the bucket.
    pub aws: bool,
}

impl Readiness {
    /// Whether everything is.
    pub fn is_ready(self) -> bool {
        self.store && self.aws
    }
}

impl Control {
    /// Asks the store and AWS, each for at most two seconds.
    pub async fn readiness(&self) -> Readiness {
        let store = tokio::time::timeout(CHECK_TIMEOUT, self.store.check());
        let aws = tokio::time::timeout(CHECK_TIMEOUT, self.aws.bucket.check());
        let (store, aws) = tokio::join!(store, aws);
        if let Ok(Err(error)) = &store {
            tracing::warn!(causes = %causes(error), "the store does not answer");
        }
        if let Ok(Err(error)) = &aws {
            tracing::warn!(causes = %causes(error), "AWS does not answer");
        }
        Readiness {
            store: matches!(store, Ok(Ok(()))),
            aws: matches!(aws, Ok(Ok(()))),
        }
    }
}
