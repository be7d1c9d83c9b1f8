//! One token bucket for each AWS API, shared by all callers in this process: what AWS would throttle
//! waits here instead, in order of arrival.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

/// A token bucket: `burst` calls at once, then `per_second` a second.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    burst: f64,
    per_second: f64,
    state: Arc<Mutex<(f64, Instant)>>,
}

impl Rate {
    pub(super) fn new(burst: u32, per_second: u32) -> Rate {
        Rate {
            burst: f64::from(burst),
            per_second: f64::from(per_second),
            state: Arc::new(Mutex::new((f64::from(burst), Instant::now()))),
        }
    }

    /// Returns when the next call may be made.
    pub(super) async fn turn(&self) {
        // The lock is held while waiting: tokio's mutex is fair, so turns come in order.
        let mut state = self.state.lock().await;
        let wait = self.take(&mut state, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes one token at `now`; returns how long to wait for it.
    fn take(&self, (tokens, filled_at): &mut (f64, Instant), now: Instant) -> Duration {
        let passed = now.saturating_duration_since(*filled_at).as_secs_f64();
        *tokens = (*tokens + passed * self.per_second).min(self.burst) - 1.0;
        *filled_at = now;
        if *tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-*tokens / self.per_second)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_next_calls_wait_their_share() {
        let rate = Rate::new(2, 10);
        let start = Instant::now();
        let mut state = (2.0, start);
        let waits: Vec<_> = (0..4)
            .map(|_| rate.take(&mut state, start).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 100, 200]);
        let later = start + Duration::from_secs(60);
        assert_eq!(rate.take(&mut state, later), Duration::ZERO);
        assert!(state.0 <= 2.0, "an idle hour saves no more than a burst");
    }
}
