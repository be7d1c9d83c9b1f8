//! The one place through which every call to AWS goes: a turn in the API's bucket for each attempt, a bounded
//! number of attempts with pauses between them, and a record of what became of each. The SDK's own retries are
//! off, as it would not ask the bucket. What still fails goes back to whoever never loses work: outbox and loops.

use std::{error::Error, sync::Arc, time::Duration};

use aws_sdk_sfn::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use tokio::time::Instant;

use super::{
    AwsError, AwsErrorKind,
    api::{Api, Budget, Caller, RaisedQuota},
    rate::Rate,
    record::{Outcome, Record, Seen},
};
use crate::{
    backoff::{jitter, pause},
    clock,
    metrics::Metrics,
};

/// Attempts of one call, the first included; whoever must not give up has an outbox or a loop of its own.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// The first pause between two attempts, and the longest.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How long a person waits for a turn. Everybody else has time.
const PERSON_WAIT: Duration = Duration::from_secs(8);

/// The calls of one caller. Cheap to clone; all clones share buckets and records.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    shared: Arc<Shared>,
    pub caller: Caller,
    /// Would rather not call than wait for a turn.
    is_hasty: bool,
}

#[derive(Debug)]
struct Shared {
    /// By [`Api::index`]; those that AWS counts together have the same.
    rates: Vec<Arc<Rate>>,
    records: Vec<Record>,
    metrics: Arc<Metrics>,
}

/// What an API's bucket holds and what became of its calls.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiReport {
    pub api: Api,
    pub budget: Budget,
    pub tokens: f64,
    /// The refill as it is now: less than the budget's while AWS asks to call less often.
    pub per_second: f64,
    /// By kind of caller, in the order of [`Caller::ALL`].
    pub waiting: [usize; Caller::ALL.len()],
    /// Since when AWS has asked to call less often.
    pub throttled_since_ms: Option<i64>,
    pub seen: Seen,
}

impl Calls {
    pub(super) fn new(region: &str, raised: &[RaisedQuota], metrics: Arc<Metrics>) -> Calls {
        let budget = |api: Api| {
            let raised = raised.iter().rfind(|raised| raised.api == api);
            raised.map_or_else(|| api.budget(region), |raised| raised.budget)
        };
        let own: Vec<_> = Api::ALL
            .iter()
            .map(|api| Arc::new(Rate::new(budget(*api))))
            .collect();
        Calls {
            shared: Arc::new(Shared {
                rates: Api::ALL
                    .iter()
                    .map(|api| own[api.bucket().index()].clone())
                    .collect(),
                records: Api::ALL.iter().map(|_| Record::new()).collect(),
                metrics,
            }),
            caller: Caller::Person,
            is_hasty: false,
        }
    }

    /// For calls that can be left out: they fail where they would have to wait for their turn.
    pub(super) fn hasty(&self) -> Calls {
        Calls {
            is_hasty: true,
            ..self.clone()
        }
    }

    /// Calls an operation of the SDK; `attempt` makes the request anew for each attempt.
    pub(super) async fn sdk<T, E, F>(
        &self,
        api: Api,
        attempt: impl Fn() -> F,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.run(api, || {
            let answer = attempt();
            async move { answer.await.map_err(|error| AwsError::new(api, error)) }
        })
        .await
    }

    /// Makes attempts until one succeeds, fails for good, or was the last.
    pub(super) async fn run<T, F>(&self, api: Api, attempt: impl Fn() -> F) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, AwsError>>,
    {
        let mut failures = 0;
        loop {
            self.turn(api).await?;
            let began = Instant::now();
            let result = attempt().await;
            self.note(api, began, &result);
            let error = match result {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            if !error.is_passing() || failures >= ATTEMPTS_MAX {
                return Err(error);
            }
            tracing::debug!(operation = %api, said = error.said(), failures, "AWS is asked again");
            tokio::time::sleep(pause(RETRY_MIN, RETRY_MAX, failures - 1, jitter())).await;
        }
    }

    async fn turn(&self, api: Api) -> Result<(), AwsError> {
        let turn = self.shared.rates[api.index()].turn(self.caller);
        let patience = match self.caller {
            _ if self.is_hasty => Duration::ZERO,
            Caller::Person => PERSON_WAIT,
            _ => {
                turn.await;
                return Ok(());
            }
        };
        let waited = tokio::time::timeout(patience, turn).await;
        waited.map_err(|_| AwsError::no_turn(api))
    }

    fn note<T>(&self, api: Api, began: Instant, result: &Result<T, AwsError>) {
        let shared = &self.shared;
        let outcome = Outcome::of(result);
        let error = result.as_ref().err();
        if error.is_some_and(|error| error.kind == AwsErrorKind::Throttled) {
            shared.rates[api.index()].throttled(began);
        }
        let took = began.elapsed();
        shared.records[api.index()].note(outcome, error, clock::now().0);
        shared
            .metrics
            .aws_call(api.name(), outcome.name(), took, api.is_for_jobs());
        if let Some(error) = error {
            tracing::debug!(
                operation = %api, caller = self.caller.name(), said = error.said(),
                ms = took.as_millis() as u64, "a call to AWS failed"
            );
        }
    }

    /// What is known of every API.
    pub(super) fn report(&self) -> Vec<ApiReport> {
        let now_ms = clock::now().0;
        Api::ALL
            .iter()
            .map(|api| {
                let level = self.shared.rates[api.index()].level();
                let throttled_ms = level
                    .throttled_for
                    .map(|throttled| i64::try_from(throttled.as_millis()).unwrap_or(i64::MAX));
                ApiReport {
                    api: *api,
                    budget: level.budget,
                    tokens: level.tokens,
                    per_second: level.per_second,
                    waiting: level.waiting,
                    throttled_since_ms: throttled_ms.map(|ms| now_ms.saturating_sub(ms)),
                    seen: self.shared.records[api.index()].seen(now_ms),
                }
            })
            .collect()
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn calls(raised: &str) -> Calls {
        let raised: Vec<RaisedQuota> = raised
            .split(',')
            .filter_map(|one| one.parse().ok())
            .collect();
        Calls::new("us-east-1", &raised, Arc::default())
    }

    fn report(calls: &Calls, api: Api) -> ApiReport {
        calls.report().swap_remove(api.index())
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_spends_a_token_and_attempts_are_few() {
        let calls = calls("DescribeExecution=10/1");
        let attempts = AtomicU32::new(0);
        let failed = calls
            .run(Api::DescribeExecution, || async {
                attempts.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(AwsError::unreachable(Api::DescribeExecution, "down"))
            })
            .await;
        assert_eq!(failed.unwrap_err().kind, AwsErrorKind::Unreachable);
        assert_eq!(attempts.into_inner(), ATTEMPTS_MAX);
        let report = report(&calls, Api::DescribeExecution);
        assert_eq!(report.seen.calls, u64::from(ATTEMPTS_MAX));
        assert!(report.tokens <= 10.0, "{report:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_aws_refuses_is_not_asked_again() {
        let calls = calls("");
        for error in [
            || AwsError::unreadable(Api::GetObject, "nonsense"),
            || AwsError::without_credentials(Api::GetObject),
        ] {
            let before = report(&calls, Api::GetObject).seen.calls;
            let result: Result<(), _> = calls
                .run(Api::GetObject, || std::future::ready(Err(error())))
                .await;
            assert!(result.is_err());
            assert_eq!(report(&calls, Api::GetObject).seen.calls, before + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_is_waited_for_and_cuts_the_rate_of_this_api_alone() {
        let calls = calls("");
        let attempts = AtomicU32::new(0);
        let answer = calls
            .run(Api::StartExecution, || async {
                match attempts.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(AwsError::no_turn(Api::StartExecution)),
                    _ => Ok("started"),
                }
            })
            .await;
        assert_eq!(answer.unwrap(), "started");
        let start = report(&calls, Api::StartExecution);
        assert!(
            start.per_second < 160.0 && start.throttled_since_ms.is_some(),
            "{start:?}"
        );
        let history = report(&calls, Api::GetExecutionHistory);
        assert_eq!(
            (history.per_second, history.throttled_since_ms),
            (20.0, None)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_is_told_when_a_turn_takes_too_long_and_a_loop_waits() {
        let calls = calls("StopExecution=1/1");
        let rate = calls.shared.rates[Api::StopExecution.index()].clone();
        for _ in 0..6 {
            tokio::time::advance(Duration::from_millis(1)).await;
            rate.throttled(Instant::now());
        }
        // A sixty-fourth a second: more than eight seconds until the next token, even as the rate recovers.
        let ask = || std::future::ready(Ok::<_, AwsError>(()));
        let error = calls.run(Api::StopExecution, ask).await.unwrap_err();
        assert!(error.is(super::super::error::NO_TURN), "{error}");
        let patient = Calls {
            caller: Caller::Dispatcher,
            ..calls.clone()
        };
        patient.run(Api::StopExecution, ask).await.unwrap();
        assert_eq!(report(&calls, Api::StopExecution).seen.calls, 1);
        // The token is spent: what can be left out is left out.
        assert!(patient.hasty().run(Api::StopExecution, ask).await.is_err());
        assert_eq!(report(&calls, Api::StopExecution).seen.calls, 1);
    }
}
