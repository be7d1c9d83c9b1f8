//! Owns what holds of every history: which event may follow which, that states are left once, and that there is one
//! end to each go of the execution.

use std::collections::HashMap;

use asl::{EventType, HistoryEvent, Outcome};

use super::ensure;
use super::outline::Outline;
use super::world::World;

/// An event and the state it belongs to.
pub struct Traced<'a> {
    pub outline: &'a Outline,
    pub history: &'a [HistoryEvent],
    /// By the index of the event; `None` if the event belongs to the execution.
    pub states: Vec<Option<usize>>,
    /// The last ExecutionRedriven before the event that is being looked at.
    redriven_at: i64,
    /// Whose beginning an event is, as what follows it tells.
    begun: HashMap<i64, usize>,
}

impl<'a> Traced<'a> {
    pub fn event(&self, id: i64) -> Option<&'a HistoryEvent> {
        self.history.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub fn state(&self, id: i64) -> Option<usize> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.states.get(index).copied().flatten()
    }

    pub fn of(world: &'a World<'_>) -> Result<Traced<'a>, String> {
        let mut traced = Traced {
            outline: world.outline,
            history: &world.history,
            states: Vec::with_capacity(world.history.len()),
            redriven_at: 0,
            begun: HashMap::new(),
        };
        for event in &world.history {
            let state = event
                .details
                .name
                .as_ref()
                .and_then(|name| world.outline.find(name));
            let Some(state) = state else { continue };
            let fork = match event.kind {
                EventType::MapIterationStarted => Some(state),
                kind if is_entered(kind) => world.outline.get(state).owner,
                _ => None,
            };
            if let Some(fork) = fork {
                traced.begun.insert(event.previous_event_id, fork);
            }
        }
        for event in &world.history {
            if event.kind == EventType::ExecutionRedriven {
                traced.redriven_at = event.id;
            }
            let state = traced.find(event)?;
            traced.states.push(state);
        }
        Ok(traced)
    }

    /// The state that an event belongs to; of an event that does not tell, what comes before it decides.
    fn find(&self, event: &HistoryEvent) -> Result<Option<usize>, String> {
        let named = event.details.name.as_ref().or(event.details.state.as_ref());
        if let Some(name) = named {
            let state = self.outline.find(name);
            ensure!(state.is_some(), "{event:?} is about no state");
            return Ok(state);
        }
        if matches!(
            event.kind,
            EventType::ParallelStateStarted | EventType::MapStateStarted
        ) && let Some(fork) = self.begun.get(&event.id)
        {
            return Ok(Some(*fork));
        }
        let before = event.previous_event_id;
        let kind = event.kind.as_str();
        if kind.starts_with("Execution") {
            return Ok(None);
        }
        let Some(state) = self.state(before) else {
            // After a redrive nothing tells whose event it is, but what follows.
            return Ok(None);
        };
        let fork = [("ParallelState", "Parallel"), ("MapState", "Map")];
        let fork = fork
            .into_iter()
            .find(|(prefix, _)| kind.starts_with(prefix))
            .map(|(_, fork)| fork);
        let Some(fork) = fork else {
            return Ok(Some(state));
        };
        // A fork's event may follow the last one of what is inside of it.
        // What comes first after a redrive goes on where the same strand was.
        let redriven = self.redriven_at > before;
        let ended = !redriven && self.event(before).is_some_and(ends_inside);
        let inside = self.outline.get(state).kind != fork || ended;
        let mut around = self.outline.around(state);
        let found = if inside {
            around.find(|&state| self.outline.get(state).kind == fork)
        } else {
            Some(state)
        };
        Ok(found)
    }
}

/// Whether an event may be the last one inside of a fork although its state is a fork itself.
fn ends_inside(event: &HistoryEvent) -> bool {
    use EventType::*;
    matches!(
        event.kind,
        ParallelStateExited | MapStateExited | ParallelStateFailed | MapStateFailed
    )
}

pub fn is_entered(kind: EventType) -> bool {
    kind.as_str().ends_with("StateEntered")
}

pub fn is_exited(kind: EventType) -> bool {
    kind.as_str().ends_with("StateExited")
}

/// Whether an event tells how the execution ended.
fn is_end(kind: EventType) -> bool {
    use EventType::*;
    matches!(
        kind,
        ExecutionSucceeded | ExecutionFailed | ExecutionAborted | ExecutionTimedOut
    )
}

pub fn check(world: &mut World<'_>) -> Result<(), String> {
    let traced = Traced::of(world)?;
    ends(world, &traced).map_err(|error| format!("ends: {error}"))?;
    let mut seen = Vec::new();
    for event in traced.history {
        follows(&traced, event).map_err(|error| format!("chain: {error}"))?;
        scheduled(&traced, event).map_err(|error| format!("order: {error}"))?;
        seen.extend(noted(event));
    }
    exits(&traced).map_err(|error| format!("exits: {error}"))?;
    for what in seen {
        world.coverage.see(what);
    }
    Ok(())
}

/// Each go of the execution ends once, in its last event.
fn ends(world: &World<'_>, traced: &Traced<'_>) -> Result<(), String> {
    let history = traced.history;
    for (index, event) in history.iter().enumerate() {
        let next = history.get(index + 1).map(|next| next.kind);
        let last = next.is_none_or(|next| next == EventType::ExecutionRedriven);
        ensure!(is_end(event.kind) == last, "{event:?} and then {next:?}");
        ensure!(
            (event.kind == EventType::ExecutionStarted) == (index == 0),
            "{event:?} comes {index}th"
        );
    }
    let wanted = match world.execution.status() {
        Outcome::Running => return Err("nothing is left to happen, and it runs".to_owned()),
        Outcome::Succeeded { .. } => EventType::ExecutionSucceeded,
        Outcome::Failed { .. } => EventType::ExecutionFailed,
        Outcome::Aborted { .. } => EventType::ExecutionAborted,
        Outcome::TimedOut { .. } => EventType::ExecutionTimedOut,
    };
    ensure!(
        history.last().is_some_and(|last| last.kind == wanted),
        "it did not end so"
    );
    Ok(())
}

/// A state is entered from where something leads to it, and left where it was entered.
fn follows(traced: &Traced<'_>, event: &HistoryEvent) -> Result<(), String> {
    let before = traced.event(event.previous_event_id);
    let Some(state) = traced.state(event.id) else {
        return Ok(());
    };
    let of = traced.outline.get(state);
    let from = traced.state(event.previous_event_id);
    let fits = if is_entered(event.kind) {
        match (before.map(|before| before.kind), from) {
            (None | Some(EventType::ExecutionStarted), _) => of.is_start && of.owner.is_none(),
            (Some(kind), Some(from)) if is_exited(kind) => {
                let before = traced.outline.get(from);
                before.owner == of.owner && before.targets.contains(&of.name)
            }
            (
                Some(EventType::ParallelStateStarted | EventType::MapIterationStarted),
                Some(from),
            ) => {
                of.is_start
                    && of
                        .owner
                        .is_some_and(|owner| owner == from || traced.outline.within(from, owner))
            }
            // A Fail state that is run again is entered again.
            (Some(EventType::FailStateEntered), Some(from)) => from == state,
            (Some(EventType::ExecutionRedriven), _) => true,
            // A redrive goes on where a strand was.
            (Some(_), Some(from)) => {
                from == state
                    || of.is_start && of.owner == Some(from)
                    || of.owner == traced.outline.get(from).owner
            }
            (Some(_), None) => false,
        }
    } else {
        // What goes on in a state follows what went on in it, or inside of it.
        from.is_none_or(|from| traced.outline.within(from, state))
            || matches!(event.kind, EventType::EvaluationFailed)
    };
    ensure!(fits, "{event:?} does not follow {before:?}");
    Ok(())
}

/// A task is scheduled before it is begun, and begun before it ends.
fn scheduled(traced: &Traced<'_>, event: &HistoryEvent) -> Result<(), String> {
    let kind = event.kind.as_str();
    let before = traced.event(event.previous_event_id);
    let before = before.map_or("", |before| before.kind.as_str());
    let fits = match kind {
        "TaskStarted" | "LambdaFunctionStarted" | "ActivityStarted" => {
            before.ends_with("Scheduled")
        }
        "TaskSubmitted" => before.ends_with("Started"),
        "TaskSucceeded"
        | "LambdaFunctionSucceeded"
        | "ActivitySucceeded"
        | "TaskFailed"
        | "LambdaFunctionFailed"
        | "ActivityFailed" => before.ends_with("Started") || before == "TaskSubmitted",
        "TaskTimedOut" | "LambdaFunctionTimedOut" | "ActivityTimedOut" => {
            before.ends_with("Scheduled")
                || before.ends_with("Started")
                || before == "TaskSubmitted"
        }
        "TaskSubmitFailed" => before == "TaskStarted",
        "MapRunStarted" => before == "MapStateStarted",
        "MapRunSucceeded" | "MapRunFailed" | "MapRunAborted" => {
            ["MapRunStarted", "MapRunRedriven", "MapStateStarted"].contains(&before)
        }
        _ => true,
    };
    ensure!(fits, "{event:?} follows {before}");
    Ok(())
}

/// No stay in a state ends twice, and in a scope that came to its end every stay ended.
fn exits(traced: &Traced<'_>) -> Result<(), String> {
    let mut left: HashMap<i64, i64> = HashMap::new();
    let redriven = traced
        .history
        .iter()
        .any(|event| event.kind == EventType::ExecutionRedriven);
    for event in traced.history.iter().filter(|event| is_exited(event.kind)) {
        let mut at = event.previous_event_id;
        while let Some(before) = traced.event(at) {
            if is_entered(before.kind) && before.details.name == event.details.name {
                break;
            }
            // An evaluation that failed on the way in looks past the entering.
            if before.kind == EventType::EvaluationFailed
                && before.details.state == event.details.name
            {
                at = 0;
                break;
            }
            at = before.previous_event_id;
        }
        if at == 0 {
            continue;
        }
        let twice = left.insert(at, event.id);
        ensure!(twice.is_none(), "{event:?} leaves what {twice:?} left");
    }
    let succeeded = traced
        .history
        .last()
        .is_some_and(|last| last.kind == EventType::ExecutionSucceeded);
    if !succeeded || redriven {
        return Ok(());
    }
    let outside_evaluation = |name: &Option<String>| {
        !traced
            .history
            .iter()
            .any(|event| event.details.state == *name)
    };
    for event in traced.history.iter().filter(|event| is_entered(event.kind)) {
        let outermost = traced
            .state(event.id)
            .is_some_and(|state| traced.outline.get(state).owner.is_none());
        if outermost && outside_evaluation(&event.details.name) {
            ensure!(left.contains_key(&event.id), "{event:?} is never left");
        }
    }
    Ok(())
}

fn noted(event: &HistoryEvent) -> Option<&'static str> {
    use EventType::*;
    Some(match event.kind {
        ChoiceStateEntered => "state Choice",
        FailStateEntered => "state Fail",
        MapStateEntered => "state Map",
        ParallelStateEntered => "state Parallel",
        PassStateEntered => "state Pass",
        SucceedStateEntered => "state Succeed",
        TaskStateEntered => "state Task",
        WaitStateEntered => "state Wait",
        MapIterationFailed => "iteration failed",
        EvaluationFailed => "evaluation failed",
        ExecutionFailed if event.details.error.as_deref() == Some("States.NoChoiceMatched") => {
            "no choice matched"
        }
        ExecutionFailed if event.id == asl::step::EVENTS_MAX => "history full",
        LambdaFunctionFailed | TaskFailed | ActivityFailed
            if event.details.error.as_deref() == Some("States.DataLimitExceeded") =>
        {
            "task too large"
        }
        _ if event.details.assigned_variables.is_some() => "assigned",
        _ => return None,
    })
}
