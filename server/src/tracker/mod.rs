//! What runs beside the requests: promises are kept towards AWS, and what AWS says is heard. Each part is a
//! loop of its own that survives every failure but the server's end; none holds anything that the store or
//! AWS does not have.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::{
    control::{Control, Failure, causes},
    store::StoreError,
};

mod bulk;
#[cfg(test)]
pub(crate) use bulk::round as bulk_round;
mod dispatch;
mod hear;
mod history;
mod manifest;
mod reconcile;
mod status;
mod telemetry;
mod version;

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Starts every loop; they end when `control.ending` is cancelled.
pub fn start(control: &Control) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    loops.spawn(dispatch::run(control.clone()));
    loops.spawn(bulk::run(control.clone()));
    loops.spawn(status::run(control.clone()));
    loops.spawn(history::run(control.clone()));
    loops.spawn(reconcile::run(control.clone()));
    loops.spawn(telemetry::run(control.clone()));
    loops.spawn(manifest::run(control.clone()));
    loops.spawn(version::run(control.clone()));
    loops.spawn(uploads(control.clone()));
    loops
}

/// Aborts what an earlier process left, once AWS answers.
async fn uploads(control: Control) {
    let mut pause = Pause::default();
    while let Err(failure) = control.abort_left_uploads().await {
        if pause
            .after_failure(&control, "look for left uploads", &failure)
            .await
            .is_break()
        {
            return;
        }
    }
}

/// Pauses that grow while something fails, so that a loop neither spins nor floods the log.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
}

impl Pause {
    fn reset(&mut self) {
        self.failures = 0;
    }

    /// After a round: waits `look` when it went well, longer and longer while it fails; says whether the server ends.
    async fn after_round(
        &mut self,
        control: &Control,
        look: Duration,
        doing: &str,
        result: Result<(), Failure>,
    ) -> std::ops::ControlFlow<()> {
        match result {
            Ok(()) => {
                self.reset();
                wait(control, look).await
            }
            Err(failure) => self.after_failure(control, doing, &failure).await,
        }
    }

    /// Logs the first of a row of failures, waits, and says whether the server ends.
    async fn after_failure(
        &mut self,
        control: &Control,
        doing: &str,
        error: &(dyn std::error::Error + Sync),
    ) -> std::ops::ControlFlow<()> {
        match self.failures {
            0 => tracing::warn!(causes = %causes(error), "cannot {doing}; trying again"),
            _ => tracing::debug!(causes = %causes(error), "still cannot {doing}"),
        }
        let pause = backoff(self.failures, jitter());
        self.failures = self.failures.saturating_add(1);
        wait(control, pause).await
    }
}

/// Waits, and says whether the server ends.
async fn wait(control: &Control, pause: Duration) -> std::ops::ControlFlow<()> {
    tokio::select! {
        () = control.ending.cancelled() => std::ops::ControlFlow::Break(()),
        () = tokio::time::sleep(pause) => std::ops::ControlFlow::Continue(()),
    }
}

/// The pause after so many failures in a row: twice as long each time, half of it left to chance
/// (`jitter` from 0 to 1), so that many who failed together do not come back together.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let whole = PAUSE_MIN
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(PAUSE_MAX);
    whole / 2 + whole.mul_f64(jitter / 2.0)
}

/// A number from 0 to 1 that differs from call to call: the random bits of a UUID version 7 (RFC 9562).
fn jitter() -> f64 {
    let bits = uuid::Uuid::now_v7().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

/// A store failure in a loop's own words.
type StoreResult<T> = Result<T, StoreError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        assert_eq!(backoff(0, 1.0), Duration::from_millis(250));
        assert_eq!(backoff(2, 1.0), Duration::from_millis(1_000));
        assert_eq!(backoff(2, 0.0), Duration::from_millis(500));
        assert_eq!(backoff(99, 1.0), PAUSE_MAX);
    }
}
