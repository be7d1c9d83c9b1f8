//! Owns how a state is left: results selected and placed, variables assigned, the next state chosen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::{Next, State, StateId, StateKind};
use crate::template::Template;

use super::failure::Failure;
use super::probe::Stage;
use super::strand::{Doing, StrandId, Todo};
use super::{DATA_BYTES_MAX, Execution};

/// Variables that a state assigns, by name.
pub(super) type Assigned = BTreeMap<String, Value>;

/// What a state takes in or gives out, if it is not too large.
pub(super) fn within_limit(name: &str, data: Data) -> Result<Data, Failure> {
    if data.text().len() > DATA_BYTES_MAX {
        return Err(Failure::too_large(name));
    }
    Ok(data)
}

impl Execution {
    /// What Task, Parallel and Map states do with their result.
    pub(super) fn finish(&mut self, id: StrandId, result: Data) {
        let machine = self.machine.clone();
        let state = machine.state(self.strand(id).visit().state);
        let effort = state
            .effort()
            .expect("only states that make an effort finish");
        let raw = self.strand(id).visit().input.clone();
        self.note(id, Stage::Result, &result);
        let selected = self.filled(id, effort.selector.as_ref(), result.clone());
        let placed = selected.and_then(|selected| {
            self.note(id, Stage::ResultSelector, &selected);
            self.placed(id, &effort.result_path, selected, &raw)
        });
        let left = placed.and_then(|output| {
            self.note(id, Stage::ResultPath, &output);
            self.leave(id, state, &result, output)
        });
        if let Err(failure) = left {
            self.failed(id, failure);
        }
    }

    /// Leaves a state for its `Next`, by `OutputPath`. `Assign` sees what the state came to.
    pub(super) fn leave(
        &mut self,
        id: StrandId,
        state: &State,
        result: &Data,
        output: Data,
    ) -> Result<(), Failure> {
        let (assigned, output) = match state.jsonata {
            true => self.queried_exit(id, state, result)?,
            false => {
                let assigned = self.assigned(id, state.assign.as_ref(), result)?;
                (assigned, self.output_of(id, state, output)?)
            }
        };
        let output = within_limit(&state.name, output)?;
        let next = match state.next {
            Next::End => None,
            Next::State(next) => Some(next),
        };
        self.exit_to(id, assigned, output, next);
        Ok(())
    }

    /// The variables that `Assign` gives; they are seen only after the state is left.
    pub(super) fn assigned(
        &mut self,
        id: StrandId,
        assign: Option<&Template>,
        data: &Data,
    ) -> Result<Assigned, Failure> {
        let Some(assign) = assign else {
            return Ok(Assigned::new());
        };
        let value = self.scene(id, data.value(), |scene| assign.evaluate(scene));
        let value = value.map_err(|trouble| self.field_failure(id, trouble, data.text()))?;
        self.shallow(id, Data::new(value.clone()))?;
        match value {
            Value::Object(variables) => Ok(variables.into_iter().collect()),
            _ => unreachable!("the parser takes only objects"),
        }
    }

    /// Leaves a state, for another or for the end of its scope.
    pub(super) fn exit_to(
        &mut self,
        id: StrandId,
        assigned: Assigned,
        output: Data,
        next: Option<StateId>,
    ) {
        self.record_exited(id, &assigned, &output);
        if self.full || self.probe_left(id, &assigned, &output, next) {
            return;
        }
        let strand = self.strand_mut(id);
        if !assigned.is_empty() {
            Arc::make_mut(&mut strand.variables).extend(assigned);
        }
        strand.visit = None;
        strand.doing = Doing::Nothing;
        match next {
            Some(next) => self.go(id, Todo::Enter(next, output)),
            None => self.strand_succeeded(id, output),
        }
    }

    fn record_exited(&mut self, id: StrandId, assigned: &Assigned, output: &Data) {
        let strand = self.strand(id);
        let state = self.machine.state(strand.visit().state);
        let kind = match state.kind() {
            StateKind::Task => EventType::TaskStateExited,
            StateKind::Pass => EventType::PassStateExited,
            StateKind::Choice => EventType::ChoiceStateExited,
            StateKind::Wait => EventType::WaitStateExited,
            StateKind::Succeed => EventType::SucceedStateExited,
            StateKind::Parallel => EventType::ParallelStateExited,
            StateKind::Map => EventType::MapStateExited,
            StateKind::Fail => unreachable!("Fail states are not left"),
        };
        let texts = assigned
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()));
        let details = Details {
            name: Some(state.name.clone()),
            output: Some(output.text().to_owned()),
            assigned_variables: (!assigned.is_empty()).then(|| texts.collect()),
            ..Details::default()
        };
        let event = self.record(kind, strand.last_event, details);
        self.strand_mut(id).last_event = event;
    }
}
