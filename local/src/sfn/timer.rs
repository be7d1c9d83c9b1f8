//! Timers of all executions: one queue, one task that waits for the earliest.
//!
//! A waiting execution costs an entry in a map and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::wire::now_ms;

/// The longest sleep: the wall clock may be set meanwhile.
const SLEEP_MAX_MS: i64 = 60_000;

/// The timers that are set.
#[derive(Default)]
pub struct Timers {
    set: Mutex<Set>,
    changed: Notify,
}

#[derive(Default)]
struct Set {
    /// When, which execution, which of its timers.
    order: BTreeSet<(i64, i64, u64)>,
    times: HashMap<(i64, u64), i64>,
}

impl Timers {
    /// Sets a timer of an execution, or sets it anew.
    pub fn set(&self, execution: i64, timer: u64, at_ms: i64) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = set.times.insert((execution, timer), at_ms) {
            set.order.remove(&(before, execution, timer));
        }
        set.order.insert((at_ms, execution, timer));
        if set.order.first() == Some(&(at_ms, execution, timer)) {
            self.changed.notify_one();
        }
    }

    /// Takes a timer back.
    pub fn cancel(&self, execution: i64, timer: u64) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at_ms) = set.times.remove(&(execution, timer)) {
            set.order.remove(&(at_ms, execution, timer));
        }
    }

    /// Whether a timer is set for a time before `at_ms`.
    pub fn is_set_before(&self, execution: i64, timer: u64, at_ms: i64) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let time = set.times.get(&(execution, timer));
        time.is_none_or(|&time| time < at_ms)
    }

    /// Waits until timers are due and takes them out: executions with their timers, the earliest first.
    pub async fn due(&self) -> Vec<(i64, u64)> {
        loop {
            let changed = self.changed.notified();
            let now_ms = now_ms();
            let (due, next_ms) = self.take(now_ms);
            if !due.is_empty() {
                return due;
            }
            match next_ms {
                None => changed.await,
                Some(at_ms) => {
                    let left_ms = u64::try_from((at_ms - now_ms).min(SLEEP_MAX_MS)).unwrap_or(0);
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep(Duration::from_millis(left_ms)) => {}
                    }
                }
            }
        }
    }

    /// The timers due at that time, and when the next one is.
    fn take(&self, now_ms: i64) -> (Vec<(i64, u64)>, Option<i64>) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while let Some(&(at_ms, execution, timer)) = set.order.first() {
            if at_ms > now_ms {
                return (due, Some(at_ms));
            }
            set.order.pop_first();
            set.times.remove(&(execution, timer));
            due.push((execution, timer));
        }
        (due, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_order_and_once() {
        let timers = Timers::default();
        timers.set(1, 1, 30);
        timers.set(2, 1, 10);
        timers.set(1, 2, 20);
        timers.set(3, 1, 5);
        timers.cancel(3, 1);
        timers.cancel(9, 9);
        assert_eq!(timers.take(9), (vec![], Some(10)));
        assert_eq!(timers.take(20), (vec![(2, 1), (1, 2)], Some(30)));
        timers.set(1, 1, 40);
        assert_eq!(timers.take(39), (vec![], Some(40)));
        assert_eq!(timers.take(40), (vec![(1, 1)], None));
    }

    #[tokio::test]
    async fn a_waiter_learns_of_an_earlier_timer() {
        let timers = Timers::default();
        timers.set(1, 1, now_ms() + 3_600_000);
        let (due, ()) = tokio::join!(timers.due(), async { timers.set(2, 7, now_ms()) });
        assert_eq!(due, [(2, 7)]);
    }
}
