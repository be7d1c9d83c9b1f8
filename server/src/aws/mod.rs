//! AWS, as far as Gantry calls it: one file per service, each a thin wrapper that speaks in Gantry's types
//! and makes every call through [`call`], where budgets are kept. The endpoint comes from the environment alone
//! (`AWS_ENDPOINT_URL`), so nothing here can tell a laptop from AWS. Owns connections, budgets and what is known
//! of calls; leaves it to callers what a failure means for their work.

use std::{sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::tls;

pub mod api;
mod bucket;
mod call;
pub mod error;
mod functions;
mod history;
mod queue;
mod rate;
mod record;
mod registry;
mod states;
mod stream;

pub use api::{Api, Budget, Caller, RaisedQuota};
pub use bucket::{Bucket, FetchRequest, Fetched, Listed, ListedObject, Upload};
pub use call::ApiReport;
pub use error::{AwsError, AwsErrorKind};
pub use functions::{FunctionVersion, Functions};
pub use history::event_of;
pub use queue::{Message, Queue, QueueDepth};
pub use record::{CallError, Outcome, Seen};
pub use registry::{Registry, RegistryImage};
pub use states::{ExecutionPage, HistoryPage, ListedExecution, States};
pub use stream::{Records, Shard, Stream};

use crate::{config::Config, metrics::Metrics};
use call::Calls;

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
    calls: Calls,
}

impl Aws {
    /// Makes clients; calls nobody. Region, credentials and endpoint come from the environment and the
    /// files that AWS's own tools read. <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
    pub async fn connect(config: &Config) -> Aws {
        Aws::with(&Aws::settings().load().await, config)
    }

    /// How every client calls, before region, credentials and endpoint are read.
    fn settings() -> ConfigLoader {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            // An attempt of the SDK's own would ask no bucket.
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
    }

    fn with(shared: &SdkConfig, config: &Config) -> Aws {
        let region = shared.region().map_or("", |region| region.as_ref());
        let calls = Calls::new(region, &config.aws_rates, Arc::default());
        Aws {
            states: States::new(shared, calls.clone(), &config.state_machine_arn),
            queue: Queue::new(shared, calls.clone(), &config.status_queue_url),
            stream: Stream::new(shared, calls.clone(), &config.telemetry_stream),
            bucket: Bucket::new(shared, calls.clone(), &config.bucket, config.s3_path_style),
            registry: Registry::new(shared, calls.clone(), &config.repository),
            functions: Functions::new(shared, calls.clone()),
            calls,
        }
    }

    /// The same services, called on behalf of somebody else: who that is decides whose turn is next.
    pub fn speaking_as(&self, caller: Caller) -> Aws {
        let mut aws = self.clone();
        for calls in [
            &mut aws.calls,
            &mut aws.states.calls,
            &mut aws.queue.calls,
            &mut aws.stream.calls,
            &mut aws.bucket.calls,
            &mut aws.registry.calls,
            &mut aws.functions.calls,
        ] {
            calls.caller = caller;
        }
        aws
    }

    /// What is known of every API: budgets and what became of calls. Asks nobody.
    pub fn report(&self) -> Vec<ApiReport> {
        self.calls.report()
    }

    /// What calls are counted in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.calls.metrics()
    }
}

/// Milliseconds since 1970 of a moment in an answer. AWS writes seconds with three decimal places, of which the
/// nearest binary fraction may be a little less.
fn moment_ms(moment: &aws_smithy_types::DateTime) -> i64 {
    let milliseconds = (moment.as_nanos() + 500_000).div_euclid(1_000_000);
    i64::try_from(milliseconds).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
