//! What became of the calls of one API: what the Health page shows of it. Owns no metrics and no limits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{AwsError, AwsErrorKind};

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Throttled,
    Denied,
    Unreachable,
    Refused,
}

impl Outcome {
    /// As in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Throttled => "throttled",
            Outcome::Denied => "denied",
            Outcome::Unreachable => "unreachable",
            Outcome::Refused => "refused",
        }
    }

    pub(super) fn of<T>(result: &Result<T, AwsError>) -> Outcome {
        match result {
            Ok(_) => Outcome::Ok,
            // Not an error to whoever sent a condition (RFC 9110, section 15.4.5).
            Err(error) if error.status == Some(304) => Outcome::Ok,
            Err(error) => match error.kind {
                AwsErrorKind::Throttled => Outcome::Throttled,
                AwsErrorKind::Denied => Outcome::Denied,
                AwsErrorKind::Unreachable => Outcome::Unreachable,
                AwsErrorKind::Refused => Outcome::Refused,
            },
        }
    }
}

/// A failed attempt, as far as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// AWS's code, or how AWS was silent.
    pub said: String,
    pub kind: AwsErrorKind,
    pub at_ms: i64,
}

/// What is known of an API's calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Attempts that began within the last minute.
    pub calls_last_minute: u32,
    /// Attempts since the server's start.
    pub calls: u64,
    pub last_error: Option<CallError>,
    /// When AWS last did what it was asked.
    pub last_success_ms: Option<i64>,
    /// Since when every attempt was throttled, denied or without an answer.
    pub troubled_since_ms: Option<i64>,
}

/// The seconds of the last minute with the attempts of each.
const SECONDS: usize = 60;

#[derive(Debug)]
pub(super) struct Record {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    seen: Seen,
    /// By second modulo 60: which second, and how many.
    seconds: [(i64, u32); SECONDS],
}

impl Record {
    pub(super) fn new() -> Record {
        Record {
            inner: Mutex::new(Inner {
                seen: Seen::default(),
                seconds: [(0, 0); SECONDS],
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, outcome: Outcome, error: Option<&AwsError>, now_ms: i64) {
        let mut inner = self.inner();
        let second = now_ms.div_euclid(1_000);
        let slot = &mut inner.seconds[second.rem_euclid(SECONDS as i64) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += 1;
        let seen = &mut inner.seen;
        seen.calls += 1;
        match outcome {
            Outcome::Ok => {
                seen.last_success_ms = Some(now_ms);
                seen.troubled_since_ms = None;
            }
            // AWS works: it has read the request and says no to it.
            Outcome::Refused => seen.troubled_since_ms = None,
            Outcome::Throttled | Outcome::Denied | Outcome::Unreachable => {
                seen.troubled_since_ms.get_or_insert(now_ms);
            }
        }
        if let Some(error) = error.filter(|_| outcome != Outcome::Ok) {
            seen.last_error = Some(CallError {
                said: error.said().to_owned(),
                kind: error.kind,
                at_ms: now_ms,
            });
        }
    }

    pub(super) fn seen(&self, now_ms: i64) -> Seen {
        let inner = self.inner();
        let second = now_ms.div_euclid(1_000);
        let recent = inner
            .seconds
            .iter()
            .filter(|(at, _)| (second - SECONDS as i64 + 1..=second).contains(at));
        Seen {
            calls_last_minute: recent.map(|(_, count)| count).sum(),
            ..inner.seen.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Api;

    #[test]
    fn trouble_begins_with_the_first_failure_and_ends_with_an_answer() {
        let record = Record::new();
        let error = AwsError::unreachable(Api::GetObject, "gone");
        record.note(Outcome::Ok, None, 1_000);
        record.note(Outcome::Unreachable, Some(&error), 2_000);
        record.note(Outcome::Unreachable, Some(&error), 3_000);
        let seen = record.seen(3_000);
        assert_eq!(seen.troubled_since_ms, Some(2_000));
        assert_eq!(seen.last_success_ms, Some(1_000));
        assert_eq!(seen.last_error.map(|error| error.at_ms), Some(3_000));
        record.note(Outcome::Refused, Some(&error), 4_000);
        assert_eq!(record.seen(4_000).troubled_since_ms, None);
    }

    #[test]
    fn the_last_minute_is_sixty_seconds() {
        let record = Record::new();
        for second in 0..90 {
            record.note(Outcome::Ok, None, second * 1_000);
        }
        assert_eq!(record.seen(89_500).calls_last_minute, 60);
        assert_eq!(record.seen(119_500).calls_last_minute, 30);
        assert_eq!(record.seen(600_000).calls_last_minute, 0);
        assert_eq!(record.seen(600_000).calls, 90);
    }
}
