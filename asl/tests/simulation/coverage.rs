//! Owns what a run of the simulation came across, so that it can be told what was not.

use std::collections::BTreeMap;
use std::fmt;

/// How often something came up, by what it is.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// What a run must come across, or else it proves little.
pub const WANTED: &[&str] = &[
    "activity done",
    "assigned",
    "callback done",
    "caught",
    "caught by a fork",
    "clock set back",
    "crash with work redone",
    "crash without a trace",
    "end aborted",
    "end failed",
    "end succeeded",
    "end timed out",
    "evaluation failed",
    "function done",
    "heartbeat missed",
    "history full",
    "input of nothing",
    "iteration failed",
    "iteration tolerated",
    "jitter",
    "late answer",
    "map concurrency reached",
    "map run cancelled",
    "map run done",
    "map run redriven",
    "nested done",
    "no choice matched",
    "nobody answers",
    "parallel",
    "processor",
    "redrive",
    "redrive again",
    "retry",
    "retry of a fork",
    "retries used up",
    "service done",
    "state Choice",
    "state Fail",
    "state Map",
    "state Parallel",
    "state Pass",
    "state Succeed",
    "state Task",
    "state Wait",
    "stop",
    "stray input",
    "task too large",
    "timer set back",
    "timed out",
];

impl Coverage {
    pub fn see(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Coverage) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What never came up.
    pub fn missing(&self) -> Vec<&'static str> {
        WANTED
            .iter()
            .copied()
            .filter(|what| !self.0.contains_key(what))
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(what, count)| writeln!(f, "{count:>12}  {what}"))
    }
}
