//! Owns what states in JSONata do with their fields: what `$states` shows when, which types fields
//! take, and the failures of evaluations.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>

use serde_json::Value;

use crate::choice::Rule;
use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::{Catcher, ChoiceRule, MapState, State, StateId};
use crate::query::{Query, QueryTrouble, Reason};
use crate::template::Template;
use crate::timestamp;

use super::exit::{Assigned, within_limit};
use super::failure::{Failure, FailureKind};
use super::strand::StrandId;
use super::{Execution, millis};

/// What `$states` shows beside the input and the context.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen<'a> {
    /// What the state's task, branches or iterations came to.
    pub(super) result: Option<&'a Value>,
    /// The error that a catcher took.
    pub(super) error_output: Option<&'a Value>,
}

/// AWS's name of a value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A number, and as what it was given.
fn numbered(value: &Value) -> Option<(f64, Value)> {
    value.as_f64().map(|number| (number, value.clone()))
}

impl Execution {
    /// Whether the state that a strand is in is one in JSONata.
    pub(super) fn is_jsonata(&self, id: StrandId) -> bool {
        self.machine.state(self.strand(id).visit().state).jsonata
    }

    /// The value of a field.
    pub(super) fn queried(
        &mut self,
        id: StrandId,
        query: &Query,
        seen: Seen<'_>,
    ) -> Result<Value, Failure> {
        let input = self.strand(id).visit().input.clone();
        let value = self.scene(id, input.value(), |scene| {
            let mut scene = scene.showing(seen.result, seen.error_output);
            query.evaluate(&mut scene)
        });
        value.map_err(|trouble| self.query_failure(id, &trouble))
    }

    /// The value of a field that takes only one type.
    pub(super) fn queried_as<T>(
        &mut self,
        id: StrandId,
        query: &Query,
        expected: &'static str,
        take: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Failure> {
        let input = self.strand(id).visit().input.clone();
        let value = self.scene(id, input.value(), |scene| {
            query.evaluate_as(scene, expected, take)
        });
        value.map_err(|trouble| self.query_failure(id, &trouble))
    }

    /// The value of a field that takes whole numbers from `least` on.
    pub(super) fn queried_count(
        &mut self,
        id: StrandId,
        query: &Query,
        least: u64,
    ) -> Result<f64, Failure> {
        let (number, found) = self.queried_as(id, query, "number", numbered)?;
        if number >= least as f64 && number.fract() == 0.0 {
            return Ok(number);
        }
        let expected = match least {
            0 => "a non-negative integer",
            _ => "a positive integer",
        };
        Err(self.out_of_range(id, query, expected, found))
    }

    /// The value of a field that takes a share of a hundred.
    pub(super) fn queried_percentage(
        &mut self,
        id: StrandId,
        query: &Query,
    ) -> Result<f64, Failure> {
        let (number, found) = self.queried_as(id, query, "number", numbered)?;
        if (0.0..=100.0).contains(&number) {
            return Ok(number);
        }
        Err(self.out_of_range(id, query, "a number from 0 to 100", found))
    }

    /// The value of a field that takes text.
    pub(super) fn queried_text(&mut self, id: StrandId, query: &Query) -> Result<String, Failure> {
        let take = |value: &Value| value.as_str().map(str::to_owned);
        self.queried_as(id, query, "string", take)
    }

    /// The time at which a Wait state's `Seconds` are over.
    pub(super) fn queried_seconds(&mut self, id: StrandId, query: &Query) -> Result<i64, Failure> {
        let seconds = self.queried_count(id, query, 0)?;
        Ok(self.now_ms.saturating_add(millis(seconds)))
    }

    /// The time of a Wait state's `Timestamp`.
    pub(super) fn queried_timestamp(
        &mut self,
        id: StrandId,
        query: &Query,
    ) -> Result<i64, Failure> {
        let text = self.queried_text(id, query)?;
        match timestamp::parse(&text) {
            Some(time) => Ok(timestamp::to_millis(time)),
            None => {
                let expected = "an ISO-8601 extended offset date-time format string";
                Err(self.out_of_range(id, query, expected, text.into()))
            }
        }
    }

    /// What a Map state goes through: `Items`, or its input.
    pub(super) fn queried_items(
        &mut self,
        id: StrandId,
        map: &MapState,
    ) -> Result<Vec<Value>, Failure> {
        let take = |value: &Value| value.as_array().cloned();
        match &map.items_query {
            Some(query) => self.queried_as(id, query, "array", take),
            None => {
                let input = self.strand(id).visit().input.clone();
                take(input.value()).ok_or_else(|| {
                    let message =
                        format!("Map state input must be an array but was: {}", input.text());
                    self.evaluation_failure(id, message, None)
                })
            }
        }
    }

    /// What a Choice state does.
    pub(super) fn choose(
        &mut self,
        id: StrandId,
        state: &State,
        rules: &[ChoiceRule],
        default: Option<StateId>,
    ) -> Result<(), Failure> {
        let mut taken = None;
        for rule in rules {
            if let Rule::Query(condition) = &rule.rule
                && self.queried_as(id, condition, "boolean", Value::as_bool)?
            {
                taken = Some((rule.next, rule.assign.as_ref(), rule.output.as_ref()));
                break;
            }
        }
        let default = default.map(|default| {
            let (assign, output) = (state.assign.as_ref(), state.output_query.as_ref());
            (default, assign, output)
        });
        let Some((next, assign, output)) = taken.or(default) else {
            return Err(Failure::no_choice(&state.name));
        };
        let input = self.strand(id).visit().input.clone();
        let (assigned, output) = self.queried_both(id, assign, output, input, Seen::default())?;
        let output = within_limit(&state.name, output)?;
        self.exit_to(id, assigned, output, Some(next));
        Ok(())
    }

    /// What a state assigns and passes on when it is left. `result` is what it came to.
    pub(super) fn queried_exit(
        &mut self,
        id: StrandId,
        state: &State,
        result: &Data,
    ) -> Result<(Assigned, Data), Failure> {
        let seen = Seen {
            // Only what may fail has a result of its own.
            result: state.effort().map(|_| result.value()),
            error_output: None,
        };
        let (assign, output) = (state.assign.as_ref(), state.output_query.as_ref());
        self.queried_both(id, assign, output, result.clone(), seen)
    }

    /// What a state assigns and passes on when a catcher took its error.
    pub(super) fn queried_catch(
        &mut self,
        id: StrandId,
        catcher: &Catcher,
        said: &Data,
    ) -> Result<(Assigned, Data), Failure> {
        let seen = Seen {
            result: None,
            error_output: Some(said.value()),
        };
        let (assign, output) = (catcher.assign.as_ref(), catcher.output.as_ref());
        self.queried_both(id, assign, output, said.clone(), seen)
    }

    fn queried_both(
        &mut self,
        id: StrandId,
        assign: Option<&Template>,
        output: Option<&Query>,
        default: Data,
        seen: Seen<'_>,
    ) -> Result<(Assigned, Data), Failure> {
        let mut assigned = Assigned::new();
        if let Some(Template::Query(assign)) = assign
            && let Value::Object(variables) = self.queried(id, assign, seen)?
        {
            assigned = variables.into_iter().collect();
        }
        let output = match output {
            Some(output) => Data::new(self.queried(id, output, seen)?),
            None => default,
        };
        Ok((assigned, output))
    }

    fn out_of_range(
        &self,
        id: StrandId,
        query: &Query,
        expected: &'static str,
        found: Value,
    ) -> Failure {
        self.query_failure(id, &query.trouble(Reason::Range { expected, found }))
    }

    /// An evaluation that gave nothing, or not what it must, in AWS's words.
    pub(super) fn query_failure(&self, id: StrandId, trouble: &QueryTrouble) -> Failure {
        let what = match &trouble.reason {
            Reason::Undefined => "returned nothing (undefined).".to_owned(),
            Reason::Threw(error) => format!("threw an error during evaluation. {error}"),
            Reason::Type { expected, found } => format!(
                "returned an unexpected result type. Expected '{expected}', but was '{}' for value: {found}",
                type_name(found)
            ),
            Reason::Range { expected, found } => {
                format!("returned an unexpected value. Expected {expected}, but was: {found}")
            }
        };
        let message = format!(
            "The JSONata expression '{}' specified for the field '{}' {what}",
            trouble.expression, trouble.location
        );
        self.evaluation_failure(id, message, Some(trouble.location.clone()))
    }

    fn evaluation_failure(
        &self,
        id: StrandId,
        message: String,
        location: Option<String>,
    ) -> Failure {
        let state = self.machine.state(self.strand(id).visit().state);
        Failure {
            error: Some("States.QueryEvaluationError".to_owned()),
            cause: Some(self.occurred(id, message)),
            kind: FailureKind::Evaluation {
                location,
                state: state.name.clone(),
            },
        }
    }

    /// Records an evaluation that failed, once for each state it ends. An evaluation on the way in follows what
    /// came before the state, as if the state had not been entered yet.
    pub(super) fn record_evaluation_failed(&mut self, id: StrandId, failure: &Failure) {
        let FailureKind::Evaluation { location, state } = &failure.kind else {
            return;
        };
        let strand = self.strand(id);
        let visit = strand.visit();
        let previous = if strand.last_event == visit.entered_event {
            visit.before_event
        } else {
            strand.last_event
        };
        let details = Details {
            error: failure.error.clone(),
            cause: failure.cause.clone(),
            location: location.clone(),
            state: Some(state.clone()),
            ..Details::default()
        };
        let event = self.record(EventType::EvaluationFailed, previous, details);
        self.strand_mut(id).last_event = event;
    }
}
