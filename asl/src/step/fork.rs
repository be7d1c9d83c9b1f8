//! Owns Parallel and Map states: the strands they start, and what becomes of their results.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::{Body, Count, MapState, ScopeId};

use super::failure::Failure;
use super::strand::{Doing, Fork, Slot, Strand, StrandId, Todo};
use super::{DATA_BYTES_MAX, Execution};

/// How many iterations of an inline Map AWS runs at once, whatever `MaxConcurrency` says.
const CONCURRENCY_MAX: usize = 40;

impl Execution {
    pub(super) fn fork_branches(&mut self, id: StrandId, count: usize, input: Data) {
        self.fork(
            id,
            EventType::ParallelStateStarted,
            Details::default(),
            |started_event| Fork {
                items: Arc::default(),
                input,
                slots: vec![Slot::default(); count],
                queue: (0..count).collect(),
                running: 0,
                limit: usize::MAX,
                bytes: 1,
                tolerated: None,
                failed: 0,
                started_event,
            },
        );
    }

    pub(super) fn fork_items(
        &mut self,
        id: StrandId,
        map: &MapState,
        input: Data,
    ) -> Result<(), Failure> {
        let items = self.items_of(id, map, &input)?;
        let count = items.len();
        let limit = self.concurrency(id, map, &input)?;
        let (most, percentage) = self.tolerated(id, map, &input)?;
        let share = percentage.map(|percentage| (count as f64 * percentage / 100.0) as usize);
        let most = most.map(|most| most as usize);
        let tolerated = most.map_or(share, |most| {
            Some(share.map_or(most, |share| share.min(most)))
        });
        let details = Details {
            length: Some(count as i64),
            ..Details::default()
        };
        self.fork(id, EventType::MapStateStarted, details, |started_event| {
            Fork {
                items: Arc::new(items),
                input,
                slots: vec![Slot::default(); count],
                queue: (0..count).collect(),
                running: 0,
                limit: if limit < 1.0 {
                    CONCURRENCY_MAX
                } else {
                    CONCURRENCY_MAX.min(limit as usize)
                },
                bytes: 1,
                tolerated,
                failed: 0,
                started_event,
            }
        });
        Ok(())
    }

    /// The items of a Map state.
    pub(super) fn items_of(
        &mut self,
        id: StrandId,
        map: &MapState,
        input: &Data,
    ) -> Result<Vec<Value>, Failure> {
        if self.is_jsonata(id) {
            return self.queried_items(id, map);
        }
        let path = &map.items;
        match self.read(id, path, input) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.runtime(
                id,
                format!("Reference path \"{path}\" must point to array."),
            )),
            None => {
                let missing = path.missing_part(input.value());
                Err(self.runtime(
                    id,
                    format!("Invalid path '{path}' : No results for path: {missing}"),
                ))
            }
        }
    }

    /// How many of its items a Map state lets run at once; 0: as many as may be.
    pub(super) fn concurrency(
        &mut self,
        id: StrandId,
        map: &MapState,
        input: &Data,
    ) -> Result<f64, Failure> {
        let limit = match &map.max_concurrency {
            None => 0.0,
            Some(Count::Query(limit)) => self.queried_count(id, limit, 0)?,
            Some(limit) => self.counted(id, limit, input).map_err(|(path, value)| {
                let message = format!("The MaxConcurrencyPath field refers to value \"{value}\" which is not a valid integer: {path}");
                self.runtime(id, message)
            })?,
        };
        if limit < 0.0 {
            return Err(self.runtime(
                id,
                format!("Expected non-negative integer for MaxConcurrency, got '{limit}' instead."),
            ));
        }
        Ok(limit)
    }

    /// How many items of a Map state may fail, and how many of a hundred.
    pub(super) fn tolerated(
        &mut self,
        id: StrandId,
        map: &MapState,
        input: &Data,
    ) -> Result<(Option<f64>, Option<f64>), Failure> {
        let shown = |value: Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let mut count = None;
        if let Some(Count::Query(most)) = &map.tolerated_count {
            count = Some(self.queried_count(id, most, 0)?);
        } else if let Some(most) = &map.tolerated_count {
            let most = self.counted(id, most, input).map_err(|(path, value)| {
                let message = format!("The ToleratedFailureCountPath field refers to value \"{}\" which is not a valid integer: {path}", shown(value));
                self.runtime(id, message)
            })?;
            count = Some(most);
        }
        let mut percentage = None;
        if let Some(Count::Query(most)) = &map.tolerated_percentage {
            percentage = Some(self.queried_percentage(id, most)?);
        } else if let Some(most) = &map.tolerated_percentage {
            let most = self.counted(id, most, input).map_err(|(path, value)| {
                let message = format!("The ToleratedFailurePercentagePath field refers to value \"{}\" which is not a valid float: {path}", shown(value));
                self.runtime(id, message)
            })?;
            if !(0.0..=100.0).contains(&most) {
                return Err(
                    self.runtime(id, "ToleratedFailurePercentage must be between 0 and 100.")
                );
            }
            percentage = Some(most);
        }
        Ok((count, percentage))
    }

    fn fork(
        &mut self,
        id: StrandId,
        kind: EventType,
        details: Details,
        fork: impl FnOnce(i64) -> Fork,
    ) {
        let last = self.strand(id).last_event;
        let started = self.record(kind, last, details);
        let strand = self.strand_mut(id);
        strand.last_event = started;
        strand.doing = Doing::Fork(Box::new(fork(started)));
        self.start_children(id, started);
    }

    /// Starts (or sets going again) as many branches or items as may run. New ones follow the event
    /// `after`.
    pub(super) fn start_children(&mut self, id: StrandId, after: i64) {
        loop {
            if self.full {
                return;
            }
            let fork = self.fork_mut(id);
            if fork.running >= fork.limit {
                return;
            }
            let Some(index) = fork.queue.pop_front() else {
                break;
            };
            fork.running += 1;
            match fork.slots[index].strand {
                Some(child) => self.resume(child),
                None => {
                    if let Err(failure) = self.start_child(id, index, after) {
                        self.stop_children(id);
                        return self.failed(id, failure);
                    }
                }
            }
        }
        if self.fork_mut(id).running == 0 {
            self.joined(id);
        }
    }

    fn start_child(&mut self, id: StrandId, index: usize, after: i64) -> Result<(), Failure> {
        let machine = self.machine.clone();
        let state = machine.state(self.strand(id).visit().state);
        let fork = self.fork_mut(id);
        let (items, mut input) = (fork.items.clone(), fork.input.clone());
        let mut context = self.strand(id).map.clone();
        let variables = self.strand(id).variables.clone();
        let scope: ScopeId = match &state.body {
            Body::Parallel { branches, .. } => branches[index],
            Body::Map(map) => {
                let value = &items[index];
                let item = Arc::new(json!({ "Item": { "Index": index, "Value": value } }));
                input = self.selected(id, map, &item, &input)?;
                context = Some(item);
                map.processor
            }
            _ => unreachable!("only Parallel and Map states fork"),
        };
        let child = self.add_strand(Strand::new(Some((id, index)), after, context, variables));
        self.fork_mut(id).slots[index].strand = Some(child);
        if let Some(event) = self.iteration_event(EventType::MapIterationStarted, id, index, child)
        {
            self.strand_mut(child).last_event = event;
        }
        self.go(child, Todo::Enter(machine.scope(scope).start, input));
        Ok(())
    }

    /// What the processor of a Map state is given for an item, which is told as `$$.Map`.
    pub(super) fn selected(
        &mut self,
        id: StrandId,
        map: &MapState,
        item: &Value,
        input: &Data,
    ) -> Result<Data, Failure> {
        match &map.selector {
            None => Ok(Data::new(item["Item"]["Value"].clone())),
            Some(selector) => {
                let selected = self.scene_with(id, input.value(), Some(item), |scene| {
                    selector.evaluate(scene)
                });
                let selected =
                    selected.map_err(|trouble| self.field_failure(id, trouble, input.text()))?;
                self.shallow(id, Data::new(selected))
            }
        }
    }

    /// Records something about an iteration, if the strand is one.
    pub(super) fn iteration_event(
        &mut self,
        kind: EventType,
        parent: StrandId,
        index: usize,
        child: StrandId,
    ) -> Option<i64> {
        let state = self.machine.state(self.strand(parent).visit().state);
        if !matches!(state.body, Body::Map(_)) {
            return None;
        }
        let details = Details {
            name: Some(state.name.clone()),
            index: Some(index as i64),
            ..Details::default()
        };
        let last = self.strand(child).last_event;
        Some(self.record(kind, last, details))
    }

    pub(super) fn child_succeeded(
        &mut self,
        parent: StrandId,
        index: usize,
        child: StrandId,
        output: Data,
    ) {
        let succeeded =
            self.iteration_event(EventType::MapIterationSucceeded, parent, index, child);
        let last = self.strand(child).last_event;
        self.strands[child.0] = None;
        let fork = self.fork_mut(parent);
        fork.bytes = fork.bytes.saturating_add(output.text().len() + 1);
        let fits = fork.bytes <= DATA_BYTES_MAX;
        fork.slots[index] = Slot {
            strand: None,
            // What is too large in the end need not be kept until then.
            output: Some(if fits { output } else { Data::new(Value::Null) }),
        };
        fork.running -= 1;
        // The next iteration follows what happened in this one, the end of the Map its success.
        self.strand_mut(parent).last_event = succeeded.unwrap_or(last);
        self.start_children(parent, last);
    }

    pub(super) fn child_failed(
        &mut self,
        parent: StrandId,
        index: usize,
        child: StrandId,
        failure: Failure,
    ) {
        self.iteration_event(EventType::MapIterationFailed, parent, index, child);
        let strand = self.strand_mut(child);
        strand.stopped = true;
        let last = strand.last_event;
        self.strand_mut(parent).last_event = last;
        let fork = self.fork_mut(parent);
        fork.running -= 1;
        fork.failed += 1;
        let failure = match fork.tolerated {
            Some(most) if fork.failed <= most => return self.start_children(parent, last),
            Some(_) => Failure::intolerable(),
            None => failure,
        };
        self.stop_children(parent);
        self.failed(parent, failure);
    }

    /// All branches or items ended.
    fn joined(&mut self, id: StrandId) {
        let Doing::Fork(fork) = &self.strand(id).doing else {
            return;
        };
        let outputs: Vec<Data> = fork
            .slots
            .iter()
            .filter_map(|slot| slot.output.clone())
            .collect();
        let result = Data::array(&outputs);
        let too_large = fork.bytes > DATA_BYTES_MAX;
        self.drop_children(id);
        if too_large {
            return self.too_large(id);
        }
        self.mapped(id, result);
    }

    /// What a Parallel or Map state came to is too large.
    fn too_large(&mut self, id: StrandId) {
        let state = self.machine.state(self.strand(id).visit().state);
        let failure = Failure::too_large(&state.name);
        self.failed(id, failure);
    }

    /// A Parallel or Map state has its result.
    pub(super) fn mapped(&mut self, id: StrandId, result: Data) {
        let state = self.machine.state(self.strand(id).visit().state);
        if result.text().len() > DATA_BYTES_MAX {
            return self.too_large(id);
        }
        let kind = match state.body {
            Body::Map(_) => EventType::MapStateSucceeded,
            _ => EventType::ParallelStateSucceeded,
        };
        let last = self.strand(id).last_event;
        self.record(kind, last, Details::default());
        if !self.full {
            self.finish(id, result);
        }
    }
}
