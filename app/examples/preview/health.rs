//! Made-up health: throttled, new, without AWS, and with credentials that ran out.

use model::{
    ApiState, HealthLevel, HealthView, TimestampMs, Verdict,
    health::{
        ApiHealth, CallError, CallsPerJob, OutboxHealth, QueueHealth, StoreHealth, StreamHealth,
        SweepHealth,
    },
};

use super::{backend::Shown, jobs::now};

const OPERATIONS: [(&str, &str, u32, u32); 9] = [
    ("Step Functions", "StartExecution", 1_300, 300),
    ("Step Functions", "DescribeExecution", 300, 15),
    ("Step Functions", "DescribeStateMachineForExecution", 200, 1),
    ("Step Functions", "GetExecutionHistory", 400, 20),
    ("SQS", "ReceiveMessage", 100, 50),
    ("Kinesis", "GetRecords", 1_000, 500),
    ("S3", "GetObject", 5_500, 5_500),
    ("S3", "UploadPart", 3_500, 3_500),
    ("ECR", "DescribeImages", 20, 10),
];

/// How the operation stands, as which code.
fn trouble(shown: Shown, operation: &str) -> Option<(ApiState, &'static str)> {
    match shown {
        Shown::Full if operation == "StartExecution" => {
            Some((ApiState::Throttled, "ThrottlingException"))
        }
        Shown::Away => Some((ApiState::Unreachable, "no answer")),
        Shown::Stale => Some((ApiState::Denied, "ExpiredTokenException")),
        Shown::Full | Shown::Empty => None,
    }
}

pub fn verdict(shown: Shown) -> Verdict {
    let (level, sentence, advice) = match shown {
        Shown::Full => (
            HealthLevel::Waiting,
            "Step Functions asks to call less often since 14:03 UTC: work waits, nothing is lost.",
            "Nothing has to be done. If it comes often, ask AWS for a higher quota and set it in GANTRY_AWS_RATES.",
        ),
        Shown::Empty => (HealthLevel::Good, "Everything works.", ""),
        Shown::Away => (
            HealthLevel::Broken,
            "AWS has not answered since 14:03 UTC: work waits, nothing is lost.",
            "See that the server reaches the network. Gantry goes on by itself once AWS answers.",
        ),
        Shown::Stale => (
            HealthLevel::Broken,
            "AWS has refused Gantry's credentials since 14:03 UTC, as they have expired: work waits for new ones, nothing is lost.",
            "Renew them where the server runs. Gantry tries again by itself.",
        ),
    };
    Verdict {
        level,
        sentence: sentence.to_owned(),
        advice: (!advice.is_empty()).then(|| advice.to_owned()),
        since_ms: (level != HealthLevel::Good).then(|| TimestampMs(now().0 - 420_000)),
    }
}

pub fn view(shown: Shown) -> HealthView {
    let now = now();
    let ago = |seconds: i64| TimestampMs(now.0 - seconds * 1_000);
    let is_new = shown == Shown::Empty;
    HealthView {
        verdict: verdict(shown),
        apis: OPERATIONS
            .iter()
            .map(|(service, operation, burst, per_second)| {
                let trouble = trouble(shown, operation);
                let is_used = !is_new && *operation != "UploadPart";
                let is_cut = matches!(trouble, Some((ApiState::Throttled, _)));
                ApiHealth {
                    service: (*service).to_owned(),
                    operation: (*operation).to_owned(),
                    state: match trouble {
                        _ if !is_used => ApiState::Unused,
                        Some((state, _)) => state,
                        None => ApiState::Good,
                    },
                    since_ms: trouble.map(|_| ago(420)),
                    tokens: if is_cut { 3 } else { burst - burst / 40 },
                    burst: *burst,
                    per_second: f64::from(*per_second) / if is_cut { 4.0 } else { 1.0 },
                    per_second_max: *per_second,
                    waiting: if is_cut { 14 } else { 0 },
                    calls_last_minute: if is_used { burst / 20 } else { 0 },
                    calls: u64::from(is_used) * 1_000,
                    last_error: trouble.map(|(_, said)| CallError {
                        said: said.to_owned(),
                        at_ms: ago(2),
                    }),
                    last_success_ms: is_used.then(|| ago(if trouble.is_some() { 420 } else { 3 })),
                }
            })
            .collect(),
        outbox: OutboxHealth {
            rows: if is_new { 0 } else { 12 },
            oldest_ms: (!is_new).then(|| ago(418)),
        },
        status_queue: (!is_new).then(|| QueueHealth {
            waiting: 230,
            in_flight: 10,
            as_of_ms: ago(9),
        }),
        telemetry: (!is_new).then(|| StreamHealth {
            shards: 2,
            lag_ms: 4_200,
            as_of_ms: ago(1),
        }),
        histories_unread: if is_new { 0 } else { 31 },
        executions_running: if is_new { 0 } else { 27 },
        store: StoreHealth {
            kind: "SQLite".to_owned(),
            answer_ms: Some(1),
            bytes: Some(41_300_000),
        },
        reconciler: (!is_new).then(|| SweepHealth {
            ended_at_ms: ago(3),
            asked: 8,
            corrected: 1,
        }),
        calls_per_job: (!is_new).then_some(CallsPerJob {
            calls: 11.4,
            bound: 29.0,
        }),
        version: "0.1.0".to_owned(),
        started_at_ms: ago(9_300),
        as_of_ms: now,
    }
}
