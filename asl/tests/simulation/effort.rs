//! Owns what holds of retries and catches: whether, when and how often, worked out anew from the definition.

use std::collections::HashMap;

use asl::{EventType, HistoryEvent};
use serde_json::{Value, json};

use super::ensure;
use super::history::Traced;
use super::outline::StateOutline;
use super::world::World;

/// Histories longer than this are not looked at, for every look goes back.
const EVENTS_MAX: usize = 4000;

/// What a state must do about an error.
enum Duty {
    /// Try again after at least and at most so many milliseconds, by a retrier.
    Retry(usize, i64, i64),
    Catch(String),
    GiveUp,
}

/// Whether `ErrorEquals` names an error.
fn takes(names: &Value, error: &str, heartbeat: bool) -> bool {
    let names = names.as_array().into_iter().flatten();
    names.filter_map(Value::as_str).any(|name| match name {
        "States.ALL" => true,
        "States.TaskFailed" => error != "States.Timeout",
        "States.HeartbeatTimeout" if heartbeat => true,
        name => name == error,
    })
}

fn duty(state: &StateOutline, used: &[u64], error: &str, heartbeat: bool) -> Duty {
    let list = |name: &str| state.fields[name].as_array().cloned().unwrap_or_default();
    let retriers = list("Retry");
    let matching = retriers
        .iter()
        .position(|retrier| takes(&retrier["ErrorEquals"], error, heartbeat));
    if let Some(at) = matching {
        let retrier = &retriers[at];
        let used = used.get(at).copied().unwrap_or(0);
        if used < retrier["MaxAttempts"].as_u64().unwrap_or(3) {
            let interval = retrier["IntervalSeconds"].as_f64().unwrap_or(1.0);
            let rate = retrier["BackoffRate"].as_f64().unwrap_or(2.0);
            let mut seconds = interval;
            (0..used).for_each(|_| seconds *= rate);
            if let Some(most) = retrier["MaxDelaySeconds"].as_f64() {
                seconds = seconds.min(most);
            }
            let most = (seconds * 1000.0) as i64;
            let least = if retrier["JitterStrategy"] == json!("FULL") {
                0
            } else {
                most
            };
            return Duty::Retry(at, least, most);
        }
    }
    let catchers = list("Catch");
    let catcher = catchers
        .iter()
        .find(|catcher| takes(&catcher["ErrorEquals"], error, heartbeat));
    match catcher.and_then(|catcher| catcher["Next"].as_str()) {
        Some(next) => Duty::Catch(next.to_owned()),
        None => Duty::GiveUp,
    }
}

/// The error that an event tells of.
fn error_of(traced: &Traced<'_>, event: &HistoryEvent) -> Option<String> {
    use EventType::*;
    let state = traced
        .state(event.id)
        .map(|state| traced.outline.get(state));
    match event.kind {
        LambdaFunctionFailed
        | TaskFailed
        | ActivityFailed
        | LambdaFunctionTimedOut
        | TaskTimedOut
        | ActivityTimedOut
        | TaskSubmitFailed
        | MapRunFailed
        | EvaluationFailed => Some(event.details.error.clone().unwrap_or_default()),
        FailStateEntered => Some(
            state?.fields["Error"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ),
        ChoiceStateEntered => Some("States.NoChoiceMatched".to_owned()),
        MapIterationFailed => error_of(traced, traced.event(event.previous_event_id)?),
        ParallelStateFailed | MapStateFailed => error_in(
            traced,
            traced.state(event.id)?,
            traced.event(event.previous_event_id)?,
        ),
        _ => None,
    }
}

/// The error of a fork that failed with an event of its own or inside of it.
fn error_in(traced: &Traced<'_>, fork: usize, event: &HistoryEvent) -> Option<String> {
    let inside = traced.state(event.id) != Some(fork);
    if inside && traced.outline.get(fork).tolerates() {
        return Some("States.ExceedToleratedFailureThreshold".to_owned());
    }
    error_of(traced, event)
}

struct Check<'a> {
    traced: Traced<'a>,
    /// Events by the one they look back to.
    after: HashMap<i64, Vec<&'a HistoryEvent>>,
    /// How often each event's execution was redriven before it.
    goes: Vec<usize>,
    /// How often each retrier was used, by the event that begins a try.
    /// `None`: it cannot be told.
    used: HashMap<i64, Option<Vec<u64>>>,
    exact: bool,
    seen: Vec<&'static str>,
}

pub fn check(world: &mut World<'_>) -> Result<(), String> {
    if world.history.len() > EVENTS_MAX {
        return Ok(());
    }
    let traced = Traced::of(world)?;
    let mut after: HashMap<i64, Vec<&HistoryEvent>> = HashMap::new();
    let mut goes = Vec::new();
    let mut go = 0;
    for event in traced.history {
        after
            .entry(event.previous_event_id)
            .or_default()
            .push(event);
        go += usize::from(event.kind == EventType::ExecutionRedriven);
        goes.push(go);
    }
    let (used, exact, seen) = (HashMap::new(), world.faults.is_exact(), Vec::new());
    let mut check = Check {
        traced,
        after,
        goes,
        used,
        exact,
        seen,
    };
    for event in check.traced.history {
        check.failure(event, &world.heartbeats)?;
    }
    let seen = check.seen;
    seen.into_iter().for_each(|what| world.coverage.see(what));
    Ok(())
}

impl Check<'_> {
    /// If a state failed with this event, what it did about that was its duty.
    fn failure(
        &mut self,
        event: &HistoryEvent,
        heartbeats: &std::collections::BTreeMap<i64, bool>,
    ) -> Result<(), String> {
        use EventType::*;
        let Some(state) = self.traced.state(event.id) else {
            return Ok(());
        };
        let of = self.traced.outline.get(state);
        let is_timeout = matches!(
            event.kind,
            LambdaFunctionTimedOut | TaskTimedOut | ActivityTimedOut
        );
        match event.kind {
            LambdaFunctionFailed | TaskFailed | ActivityFailed | TaskSubmitFailed
            | MapRunFailed => {}
            LambdaFunctionTimedOut | TaskTimedOut | ActivityTimedOut => {}
            EvaluationFailed if ["Task", "Parallel", "Map"].contains(&of.kind.as_str()) => {}
            // A fork that gave up says so; by then it was not to try again.
            ParallelStateFailed | MapStateFailed => {
                if self
                    .traced
                    .event(event.previous_event_id)
                    .is_none_or(|before| before.kind == MapRunFailed)
                {
                    return Ok(());
                }
            }
            MapIterationFailed => return self.tolerated(event),
            ParallelStateStarted => {
                self.seen.push("parallel");
                return self.fork_again(event);
            }
            MapStateStarted => return self.fork_again(event),
            _ => return Ok(()),
        }
        let go = self.goes[event.id as usize - 1];
        let next: Vec<&HistoryEvent> = self.after.get(&event.id).cloned().unwrap_or_default();
        let mine = next.into_iter().filter(|next| {
            self.goes[next.id as usize - 1] == go && self.traced.state(next.id) == Some(state)
        });
        let mine: Vec<&HistoryEvent> = mine.collect();
        let again = mine.iter().find(|next| begins_try(next.kind)).copied();
        let gave_up = matches!(event.kind, ParallelStateFailed | MapStateFailed);
        let error = error_of(&self.traced, event);
        let named = of.minds_heartbeats;
        // Only the fork itself knows whether it timed out for want of a heartbeat inside of it.
        let heartbeat = match heartbeats.get(&event.id) {
            Some(heartbeat) => Some(*heartbeat),
            None if (is_timeout || gave_up) && named => None,
            None => Some(false),
        };
        let used = self.used_before(event, state);
        let (Some(error), Some(heartbeat), Some(used)) = (error, heartbeat, used) else {
            for next in mine {
                self.used.insert(next.id, None);
            }
            return Ok(());
        };
        let mut duty = duty(of, &used, &error, heartbeat);
        let left = mine
            .iter()
            .find(|next| next.kind.as_str().ends_with("StateExited"));
        let of_fork =
            event.kind == MapRunFailed || event.kind == EvaluationFailed && of.kind != "Task";
        if of_fork && !matches!(duty, Duty::Retry(..)) {
            // That the fork failed comes in between.
            duty = Duty::GiveUp;
        }
        match duty {
            Duty::Retry(at, least, most) => {
                ensure!(!gave_up, "gave up with tries left: {event:?} {used:?}");
                ensure!(left.is_none(), "caught with tries left: {event:?} {used:?}");
                self.seen.push("retry");
                if least < most {
                    self.seen.push("jitter");
                }
                let end = self.end_of(go);
                // A try may fail before anything is scheduled.
                let again = again.or(mine
                    .iter()
                    .copied()
                    .find(|next| next.kind == EvaluationFailed));
                let Some(again) = again else {
                    let stopped = !self.exact
                        || end.timestamp_ms <= event.timestamp_ms + most
                        || !mine.is_empty();
                    let busy = of.fields["Resource"]
                        .as_str()
                        .is_some_and(super::journal::is_activity);
                    ensure!(
                        stopped || busy || of.owner.is_some(),
                        "not tried again: {event:?}"
                    );
                    return Ok(());
                };
                let waited = again.timestamp_ms - event.timestamp_ms;
                let activity = again.kind == ActivityScheduled;
                let fits = waited >= least && (waited <= most || activity);
                ensure!(
                    fits || !self.exact,
                    "tried again after {waited} ms and not {least} to {most}: {again:?} after {event:?}"
                );
                let mut used = used;
                used.resize(used.len().max(at + 1), 0);
                used[at] += 1;
                self.used.insert(again.id, Some(used));
            }
            Duty::Catch(next) => {
                ensure!(again.is_none(), "tried too often: {event:?} {used:?}");
                if let Some(left) = left {
                    self.seen.push(if gave_up {
                        "caught by a fork"
                    } else {
                        "caught"
                    });
                    let entered = self.after.get(&left.id).cloned().unwrap_or_default();
                    let entered = entered
                        .iter()
                        .find(|event| event.kind.as_str().ends_with("StateEntered"));
                    let entered = entered.and_then(|event| event.details.name.clone());
                    let fits = entered.as_ref().is_none_or(|entered| *entered == next);
                    ensure!(
                        fits,
                        "caught by the wrong one: {event:?} leads to {entered:?} and not to {next}"
                    );
                }
            }
            Duty::GiveUp => {
                ensure!(again.is_none(), "tried too often: {event:?} {used:?}");
                ensure!(left.is_none(), "caught by nobody: {event:?}");
                if used.iter().any(|used| *used > 0) {
                    self.seen.push("retries used up");
                }
            }
        }
        Ok(())
    }

    /// How often each retrier was used in the stay in which something failed, since the last redrive.
    fn used_before(&self, event: &HistoryEvent, state: usize) -> Option<Vec<u64>> {
        let go = self.goes[event.id as usize - 1];
        let mut at = Some(event);
        while let Some(event) = at {
            if self.goes[event.id as usize - 1] != go {
                break;
            }
            if self.traced.state(event.id) == Some(state) {
                if let Some(used) = self.used.get(&event.id) {
                    return used.clone();
                }
                if event.kind.as_str().ends_with("StateEntered") {
                    break;
                }
            }
            at = self.traced.event(event.previous_event_id);
        }
        Some(Vec::new())
    }

    /// If a fork begins again because something inside of it failed, it does so as a retrier says.
    fn fork_again(&mut self, event: &HistoryEvent) -> Result<(), String> {
        let (Some(state), Some(before)) = (
            self.traced.state(event.id),
            self.traced.event(event.previous_event_id),
        ) else {
            return Ok(());
        };
        let go = |event: &HistoryEvent| self.goes[event.id as usize - 1];
        let inside = self
            .traced
            .state(before.id)
            .is_some_and(|from| from != state)
            || before.kind == EventType::MapRunFailed;
        if !inside || self.used.contains_key(&event.id) {
            return Ok(());
        }
        // A redrive may run a state again that fails without an event of its own.
        if go(before) != go(event) {
            self.used.insert(event.id, None);
            return Ok(());
        }
        let of = self.traced.outline.get(state);
        let error = error_in(&self.traced, state, before);
        let known = !of.minds_heartbeats;
        let (Some(error), Some(mut used), true) = (error, self.used_before(before, state), known)
        else {
            self.used.insert(event.id, None);
            return Ok(());
        };
        let Duty::Retry(at, least, most) = duty(of, &used, &error, false) else {
            return Err(format!("fork tried too often: {event:?} {used:?} {error}"));
        };
        let waited = event.timestamp_ms - before.timestamp_ms;
        let fits = (least..=most).contains(&waited);
        ensure!(
            fits || !self.exact,
            "fork tried again after {waited} ms and not {least} to {most}: {event:?}"
        );
        used.resize(used.len().max(at + 1), 0);
        used[at] += 1;
        self.used.insert(event.id, Some(used));
        self.seen.push("retry of a fork");
        Ok(())
    }

    fn end_of(&self, go: usize) -> &HistoryEvent {
        let last = self.goes.iter().rposition(|one| *one == go).unwrap_or(0);
        &self.traced.history[last]
    }

    /// An iteration that failed and was tolerated leaves the Map going.
    fn tolerated(&mut self, event: &HistoryEvent) -> Result<(), String> {
        let state = self
            .traced
            .state(event.id)
            .map(|state| self.traced.outline.get(state));
        if state.is_some_and(StateOutline::tolerates) {
            let after = self
                .after
                .get(&event.previous_event_id)
                .into_iter()
                .flatten();
            let mut after = after.filter(|next| next.id > event.id);
            if after.any(|next| {
                matches!(
                    next.kind,
                    EventType::MapStateSucceeded | EventType::MapIterationStarted
                )
            }) {
                self.seen.push("iteration tolerated");
            }
        }
        Ok(())
    }
}

fn begins_try(kind: EventType) -> bool {
    use EventType::*;
    matches!(
        kind,
        LambdaFunctionScheduled
            | TaskScheduled
            | ActivityScheduled
            | ParallelStateStarted
            | MapStateStarted
    )
}
