//! A folded history as `model::Execution`: every state with its status, iterations, branches and progress.
//!
//! Only *current* visits count for where a state stands: of each place (the machine, a branch, an iteration)
//! the last one, in a container's own last visit. So a redriven state is green when it has succeeded at
//! last, while counts still tell of every visit.

use std::collections::HashMap;

use asl::{
    Visit, VisitStatus,
    history::{Parent, ParentKind},
};
use model::{
    BranchView, Execution, IterationView, Progress, StateKind, StateStatus, StateView, TimestampMs,
};

use super::{Folded, readable_cause, tree::State};
use crate::store::{ExecutionRecord, ProgressRow};

/// A state and the place in which a visit happened.
type Slot<'a> = (&'a str, Option<Parent>);

/// What views are made from, arranged for looking up.
struct Scene<'a> {
    folded: &'a Folded,
    /// Of each state in each place the last visit, if its container's visit is current too.
    current: HashMap<&'a str, Vec<&'a Visit>>,
    /// In each place the last visit of any state: where it stands.
    last_in: HashMap<Parent, &'a Visit>,
    all: HashMap<&'a str, Vec<&'a Visit>>,
    /// Of each state and iteration the newest progress.
    progress: HashMap<&'a str, HashMap<Option<u32>, &'a ProgressRow>>,
}

impl Folded {
    /// The execution, with every state of its definition.
    pub(crate) fn view(&self, record: &ExecutionRecord, progress: &[ProgressRow]) -> Execution {
        let scene = Scene::new(self, progress);
        let states = self
            .drawing
            .tree
            .states
            .iter()
            .map(|state| scene.state(state))
            .collect();
        Execution {
            arn: record.arn.clone(),
            name: record.name.clone(),
            status: record.status,
            started_at_ms: record.started_at,
            ended_at_ms: record.ended_at,
            redrive_count: record.redrive_count,
            error: record.error.clone(),
            cause: record.cause.as_deref().map(readable_cause),
            failed_state: self.failed_state().map(str::to_owned),
            event_count: u64::try_from(self.fold.last_event_id()).unwrap_or(0),
            states,
        }
    }
}

impl<'a> Scene<'a> {
    fn new(folded: &'a Folded, rows: &'a [ProgressRow]) -> Scene<'a> {
        let visits = folded.fold.visits();
        let mut newest: HashMap<Slot<'a>, &'a Visit> = HashMap::new();
        let mut last_in = HashMap::new();
        let mut all: HashMap<&str, Vec<&Visit>> = HashMap::new();
        for visit in visits {
            newest.insert((&visit.state, visit.parent), visit);
            all.entry(&visit.state).or_default().push(visit);
            if let Some(parent) = visit.parent {
                last_in.insert(parent, visit);
            }
        }
        let by_id: HashMap<i64, &Visit> = visits
            .iter()
            .map(|visit| (visit.entered_event_id, visit))
            .collect();
        let is_newest = |visit: &Visit| {
            newest
                .get(&(visit.state.as_str(), visit.parent))
                .is_some_and(|found| found.entered_event_id == visit.entered_event_id)
        };
        let is_current = |visit: &Visit| {
            let mut next = Some(visit);
            while let Some(visit) = next {
                if !is_newest(visit) {
                    return false;
                }
                next = visit
                    .parent
                    .and_then(|parent| by_id.get(&parent.entered_event_id).copied());
            }
            true
        };
        let mut current: HashMap<&str, Vec<&Visit>> = HashMap::new();
        for visit in visits.iter().filter(|visit| is_current(visit)) {
            current.entry(&visit.state).or_default().push(visit);
        }
        // Rows come oldest first: what is inserted last is the newest.
        let mut progress: HashMap<&str, HashMap<Option<u32>, &ProgressRow>> = HashMap::new();
        for row in rows {
            progress
                .entry(&row.state)
                .or_default()
                .insert(row.iteration, row);
        }
        Scene {
            folded,
            current,
            last_in,
            all,
            progress,
        }
    }

    fn current(&self, state: &str) -> &[&'a Visit] {
        self.current.get(state).map_or(&[], Vec::as_slice)
    }

    fn state(&self, state: &State) -> StateView {
        let current = self.current(&state.name);
        let all = self
            .all
            .get(state.name.as_str())
            .map_or(&[][..], Vec::as_slice);
        let worst = current
            .iter()
            .max_by_key(|visit| (weight(visit.status), visit.entered_event_id));
        let newest = current.last();
        let iterations = match (state.kind, newest) {
            (StateKind::Map, Some(visit)) => self.iterations(state, visit),
            _ => Vec::new(),
        };
        let branches = match state.kind {
            StateKind::Parallel => self.branches(state, newest.copied()),
            _ => Vec::new(),
        };
        let iteration_count = newest.and_then(|visit| visit.iteration_count);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let having = |status| number(all.iter().filter(|visit| visit.status == status).count());
        StateView {
            name: state.name.clone(),
            kind: state.kind,
            status: worst.map_or(StateStatus::Idle, |visit| status_of(visit.status)),
            visit_count: number(all.len()),
            succeeded_count: having(VisitStatus::Succeeded),
            failed_count: having(VisitStatus::Failed),
            retry_count: number(
                all.iter()
                    .map(|visit| visit.attempts.len().saturating_sub(1))
                    .sum(),
            ),
            started_at_ms: current
                .iter()
                .map(|visit| visit.entered_at_ms)
                .min()
                .map(TimestampMs),
            ended_at_ms: current
                .iter()
                .map(|visit| visit.exited_at_ms)
                .collect::<Option<Vec<_>>>()
                .and_then(|ends| ends.into_iter().max())
                .map(TimestampMs),
            error: worst.and_then(|visit| visit.error.clone()),
            cause: worst.and_then(|visit| visit.cause.as_deref().map(readable_cause)),
            progress: match state.kind {
                StateKind::Map => sum(
                    iterations
                        .iter()
                        .map(|iteration| iteration.progress.as_ref()),
                    iteration_count,
                ),
                _ => self.own_progress(&state.name),
            },
            iterations,
            iteration_count,
            branches,
        }
    }

    /// A state's progress: of the iterations it ran in, all together.
    fn own_progress(&self, state: &str) -> Option<Progress> {
        let rows = self.progress.get(state)?;
        let count = self
            .folded
            .drawing
            .tree
            .state(state)
            .and_then(|state| state.parent.as_deref())
            .and_then(|parent| self.current(parent).last()?.iteration_count);
        sum(rows.values().map(|row| Some(&row.progress)), count)
    }

    fn iterations(&self, map: &State, visit: &Visit) -> Vec<IterationView> {
        visit
            .iterations
            .iter()
            .map(|iteration| {
                let place = Parent {
                    entered_event_id: visit.entered_event_id,
                    kind: ParentKind::Iteration(iteration.index),
                };
                let last = self.last_in.get(&place);
                let row = self
                    .progress
                    .iter()
                    .filter(|(state, _)| self.folded.drawing.tree.is_inside(state, &map.name))
                    .filter_map(|(_, rows)| rows.get(&Some(iteration.index)))
                    .max_by_key(|row| row.at_ms);
                IterationView {
                    index: iteration.index,
                    status: match (iteration.status, last.map(|visit| visit.status)) {
                        // Between two attempts the iteration runs, and the state in it says why it is slow.
                        (VisitStatus::Running, Some(VisitStatus::Retrying)) => {
                            StateStatus::Retrying
                        }
                        (status, _) => status_of(status),
                    },
                    label: row.and_then(|row| row.label.clone()),
                    state: last.map(|visit| visit.state.clone()),
                    progress: row.map(|row| row.progress.clone()),
                    started_at_ms: Some(TimestampMs(iteration.started_at_ms)),
                    ended_at_ms: iteration.ended_at_ms.map(TimestampMs),
                    error: last.and_then(|visit| visit.error.clone()),
                }
            })
            .collect()
    }

    fn branches(&self, parallel: &State, visit: Option<&Visit>) -> Vec<BranchView> {
        let tree = &self.folded.drawing.tree;
        tree.branches(&parallel.name)
            .map(|(index, branch)| {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let place = visit.map(|visit| Parent {
                    entered_event_id: visit.entered_event_id,
                    kind: ParentKind::Branch(index),
                });
                let visits: Vec<&Visit> = branch
                    .states
                    .iter()
                    .flat_map(|state| self.current(state))
                    .filter(|visit| visit.parent == place)
                    .copied()
                    .collect();
                let last = place.and_then(|place| self.last_in.get(&place)).copied();
                let status = last.map_or(StateStatus::Idle, |last| {
                    let is_last = tree.state(&last.state).is_some_and(|state| state.is_last);
                    match (last.status, last.kind) {
                        (VisitStatus::Succeeded, _) if !is_last => StateStatus::Running,
                        (VisitStatus::Caught, _) => StateStatus::Running,
                        (_, asl::StateKind::Fail) => StateStatus::Failed,
                        (status, _) => status_of(status),
                    }
                });
                let is_done = !matches!(
                    status,
                    StateStatus::Idle | StateStatus::Running | StateStatus::Retrying
                );
                BranchView {
                    index,
                    name: branch.name.clone(),
                    status,
                    state: last.map(|visit| visit.state.clone()),
                    states_done: visits
                        .iter()
                        .filter(|visit| visit.status == VisitStatus::Succeeded)
                        .count() as u32,
                    states_total: branch.states.len() as u32,
                    progress: last.and_then(|last| self.progress_in(last)),
                    started_at_ms: visits
                        .iter()
                        .map(|visit| visit.entered_at_ms)
                        .min()
                        .map(TimestampMs),
                    ended_at_ms: last
                        .filter(|_| is_done)
                        .and_then(|last| last.exited_at_ms)
                        .map(TimestampMs),
                }
            })
            .collect()
    }

    /// The progress of a visit: of a Map that of its iterations together.
    fn progress_in(&self, visit: &Visit) -> Option<Progress> {
        let state = self.folded.drawing.tree.state(&visit.state)?;
        match state.kind {
            StateKind::Map => sum(
                self.iterations(state, visit)
                    .iter()
                    .map(|iteration| iteration.progress.as_ref()),
                visit.iteration_count,
            ),
            _ => self.own_progress(&visit.state),
        }
    }
}

/// Progress of several units of work together; none when they count different things. The total is known
/// only when each of `count` units has told its own: a total that grows would be none.
fn sum<'p>(
    parts: impl Iterator<Item = Option<&'p Progress>>,
    count: Option<u32>,
) -> Option<Progress> {
    let parts: Vec<&Progress> = parts.flatten().collect();
    let first = *parts.first()?;
    if parts.iter().any(|part| part.unit != first.unit) {
        return None;
    }
    let is_whole = count.is_none_or(|count| parts.len() as u64 >= u64::from(count));
    Some(Progress {
        unit: first.unit.clone(),
        done: parts.iter().map(|part| part.done).sum(),
        total: parts
            .iter()
            .map(|part| part.total)
            .sum::<Option<u64>>()
            .filter(|_| is_whole),
    })
}

/// What of several visits a state shows: the heaviest.
fn weight(status: VisitStatus) -> u8 {
    match status {
        VisitStatus::Failed => 5,
        VisitStatus::Retrying => 4,
        VisitStatus::Running => 3,
        // A failure that was caught says more than the siblings that were stopped because of it.
        VisitStatus::Caught => 2,
        VisitStatus::Aborted => 1,
        VisitStatus::Succeeded => 0,
    }
}

/// The fold's status as it crosses the wire.
pub(super) fn status_of(status: VisitStatus) -> StateStatus {
    match status {
        VisitStatus::Running => StateStatus::Running,
        VisitStatus::Retrying => StateStatus::Retrying,
        VisitStatus::Succeeded => StateStatus::Succeeded,
        VisitStatus::Caught => StateStatus::Caught,
        VisitStatus::Failed => StateStatus::Failed,
        VisitStatus::Aborted => StateStatus::Aborted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(unit: &str, done: u64, total: Option<u64>) -> Progress {
        Progress {
            unit: unit.to_owned(),
            done,
            total,
        }
    }

    #[test]
    fn a_total_is_told_only_when_every_unit_has_told_its_own() {
        let parts = [progress("bytes", 5, Some(8)), progress("bytes", 2, Some(8))];
        let of = |count| sum(parts.iter().map(Some), count);
        assert_eq!(of(Some(2)), Some(progress("bytes", 7, Some(16))));
        assert_eq!(of(Some(3)), Some(progress("bytes", 7, None)));
        let open = [progress("bytes", 5, None)];
        assert_eq!(
            sum(open.iter().map(Some), Some(1)),
            Some(progress("bytes", 5, None))
        );
    }

    #[test]
    fn frames_and_bytes_do_not_add_up() {
        let parts = [progress("bytes", 5, None), progress("frames", 2, None)];
        assert_eq!(sum(parts.iter().map(Some), None), None);
    }
}
