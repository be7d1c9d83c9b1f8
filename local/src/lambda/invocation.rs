//! One invocation on a sandbox, from handing over the event to the report.
//!
//! Owns both phases' limits and their measuring: init is from the start of the process to its first
//! request for work, duration is from handing over the event to the answer. Refuses to touch the process
//! but to end it: it is [`super::sandbox`]'s.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::memory;
use super::report::{Report, Status};
use super::sandbox::{Phase, Reply, Sandbox, Work, lock};
use crate::wire::now_ms;

/// How long a process may take to ask for work, at least; a function with a longer timeout gets that.
const INIT_MAX: Duration = Duration::from_secs(10);
/// How an invocation on a sandbox ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The function answered or failed.
    Done {
        payload: Bytes,
        failed: bool,
        duration_ms: f64,
        /// The end of the log.
        log: String,
        reusable: bool,
    },
    /// The process had ended before it took the event: another sandbox may have it.
    NotTaken,
}

impl Sandbox {
    /// Runs one invocation; the caller must be the only one.
    pub async fn invoke(
        &self,
        request_id: &str,
        function_arn: &str,
        payload: Bytes,
        cold: bool,
    ) -> Outcome {
        let mut phase = self.phase.subscribe();
        let limit = Duration::from_secs(self.function.config.timeout_seconds);
        let mut init_ms = None;
        if cold {
            match self.initialized(&mut phase, limit.max(INIT_MAX)).await {
                Ok(took) => {
                    init_ms = Some(ms(took));
                    // Read now too: a process that is killed cannot be asked any more.
                    self.note_memory();
                }
                Err((status, kind, payload)) => {
                    let payload =
                        payload.unwrap_or_else(|message| failure(request_id, kind, &message));
                    return self
                        .end(
                            request_id,
                            status,
                            Some(kind),
                            payload,
                            None,
                            Instant::now(),
                            false,
                        )
                        .await;
                }
            }
        }
        self.journal.start(request_id, &self.function.version).await;
        let (reply, mut replied) = oneshot::channel();
        let work = Work {
            request_id: request_id.to_owned(),
            payload,
            deadline_ms: now_ms() + i64::try_from(limit.as_millis()).unwrap_or(i64::MAX),
            function_arn: function_arn.to_owned(),
            trace_id: trace_id(),
        };
        let started = Instant::now();
        // The channel holds one: with one invocation at a time this never waits.
        if self.work.send((work, reply)).await.is_err() {
            return Outcome::NotTaken;
        }
        let ended = async {
            let ended = phase.wait_for(Phase::is_over).await;
            ended.map(|phase| phase.clone())
        };
        let reply = tokio::select! {
            biased;
            reply = &mut replied => reply.ok(),
            _ = ended => replied.try_recv().ok(),
            () = tokio::time::sleep(limit) => {
                let message = format!("Error: Task timed out after {:.2} seconds", limit.as_secs_f64());
                self.kill();
                let payload = failure(request_id, "Sandbox.Timedout", &message);
                return self.end(request_id, Status::Timeout, Some("Sandbox.Timedout"), payload, init_ms, started, false).await;
            }
        };
        match reply {
            Some(Reply::Answer(payload)) => {
                self.end(
                    request_id,
                    Status::Success,
                    None,
                    payload,
                    init_ms,
                    started,
                    true,
                )
                .await
            }
            Some(Reply::Error(payload)) => {
                let kind = error_type(&payload);
                self.end(
                    request_id,
                    Status::Error,
                    kind.as_deref(),
                    payload,
                    init_ms,
                    started,
                    true,
                )
                .await
            }
            None => {
                let taken = lock(&self.current)
                    .take()
                    .is_some_and(|current| current.request_id == request_id);
                if !taken && !cold {
                    return Outcome::NotTaken;
                }
                let why = match &*self.phase.borrow() {
                    Phase::Ended(why) => why.clone(),
                    _ => "Runtime exited without providing a reason".into(),
                };
                let payload = failure(request_id, "Runtime.ExitError", &format!("Error: {why}"));
                self.end(
                    request_id,
                    Status::Failure,
                    Some("Runtime.ExitError"),
                    payload,
                    init_ms,
                    started,
                    false,
                )
                .await
            }
        }
    }

    /// Waits for the first request for work: how long it took, or how the start failed (status, error type,
    /// and the error object or the message for one).
    async fn initialized(
        &self,
        phase: &mut watch::Receiver<Phase>,
        limit: Duration,
    ) -> Result<Duration, (Status, &'static str, Result<Bytes, String>)> {
        let settled = async {
            let settled = phase
                .wait_for(|phase| !matches!(phase, Phase::Starting))
                .await;
            settled.map_or_else(
                |_| Phase::Ended("the sandbox is gone".into()),
                |phase| phase.clone(),
            )
        };
        let settled = match tokio::time::timeout(limit, settled).await {
            Ok(phase) => phase,
            Err(_) => {
                self.kill();
                self.tell_init(Status::Timeout, limit, Some("Sandbox.Timedout"))
                    .await;
                let message = format!(
                    "Error: Task timed out after {:.2} seconds",
                    limit.as_secs_f64()
                );
                return Err((Status::Timeout, "Sandbox.Timedout", Err(message)));
            }
        };
        match settled {
            Phase::Ready(took) => {
                self.tell_init(Status::Success, took, None).await;
                Ok(took)
            }
            Phase::InitFailed(payload) => {
                self.kill();
                self.tell_init(
                    Status::Error,
                    self.started.elapsed(),
                    Some("Runtime.InitError"),
                )
                .await;
                Err((Status::Error, "Runtime.InitError", Ok(payload)))
            }
            Phase::Unstartable(why) => {
                self.tell_init(
                    Status::Error,
                    Duration::ZERO,
                    Some("Runtime.InvalidEntrypoint"),
                )
                .await;
                Err((
                    Status::Failure,
                    "Runtime.InvalidEntrypoint",
                    Err(format!("Error: {why}")),
                ))
            }
            Phase::Ended(why) => {
                self.tell_init(
                    Status::Error,
                    self.started.elapsed(),
                    Some("Runtime.ExitError"),
                )
                .await;
                Err((
                    Status::Failure,
                    "Runtime.ExitError",
                    Err(format!("Error: {why}")),
                ))
            }
            Phase::Starting => unreachable!("waited for the end of this phase"),
        }
    }

    async fn tell_init(&self, status: Status, took: Duration, error_type: Option<&str>) {
        if !self.init_told.swap(true, Ordering::Relaxed) {
            self.journal.init_report(status, ms(took), error_type).await;
        }
    }

    fn note_memory(&self) {
        if let Some(pid) = self.pid() {
            self.peak_kib
                .fetch_max(memory::peak_kib(pid), Ordering::Relaxed);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where everything about an end comes together"
    )]
    async fn end(
        &self,
        request_id: &str,
        status: Status,
        error_type: Option<&str>,
        payload: Bytes,
        init_ms: Option<f64>,
        started: Instant,
        reusable: bool,
    ) -> Outcome {
        let duration_ms = ms(started.elapsed());
        self.note_memory();
        let report = Report {
            request_id,
            status,
            error_type,
            duration_ms,
            init_ms,
            memory_used_mb: self.peak_kib.load(Ordering::Relaxed).div_ceil(1024),
            produced_bytes: payload.len(),
        };
        self.journal.end(&self.function.config, &report).await;
        Outcome::Done {
            payload,
            failed: status != Status::Success,
            duration_ms,
            log: self.journal.tail(),
            reusable,
        }
    }
}

fn failure(request_id: &str, kind: &str, message: &str) -> Bytes {
    json!({"errorType": kind, "errorMessage": format!("RequestId: {request_id} {message}")})
        .to_string()
        .into()
}

fn error_type(payload: &Bytes) -> Option<String> {
    serde_json::from_slice::<Value>(payload).ok()?["errorType"]
        .as_str()
        .map(str::to_owned)
}

fn trace_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!(
        "Root=1-{:08x}-{};Parent={};Sampled=0",
        now_ms() / 1000,
        &id[..24],
        &id[16..]
    )
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
