//! Owns what events say about Parallel and Map visits as a whole.

use crate::event::HistoryEvent;
use crate::machine::StateKind;

use super::ending::{close, close_iterations};
use super::{Fold, Place, Visit, VisitStatus};

impl Fold {
    /// The innermost unfinished container of a kind around a place, itself included.
    pub(super) fn container(&self, from: Place, kind: StateKind) -> Place {
        self.container_that(from, |visit| visit.kind == kind)
    }

    pub(super) fn container_that(&self, from: Place, is_it: impl Fn(&Visit) -> bool) -> Place {
        let mut next = Some(from);
        while let Some(place) = next {
            if let Some(visit) = place.visit.map(|visit| &self.visits[visit])
                && is_it(visit)
                && (visit.exited_at_ms.is_none() || visit.status == VisitStatus::Aborted)
            {
                return place;
            }
            next = self.above(place);
        }
        from
    }

    pub(super) fn container_failed(
        &mut self,
        event: &HistoryEvent,
        before: Place,
        kind: StateKind,
    ) -> Place {
        // What failed already is inside of what fails now.
        let from = match before.failed {
            true => self.above(before).unwrap_or(before),
            false => before,
        };
        let place = self.container(from, kind);
        let inner = before.visit.filter(|_| before.visit != place.visit);
        // A container fails with the error of what failed inside it, also where its event names none.
        let (mut error, mut cause) = (event.details.error.clone(), event.details.cause.clone());
        if error.is_none() {
            let entered = place.visit.map(|visit| self.visits[visit].entered_event_id);
            let failed = inner.or_else(|| {
                self.visits.iter().rposition(|visit| {
                    visit.error.is_some()
                        && visit.status != VisitStatus::Caught
                        && visit.parent.map(|parent| parent.entered_event_id) == entered
                })
            });
            // Else it failed with what is known of it already: its Map Run, or an expression of its own.
            if let Some(failed) = failed.or(place.visit) {
                error = self.visits[failed].error.clone();
                cause = self.visits[failed].cause.clone();
            }
        }
        if let Some(failed) = inner.map(|visit| &mut self.visits[visit])
            && failed.exited_at_ms.is_none()
        {
            failed.status = VisitStatus::Failed;
            failed.exited_at_ms = Some(event.timestamp_ms);
            failed.error = failed.error.take().or_else(|| error.clone());
            failed.cause = failed.cause.take().or_else(|| cause.clone());
        }
        if let Some(visit) = self.at(place) {
            visit.status = VisitStatus::Retrying;
            // Nameless failures must be told from success when the state exits.
            visit.error = Some(error.unwrap_or_else(|| "States.TaskFailed".to_owned()));
            visit.cause = cause;
            let entered = visit.entered_event_id;
            self.close_inside(entered, event.timestamp_ms);
        }
        Place {
            failed: true,
            ..place
        }
    }

    /// Ends what is still open inside a container that has ended.
    fn close_inside(&mut self, entered_event_id: i64, at_ms: i64) {
        let mut within = vec![entered_event_id];
        for visit in &mut self.visits {
            let Some(parent) = visit.parent else { continue };
            if within.contains(&parent.entered_event_id) && visit.exited_at_ms.is_none() {
                within.push(visit.entered_event_id);
                close(visit, at_ms);
            }
        }
        if let Some(visit) = self.visit_named(entered_event_id) {
            close_iterations(&mut self.visits[visit], at_ms);
        }
    }

    pub(super) fn aborted(&mut self, before: Place, kind: StateKind, at_ms: i64) -> Place {
        let place = match kind {
            StateKind::Map | StateKind::Parallel => self.container(before, kind),
            _ => before,
        };
        if let Some(visit) = self.at(place) {
            visit.status = VisitStatus::Aborted;
            visit.exited_at_ms = Some(at_ms);
            close_iterations(visit, at_ms);
        }
        place
    }
}
