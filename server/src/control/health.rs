//! How Gantry is: what the tracker noticed, what AWS said, what waits, and whether the server can be used at all.
//! Owns the signs that loops leave here; the sentence about them is [`verdict`]'s.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use model::{
    ApiState, HealthView, TimestampMs, Verdict,
    health::{
        ApiHealth, CallError, CallsPerJob, OutboxHealth, QueueHealth, StoreHealth, StreamHealth,
        SweepHealth,
    },
};

use super::{Control, causes};
use crate::{
    aws::{ApiReport, AwsErrorKind, QueueDepth},
    clock,
    store::Backlog,
};

mod verdict;

/// How long the store may take before it counts as not answering.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a failure counts as how things are now: every loop calls again sooner.
const CURRENT_MS: i64 = 120_000;

/// Whether requests may be sent here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Readiness {
    pub ready: bool,
    /// Why not.
    pub reason: Option<&'static str>,
}

/// What loops noticed. Nothing here is needed to do work.
#[derive(Debug)]
pub struct Signs {
    started_at_ms: i64,
    inner: Mutex<Inner>,
}

/// What was noticed, at one moment.
#[derive(Debug, Clone, Default)]
struct Inner {
    queue: Option<QueueHealth>,
    /// By shard: how far behind its reader is, and when it last read.
    shards: HashMap<String, (u64, i64)>,
    sweep: Option<SweepHealth>,
    backlog: Backlog,
    /// Since when the database has not answered.
    store_away_since_ms: Option<i64>,
}

impl Default for Signs {
    fn default() -> Signs {
        Signs {
            started_at_ms: clock::now().0,
            inner: Mutex::default(),
        }
    }
}

impl Signs {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SQS has told how much is in the status queue.
    pub fn queue(&self, depth: QueueDepth) {
        self.inner().queue = Some(QueueHealth {
            waiting: depth.visible,
            in_flight: depth.in_flight,
            as_of_ms: clock::now(),
        });
    }

    /// A shard was read; so far behind its newest record.
    pub fn shard_read(&self, shard: &str, behind_ms: i64) {
        let behind_ms = u64::try_from(behind_ms).unwrap_or(0);
        let read = (behind_ms, clock::now().0);
        self.inner().shards.insert(shard.to_owned(), read);
    }

    /// A shard is closed and read to its end.
    pub fn shard_ended(&self, shard: &str) {
        self.inner().shards.remove(shard);
    }

    /// The reconciler has been round.
    pub fn swept(&self, asked: u32, corrected: u32) {
        self.inner().sweep = Some(SweepHealth {
            ended_at_ms: clock::now(),
            asked,
            corrected,
        });
    }
}

impl Inner {
    /// The shard that is farthest behind; time passes for one that is not read.
    fn slowest(&self, now_ms: i64) -> Option<StreamHealth> {
        let lag = |(behind_ms, read_at_ms): &(u64, i64)| {
            // A reader that keeps up reads each second or so.
            let unread_ms = u64::try_from(now_ms - read_at_ms - 5_000).unwrap_or(0);
            (behind_ms + unread_ms, *read_at_ms)
        };
        let (lag_ms, as_of_ms) = self.shards.values().map(lag).max()?;
        Some(StreamHealth {
            shards: u32::try_from(self.shards.len()).unwrap_or(u32::MAX),
            lag_ms,
            as_of_ms: TimestampMs(as_of_ms),
        })
    }
}

/// How an API is, and since when.
fn state_of(report: &ApiReport, now_ms: i64) -> (ApiState, Option<i64>) {
    let seen = &report.seen;
    if let (Some(since_ms), Some(error)) = (seen.troubled_since_ms, &seen.last_error)
        && now_ms - error.at_ms < CURRENT_MS
    {
        match error.kind {
            AwsErrorKind::Throttled => return (ApiState::Throttled, Some(since_ms)),
            AwsErrorKind::Denied => return (ApiState::Denied, Some(since_ms)),
            AwsErrorKind::Unreachable => return (ApiState::Unreachable, Some(since_ms)),
            AwsErrorKind::Refused => {}
        }
    }
    match report.throttled_since_ms {
        Some(since_ms) => (ApiState::Throttled, Some(since_ms)),
        None if seen.calls == 0 => (ApiState::Unused, None),
        None => (ApiState::Good, None),
    }
}

fn api(report: &ApiReport, now_ms: i64) -> ApiHealth {
    let (state, since_ms) = state_of(report, now_ms);
    let seen = &report.seen;
    ApiHealth {
        service: report.api.service().to_owned(),
        operation: report.api.name().to_owned(),
        state,
        since_ms: since_ms.map(TimestampMs),
        tokens: report.tokens.max(0.0) as u32,
        burst: report.budget.burst,
        per_second: (report.per_second * 10.0).round() / 10.0,
        per_second_max: report.budget.per_second,
        waiting: report.waiting.iter().sum::<usize>() as u32,
        calls_last_minute: seen.calls_last_minute,
        calls: seen.calls,
        last_error: seen.last_error.as_ref().map(|error| CallError {
            said: error.said.clone(),
            at_ms: TimestampMs(error.at_ms),
        }),
        last_success_ms: seen.last_success_ms.map(TimestampMs),
    }
}

impl Control {
    /// Whether requests may be sent here: the store answers (it was migrated before anything was served).
    /// That AWS answers is not asked: without it pages are drawn and jobs accepted all the same.
    pub async fn readiness(&self) -> Readiness {
        let reason = match tokio::time::timeout(CHECK_TIMEOUT, self.store.check()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::warn!(causes = %causes(&error), "the store does not answer");
                Some("the database refuses a query; the server's log has the cause")
            }
            Err(_) => Some("the database does not answer within two seconds"),
        };
        Readiness {
            ready: reason.is_none(),
            reason,
        }
    }

    /// The verdict as far as it is known without asking anybody: every page shows a mark of it.
    pub fn verdict(&self) -> Verdict {
        let now_ms = clock::now().0;
        let signs = self.signs.inner().clone();
        verdict::verdict(&self.aws.report(), &signs, now_ms)
    }

    /// Counts anew what waits in the store, for the verdict. Returns how long the store took; none when it
    /// does not answer.
    pub(crate) async fn count_backlog(&self) -> Option<Duration> {
        let began = Instant::now();
        let counted = tokio::time::timeout(CHECK_TIMEOUT, self.store.backlog()).await;
        let mut signs = self.signs.inner();
        match counted {
            Ok(Ok(backlog)) => {
                signs.backlog = backlog;
                signs.store_away_since_ms = None;
                Some(began.elapsed())
            }
            failed => {
                signs.store_away_since_ms.get_or_insert(clock::now().0);
                drop(signs);
                if let Ok(Err(error)) = failed {
                    tracing::warn!(causes = %causes(&error), "the store does not count");
                }
                None
            }
        }
    }

    /// Everything about Gantry's health. Asks the store, never AWS.
    pub async fn health(&self) -> HealthView {
        let answer = self.count_backlog().await;
        let bytes = self.store_bytes().await;
        let now = clock::now();
        let reports = self.aws.report();
        let signs = self.signs.inner().clone();
        let kind = match self.config.database_url.split(':').next() {
            Some("postgres" | "postgresql") => "PostgreSQL",
            _ => "SQLite",
        };
        HealthView {
            verdict: verdict::verdict(&reports, &signs, now.0),
            apis: reports.iter().map(|report| api(report, now.0)).collect(),
            outbox: OutboxHealth {
                rows: signs.backlog.outbox_rows,
                oldest_ms: signs.backlog.outbox_oldest_ms.map(TimestampMs),
            },
            status_queue: signs.queue,
            telemetry: signs.slowest(now.0),
            histories_unread: signs.backlog.histories_unread,
            executions_running: signs.backlog.executions_running,
            store: StoreHealth {
                kind: kind.to_owned(),
                answer_ms: answer.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                bytes,
            },
            reconciler: signs.sweep,
            calls_per_job: self
                .aws
                .metrics()
                .calls_per_job()
                .map(|(calls, bound)| CallsPerJob { calls, bound }),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: TimestampMs(self.signs.started_at_ms),
            as_of_ms: now,
        }
    }

    /// The database's size, when it is a file with its write-ahead log.
    async fn store_bytes(&self) -> Option<u64> {
        let path = self.config.database_url.strip_prefix("sqlite:")?;
        let path = path.trim_start_matches("//").split('?').next()?;
        let size = async |path: String| tokio::fs::metadata(path).await.ok().map(|file| file.len());
        let log = size(format!("{path}-wal")).await.unwrap_or(0);
        size(path.to_owned()).await.map(|bytes| bytes + log)
    }

    /// Every metric, as Prometheus reads them.
    pub async fn metrics_text(&self) -> Result<String, super::Failure> {
        let view = self.health().await;
        let metrics = self.aws.metrics();
        for report in self.aws.report() {
            let operation = report.api.name();
            metrics.aws_level(operation, report.tokens, report.per_second);
            for (caller, count) in crate::aws::Caller::ALL.iter().zip(report.waiting) {
                metrics.aws_waiting(operation, caller.name(), count);
            }
        }
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let known = |number: Option<f64>| number.unwrap_or(f64::NAN);
        let oldest = view.outbox.oldest_ms;
        metrics.outbox_rows.set(view.outbox.rows as f64);
        metrics
            .outbox_oldest_seconds
            .set(oldest.map_or(0.0, |at| seconds(view.as_of_ms.since_ms(at))));
        metrics.histories_unread.set(view.histories_unread as f64);
        let watchers = i64::try_from(self.live.watchers()).unwrap_or(i64::MAX);
        metrics.sse_clients.set(watchers);
        metrics
            .executions_running
            .set(view.executions_running as f64);
        let queue = view.status_queue;
        metrics
            .status_queue_messages
            .set(known(queue.map(|queue| queue.waiting as f64)));
        metrics
            .status_queue_in_flight
            .set(known(queue.map(|queue| queue.in_flight as f64)));
        let lag = view.telemetry.map(|stream| seconds(stream.lag_ms));
        metrics.telemetry_lag_seconds.set(known(lag));
        let answer = view.store.answer_ms;
        metrics.store_up.set(f64::from(u8::from(answer.is_some())));
        metrics.store_answer_seconds.set(known(answer.map(seconds)));
        metrics
            .text()
            .map_err(|_| super::Failure::Fault("metrics are not text"))
    }
}
