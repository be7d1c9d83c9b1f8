//! Owns what the end of an execution, and a redrive after it, mean for its visits.

use crate::event::HistoryEvent;
use crate::machine::StateKind;

use super::{EndStatus, Ending, Fold, Place, Visit, VisitStatus};

impl Fold {
    pub(super) fn end(&mut self, event: &HistoryEvent, status: EndStatus, before: Place) -> Place {
        let at_ms = event.timestamp_ms;
        let details = &event.details;
        self.outcome = Some(Ending {
            status,
            at_ms,
            output: details.output.clone(),
            error: details.error.clone(),
            cause: details.cause.clone(),
        });
        if status == EndStatus::Failed {
            self.blame(event, before);
        }
        for visit in &mut self.visits {
            if visit.exited_at_ms.is_none() {
                close(visit, at_ms);
            }
        }
        before
    }

    /// An evaluation on the way into a state looks back to what came before the state, so the state's name
    /// tells more than the place.
    pub(super) fn evaluation_failed(&mut self, event: &HistoryEvent, before: Place) -> Place {
        let name = event.details.state.as_deref();
        let is_it =
            |visit: &Visit| Some(visit.state.as_str()) == name && visit.exited_at_ms.is_none();
        let around = self.container_that(before, is_it);
        let mut place = before;
        if around.visit.is_some_and(|visit| is_it(&self.visits[visit])) {
            place = around;
        } else {
            let container = before
                .visit
                .map(|visit| self.visits[visit].entered_event_id);
            let entered = self.visits.iter().rposition(|visit| {
                let inside = visit.parent.map(|parent| parent.entered_event_id);
                let beside = visit.parent == before.parent;
                is_it(visit) && (beside || inside.is_some() && inside == container)
            });
            if let Some(entered) = entered {
                place = Place {
                    visit: Some(entered),
                    parent: self.visits[entered].parent,
                    failed: false,
                };
            }
        }
        self.fail(event, place);
        place
    }

    /// Finds the state in which the error arose that ends the execution.
    fn blame(&mut self, event: &HistoryEvent, before: Place) {
        let details = &event.details;
        if let Some(visit) = self.at(before)
            && visit.exited_at_ms.is_none()
        {
            visit.status = VisitStatus::Retrying;
            visit.error = visit.error.take().or_else(|| details.error.clone());
            visit.cause = visit.cause.take().or_else(|| details.cause.clone());
        }
        let last = before.visit.map(|visit| &self.visits[visit]);
        self.ended_in_fail_state = last
            .filter(|visit| visit.kind == StateKind::Fail && visit.parent.is_none())
            .map(|visit| visit.state.clone());
        let is_cause = |visit: &&Visit| {
            !matches!(
                visit.kind,
                StateKind::Fail | StateKind::Parallel | StateKind::Map
            ) && visit.error.is_some()
                && visit.error == details.error
        };
        let failed = self.visits.iter().rev().find(is_cause).or(last);
        self.failed_state = failed.map(|visit| visit.state.clone());
    }

    pub(super) fn redrive(&mut self, event: &HistoryEvent) -> Place {
        self.outcome = None;
        self.failed_state = None;
        self.ended_in_fail_state = None;
        self.redrive_count = match event.details.redrive_count {
            Some(count) => u32::try_from(count).unwrap_or(self.redrive_count),
            None => self.redrive_count + 1,
        };
        // What failed goes on, so that it may fail again.
        for place in self.places.iter_mut().flatten() {
            place.failed = false;
        }
        // The one state of the machine itself that was entered and not exited goes on.
        let resumed = self.visits.iter().rposition(|visit| {
            visit.parent.is_none()
                && !matches!(visit.status, VisitStatus::Succeeded | VisitStatus::Caught)
        });
        let mut within = Vec::new();
        for (at, visit) in self.visits.iter_mut().enumerate() {
            let is_inside = visit
                .parent
                .is_some_and(|parent| within.contains(&parent.entered_event_id));
            let is_container = matches!(visit.kind, StateKind::Parallel | StateKind::Map);
            let is_unfinished =
                !matches!(visit.status, VisitStatus::Succeeded | VisitStatus::Caught);
            if Some(at) == resumed || (is_inside && is_container && is_unfinished) {
                visit.status = VisitStatus::Running;
                visit.exited_at_ms = None;
                visit.error = None;
                visit.cause = None;
                within.push(visit.entered_event_id);
            }
        }
        Place {
            visit: resumed,
            parent: None,
            failed: false,
        }
    }
}

/// Ends a visit whose execution or container has ended.
pub(super) fn close(visit: &mut Visit, at_ms: i64) {
    visit.exited_at_ms = Some(at_ms);
    visit.status = match visit.status {
        VisitStatus::Retrying | VisitStatus::Failed => VisitStatus::Failed,
        _ => VisitStatus::Aborted,
    };
    if let Some(attempt) = visit.attempts.last_mut()
        && attempt.ended_at_ms.is_none()
    {
        attempt.ended_at_ms = Some(at_ms);
        attempt.status = VisitStatus::Aborted;
    }
    close_iterations(visit, at_ms);
}

pub(super) fn close_iterations(visit: &mut Visit, at_ms: i64) {
    for iteration in &mut visit.iterations {
        if iteration.ended_at_ms.is_none() {
            iteration.ended_at_ms = Some(at_ms);
            iteration.status = VisitStatus::Aborted;
        }
    }
}
