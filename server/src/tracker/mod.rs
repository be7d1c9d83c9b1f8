//! What runs beside the requests: promises are kept towards AWS, and what AWS says is heard. Each part is a
//! loop of its own that survives every failure but the server's end; none holds anything that the store or
//! AWS does not have.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::{
    aws::Caller,
    backoff::{jitter, pause},
    control::{Control, Failure, causes},
    store::StoreError,
};

mod adopt;
pub(crate) mod bulk;
mod dispatch;
mod health;
mod hear;
mod history;
mod manifest;
mod peers;
mod reconcile;
mod retention;
mod status;
mod sweep;
mod telemetry;
mod text_index;
mod version;

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// How often to look for uploads that were left.
const UPLOADS_LOOK: Duration = Duration::from_secs(300);

/// Starts every loop; they end when `control.ending` is cancelled.
pub fn start(control: &Control) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    let tracker = control.speaking_as(Caller::Tracker);
    loops.spawn(dispatch::run(control.speaking_as(Caller::Dispatcher)));
    loops.spawn(peers::live(control.clone()));
    loops.spawn(peers::tell(control.clone()));
    loops.spawn(peers::listen(control.clone()));
    loops.spawn(peers::end(control.clone()));
    loops.spawn(bulk::run(tracker.clone()));
    loops.spawn(status::run(tracker.clone()));
    loops.spawn(history::run(tracker.clone()));
    loops.spawn(reconcile::run(control.speaking_as(Caller::Reconciler)));
    loops.spawn(sweep::run(control.speaking_as(Caller::Reconciler)));
    loops.spawn(telemetry::run(tracker.clone()));
    loops.spawn(manifest::run(tracker.clone()));
    loops.spawn(retention::run(tracker.clone()));
    loops.spawn(text_index::run(tracker.clone()));
    loops.spawn(version::run(tracker.clone()));
    loops.spawn(health::run(tracker.clone()));
    loops.spawn(uploads(tracker));
    loops
}

/// Aborts uploads whose server lives no more, now and then.
async fn uploads(control: Control) {
    let mut pause = Pause::default();
    loop {
        let aborted = control.abort_left_uploads().await;
        let waited = pause.after_round(&control, UPLOADS_LOOK, "look for left uploads", aborted);
        if waited.await.is_break() {
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

/// The pause after so many failures in a row.
fn backoff(failures: u32, jitter: f64) -> Duration {
    pause(PAUSE_MIN, PAUSE_MAX, failures, jitter)
}

/// A store failure in a loop's own words.
type StoreResult<T> = Result<T, StoreError>;

#[cfg(test)]
mod tests;
