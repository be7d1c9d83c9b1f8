//! What Prometheus is told: names, help and labels of every metric in one place. Labels are names from this
//! program's own tables (operations, outcomes, routes), so that their number is bounded. Decides nothing.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::time::Duration;

use prometheus::{
    Counter, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder, core::Collector,
};

/// The content type of the text format.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Seconds: from a store's answer to SQS's longest poll.
const LATENCY_BUCKETS_S: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0,
];

/// Calls to AWS that one job may cost while nobody watches it, and how many more for each minute that it runs:
/// StartExecution, DescribeStateMachineForExecution and DescribeExecution once or twice, GetExecutionHistory a few
/// times at its end, GetObject for its manifest; then DescribeExecution each 15 s of silence and
/// GetExecutionHistory each 20 s. An open page of a running job costs up to 100 GetExecutionHistory a minute more.
pub const CALLS_PER_JOB_MAX: f64 = 16.0;
/// See [`CALLS_PER_JOB_MAX`].
pub const CALLS_PER_JOB_MINUTE_MAX: f64 = 8.0;

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    aws_calls: IntCounterVec,
    aws_latency: HistogramVec,
    aws_job_calls: IntCounter,
    jobs_ended: IntCounter,
    jobs_ran_seconds: Counter,
    aws_calls_per_job: Gauge,
    aws_calls_per_job_bound: Gauge,
    aws_tokens: GaugeVec,
    aws_refill: GaugeVec,
    aws_waiting: GaugeVec,
    events: IntCounterVec,
    reconciled: IntCounterVec,
    requests: IntCounterVec,
    request_latency: HistogramVec,
    pub sse_clients: IntGauge,
    pub outbox_rows: Gauge,
    pub outbox_oldest_seconds: Gauge,
    pub histories_unread: Gauge,
    pub executions_running: Gauge,
    pub status_queue_messages: Gauge,
    pub status_queue_in_flight: Gauge,
    pub telemetry_lag_seconds: Gauge,
    pub store_up: Gauge,
    pub store_answer_seconds: Gauge,
}

/// Registers metrics; a name or help that Prometheus does not take is a fault of this file, which a test finds.
struct Shelf(Registry);

impl Shelf {
    fn put<M: Collector + Clone + 'static>(&self, made: prometheus::Result<M>) -> M {
        let metric = made.expect("a metric's name is valid");
        self.0
            .register(Box::new(metric.clone()))
            .expect("a metric's name is used once");
        metric
    }

    fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.put(Gauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.put(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.put(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn latencies(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS_S.to_vec());
        self.put(HistogramVec::new(options, &[label]))
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let shelf = Shelf(Registry::new());
        #[cfg(target_os = "linux")]
        shelf
            .0
            .register(Box::new(
                prometheus::process_collector::ProcessCollector::for_self(),
            ))
            .expect("the process is registered once");
        Metrics {
            aws_calls: shelf.counters(
                "gantry_aws_calls_total",
                "Attempts of calls to AWS by operation and outcome: ok, throttled, denied, unreachable, refused.",
                &["operation", "outcome"],
            ),
            aws_latency: shelf.latencies(
                "gantry_aws_call_seconds",
                "How long attempts of calls to AWS took, without waiting for a turn.",
                "operation",
            ),
            aws_job_calls: shelf.put(IntCounter::new(
                "gantry_aws_job_calls_total",
                "Attempts of calls to AWS that are made because jobs run; polling and the pages of images are left out.",
            )),
            jobs_ended: shelf.put(IntCounter::new(
                "gantry_jobs_ended_total",
                "Executions of jobs that this process saw end.",
            )),
            jobs_ran_seconds: shelf.put(Counter::new(
                "gantry_jobs_ran_seconds_total",
                "How long those executions ran, together.",
            )),
            aws_calls_per_job: shelf.gauge(
                "gantry_aws_calls_per_job",
                "gantry_aws_job_calls_total by gantry_jobs_ended_total. Bound: 16, and 8 more for each minute that a job runs, while nobody watches it.",
            ),
            aws_calls_per_job_bound: shelf.gauge(
                "gantry_aws_calls_per_job_bound",
                "What gantry_aws_calls_per_job may be, for jobs that ran as long as those that ended.",
            ),
            aws_tokens: shelf.gauges(
                "gantry_aws_tokens",
                "Calls that may be made at once before they wait.",
                &["operation"],
            ),
            aws_refill: shelf.gauges(
                "gantry_aws_refill_per_second",
                "Calls a second that may go on; less than the quota while AWS throttles.",
                &["operation"],
            ),
            aws_waiting: shelf.gauges(
                "gantry_aws_waiting",
                "Calls that wait for their turn, by who asks.",
                &["operation", "caller"],
            ),
            events: shelf.counters(
                "gantry_status_events_total",
                "Messages of the status queue by result: applied, stale, unknown (not an execution of Gantry's), malformed.",
                &["result"],
            ),
            reconciled: shelf.counters(
                "gantry_reconciled_total",
                "Executions by result: adopted (started outside Gantry), corrected (no event had told of it, a sweep did).",
                &["result"],
            ),
            requests: shelf.counters(
                "gantry_http_requests_total",
                "Requests by method, route and status.",
                &["method", "route", "status"],
            ),
            request_latency: shelf.latencies(
                "gantry_http_request_seconds",
                "How long requests took until their answer began.",
                "route",
            ),
            sse_clients: shelf.put(IntGauge::new(
                "gantry_sse_clients",
                "Open streams of live views.",
            )),
            outbox_rows: shelf.gauge(
                "gantry_outbox_rows",
                "Promised calls that AWS has not acknowledged.",
            ),
            outbox_oldest_seconds: shelf.gauge(
                "gantry_outbox_oldest_seconds",
                "How long the oldest job with such a call has waited.",
            ),
            histories_unread: shelf.gauge(
                "gantry_histories_unread",
                "Executions whose history is not read to its end.",
            ),
            executions_running: shelf.gauge("gantry_executions_running", "Executions that run."),
            status_queue_messages: shelf.gauge(
                "gantry_status_queue_messages",
                "Messages that wait in the status queue, about; NaN while AWS does not tell.",
            ),
            status_queue_in_flight: shelf.gauge(
                "gantry_status_queue_in_flight",
                "Messages of the status queue that were received and not deleted, about.",
            ),
            telemetry_lag_seconds: shelf.gauge(
                "gantry_telemetry_lag_seconds",
                "How far the slowest shard's reader is behind; NaN until one was read.",
            ),
            store_up: shelf.gauge("gantry_store_up", "Whether the database answers."),
            store_answer_seconds: shelf.gauge(
                "gantry_store_answer_seconds",
                "How long the database took to answer.",
            ),
            registry: shelf.0,
        }
    }
}

impl Metrics {
    /// An attempt of a call to AWS.
    pub fn aws_call(
        &self,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
        is_for_jobs: bool,
    ) {
        self.aws_calls
            .with_label_values(&[operation, outcome])
            .inc();
        self.aws_latency
            .with_label_values(&[operation])
            .observe(took.as_secs_f64());
        if is_for_jobs {
            self.aws_job_calls.inc();
        }
    }

    /// An execution of a job has ended.
    pub fn job_ended(&self, ran_ms: i64) {
        self.jobs_ended.inc();
        self.jobs_ran_seconds.inc_by(ran_ms.max(0) as f64 / 1_000.0);
    }

    /// A message of the status queue.
    pub fn event(&self, result: &'static str) {
        self.events.with_label_values(&[result]).inc();
    }

    /// Executions that were started outside Gantry became jobs.
    pub fn adopted(&self, count: u64) {
        self.reconciled
            .with_label_values(&["adopted"])
            .inc_by(count);
    }

    /// AWS was asked, and had executions otherwise than the store.
    pub fn corrected(&self, count: u64) {
        let corrected = &["corrected"];
        self.reconciled.with_label_values(corrected).inc_by(count);
    }

    /// A request was answered. `route` is the table's path, not the address.
    pub fn request(&self, method: &str, route: &str, status: &str, took: Duration) {
        self.requests
            .with_label_values(&[method, route, status])
            .inc();
        self.request_latency
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// What an API's bucket holds.
    pub fn aws_level(&self, operation: &'static str, tokens: f64, per_second: f64) {
        let operation = &[operation];
        self.aws_tokens.with_label_values(operation).set(tokens);
        self.aws_refill.with_label_values(operation).set(per_second);
    }

    /// How many calls of an API wait.
    pub fn aws_waiting(&self, operation: &'static str, caller: &'static str, count: usize) {
        self.aws_waiting
            .with_label_values(&[operation, caller])
            .set(count as f64);
    }

    /// Calls to AWS for each ended job, and the bound of it; none until one ended.
    pub fn calls_per_job(&self) -> Option<(f64, f64)> {
        let jobs = self.jobs_ended.get();
        let minutes = self.jobs_ran_seconds.get() / 60.0;
        (jobs > 0).then(|| {
            let jobs = jobs as f64;
            (
                self.aws_job_calls.get() as f64 / jobs,
                CALLS_PER_JOB_MAX + CALLS_PER_JOB_MINUTE_MAX * minutes / jobs,
            )
        })
    }

    /// Everything in the text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let (calls, bound) = self.calls_per_job().unwrap_or((f64::NAN, f64::NAN));
        self.aws_calls_per_job.set(calls);
        self.aws_calls_per_job_bound.set(bound);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_prometheus_text() {
        let metrics = Metrics::default();
        metrics.aws_call("StartExecution", "ok", Duration::from_millis(20), true);
        metrics.request("GET", "/jobs/{id}", "200", Duration::from_millis(3));
        metrics.job_ended(120_000);
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE gantry_aws_calls_total counter",
            "gantry_aws_calls_total{operation=\"StartExecution\",outcome=\"ok\"} 1",
            "gantry_http_requests_total{method=\"GET\",route=\"/jobs/{id}\",status=\"200\"} 1",
            "gantry_aws_calls_per_job 1",
            "gantry_aws_calls_per_job_bound 32",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
