//! Owns the check that every state can be reached and every scope can end.

use crate::diagnose::Code;
use crate::machine::{Body, Next, State, StateId, StateMachine};

use super::fields::pointer;
use super::report::Report;

/// Where a state may go within its scope.
fn successors(state: &State) -> Vec<StateId> {
    let mut next = Vec::new();
    match &state.body {
        Body::Choice { rules, default } => {
            next.extend(rules.iter().map(|rule| rule.next));
            next.extend(*default);
        }
        Body::Succeed | Body::Fail { .. } => {}
        _ => {
            if let Next::State(state) = state.next {
                next.push(state);
            }
        }
    }
    let catchers = state
        .effort()
        .into_iter()
        .flat_map(|effort| &effort.catchers);
    next.extend(catchers.map(|catcher| catcher.next));
    next
}

pub(super) fn check(machine: &StateMachine, report: &mut Report) {
    let mut reached = vec![false; machine.states.len()];
    for scope in &machine.scopes {
        let mut open = vec![scope.start];
        let mut ends = false;
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut reached[id.0 as usize], true) {
                continue;
            }
            let state = machine.state(id);
            let next = successors(state);
            ends |= matches!(state.body, Body::Succeed | Body::Fail { .. })
                || (state.next == Next::End && !matches!(state.body, Body::Choice { .. }));
            open.extend(next);
        }
        if !ends {
            let start = place(machine, scope.start);
            let start = start.rsplit_once("/States/").map_or("", |(scope, _)| scope);
            report.warning(
                start,
                "no state ends this",
                Some("give a state End, or add a Succeed or Fail state"),
            );
        }
    }
    for (index, reached) in reached.into_iter().enumerate() {
        if !reached {
            let id = StateId(index as u32);
            let message = format!("State \"{}\" is not reachable.", machine.state(id).name);
            let hint = Some("remove it, or name it in a Next");
            report.say(
                Code::MissingTransitionTarget,
                &place(machine, id),
                message,
                hint,
            );
        }
    }
}

/// The pointer to a state.
fn place(machine: &StateMachine, id: StateId) -> String {
    let mut tokens = Vec::new();
    let mut at = Some(id);
    while let Some(id) = at {
        let state = machine.state(id);
        tokens.push(state.name.clone());
        tokens.push("States".to_owned());
        let owner = machine.scope(state.scope).owner;
        if let Some((owner, branch)) = owner {
            match &machine.state(owner).body {
                Body::Map(map) => tokens.push(map.processor_field.to_owned()),
                _ => tokens.extend([branch.to_string(), "Branches".to_owned()]),
            }
        }
        at = owner.map(|(owner, _)| owner);
    }
    tokens
        .iter()
        .rev()
        .fold(String::new(), |at, token| pointer(&at, token))
}
