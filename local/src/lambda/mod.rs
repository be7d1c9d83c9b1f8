//! Lambda: functions from container images, run in sandboxes that are real processes.
//!
//! Owns invoking. [`function`] keeps what functions are, [`api`] answers the REST API, `pool` chooses a
//! sandbox, `sandbox` runs it, [`runtime`] speaks to the process in it. Invocations are synchronous;
//! Refuses what Gantry does not use: zip packages, layers, extensions, event source mappings.
//! <https://docs.aws.amazon.com/lambda/latest/api/>

mod alias;
pub mod api;
mod describe;
pub mod function;
mod image;
mod invocation;
mod memory;
mod pool;
mod process;
mod report;
pub mod runtime;
mod sandbox;
mod settings;
mod tail;
mod watchman;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::cloudwatch::CloudWatch;
use crate::config::Config;
use crate::logs::Logs;
use crate::registry::Registry;
use crate::store::Store;
use crate::wire::{AwsError, now_ms};
use function::{Functions, parse_name};
use image::Images;
use invocation::Outcome;
use pool::{Limits, Pool};

/// Largest event, bytes, as on AWS.
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What an invocation came to.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What the function answered, or the error object when `function_error` is set.
    pub payload: Bytes,
    /// `Unhandled` when the function failed: its error type and message are in the payload
    /// (`errorType`, `errorMessage`).
    pub function_error: Option<String>,
    /// The version that ran.
    pub executed_version: String,
    /// The invocation's id, which its log lines carry.
    pub request_id: String,
    /// The end of the invocation's log, at most 4 KB.
    pub log: String,
}

/// The functions and their sandboxes.
pub struct Lambda {
    functions: Functions,
    pool: Arc<Pool>,
    logs: Arc<Logs>,
    cloudwatch: Arc<CloudWatch>,
    elsewhere: Option<Elsewhere>,
    stopping: CancellationToken,
}

impl Invocation {
    /// The end of the log as answers hold it: base64.
    pub fn log_result(&self) -> String {
        STANDARD.encode(&self.log)
    }
}

/// Another Lambda, to which the other services' invocations go.
struct Elsewhere {
    endpoint: String,
    client: reqwest::Client,
}

impl Lambda {
    /// Opens the functions in the store.
    pub async fn open(
        store: Store,
        config: &Config,
        registry: Arc<Registry>,
        logs: Arc<Logs>,
        cloudwatch: Arc<CloudWatch>,
    ) -> Result<Arc<Lambda>, AwsError> {
        let images = Images::open(store.data.join("images"), registry)?;
        let limits = Limits {
            sandboxes_max: config.sandboxes_max,
            idle: config.sandbox_idle,
        };
        let directory = store.data.join("sandboxes");
        let pool = Pool::open(
            directory,
            store.endpoint.clone(),
            limits,
            images,
            logs.clone(),
        )?;
        let elsewhere = match config.lambda_endpoint.clone() {
            None => None,
            Some(endpoint) => Some(Elsewhere {
                endpoint,
                // A connection for each: one that was kept may lead to an endpoint that was started anew meanwhile, and
                // an invocation that may have been heard is not repeated.
                client: reqwest::Client::builder()
                    .pool_max_idle_per_host(0)
                    .build()
                    .map_err(std::io::Error::other)?,
            }),
        };
        let stopping = store.stopping.clone();
        Ok(Arc::new(Lambda {
            functions: Functions::open(store).await?,
            pool,
            logs,
            cloudwatch,
            elsewhere,
            stopping,
        }))
    }

    /// Invokes a function and waits for its answer. `function` is a name or an ARN, with or without
    /// a version or alias. Dropping the future does not stop the invocation.
    ///
    /// Errors are Lambda's own (`ResourceNotFoundException`, `TooManyRequestsException`, …); a function
    /// that failed is not an error but an [`Invocation`] with `function_error`. While `local` stops, nothing
    /// is answered any more: sandboxes that are ended by that have not failed, and whoever was waiting asks
    /// again after the next start.
    pub async fn invoke(&self, function: &str, payload: Bytes) -> Result<Invocation, AwsError> {
        let (name, qualifier) = parse_name(function)?;
        let invocation = async {
            match &self.elsewhere {
                Some(elsewhere) => elsewhere.invoke(&name, qualifier.as_deref(), payload).await,
                None => self.invoke_here(&name, qualifier.as_deref(), payload).await,
            }
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => std::future::pending().await,
            invocation = invocation => invocation,
        }
    }

    /// Invokes a function in a sandbox here.
    pub(crate) async fn invoke_here(
        &self,
        name: &str,
        qualifier: Option<&str>,
        payload: Bytes,
    ) -> Result<Invocation, AwsError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(AwsError::new(
                413,
                "RequestTooLargeException",
                format!(
                    "{} byte payload is too large for the RequestResponse invocation type (limit {PAYLOAD_BYTES_MAX} bytes)",
                    payload.len()
                ),
            ));
        }
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
            return Err(AwsError::bad_request(
                "InvalidRequestContentException",
                format!("Could not parse request body into json: {error}"),
            )
            .with("Type", "User"));
        }
        // A draw between 0 and 1 for an alias that shares its traffic.
        let draw = f64::from(uuid::Uuid::new_v4().as_u128() as u32) / f64::from(u32::MAX);
        let function = self.functions.resolve(name, qualifier, draw).await?;
        let function_arn = function.arn(qualifier);
        let (pool, cloudwatch) = (self.pool.clone(), self.cloudwatch.clone());
        let run = async move {
            let request_id = uuid::Uuid::new_v4().to_string();
            let at_ms = now_ms();
            match pool
                .run(&function, &request_id, &function_arn, payload)
                .await
            {
                Ok(Outcome::Done {
                    payload,
                    failed,
                    duration_ms,
                    log,
                    ..
                }) => {
                    cloudwatch
                        .invoked(&function.name, at_ms, duration_ms, failed)
                        .await;
                    Ok(Invocation {
                        payload,
                        function_error: failed.then(|| "Unhandled".to_owned()),
                        executed_version: function.version,
                        request_id,
                        log,
                    })
                }
                Ok(Outcome::NotTaken) => Err(AwsError::new(
                    500,
                    "ServiceException",
                    "No sandbox took the event.",
                )),
                Err(error) => {
                    if error.status == 429 {
                        cloudwatch.throttled(&function.name, at_ms).await;
                    }
                    Err(error)
                }
            }
        };
        // In a task of its own: an invocation goes on when its caller has gone.
        tokio::spawn(run).await.unwrap_or_else(|error| {
            tracing::error!(%error, "an invocation broke off");
            Err(AwsError::new(
                500,
                "ServiceException",
                "The invocation broke off; see the log of local.",
            ))
        })
    }

    /// Ends every sandbox.
    pub async fn shutdown(&self) {
        self.pool.close().await;
    }
}

impl Elsewhere {
    async fn invoke(
        &self,
        name: &str,
        qualifier: Option<&str>,
        payload: Bytes,
    ) -> Result<Invocation, AwsError> {
        let failed = |error: reqwest::Error| {
            AwsError::new(
                503,
                "ServiceException",
                format!(
                    "The Lambda endpoint {} cannot be reached: {error}",
                    self.endpoint
                ),
            )
        };
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.endpoint);
        let mut request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("x-amz-log-type", "Tail")
            .body(payload);
        if let Some(qualifier) = qualifier {
            request = request.query(&[("Qualifier", qualifier)]);
        }
        let response = request.send().await.map_err(failed)?;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let (status, function_error) = (response.status(), header("x-amz-function-error"));
        let executed_version =
            header("x-amz-executed-version").unwrap_or_else(|| function::LATEST.to_owned());
        let code = header("x-amzn-errortype");
        let request_id = header("x-amzn-requestid").unwrap_or_default();
        let log = header("x-amz-log-result")
            .and_then(|log| STANDARD.decode(log).ok())
            .map(|log| String::from_utf8_lossy(&log).into_owned());
        let payload = response.bytes().await.map_err(failed)?;
        if status.is_success() {
            return Ok(Invocation {
                payload,
                function_error,
                log: log.unwrap_or_else(|| {
                    format!(
                        "START RequestId: {request_id} Version: {executed_version}\nEND RequestId: {request_id}\n"
                    )
                }),
                executed_version,
                request_id,
            });
        }
        let code = code
            .as_deref()
            .unwrap_or("ServiceException")
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned();
        let body: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
        let message = body["Message"]
            .as_str()
            .or_else(|| body["message"].as_str());
        let message = message.map_or_else(
            || String::from_utf8_lossy(&payload).into_owned(),
            str::to_owned,
        );
        Err(AwsError::new(status.as_u16(), &code, message))
    }
}
