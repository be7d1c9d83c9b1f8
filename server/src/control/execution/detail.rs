//! One state of an execution in full: its visits, and of the chosen one input, output, error and attempts.

use std::collections::HashMap;

use asl::{
    Visit, VisitStatus,
    history::{Parent, ParentKind},
};
use model::{Attempt, InvocationView, StateDetail, TimestampMs, VisitView};

use super::{Folded, readable_cause, tree::Tree, view::status_of};
use crate::{
    clock,
    store::{ProgressRow, VisitInvocation},
};

/// The detail of a state that nothing was heard of; none when the definition has no such state.
pub(super) fn unvisited(tree: &Tree, name: &str) -> Option<StateDetail> {
    let state = tree.state(name)?;
    Some(StateDetail {
        name: state.name.clone(),
        kind: state.kind,
        visits: Vec::new(),
        visit: None,
        input: None,
        output: None,
        error: None,
        cause: None,
        started_at_ms: None,
        ended_at_ms: None,
        attempts: Vec::new(),
        invocations: Vec::new(),
        resource: None,
    })
}

impl Folded {
    /// The state with the visit whose `…StateEntered` event has the id `chosen`; else with the newest that
    /// failed, else the newest. None when the definition has no such state.
    pub(super) fn detail(
        &self,
        name: &str,
        chosen: Option<i64>,
        progress: &[ProgressRow],
    ) -> Option<StateDetail> {
        let mut detail = unvisited(&self.drawing.tree, name)?;
        let parents: HashMap<i64, Option<Parent>> = self
            .fold
            .visits()
            .iter()
            .map(|visit| (visit.entered_event_id, visit.parent))
            .collect();
        let visits: Vec<&Visit> = self
            .fold
            .visits()
            .iter()
            .filter(|visit| visit.state == name)
            .collect();
        let label = |iteration: Option<u32>| {
            progress
                .iter()
                .rev()
                .filter(|row| row.state == name && row.iteration == iteration)
                .find_map(|row| row.label.clone())
        };
        let shown = |visit: &Visit| {
            let iteration = iteration_of(visit, &parents);
            VisitView {
                entered_event_id: visit.entered_event_id,
                iteration,
                label: label(iteration),
                status: status_of(visit.status),
            }
        };
        detail.visits = visits.iter().map(|visit| shown(visit)).collect();
        let Some(visit) = choose(&visits, chosen) else {
            return Some(detail);
        };
        detail.visit = Some(shown(visit));
        detail.input = visit.input.clone();
        detail.output = visit.output.clone();
        detail.error = visit.error.clone();
        detail.cause = visit.cause.as_deref().map(readable_cause);
        detail.started_at_ms = Some(TimestampMs(visit.entered_at_ms));
        detail.ended_at_ms = visit.exited_at_ms.map(TimestampMs);
        detail.resource = visit.resource.clone();
        detail.attempts = visit
            .attempts
            .iter()
            .zip(1..)
            .map(|(attempt, number)| Attempt {
                number,
                status: status_of(attempt.status),
                scheduled_at_ms: TimestampMs(attempt.scheduled_at_ms),
                started_at_ms: attempt.started_at_ms.map(TimestampMs),
                ended_at_ms: attempt.ended_at_ms.map(TimestampMs),
                error: attempt.error.clone(),
                cause: attempt.cause.as_deref().map(readable_cause),
            })
            .collect();
        Some(detail)
    }
}

impl Folded {
    /// Of the invocations of a state, in the Map iteration of its chosen visit, those that worked for that visit:
    /// those of which none of the iteration's other visits was entered nearer to when the worker says its own was.
    pub(super) fn invocations_of(
        &self,
        chosen: &VisitView,
        state: &str,
        told: Vec<VisitInvocation>,
    ) -> Vec<InvocationView> {
        let visits = self.fold.visits();
        let parents: HashMap<i64, Option<Parent>> = visits
            .iter()
            .map(|visit| (visit.entered_event_id, visit.parent))
            .collect();
        let rivals: Vec<&Visit> = visits
            .iter()
            .filter(|visit| {
                visit.state == state && iteration_of(visit, &parents) == chosen.iteration
            })
            .collect();
        told.into_iter()
            .filter(|told| {
                let entered = clock::moment_of(&told.entered).unwrap_or(told.invocation.at_ms.0);
                let nearest = rivals
                    .iter()
                    .rev()
                    .min_by_key(|visit| visit.entered_at_ms.abs_diff(entered));
                nearest.is_some_and(|visit| visit.entered_event_id == chosen.entered_event_id)
            })
            .map(|told| told.invocation)
            .collect()
    }
}

fn choose<'v>(visits: &[&'v Visit], chosen: Option<i64>) -> Option<&'v Visit> {
    let asked_for = chosen.and_then(|id| visits.iter().find(|visit| visit.entered_event_id == id));
    asked_for
        .or_else(|| {
            visits
                .iter()
                .rfind(|visit| visit.status == VisitStatus::Failed)
        })
        .or(visits.last())
        .copied()
}

/// The innermost Map iteration that a visit is part of.
fn iteration_of(visit: &Visit, parents: &HashMap<i64, Option<Parent>>) -> Option<u32> {
    let mut next = visit.parent;
    while let Some(parent) = next {
        if let ParentKind::Iteration(index) = parent.kind {
            return Some(index);
        }
        next = parents.get(&parent.entered_event_id).copied().flatten();
    }
    None
}
