//! Owns what states do when they are entered, except for tasks and forks.

use serde_json::{Map, Value, json};

use crate::choice::MissingPath;
use crate::context::{Context, Scene};
use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::{Body, Count, Place, Source, State, StateId, StateKind, Text, Until};
use crate::path::{Path, Root};
use crate::template::Template;
use crate::timestamp;

use super::exit::within_limit;
use super::failure::{Failure, FailureKind};
use super::probe::Stage;
use super::strand::{Alarm, Doing, ROOT, StrandId, Todo, Visit};
use super::{EVENTS_MAX, Execution, Outcome, millis};

impl Execution {
    /// Lets every strand that can go on do so.
    pub(super) fn run(&mut self) {
        loop {
            if self.outcome != Outcome::Running {
                return;
            }
            if self.full {
                return self.history_full();
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let Some(strand) = self.strands[id.0].as_deref_mut() else {
                continue;
            };
            if strand.stopped {
                continue;
            }
            match strand.todo.take() {
                Some(Todo::Enter(state, input)) => self.enter(id, state, input),
                Some(Todo::Run) => {
                    self.reenter_fail(id);
                    self.perform(id);
                }
                None => {}
            }
        }
    }

    fn history_full(&mut self) {
        let cause =
            format!("The execution reached the maximum number of history events ({EVENTS_MAX}).");
        let error = Some("States.Runtime".to_owned());
        self.execution_failed(
            ROOT,
            Failure {
                error,
                cause: Some(cause),
                kind: FailureKind::Runtime,
            },
        );
    }

    fn enter(&mut self, id: StrandId, state: StateId, input: Data) {
        let visit = Visit {
            state,
            entered_event: 0,
            before_event: 0,
            entered_at_ms: self.now_ms,
            input,
            retries: Vec::new(),
            retry_count: 0,
            token: None,
            map_run: None,
        };
        self.strand_mut(id).visit = Some(visit);
        self.record_entered(id);
        if !self.full {
            self.perform(id);
        }
    }

    fn record_entered(&mut self, id: StrandId) {
        let strand = self.strand(id);
        let visit = strand.visit();
        let state = self.machine.state(visit.state);
        let kind = match state.kind() {
            StateKind::Task => EventType::TaskStateEntered,
            StateKind::Pass => EventType::PassStateEntered,
            StateKind::Choice => EventType::ChoiceStateEntered,
            StateKind::Wait => EventType::WaitStateEntered,
            StateKind::Succeed => EventType::SucceedStateEntered,
            StateKind::Fail => EventType::FailStateEntered,
            StateKind::Parallel => EventType::ParallelStateEntered,
            StateKind::Map => EventType::MapStateEntered,
        };
        let details = Details {
            name: Some(state.name.clone()),
            input: Some(visit.input.text().to_owned()),
            ..Details::default()
        };
        let before = strand.last_event;
        let event = self.record(kind, before, details);
        let strand = self.strand_mut(id);
        strand.last_event = event;
        if let Some(visit) = &mut strand.visit {
            visit.entered_event = event;
            visit.before_event = before;
        }
    }

    /// Does what the strand's state does.
    fn perform(&mut self, id: StrandId) {
        let machine = self.machine.clone();
        let state = machine.state(self.strand(id).visit().state);
        let done = self.input_of(id, state).and_then(|input| {
            self.note(id, Stage::InputPath, &input);
            self.perform_body(id, state, input)
        });
        if let Err(failure) = done {
            self.failed(id, failure);
        }
    }

    fn perform_body(&mut self, id: StrandId, state: &State, input: Data) -> Result<(), Failure> {
        match &state.body {
            Body::Task(task) => self.schedule(id, task, &input),
            Body::Parallel { branches, effort } => {
                let input = self.filled(id, effort.parameters.as_ref(), input)?;
                let input = within_limit(&state.name, input)?;
                if let Some(mock) = self.mock(id) {
                    return self.mocked(id, mock);
                }
                self.fork_branches(id, branches.len(), input);
                Ok(())
            }
            Body::Map(map) => match (&map.distributed, self.mock(id)) {
                (_, Some(mock)) => self.mocked_map(id, map, &input, mock),
                (Some(distributed), None) => self.start_map_run(id, map, distributed, input),
                (None, None) => self.fork_items(id, map, input),
            },
            Body::Pass {
                parameters,
                result,
                result_path,
            } => {
                let filled = self.filled(id, parameters.as_ref(), input)?;
                if !state.jsonata {
                    self.note(id, Stage::Parameters, &filled);
                }
                let result = result.clone().map_or(filled, Data::new);
                self.note(id, Stage::Result, &result);
                self.note(id, Stage::ResultSelector, &result);
                let raw = self.strand(id).visit().input.clone();
                let output = self.placed(id, result_path, result.clone(), &raw)?;
                self.note(id, Stage::ResultPath, &output);
                self.leave(id, state, &result, output)
            }
            Body::Choice { rules, default } if state.jsonata => {
                self.choose(id, state, rules, *default)
            }
            Body::Choice { rules, default } => {
                let taken = self.scene(id, input.value(), |scene| {
                    for rule in rules {
                        if rule.rule.holds(scene)? {
                            return Ok(Some((rule.next, rule.assign.as_ref())));
                        }
                    }
                    Ok(default.map(|default| (default, state.assign.as_ref())))
                });
                let taken = taken.map_err(|MissingPath(path)| {
                    let message = format!("Invalid path '{path}': The choice state's condition path references an invalid value.");
                    self.runtime(id, message)
                })?;
                let Some((next, assign)) = taken else {
                    return Err(Failure::no_choice(&state.name));
                };
                let assigned = self.assigned(id, assign, &input)?;
                let output = self.output_of(id, state, input)?;
                self.exit_to(id, assigned, output, Some(next));
                Ok(())
            }
            Body::Wait(until) => {
                let at_ms = self.until(id, until, &input)?;
                if at_ms <= self.now_ms {
                    self.waited(id);
                } else {
                    let timer = self.set_timer_at(at_ms, Alarm::Wait(id));
                    self.strand_mut(id).doing = Doing::Wait(timer);
                }
                Ok(())
            }
            Body::Succeed => self.leave(id, state, &input, input.clone()),
            Body::Fail { error, cause } => {
                let error = self.said(id, error.as_ref(), "ErrorPath", &input)?;
                let cause = self.said(id, cause.as_ref(), "CausePath", &input)?;
                Err(Failure {
                    error,
                    cause,
                    kind: FailureKind::Error,
                })
            }
        }
    }

    /// A Wait state's time has come.
    pub(super) fn waited(&mut self, id: StrandId) {
        self.strand_mut(id).doing = Doing::Nothing;
        let machine = self.machine.clone();
        let state = machine.state(self.strand(id).visit().state);
        let done = self
            .input_of(id, state)
            .and_then(|input| self.leave(id, state, &input, input.clone()));
        if let Err(failure) = done {
            self.failed(id, failure);
        }
    }

    fn until(&mut self, id: StrandId, until: &Until, input: &Data) -> Result<i64, Failure> {
        let seconds = |seconds: u64, now: i64| now.saturating_add(millis(seconds as f64));
        match until {
            Until::Seconds(given) => Ok(seconds(*given, self.now_ms)),
            Until::Timestamp(at_ms) => Ok(*at_ms),
            Until::SecondsQuery(query) => self.queried_seconds(id, query),
            Until::TimestampQuery(query) => self.queried_timestamp(id, query),
            Until::SecondsPath(path) => {
                let value = self.read(id, path, input);
                let value = value.ok_or_else(|| {
                    self.runtime(
                        id,
                        format!(
                            "The SecondsPath parameter does not reference an input value: {path}"
                        ),
                    )
                })?;
                match value.as_i64() {
                    Some(number) if number >= 0 => Ok(seconds(number as u64, self.now_ms)),
                    Some(_) => Err(self.runtime(
                        id,
                        format!("The SecondsPath parameter references a negative value: {path} == {value}"),
                    )),
                    None => Err(self.runtime(
                        id,
                        format!("The SecondsPath parameter cannot be parsed as a long value: {path} == {value}"),
                    )),
                }
            }
            Until::TimestampPath(path) => {
                let value = self.read(id, path, input);
                let value = value.ok_or_else(|| {
                    self.runtime(
                        id,
                        format!(
                            "The TimestampPath parameter does not reference an input value: {path}"
                        ),
                    )
                })?;
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                timestamp::parse(&text).map(timestamp::to_millis).ok_or_else(|| {
                    self.runtime(
                        id,
                        format!(
                            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {path} == {text}"
                        ),
                    )
                })
            }
        }
    }

    fn said(
        &mut self,
        id: StrandId,
        text: Option<&Text>,
        field: &str,
        input: &Data,
    ) -> Result<Option<String>, Failure> {
        let value = match text {
            None => return Ok(None),
            Some(Text::Given(text)) => return Ok(Some(text.clone())),
            Some(Text::Query(query)) => return self.queried_text(id, query).map(Some),
            Some(Text::Computed(expression)) => {
                self.scene(id, input.value(), |scene| expression.evaluate(scene))
            }
        };
        match value {
            Ok(Value::String(text)) => Ok(Some(text)),
            Ok(other) => Err(self.runtime(
                id,
                format!("The field '{field}' must evaluate to a string, but was {other}"),
            )),
            Err(trouble) => Err(self.expression_failure(id, field, trouble, input.text())),
        }
    }

    /// Evaluates something as the strand's state sees the world.
    pub(super) fn scene<R>(
        &mut self,
        id: StrandId,
        input: &Value,
        f: impl FnOnce(&mut Scene<'_>) -> R,
    ) -> R {
        let map = self.strand(id).map.clone();
        self.scene_with(id, input, map.as_deref(), f)
    }

    /// The same, with another `$$.Map`.
    pub(super) fn scene_with<R>(
        &mut self,
        id: StrandId,
        input: &Value,
        map: Option<&Value>,
        f: impl FnOnce(&mut Scene<'_>) -> R,
    ) -> R {
        let (mut random, now_ms) = (self.random.clone(), self.now_ms);
        let visit = self.strand(id).visit();
        let state = self.machine.state(visit.state);
        let about = || {
            let mut about = json!({ "Name": state.name, "EnteredTime": timestamp::format(visit.entered_at_ms) });
            if state.effort().is_some() {
                about["RetryCount"] = visit.retry_count.into();
            }
            about
        };
        let task = || json!({ "Token": visit.token });
        let context = Context::default()
            .with("Execution", &self.execution)
            .with("StateMachine", &self.state_machine)
            .with_made("State", &about);
        let context = match &visit.token {
            Some(_) => context.with_made("Task", &task),
            None => context,
        };
        let context = match map {
            Some(map) => context.with("Map", map),
            None => context,
        };
        let context = self.probe_context().unwrap_or(context);
        let variables = self.strand(id).variables.clone();
        let mut scene = Scene::new(input, &context, &mut random);
        scene.variables = Some(&variables);
        scene.now_ms = now_ms;
        let result = f(&mut scene);
        self.random = random;
        result
    }

    /// What a path finds in a state's input or in the context object.
    pub(super) fn read(&mut self, id: StrandId, path: &Path, input: &Data) -> Option<Value> {
        self.scene(id, input.value(), |scene| scene.find(path))
    }

    /// Reads a count that may be given by a path; `Err` holds what was found instead of a number.
    pub(super) fn counted(
        &mut self,
        id: StrandId,
        count: &Count,
        input: &Data,
    ) -> Result<f64, (String, Value)> {
        match count {
            Count::Given(number) => Ok(*number),
            // Whoever takes queries evaluates them, for their failures are of another kind.
            Count::Query(query) => {
                Err((query.source().unwrap_or_default().to_owned(), Value::Null))
            }
            Count::Path(path) => {
                let value = self.read(id, path, input).unwrap_or(Value::Null);
                let written = value.as_str().and_then(|text| text.parse().ok());
                value
                    .as_f64()
                    .or(written)
                    .ok_or_else(|| (path.as_str().to_owned(), value))
            }
        }
    }

    /// The state's input after `InputPath`.
    pub(super) fn input_of(&mut self, id: StrandId, state: &State) -> Result<Data, Failure> {
        let input = self.strand(id).visit().input.clone();
        self.sourced(id, &state.input, input)
    }

    /// A result after `OutputPath`.
    pub(super) fn output_of(
        &mut self,
        id: StrandId,
        state: &State,
        result: Data,
    ) -> Result<Data, Failure> {
        self.sourced(id, &state.output, result)
    }

    fn sourced(&mut self, id: StrandId, source: &Source, data: Data) -> Result<Data, Failure> {
        match source {
            Source::Nothing => Ok(Data::new(Value::Object(Map::new()))),
            Source::Path(path) if path.is_whole() => Ok(data),
            Source::Path(path) => match self.read(id, path, &data) {
                Some(found) => Ok(Data::new(found)),
                None => {
                    let missing = match path.root() {
                        Root::Input => path.missing_part(data.value()),
                        _ => path.to_string(),
                    };
                    Err(self.runtime(
                        id,
                        format!("Invalid path '{path}' : No results for path: {missing}"),
                    ))
                }
            },
        }
    }

    /// A template's value, or the data at hand if there is none.
    pub(super) fn filled(
        &mut self,
        id: StrandId,
        template: Option<&Template>,
        data: Data,
    ) -> Result<Data, Failure> {
        let Some(template) = template else {
            return Ok(data);
        };
        let input = match template {
            Template::Query(_) => self.strand(id).visit().input.clone(),
            _ => data.clone(),
        };
        let value = self.scene(id, input.value(), |scene| template.evaluate(scene));
        let value = value.map_err(|trouble| self.field_failure(id, trouble, data.text()))?;
        self.shallow(id, Data::new(value))
    }

    /// A result put into the state's input by `ResultPath`.
    pub(super) fn placed(
        &self,
        id: StrandId,
        place: &Place,
        result: Data,
        input: &Data,
    ) -> Result<Data, Failure> {
        match place {
            Place::Nowhere => Ok(input.clone()),
            Place::Path(path) if path.is_whole() => Ok(result),
            Place::Path(path) => path
                .put(input.value().clone(), result.value().clone())
                .map_err(|_| {
                    let cause = format!(
                        "Unable to apply Reference Path {} to input {}",
                        path.as_str(),
                        input.text()
                    );
                    Failure::error("States.ResultPathMatchFailure", cause)
                })
                .and_then(|value| self.shallow(id, Data::new(value))),
        }
    }

    /// A Fail state that is run again is entered again.
    fn reenter_fail(&mut self, id: StrandId) {
        let state = self.machine.state(self.strand(id).visit().state);
        if state.kind() == StateKind::Fail {
            self.record_entered(id);
        }
    }
}
