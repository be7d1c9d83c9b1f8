//! Owns Map states in DISTRIBUTED mode: their Map Runs, which others run.
//!
//! The children of a Map Run are executions of their own, so this execution sees its beginning and its end
//! only. [`Execution::map_item`] is what the others need of this one meanwhile.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html>

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::distributed::{Distributed, Format, Transformation};
use crate::machine::{Body, Count, MapState};
use crate::random::Random;
use crate::template::Template;

use super::failure::{Failure, FailureKind};
use super::strand::{Doing, StrandId};
use super::{Command, Execution, TaskId};

/// Most children that AWS runs at once.
const CONCURRENCY_MAX: u64 = 10_000;

/// How often AWS redrives a Map Run.
const REDRIVES_MAX: u32 = 1000;

/// A Map Run that is to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapRun {
    /// The Map state; its processor is what the children run.
    pub state: String,
    /// A part of the names of the Map Run and its children.
    pub label: String,
    /// Whether the children are Express workflows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub express: bool,
    /// Where the items come from.
    pub items: Items,
    /// Whether items go through [`Execution::map_item`].
    pub selects: bool,
    /// How items are put together, if they are.
    pub batch: Option<Batch>,
    /// Where the results go; `None`: into the output.
    pub results: Option<Results>,
    /// How many children may run at once.
    pub max_concurrency: u64,
    /// `maxConcurrency` as the state gives it, 0 for no limit.
    pub max_concurrency_given: u64,
    /// How many items may fail, if that is said.
    pub tolerated_count: Option<u64>,
    /// How many items of a hundred may fail, if that is said.
    pub tolerated_percentage: Option<f64>,
}

/// Where items come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Items {
    /// The state's input.
    Given(Vec<Value>),
    /// What an `ItemReader` reads.
    Read {
        /// What is called.
        resource: String,
        /// The API parameters.
        parameters: Value,
        /// How the items are written.
        format: Format,
        /// `MaxItems` or what its path leads to; the reader refuses what is not positive.
        items_max: Option<i64>,
    },
}

/// How items are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// At most so many items.
    pub items_max: Option<u64>,
    /// At most so many bytes.
    pub bytes_max: Option<u64>,
    /// What is put beside the items.
    pub input: Option<Value>,
}

/// Where results go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The API parameters: a bucket and a prefix; `None`: they are the state's result.
    pub parameters: Option<Value>,
    /// What is written of each child.
    pub transformation: Transformation,
    /// One result a line instead of an array.
    pub json_lines: bool,
}

/// What a strand knows of the Map Run it waits for.
#[derive(Debug, Clone)]
pub(super) struct Awaited {
    pub(super) task: TaskId,
    /// `MapRunStarted` or `MapRunRedriven` was recorded.
    pub(super) started: bool,
}

impl Execution {
    pub(super) fn start_map_run(
        &mut self,
        id: StrandId,
        map: &MapState,
        distributed: &Distributed,
        input: Data,
    ) -> Result<(), Failure> {
        if let Some((arn, redrives)) = self.strand(id).visit().map_run.clone() {
            if redrives >= REDRIVES_MAX {
                let message =
                    format!("The Map Run was redriven {REDRIVES_MAX} times, which is the most.");
                return Err(self.runtime(id, message));
            }
            self.redrive_map_run(id, arn, redrives + 1);
            return Ok(());
        }
        let given = match &distributed.reader {
            Some(_) => None,
            None => Some(self.items_of(id, map, &input)?),
        };
        let details = Details {
            length: Some(given.as_ref().map_or(0, |items| items.len() as i64)),
            ..Details::default()
        };
        let last = self.strand(id).last_event;
        let event = self.record(EventType::MapStateStarted, last, details);
        self.strand_mut(id).last_event = event;
        if self.full {
            return Ok(());
        }
        let concurrency = self.concurrency(id, map, &input)?;
        let (tolerated_count, tolerated_percentage) = self.tolerated(id, map, &input)?;
        let items = match (given, &distributed.reader) {
            (Some(items), _) => Items::Given(items),
            (None, Some(reader)) => {
                let items_max = match &reader.max_items {
                    None => None,
                    Some(count) => Some(self.integer(id, count, "MaxItemsPath", &input)?),
                };
                Items::Read {
                    resource: reader.resource.clone(),
                    parameters: self.given(id, reader.parameters.as_ref(), &input)?,
                    format: reader.format.clone(),
                    items_max,
                }
            }
            (None, None) => unreachable!("items are read or given"),
        };
        let batch = match &distributed.batcher {
            None => None,
            Some(batcher) => Some(Batch {
                items_max: self.whole(
                    id,
                    batcher.items_max.as_ref(),
                    "MaxItemsPerBatchPath",
                    &input,
                )?,
                bytes_max: self.whole(
                    id,
                    batcher.bytes_max.as_ref(),
                    "MaxInputBytesPerBatchPath",
                    &input,
                )?,
                input: match &batcher.input {
                    None => None,
                    template => Some(self.given(id, template.as_ref(), &input)?),
                },
            }),
        };
        let results = match &distributed.writer {
            None => None,
            Some(writer) => Some(Results {
                parameters: match &writer.resource {
                    Some(_) => Some(self.given(id, writer.parameters.as_ref(), &input)?),
                    None => None,
                },
                transformation: writer.transformation,
                json_lines: writer.json_lines,
            }),
        };
        let given = concurrency as u64;
        let run = MapRun {
            state: self
                .machine
                .state(self.strand(id).visit().state)
                .name
                .clone(),
            label: distributed.label.clone(),
            express: distributed.express,
            items,
            selects: map.selector.is_some(),
            batch,
            results,
            max_concurrency: if given == 0 {
                CONCURRENCY_MAX
            } else {
                given.min(CONCURRENCY_MAX)
            },
            max_concurrency_given: given,
            tolerated_count: tolerated_count.map(|count| count as u64),
            tolerated_percentage,
        };
        let task = self.await_map_run(id);
        self.commands.push(Command::StartMapRun {
            task,
            run: Box::new(run),
        });
        Ok(())
    }

    /// Runs what did not end well of a Map Run once more.
    fn redrive_map_run(&mut self, id: StrandId, map_run_arn: String, redrives: u32) {
        if let Some(visit) = &mut self.strand_mut(id).visit {
            visit.map_run = Some((map_run_arn.clone(), redrives));
        }
        let details = Details {
            map_run_arn: Some(map_run_arn.clone()),
            redrive_count: Some(i64::from(redrives)),
            ..Details::default()
        };
        let last = self.strand(id).last_event;
        let event = self.record(EventType::MapRunRedriven, last, details);
        self.strand_mut(id).last_event = event;
        if self.full {
            return;
        }
        let task = self.await_map_run(id);
        if let Doing::MapRun(awaited) = &mut self.strand_mut(id).doing {
            awaited.started = true;
        }
        self.commands
            .push(Command::RedriveMapRun { task, map_run_arn });
    }

    fn await_map_run(&mut self, id: StrandId) -> TaskId {
        self.last_task += 1;
        let task = TaskId(self.last_task);
        self.tasks.insert(task, id);
        let started = false;
        self.strand_mut(id).doing = Doing::MapRun(Awaited { task, started });
        task
    }

    /// A template's value; without one, an empty object.
    fn given(
        &mut self,
        id: StrandId,
        template: Option<&Template>,
        input: &Data,
    ) -> Result<Value, Failure> {
        match template {
            None => Ok(json!({})),
            template => Ok(self.filled(id, template, input.clone())?.value().clone()),
        }
    }

    /// A whole number of at least 1, if there is one.
    fn whole(
        &mut self,
        id: StrandId,
        count: Option<&Count>,
        field: &str,
        input: &Data,
    ) -> Result<Option<u64>, Failure> {
        let Some(count) = count else { return Ok(None) };
        if let Count::Query(query) = count {
            return Ok(Some(self.queried_count(id, query, 1)? as u64));
        }
        match self.integer(id, count, field, input)? {
            number @ 1.. => Ok(Some(number as u64)),
            number => Err(self.runtime(
                id,
                format!("The {field} field must refer to a positive integer, but was {number}"),
            )),
        }
    }

    fn integer(
        &mut self,
        id: StrandId,
        count: &Count,
        field: &str,
        input: &Data,
    ) -> Result<i64, Failure> {
        if let Count::Query(query) = count {
            return Ok(self.queried_count(id, query, 0)? as i64);
        }
        match self.counted(id, count, input) {
            Ok(number) if number.fract() == 0.0 => Ok(number as i64),
            Ok(number) => Err(self.runtime(
                id,
                format!(
                    "The {field} field refers to value \"{number}\" which is not a valid integer"
                ),
            )),
            Err((path, value)) => Err(self.runtime(
                id,
                format!(
                    "The {field} field refers to value \"{value}\" which is not a valid integer: {path}"
                ),
            )),
        }
    }

    /// What a child is given for an item. It depends on nothing but the Map state, so that it may be
    /// asked for at any time while the Map Run is awaited; `Err` holds an error's name and cause.
    pub fn map_item(
        &mut self,
        task: TaskId,
        index: usize,
        value: &Value,
    ) -> Result<Value, (String, String)> {
        let machine = self.machine.clone();
        let Some(&id) = self.tasks.get(&task) else {
            return Ok(value.clone());
        };
        let state = machine.state(self.strand(id).visit().state);
        let Body::Map(map) = &state.body else {
            return Ok(value.clone());
        };
        let random = self.random.clone();
        self.random = Random::new(random.clone().draw() ^ index as u64);
        let input = self.input_of(id, state);
        let item = Arc::new(json!({ "Item": { "Index": index, "Value": value } }));
        let selected = input.and_then(|input| self.selected(id, map, &item, &input));
        self.random = random;
        match selected {
            Ok(selected) => Ok(selected.value().clone()),
            Err(failure) => Err((
                failure.error.unwrap_or_default(),
                failure.cause.unwrap_or_default(),
            )),
        }
    }

    /// The strand that waits for a Map Run.
    fn awaiting(&mut self, task: TaskId) -> Option<(StrandId, &mut Awaited)> {
        let id = *self.tasks.get(&task)?;
        match &mut self.strand_mut(id).doing {
            Doing::MapRun(awaited) => Some((id, awaited)),
            _ => None,
        }
    }

    pub(super) fn map_run_started(&mut self, task: TaskId, map_run_arn: String) {
        let Some((id, awaited)) = self.awaiting(task) else {
            return;
        };
        if std::mem::replace(&mut awaited.started, true) {
            return;
        }
        if let Some(visit) = &mut self.strand_mut(id).visit {
            visit.map_run = Some((map_run_arn.clone(), 0));
        }
        let details = Details {
            map_run_arn: Some(map_run_arn),
            ..Details::default()
        };
        let last = self.strand(id).last_event;
        let event = self.record(EventType::MapRunStarted, last, details);
        self.strand_mut(id).last_event = event;
    }

    pub(super) fn map_run_succeeded(&mut self, task: TaskId, output: Value) {
        let Some((id, _)) = self.awaiting(task) else {
            return;
        };
        self.map_run_ended(task, id, EventType::MapRunSucceeded, Details::default());
        // What may still fail is the state; a redrive of that is another Map Run.
        if let Some(visit) = &mut self.strand_mut(id).visit {
            visit.map_run = None;
        }
        if !self.full {
            self.mapped(id, Data::new(output));
        }
    }

    pub(super) fn map_run_failed(&mut self, task: TaskId, error: String, cause: String) {
        let Some((id, _)) = self.awaiting(task) else {
            return;
        };
        let details = Details {
            error: Some(error.clone()),
            cause: Some(cause.clone()),
            ..Details::default()
        };
        self.map_run_ended(task, id, EventType::MapRunFailed, details);
        let failure = Failure::of_map_run(&error, cause);
        // After these, a redrive begins another Map Run.
        if matches!(failure.kind, FailureKind::TooLarge | FailureKind::Runtime)
            && let Some(visit) = &mut self.strand_mut(id).visit
        {
            visit.map_run = None;
        }
        if !self.full {
            self.failed(id, failure);
        }
    }

    fn map_run_ended(&mut self, task: TaskId, id: StrandId, kind: EventType, details: Details) {
        self.tasks.remove(&task);
        let last = self.strand(id).last_event;
        let event = self.record(kind, last, details);
        let strand = self.strand_mut(id);
        strand.last_event = event;
        strand.doing = Doing::Nothing;
    }

    /// Nobody waits for a Map Run any more.
    pub(super) fn map_run_aborted(&mut self, id: StrandId, awaited: &Awaited) {
        if self.tasks.remove(&awaited.task).is_none() {
            return;
        }
        let task = awaited.task;
        self.commands.push(Command::CancelTask { task });
        if awaited.started {
            let last = self.strand(id).last_event;
            let event = self.record(EventType::MapRunAborted, last, Details::default());
            self.strand_mut(id).last_event = event;
        }
    }
}
