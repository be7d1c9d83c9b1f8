//! Owns the running of one state by itself, with a record of what became of its data on the way.
//!
//! It is the same engine with one eye on it: what is noted here was computed by the modules that run
//! executions. Refuses to wait and to retry: that a state would be retried is what is told.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/test-state-isolation.html>

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::data::Data;
use crate::machine::{Body, MapState, ScopeId, StateId, StateMachine};
use crate::path::Root;

use super::exit::Assigned;
use super::failure::Failure;
use super::strand::{ROOT, StrandId};
use super::{Command, Execution, Outcome, Start};

/// What a state is to be run with, beside its input.
#[derive(Debug, Clone, Default)]
pub struct ProbeSetup {
    /// The whole context object, instead of one that is made from [`Start`].
    pub context: Option<Map<String, Value>>,
    /// The variables it can read.
    pub variables: Map<String, Value>,
    /// What its task, branches or iterations are said to have come to.
    pub mock: Option<Mock>,
    /// How often the retrier that takes a failure is said to have been used.
    pub retries: u64,
    /// How many iterations of a Map are said to have failed.
    pub failed_iterations: u64,
}

/// What is given instead of running something.
#[derive(Debug, Clone, PartialEq)]
pub enum Mock {
    /// It ended well.
    Result {
        /// Its result.
        value: Value,
        /// The result as it was written.
        text: String,
    },
    /// It failed.
    Error {
        /// The error's name.
        error: Option<String>,
        /// What people are told about it.
        cause: Option<String>,
    },
}

/// What became of a state's data; what a state does not have stays away. Data is JSON text.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)] // AWS's names say it.
pub struct Inspection {
    pub input: Option<String>,
    pub after_input_path: Option<String>,
    pub after_parameters: Option<String>,
    pub after_items_path: Option<String>,
    pub after_item_selector: Option<String>,
    pub result: Option<String>,
    pub after_result_selector: Option<String>,
    pub after_result_path: Option<String>,
    pub variables: Option<String>,
    pub max_concurrency: Option<f64>,
    pub tolerated_failure_count: Option<f64>,
    pub tolerated_failure_percentage: Option<f64>,
    pub retry_index: Option<usize>,
    pub retry_backoff_interval_seconds: Option<i64>,
    pub catch_index: Option<usize>,
}

/// How a state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeStatus {
    /// It was left for the next state, or for the end.
    Succeeded,
    /// It failed, and nothing took the failure.
    Failed,
    /// It failed and would be tried again.
    Retriable,
    /// It failed and a catcher took the failure.
    CaughtError,
}

/// What came of running a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// How it ended.
    pub status: ProbeStatus,
    /// Its output as JSON text, if it was left.
    pub output: Option<String>,
    /// The error's name, even if it was caught.
    pub error: Option<String>,
    /// What people are told about the error.
    pub cause: Option<String>,
    /// The state that would come next.
    pub next: Option<String>,
    /// What became of its data.
    pub inspection: Inspection,
}

/// The eye on an execution of one state.
#[derive(Debug, Clone, Default)]
pub(super) struct Probe {
    setup: ProbeSetup,
    seen: Inspection,
    end: Option<End>,
    /// The failure that a catcher or a retrier took.
    taken: Option<(Option<String>, Option<String>)>,
}

#[derive(Debug, Clone)]
enum End {
    Left {
        output: String,
        next: Option<StateId>,
    },
    Retriable,
}

/// A place on the way of a state's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    InputPath,
    Parameters,
    ItemsPath,
    ItemSelector,
    Result,
    ResultSelector,
    ResultPath,
}

impl Execution {
    /// Starts an execution that ends when its first state does. Where a command asks for a task, the
    /// state goes on by an [`super::Input`] as ever; with [`ProbeSetup::mock`] none is asked for.
    pub fn probe(
        machine: Arc<StateMachine>,
        start: Start,
        setup: ProbeSetup,
        now_ms: i64,
    ) -> (Execution, Vec<Command>) {
        let input = start.input_text.clone();
        let probe = Probe {
            seen: Inspection {
                input: Some(input.unwrap_or_else(|| start.input.to_string())),
                ..Inspection::default()
            },
            setup,
            ..Probe::default()
        };
        Execution::begin(machine, ScopeId::ROOT, start, Some(Box::new(probe)), now_ms)
    }

    /// What came of it; `None` while the state runs, and for an execution that is no probe.
    pub fn probed(&self) -> Option<Probed> {
        let probe = self.probe.as_deref()?;
        let taken = probe.taken.clone().unwrap_or_default();
        let (status, output, next, (error, cause)) = match (&probe.end, &self.outcome) {
            (Some(End::Left { output, next }), _) => {
                let status = match probe.taken {
                    Some(_) => ProbeStatus::CaughtError,
                    None => ProbeStatus::Succeeded,
                };
                let next = next.map(|next| self.machine.state(next).name.clone());
                (status, Some(output.clone()), next, taken)
            }
            (Some(End::Retriable), _) => (ProbeStatus::Retriable, None, None, taken),
            (None, Outcome::Failed { error, cause } | Outcome::TimedOut { error, cause }) => {
                let said = (error.clone(), cause.clone());
                (ProbeStatus::Failed, None, None, said)
            }
            _ => return None,
        };
        Some(Probed {
            status,
            output,
            error,
            cause,
            next,
            inspection: probe.seen.clone(),
        })
    }

    /// What became of a probed state's data so far.
    pub fn inspection(&self) -> Inspection {
        let probe = self.probe.as_ref();
        probe.map_or_else(Inspection::default, |probe| probe.seen.clone())
    }

    /// The variables that a probed state begins with.
    pub(super) fn probe_variables(&self) -> Map<String, Value> {
        let probe = self.probe.as_ref();
        probe.map_or_else(Map::new, |probe| probe.setup.variables.clone())
    }

    /// The context object given to a probe.
    pub(super) fn probe_context(&self) -> Option<Context<'_>> {
        let given = self.probe.as_ref()?.setup.context.as_ref()?;
        let parts = ["Execution", "Map", "State", "StateMachine", "Task"];
        let context =
            parts
                .iter()
                .fold(Context::default(), |context, name| match given.get(*name) {
                    Some(part) => context.with(name, part),
                    None => context,
                });
        Some(context)
    }

    /// Notes what the data of the probed state came to.
    pub(super) fn note(&mut self, id: StrandId, stage: Stage, data: &Data) {
        if id != ROOT || self.probe.is_none() {
            return;
        }
        let state = self.machine.state(self.strand(id).visit().state);
        // AWS tells of these only where they mean something.
        let early = matches!(stage, Stage::InputPath | Stage::Parameters);
        let hidden = match &state.body {
            Body::Pass { result, .. } if result.is_some() => early,
            Body::Pass { .. } => stage == Stage::Result,
            Body::Parallel { .. } => early || stage == Stage::Result,
            Body::Map(_) => matches!(stage, Stage::Parameters | Stage::Result),
            _ => false,
        };
        let Some(probe) = self.probe.as_deref_mut().filter(|_| !hidden) else {
            return;
        };
        let seen = &mut probe.seen;
        let slot = match stage {
            Stage::InputPath => &mut seen.after_input_path,
            Stage::Parameters => &mut seen.after_parameters,
            Stage::ItemsPath => &mut seen.after_items_path,
            Stage::ItemSelector => &mut seen.after_item_selector,
            Stage::Result => &mut seen.result,
            Stage::ResultSelector => &mut seen.after_result_selector,
            Stage::ResultPath => &mut seen.after_result_path,
        };
        *slot = Some(data.text().to_owned());
    }

    /// Notes something that is a number.
    pub(super) fn note_number(&mut self, id: StrandId, note: impl FnOnce(&mut Inspection)) {
        if let Some(probe) = self.probe.as_deref_mut().filter(|_| id == ROOT) {
            note(&mut probe.seen);
        }
    }

    /// What the probed state's task, branches or iterations are said to have come to.
    pub(super) fn mock(&self, id: StrandId) -> Option<Mock> {
        let probe = self.probe.as_ref().filter(|_| id == ROOT)?;
        probe.setup.mock.clone()
    }

    /// Goes on as if a task, branches or iterations had come to that.
    pub(super) fn mocked(&mut self, id: StrandId, mock: Mock) -> Result<(), Failure> {
        match mock {
            Mock::Result { value, text } => {
                self.finish(id, Data::written(value, text));
                Ok(())
            }
            Mock::Error { error, cause } => Err(Failure::of_task(error, cause)),
        }
    }

    /// Goes on as if the iterations of a Map had come to that.
    pub(super) fn mocked_map(
        &mut self,
        id: StrandId,
        map: &MapState,
        input: &Data,
        mock: Mock,
    ) -> Result<(), Failure> {
        let distributed = map.distributed.as_ref();
        let reads = distributed.is_some_and(|distributed| distributed.reader.is_some());
        let mut count = 0;
        if !reads {
            let items = self.items_of(id, map, input)?;
            count = items.len();
            let found = Value::Array(items.clone());
            // Items come out as they were written.
            let written = match (&map.items_query, map.items.root(), map.items.segments()) {
                (None, Root::Input, Some(part)) => input.text_of(part),
                _ => None,
            };
            let found = match written {
                Some(text) => Data::written(found, text),
                None => Data::new(found),
            };
            self.note(id, Stage::ItemsPath, &found);
            self.note_selected(id, map, input, items)?;
        }
        let limit = self.concurrency(id, map, input)?;
        let (most, percentage) = self.tolerated(id, map, input)?;
        self.note_number(id, |seen| {
            seen.max_concurrency = Some(limit);
            seen.tolerated_failure_count = most;
            seen.tolerated_failure_percentage = percentage;
        });
        if let Mock::Result {
            value: Value::Array(results),
            ..
        } = &mock
        {
            count = results.len();
        }
        let failed = self
            .probe
            .as_ref()
            .map_or(0, |probe| probe.setup.failed_iterations) as f64;
        let share = percentage.map(|percentage| count as f64 * percentage / 100.0);
        let too_many = |most: Option<f64>| most.is_some_and(|most| failed > most);
        if too_many(most) || too_many(share) {
            return Err(Failure::intolerable());
        }
        self.mocked(id, mock)
    }

    fn note_selected(
        &mut self,
        id: StrandId,
        map: &MapState,
        input: &Data,
        items: Vec<Value>,
    ) -> Result<(), Failure> {
        let Some(selector) = &map.selector else {
            return Ok(());
        };
        let mut selected = Vec::with_capacity(items.len());
        for (index, value) in items.into_iter().enumerate() {
            let item = json!({ "Item": { "Index": index, "Value": value } });
            let value = self.scene_with(id, input.value(), Some(&item), |scene| {
                selector.evaluate(scene)
            });
            let value = value.map_err(|trouble| self.field_failure(id, trouble, input.text()));
            selected.push(value?);
        }
        self.note(id, Stage::ItemSelector, &Data::new(Value::Array(selected)));
        Ok(())
    }

    /// How often a retrier was used before, if that is said.
    pub(super) fn probe_retries(&self, id: StrandId) -> Option<u64> {
        let probe = self.probe.as_ref().filter(|_| id == ROOT)?;
        Some(probe.setup.retries)
    }

    /// The probed state is left: everything ends here.
    pub(super) fn probe_left(
        &mut self,
        id: StrandId,
        assigned: &Assigned,
        output: &Data,
        next: Option<StateId>,
    ) -> bool {
        if id != ROOT || self.probe.is_none() {
            return false;
        }
        let mut variables = (*self.strand(id).variables).clone();
        variables.extend(
            assigned
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        if let Some(probe) = self.probe.as_deref_mut() {
            if !variables.is_empty() {
                probe.seen.variables = Some(Value::Object(variables).to_string());
            }
            probe.end = Some(End::Left {
                output: output.text().to_owned(),
                next,
            });
        }
        self.ended(Outcome::Succeeded {
            output: output.value().clone(),
            output_text: output.text().to_owned(),
        });
        true
    }

    /// A catcher takes the failure of the probed state.
    pub(super) fn probe_caught(&mut self, id: StrandId, index: usize, failure: &Failure) {
        if let Some(probe) = self.probe.as_deref_mut().filter(|_| id == ROOT) {
            probe.taken = Some((failure.error.clone(), failure.cause.clone()));
            probe.seen.catch_index = Some(index);
        }
    }

    /// A retrier takes the failure of the probed state: everything ends here.
    pub(super) fn probe_retried(&mut self, id: StrandId, delay_ms: i64, failure: &Failure) -> bool {
        let Some(probe) = self.probe.as_deref_mut().filter(|_| id == ROOT) else {
            return false;
        };
        let said = (failure.error.clone(), failure.cause.clone());
        probe.seen.retry_backoff_interval_seconds = Some(delay_ms / 1000);
        probe.taken = Some(said.clone());
        probe.end = Some(End::Retriable);
        let (error, cause) = said;
        self.ended(Outcome::Failed { error, cause });
        true
    }
}

#[cfg(test)]
mod tests;
