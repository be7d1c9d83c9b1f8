//! Owns the check that every state can be reached and every scope can end.

use std::collections::HashSet;

use crate::diagnose::Code;
use crate::machine::{Body, Next, Scope, State, StateId, StateMachine};

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

/// `led_to` are the states that anything names, `ends` those that end their scope. As with AWS, a machine
/// without an end is not looked at for states that nothing names.
pub(super) fn check(
    machine: &StateMachine,
    led_to: &HashSet<StateId>,
    ends: &HashSet<StateId>,
    report: &mut Report,
) {
    let dangling = report.is_fatal();
    let endless: Vec<&Scope> = machine
        .scopes
        .iter()
        .filter(|scope| !scope.states.iter().any(|state| ends.contains(state)))
        .collect();
    for scope in &endless {
        let start = place(
            machine,
            scope.states.first().copied().unwrap_or(scope.start),
        );
        let at = start.rsplit_once("/States/").map_or("", |(scope, _)| scope);
        let hint = Some("give a state End, or add a Succeed or Fail state");
        report.say(
            Code::MissingEndState,
            at,
            "Workflow has no terminal state",
            hint,
        );
    }
    if !endless.is_empty() {
        return;
    }
    for scope in &machine.scopes {
        for &id in &scope.states {
            if !led_to.contains(&id) {
                let message = format!("State \"{}\" is not reachable.", machine.state(id).name);
                let hint = Some("remove it, or name it in a Next");
                let code = Code::MissingTransitionTarget;
                report.say(code, &place(machine, id), message, hint);
            }
        }
        if !dangling {
            advise(machine, scope, ends, report);
        }
    }
}

/// What AWS does not look for: states that lead only to each other.
fn advise(machine: &StateMachine, scope: &Scope, ends: &HashSet<StateId>, report: &mut Report) {
    let mut reached = HashSet::new();
    let mut open = vec![scope.start];
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(successors(machine.state(id)));
        }
    }
    // States from which an end can be reached: those before one that is known already.
    let mut ending = ends.clone();
    loop {
        let before = ending.len();
        for &id in &scope.states {
            let leads = successors(machine.state(id));
            if leads.iter().any(|next| ending.contains(next)) {
                ending.insert(id);
            }
        }
        if ending.len() == before {
            break;
        }
    }
    if !report.is_fatal() {
        for &id in scope.states.iter().filter(|id| !reached.contains(id)) {
            let message = format!("No way leads from the start to {}", machine.state(id).name);
            let hint =
                Some("remove the states that lead only to each other, or lead to one of them");
            report.warning(Code::Advice, &place(machine, id), message, hint);
        }
    }
    // Where there is no way back: what can end does not end any more from here on.
    let is_trapped = |id: &StateId| reached.contains(id) && !ending.contains(id);
    let from_outside: HashSet<StateId> = reached
        .iter()
        .filter(|id| !is_trapped(id))
        .flat_map(|&id| successors(machine.state(id)))
        .chain([scope.start])
        .collect();
    for &id in &scope.states {
        if is_trapped(&id) && from_outside.contains(&id) {
            let message = format!(
                "Once {} is entered, no way leads to an end",
                machine.state(id).name
            );
            let hint = Some("give one of the states that follow it a way out, or End");
            report.warning(Code::Advice, &place(machine, id), message, hint);
        }
    }
}

/// The pointer to a state.
pub(super) fn place(machine: &StateMachine, id: StateId) -> String {
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
