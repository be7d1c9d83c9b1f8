//! A token bucket, shared by every caller in this process and fair among kinds of callers: what AWS would
//! throttle waits here instead. Whoever gives up waiting leaves no trace. When AWS throttles all the same (the
//! account is shared with others) the rate is halved, and recovers evenly within a minute.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::api::{Budget, Caller};

/// From nothing back to the whole rate.
const RECOVERY: Duration = Duration::from_secs(60);
/// The whole rate is cut to this part of it at most.
const CUT_MAX: f64 = 64.0;
/// How often to look anew for a token while the rate recovers.
const RECOVERING_LOOK: Duration = Duration::from_millis(500);
/// Sums of fractions of tokens are off by less.
const WHOLE: f64 = 1.0 - 1e-6;

/// The bucket of one API.
#[derive(Debug)]
pub(super) struct Rate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    budget: Budget,
    tokens: f64,
    per_second: f64,
    as_of: Instant,
    /// The newest cut; none once the rate is whole again.
    cut_at: Option<Instant>,
    /// The first cut of those.
    throttled_at: Option<Instant>,
    lines: [Line; Caller::ALL.len()],
    /// The pass of whoever went last: who joins begins here, and has saved up nothing while away.
    pass: f64,
    places: u64,
}

/// Those of one kind who wait, in order, and how far the kind has come: by 1/weight with each turn.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(u64, Arc<Notify>)>,
    pass: f64,
}

/// What a bucket holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    /// The whole budget.
    pub budget: Budget,
    pub tokens: f64,
    /// The refill as it is now.
    pub per_second: f64,
    /// Waiting, by kind of caller in the order of [`Caller::ALL`].
    pub waiting: [usize; Caller::ALL.len()],
    /// For how long AWS has asked to call less often.
    pub throttled_for: Option<Duration>,
}

impl Rate {
    pub(super) fn new(budget: Budget) -> Rate {
        Rate {
            state: Mutex::new(State {
                budget,
                tokens: f64::from(budget.burst),
                per_second: f64::from(budget.per_second),
                as_of: Instant::now(),
                cut_at: None,
                throttled_at: None,
                lines: Default::default(),
                pass: 0.0,
                places: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns with a token spent, when it is this caller's turn. Dropped before, it has spent none.
    pub(super) async fn turn(&self, caller: Caller) {
        let place = Place::at_the_end(self, caller);
        loop {
            let turn = self.state().turn(&place);
            match turn {
                Turn::Now => return,
                Turn::In(pause) => {
                    let _ = tokio::time::timeout(pause, place.called.notified()).await;
                }
                Turn::Behind => place.called.notified().await,
            }
        }
    }

    /// AWS has throttled a call that began then. Many answers to one burst cut the rate once.
    pub(super) fn throttled(&self, began: Instant) {
        self.state().cut(began);
    }

    pub(super) fn level(&self) -> Level {
        let mut state = self.state();
        let now = Instant::now();
        state.fill(now);
        let mut waiting = [0; Caller::ALL.len()];
        for (count, line) in waiting.iter_mut().zip(&state.lines) {
            *count = line.waiting.len();
        }
        Level {
            budget: state.budget,
            tokens: state.tokens,
            per_second: state.per_second,
            waiting,
            throttled_for: state.throttled_at.map(|at| now.duration_since(at)),
        }
    }
}

enum Turn {
    Now,
    /// First in line, and this long until there is a token.
    In(Duration),
    Behind,
}

impl State {
    fn turn(&mut self, place: &Place) -> Turn {
        if self.first().map(|(_, id)| id) != Some(place.id) {
            return Turn::Behind;
        }
        self.fill(Instant::now());
        if self.tokens < WHOLE {
            let pause = Duration::from_secs_f64((1.0 - self.tokens) / self.per_second);
            // A rate that recovers gives the token sooner than it looks now.
            return Turn::In(match self.cut_at {
                Some(_) => pause.min(RECOVERING_LOOK),
                None => pause,
            });
        }
        self.tokens -= 1.0;
        let line = &mut self.lines[place.caller as usize];
        line.waiting.pop_front();
        self.pass = line.pass;
        line.pass += 1.0 / f64::from(place.caller.weight());
        Turn::Now
    }

    /// Whose turn is next: of the kinds that wait the one that came least far.
    fn first(&self) -> Option<(Caller, u64)> {
        let mut first: Option<(Caller, u64, f64)> = None;
        for caller in Caller::ALL {
            let line = &self.lines[caller as usize];
            if let Some((id, _)) = line.waiting.front()
                && first.is_none_or(|(_, _, pass)| line.pass < pass)
            {
                first = Some((caller, *id, line.pass));
            }
        }
        first.map(|(caller, id, _)| (caller, id))
    }

    fn call_first(&self) {
        if let Some((caller, _)) = self.first()
            && let Some((_, called)) = self.lines[caller as usize].waiting.front()
        {
            called.notify_one();
        }
    }

    /// Adds what came since, at a rate that recovers.
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of).as_secs_f64();
        self.as_of = now;
        let whole = f64::from(self.budget.per_second);
        let before = self.per_second;
        if self.cut_at.is_some() {
            self.per_second += whole * passed / RECOVERY.as_secs_f64();
            if self.per_second >= whole {
                self.per_second = whole;
                self.cut_at = None;
                self.throttled_at = None;
            }
        }
        // A burst is as much smaller as the rate is.
        let burst = (f64::from(self.budget.burst) * self.per_second / whole).max(1.0);
        self.tokens = (self.tokens + passed * (before + self.per_second) / 2.0).min(burst);
    }

    fn cut(&mut self, began: Instant) {
        if self.cut_at.is_some_and(|cut_at| began <= cut_at) {
            return;
        }
        let now = Instant::now();
        self.fill(now);
        let whole = f64::from(self.budget.per_second);
        self.per_second = (self.per_second / 2.0).max(whole / CUT_MAX);
        // AWS's bucket is empty, whatever this one had thought.
        self.tokens = 0.0;
        self.cut_at = Some(now);
        self.throttled_at.get_or_insert(now);
    }
}

/// A place in a line, given up when dropped.
struct Place<'a> {
    rate: &'a Rate,
    caller: Caller,
    id: u64,
    called: Arc<Notify>,
}

impl Place<'_> {
    fn at_the_end(rate: &Rate, caller: Caller) -> Place<'_> {
        let called = Arc::new(Notify::new());
        let mut state = rate.state();
        state.places += 1;
        let (id, pass) = (state.places, state.pass);
        let line = &mut state.lines[caller as usize];
        if line.waiting.is_empty() {
            line.pass = line.pass.max(pass);
        }
        line.waiting.push_back((id, called.clone()));
        drop(state);
        Place {
            rate,
            caller,
            id,
            called,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.rate.state();
        let id = self.id;
        state.lines[self.caller as usize]
            .waiting
            .retain(|(other, _)| *other != id);
        state.call_first();
    }
}

#[cfg(test)]
mod tests;
