//! Owns the folding of history events into what people look at: visits of states, attempts,
//! branches, iterations and their times.
//!
//! Incremental, idempotent by event id, and tolerant of gaps.

mod container;
mod ending;
mod visit;

pub use visit::{Attempt, EndStatus, Ending, Iteration, Parent, ParentKind, Visit, VisitStatus};

use std::collections::HashMap;

use crate::event::{EventType, HistoryEvent};
use crate::machine::{Body, StateKind, StateMachine};

/// What a history amounts to so far.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    visits: Vec<Visit>,
    /// Where each event belongs, by its id less one; gaps are `None`.
    places: Vec<Option<Place>>,
    /// Branch of each state that is the first of a branch of a Parallel state.
    branches: HashMap<String, u32>,
    outcome: Option<Ending>,
    started_at_ms: Option<i64>,
    redrive_count: u32,
    failed_state: Option<String>,
    ended_in_fail_state: Option<String>,
}

/// Where an event belongs.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Index of the visit it is about, or that came last before it in its branch.
    visit: Option<usize>,
    parent: Option<Parent>,
    /// The visit is a Parallel or Map, and this event said that it failed.
    failed: bool,
}

impl Fold {
    /// An empty fold. With the machine, branches of Parallel states can be told apart; without it
    /// they are counted as they start.
    pub fn new(machine: Option<&StateMachine>) -> Fold {
        let mut branches = HashMap::new();
        for state in machine.into_iter().flat_map(StateMachine::states) {
            if let Body::Parallel {
                branches: scopes, ..
            } = &state.body
            {
                for (branch, &scope) in scopes.iter().enumerate() {
                    let first = machine.map(|machine| machine.state(machine.scope(scope).start));
                    if let (Some(first), Ok(branch)) = (first, u32::try_from(branch)) {
                        branches.insert(first.name.clone(), branch);
                    }
                }
            }
        }
        Fold {
            branches,
            ..Fold::default()
        }
    }

    /// Takes one event. Events already seen change nothing; an event whose predecessor is missing
    /// is attributed by its name where it has one, else left out.
    pub fn apply(&mut self, event: &HistoryEvent) {
        let Some(slot) = usize::try_from(event.id - 1)
            .ok()
            .filter(|&slot| slot < MAX_EVENTS)
        else {
            return;
        };
        if self.places.get(slot).is_some_and(Option::is_some) {
            return;
        }
        if self.places.len() <= slot {
            self.places.resize(slot + 1, None);
        }
        let before = usize::try_from(event.previous_event_id - 1)
            .ok()
            .and_then(|slot| self.places.get(slot).copied().flatten())
            .unwrap_or_default();
        self.places[slot] = Some(self.place(event, before));
    }

    fn place(&mut self, event: &HistoryEvent, before: Place) -> Place {
        use EventType::*;
        let at_ms = event.timestamp_ms;
        match event.kind {
            ExecutionStarted => {
                self.started_at_ms = Some(at_ms);
                Place::default()
            }
            ExecutionSucceeded => self.end(event, EndStatus::Succeeded, before),
            ExecutionFailed => self.end(event, EndStatus::Failed, before),
            ExecutionTimedOut => self.end(event, EndStatus::TimedOut, before),
            ExecutionAborted => self.end(event, EndStatus::Aborted, before),
            ExecutionRedriven => self.redrive(event),
            MapStateStarted => {
                let place = self.container(before, StateKind::Map);
                if let Some(visit) = self.open(place) {
                    visit.iteration_count = event
                        .details
                        .length
                        .and_then(|length| u32::try_from(length).ok());
                }
                place
            }
            ParallelStateStarted => {
                let place = self.container(before, StateKind::Parallel);
                self.open(place);
                place
            }
            MapIterationStarted => self.iteration(event, before, VisitStatus::Running),
            MapIterationSucceeded => self.iteration(event, before, VisitStatus::Succeeded),
            MapIterationFailed => self.iteration(event, before, VisitStatus::Failed),
            MapIterationAborted => self.iteration(event, before, VisitStatus::Aborted),
            MapStateSucceeded | MapRunSucceeded => self.container(before, StateKind::Map),
            ParallelStateSucceeded => self.container(before, StateKind::Parallel),
            MapStateFailed => self.container_failed(event, before, StateKind::Map),
            // The Map state itself is yet to fail, unless it tries again.
            MapRunFailed => Place {
                failed: false,
                ..self.container_failed(event, before, StateKind::Map)
            },
            ParallelStateFailed => self.container_failed(event, before, StateKind::Parallel),
            MapStateAborted | MapRunAborted => self.aborted(before, StateKind::Map, at_ms),
            ParallelStateAborted => self.aborted(before, StateKind::Parallel, at_ms),
            TaskStateAborted => self.aborted(before, StateKind::Task, at_ms),
            WaitStateAborted => self.aborted(before, StateKind::Wait, at_ms),
            LambdaFunctionScheduled | TaskScheduled | ActivityScheduled => {
                if let Some(visit) = self.at(before) {
                    visit.resource = event.details.resource.clone().or(visit.resource.take());
                    visit.status = VisitStatus::Running;
                    visit.exited_at_ms = None;
                    visit.attempts.push(Attempt {
                        scheduled_at_ms: at_ms,
                        started_at_ms: None,
                        ended_at_ms: None,
                        status: VisitStatus::Running,
                        error: None,
                        cause: None,
                    });
                }
                before
            }
            LambdaFunctionStarted | TaskStarted | ActivityStarted | TaskSubmitted => {
                if let Some(attempt) = self.attempt(before) {
                    attempt.started_at_ms.get_or_insert(at_ms);
                }
                before
            }
            LambdaFunctionSucceeded | TaskSucceeded | ActivitySucceeded => {
                if let Some(attempt) = self.attempt(before) {
                    attempt.ended_at_ms = Some(at_ms);
                    attempt.status = VisitStatus::Succeeded;
                }
                if let Some(visit) = self.at(before) {
                    visit.error = None;
                    visit.cause = None;
                }
                before
            }
            LambdaFunctionFailed
            | LambdaFunctionScheduleFailed
            | LambdaFunctionStartFailed
            | LambdaFunctionTimedOut
            | TaskFailed
            | TaskStartFailed
            | TaskSubmitFailed
            | TaskTimedOut
            | ActivityFailed
            | ActivityScheduleFailed
            | ActivityTimedOut => {
                if let Some(attempt) = self.attempt(before) {
                    attempt.ended_at_ms = Some(at_ms);
                    attempt.status = VisitStatus::Failed;
                    attempt.error = event.details.error.clone();
                    attempt.cause = event.details.cause.clone();
                }
                self.fail(event, before);
                before
            }
            EvaluationFailed => self.evaluation_failed(event, before),
            MapRunStarted | MapRunRedriven => before,
            kind => match entered(kind) {
                Some(kind) => self.enter(event, kind, before),
                None => self.exit(event, before),
            },
        }
    }

    fn at(&mut self, place: Place) -> Option<&mut Visit> {
        place.visit.map(|visit| &mut self.visits[visit])
    }

    fn attempt(&mut self, place: Place) -> Option<&mut Attempt> {
        self.at(place)?.attempts.last_mut()
    }

    /// Marks a container as running (again).
    fn open(&mut self, place: Place) -> Option<&mut Visit> {
        let visit = self.at(place)?;
        visit.status = VisitStatus::Running;
        visit.exited_at_ms = None;
        visit.error = None;
        visit.cause = None;
        visit.iterations.clear();
        Some(visit)
    }

    fn fail(&mut self, event: &HistoryEvent, place: Place) {
        if let Some(visit) = self.at(place) {
            visit.status = VisitStatus::Retrying;
            // After a redrive it may be one that was given up before.
            visit.exited_at_ms = None;
            visit.error = event.details.error.clone();
            visit.cause = event.details.cause.clone();
        }
    }

    fn visit_named(&self, entered_event_id: i64) -> Option<usize> {
        self.visits
            .binary_search_by_key(&entered_event_id, |visit| visit.entered_event_id)
            .ok()
    }

    /// The place of what a visit is inside of.
    fn above(&self, place: Place) -> Option<Place> {
        let parent = place.parent?;
        let visit = self.visit_named(parent.entered_event_id)?;
        Some(Place {
            visit: Some(visit),
            parent: self.visits[visit].parent,
            failed: false,
        })
    }

    fn enter(&mut self, event: &HistoryEvent, kind: StateKind, before: Place) -> Place {
        let name = event.details.name.clone().unwrap_or_default();
        let mut parent = before.parent;
        // The first state of a branch follows the event that started the Parallel state.
        if let Some(visit) = before.visit.map(|visit| &self.visits[visit])
            && visit.kind == StateKind::Parallel
            && visit.exited_at_ms.is_none()
        {
            let entered_event_id = visit.entered_event_id;
            let branch = self.branches.get(&name).copied().unwrap_or_else(|| {
                let branches = self.visits.iter().filter_map(|visit| visit.parent);
                let started = branches.filter(|parent| parent.entered_event_id == entered_event_id);
                started.count() as u32
            });
            parent = Some(Parent {
                entered_event_id,
                kind: ParentKind::Branch(branch),
            });
        }
        let visit = Visit {
            entered_event_id: event.id,
            state: name,
            kind,
            status: VisitStatus::Running,
            entered_at_ms: event.timestamp_ms,
            exited_at_ms: None,
            input: event.details.input.clone(),
            output: None,
            attempts: Vec::new(),
            error: None,
            cause: None,
            resource: None,
            parent,
            iteration_count: None,
            iterations: Vec::new(),
        };
        // Late events keep the order by id.
        let at = self
            .visits
            .partition_point(|visit| visit.entered_event_id < event.id);
        if at < self.visits.len() {
            for place in self.places.iter_mut().flatten() {
                place.visit = place.visit.map(|visit| visit + usize::from(visit >= at));
            }
        }
        self.visits.insert(at, visit);
        Place {
            visit: Some(at),
            parent,
            failed: false,
        }
    }

    fn exit(&mut self, event: &HistoryEvent, before: Place) -> Place {
        let mut next = Some(before);
        let name = event.details.name.as_deref();
        let place = loop {
            let Some(place) = next else { break before };
            if place
                .visit
                .is_some_and(|visit| Some(self.visits[visit].state.as_str()) == name)
            {
                break place;
            }
            next = self.above(place);
        };
        if let Some(visit) = self.at(place) {
            visit.exited_at_ms = Some(event.timestamp_ms);
            visit.output = event.details.output.clone();
            visit.status = match visit.error {
                Some(_) => VisitStatus::Caught,
                None => VisitStatus::Succeeded,
            };
        }
        place
    }

    fn iteration(&mut self, event: &HistoryEvent, before: Place, status: VisitStatus) -> Place {
        let index = event
            .details
            .index
            .and_then(|index| u32::try_from(index).ok())
            .unwrap_or(0);
        let name = event.details.name.as_deref();
        let map = self.container_that(before, |visit| {
            visit.kind == StateKind::Map && name.is_none_or(|name| visit.state == name)
        });
        let inside = self.at(map).map(|visit| {
            let at = visit
                .iterations
                .partition_point(|iteration| iteration.index < index);
            let known = visit
                .iterations
                .get(at)
                .is_some_and(|iteration| iteration.index == index);
            if !known || status == VisitStatus::Running {
                let fresh = Iteration {
                    index,
                    status,
                    started_at_ms: event.timestamp_ms,
                    ended_at_ms: None,
                };
                match known {
                    true => visit.iterations[at] = fresh,
                    false => visit.iterations.insert(at, fresh),
                }
            }
            if status != VisitStatus::Running {
                visit.iterations[at].status = status;
                visit.iterations[at].ended_at_ms = Some(event.timestamp_ms);
            }
            Parent {
                entered_event_id: visit.entered_event_id,
                kind: ParentKind::Iteration(index),
            }
        });
        match status {
            // What follows happens inside the iteration …
            VisitStatus::Running => Place {
                visit: None,
                parent: inside.or(before.parent),
                failed: false,
            },
            // … and after its end around it again.
            _ => map,
        }
    }

    /// All visits in the order they were entered.
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// How the execution ended; `None` while it runs (again, after a redrive).
    pub fn outcome(&self) -> Option<&Ending> {
        self.outcome.as_ref()
    }

    /// The highest event id seen; 0 if none.
    pub fn last_event_id(&self) -> i64 {
        self.places.len() as i64
    }

    /// When the execution started, by its first event.
    pub fn started_at_ms(&self) -> Option<i64> {
        self.started_at_ms
    }

    /// How often the execution was redriven.
    pub fn redrive_count(&self) -> u32 {
        self.redrive_count
    }

    /// The state in which the error that ended the execution arose first.
    pub fn failed_state(&self) -> Option<&str> {
        self.failed_state.as_deref()
    }

    /// The Fail state of the machine itself that ended the execution, if one did: a redrive would
    /// only enter it again.
    pub fn ended_in_fail_state(&self) -> Option<&str> {
        self.ended_in_fail_state.as_deref()
    }
}

/// Events of one execution that are looked at; AWS ends an execution at 25,000.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
const MAX_EVENTS: usize = 100_000;

fn entered(kind: EventType) -> Option<StateKind> {
    StateKind::from_name(kind.as_str().strip_suffix("StateEntered")?)
}

#[cfg(test)]
mod tests;
