//! Owns what happens when a state fails: retriers, catchers, and the way up.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>

use serde_json::json;

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::{Catcher, Retrier, StateId, StateKind};
use crate::measure::{DEPTH_MAX, is_deeper};
use crate::template::{FieldTrouble, Trouble};

use super::exit::{Assigned, within_limit};
use super::strand::{Alarm, Doing, ROOT, StrandId};
use super::{Execution, Outcome, millis};

/// Why a state failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) kind: FailureKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Anything that retriers and catchers may deal with.
    Error,
    /// A task gave no heartbeat: `States.Timeout` that is also `States.HeartbeatTimeout`.
    Heartbeat,
    /// A state's input or output is too large: `States.ALL` does not take it.
    TooLarge,
    /// `States.QueryEvaluationError`, with the place of the expression and the state it is in.
    Evaluation {
        location: Option<String>,
        state: String,
    },
    /// `States.Runtime`: ends the execution whatever is around it.
    Runtime,
}

impl Failure {
    pub(super) fn error(error: &str, cause: impl Into<String>) -> Failure {
        Failure {
            error: Some(error.to_owned()),
            cause: Some(cause.into()),
            kind: FailureKind::Error,
        }
    }

    /// More iterations of a Map failed than it tolerates.
    pub(super) fn intolerable() -> Failure {
        Failure::error(
            "States.ExceedToleratedFailureThreshold",
            "The specified tolerated failure threshold was exceeded",
        )
    }

    /// What a task failed with.
    pub(super) fn of_task(error: Option<String>, cause: Option<String>) -> Failure {
        Failure {
            error,
            cause,
            kind: FailureKind::Error,
        }
    }

    /// No rule of a Choice holds, and there is no `Default`.
    pub(super) fn no_choice(name: &str) -> Failure {
        let cause = format!("State {name} has no matching choice and no Default.");
        Failure::error("States.NoChoiceMatched", cause)
    }

    pub(super) fn too_large(name: &str) -> Failure {
        let cause = format!(
            "The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        Failure {
            kind: FailureKind::TooLarge,
            ..Failure::error("States.DataLimitExceeded", cause)
        }
    }

    /// What a Map Run failed with.
    pub(super) fn of_map_run(error: &str, cause: String) -> Failure {
        let kind = match error {
            "States.DataLimitExceeded" => FailureKind::TooLarge,
            "States.Runtime" => FailureKind::Runtime,
            _ => FailureKind::Error,
        };
        Failure {
            kind,
            ..Failure::error(error, cause)
        }
    }

    fn matches(&self, errors: &[String]) -> bool {
        errors.iter().any(|name| match name.as_str() {
            "States.ALL" => self.kind != FailureKind::TooLarge,
            "States.TaskFailed" => {
                self.error.as_deref() != Some("States.Timeout")
                    && self.kind != FailureKind::TooLarge
            }
            "States.HeartbeatTimeout" if self.kind == FailureKind::Heartbeat => true,
            name => self.error.as_deref() == Some(name),
        })
    }
}

impl Execution {
    /// `States.Runtime`, in AWS's words.
    pub(super) fn runtime(&self, id: StrandId, message: impl AsRef<str>) -> Failure {
        Failure {
            error: Some("States.Runtime".to_owned()),
            cause: Some(self.occurred(id, message)),
            kind: FailureKind::Runtime,
        }
    }

    /// Data, unless more containers are inside of each other than anything can take.
    pub(super) fn shallow(&self, id: StrandId, data: Data) -> Result<Data, Failure> {
        if is_deeper(data.value(), DEPTH_MAX) {
            let message = format!("The data nests more than {DEPTH_MAX} levels deep.");
            return Err(self.runtime(id, message));
        }
        Ok(data)
    }

    pub(super) fn occurred(&self, id: StrandId, message: impl AsRef<str>) -> String {
        let visit = self.strand(id).visit();
        let name = &self.machine.state(visit.state).name;
        format!(
            "An error occurred while executing the state '{name}' (entered at the event id #{}). {}",
            visit.entered_event,
            message.as_ref()
        )
    }

    /// A template that could not be evaluated.
    pub(super) fn field_failure(
        &self,
        id: StrandId,
        trouble: FieldTrouble,
        input: &str,
    ) -> Failure {
        self.expression_failure(id, &trouble.field, trouble.trouble, input)
    }

    /// An expression that could not be evaluated.
    pub(super) fn expression_failure(
        &self,
        id: StrandId,
        field: &str,
        trouble: Trouble,
        input: &str,
    ) -> Failure {
        match trouble {
            Trouble::Missing { path } => self.runtime(
                id,
                format!(
                    "The JSONPath '{path}' specified for the field '{field}' could not be found in the input '{input}'"
                ),
            ),
            Trouble::MissingArgument { call, path } => self.runtime(
                id,
                format!(
                    "The function '{call}' had the following error: The JsonPath argument for the field '{path}' could not be found in the input '{input}'"
                ),
            ),
            Trouble::Function { call, reason } => Failure::error(
                "States.IntrinsicFailure",
                self.occurred(id, format!("The function '{call}' had the following error: {reason}")),
            ),
            Trouble::TooLarge => {
                let state = self.strand(id).visit().state;
                Failure::too_large(&self.machine.state(state).name)
            }
            Trouble::Query(trouble) => self.query_failure(id, &trouble),
        }
    }

    /// The state a strand is in failed: retry, catch, or take it up.
    pub(super) fn failed(&mut self, id: StrandId, failure: Failure) {
        if failure.kind == FailureKind::Runtime {
            return self.execution_failed(id, failure);
        }
        self.record_evaluation_failed(id, &failure);
        let machine = self.machine.clone();
        let state = machine.state(self.strand(id).visit().state);
        if let Some(effort) = state.effort() {
            if let Some(delay_ms) = self.retry(id, &effort.retriers, &failure) {
                if self.probe_retried(id, delay_ms, &failure) {
                    return;
                }
                self.drop_children(id);
                let timer = self.set_timer(delay_ms, Alarm::Retry(id));
                self.strand_mut(id).doing = Doing::Retry(timer);
                return;
            }
            let failed = match state.kind() {
                StateKind::Parallel => Some(EventType::ParallelStateFailed),
                StateKind::Map => Some(EventType::MapStateFailed),
                _ => None,
            };
            if let Some(failed) = failed {
                let last = self.strand(id).last_event;
                self.strand_mut(id).last_event = self.record(failed, last, Details::default());
            }
            let mut catchers = effort.catchers.iter().enumerate();
            if let Some((index, catcher)) =
                catchers.find(|(_, catcher)| failure.matches(&catcher.errors))
            {
                self.probe_caught(id, index, &failure);
                return self.catch(id, catcher, failure);
            }
        }
        self.strand_failed(id, failure);
    }

    /// The delay before the next try, if a retrier wants one.
    fn retry(&mut self, id: StrandId, retriers: &[Retrier], failure: &Failure) -> Option<i64> {
        // Only the first retrier that matches counts, even when it is used up.
        let at = retriers
            .iter()
            .position(|retrier| failure.matches(&retrier.errors))?;
        let retrier = &retriers[at];
        self.note_number(id, |seen| seen.retry_index = Some(at));
        let said = self.probe_retries(id);
        let visit = self
            .strand_mut(id)
            .visit
            .as_mut()
            .expect("the strand is in a state");
        visit.retries.resize(retriers.len(), 0);
        let used = said.unwrap_or(visit.retries[at]);
        if used >= retrier.max_attempts {
            return None;
        }
        visit.retries[at] += 1;
        // Another try is another Map Run.
        visit.map_run = None;
        visit.retry_count += 1;
        let exponent = i32::try_from(used).unwrap_or(i32::MAX);
        let delay = retrier.interval_seconds as f64 * retrier.backoff_rate.powi(exponent);
        let delay = delay.min(retrier.max_delay_seconds.unwrap_or(99_999_999) as f64);
        let delay_ms = millis(delay);
        Some(if retrier.full_jitter {
            self.random.between(0, delay_ms + 1)
        } else {
            delay_ms
        })
    }

    fn catch(&mut self, id: StrandId, catcher: &Catcher, failure: Failure) {
        self.drop_children(id);
        let said = json!({ "Error": failure.error.unwrap_or_default(), "Cause": failure.cause.unwrap_or_default() });
        let input = self.strand(id).visit().input.clone();
        let said = Data::new(said);
        if self.is_jsonata(id) {
            let caught = self.queried_catch(id, catcher, &said);
            return self.caught(id, caught, catcher.next);
        }
        let assigned = self.assigned(id, catcher.assign.as_ref(), &said);
        let caught = assigned.and_then(|assigned| {
            let output = self.placed(id, &catcher.result_path, said, &input)?;
            Ok((assigned, output))
        });
        self.caught(id, caught, catcher.next);
    }

    /// Goes on at a catcher's `Next`, if what is passed on there could be made.
    fn caught(&mut self, id: StrandId, caught: Result<(Assigned, Data), Failure>, next: StateId) {
        let name = &self.machine.state(self.strand(id).visit().state).name;
        let caught =
            caught.and_then(|(assigned, output)| Ok((assigned, within_limit(name, output)?)));
        match caught {
            Ok((assigned, output)) => self.exit_to(id, assigned, output, Some(next)),
            Err(failure) if failure.kind == FailureKind::Runtime => {
                self.execution_failed(id, failure);
            }
            Err(failure) => {
                self.record_evaluation_failed(id, &failure);
                self.strand_failed(id, failure);
            }
        }
    }

    /// A strand ended with an error that nothing in it took.
    pub(super) fn strand_failed(&mut self, id: StrandId, failure: Failure) {
        match self.strand(id).parent {
            None => self.execution_failed(id, failure),
            Some((parent, slot)) => self.child_failed(parent, slot, id, failure),
        }
    }

    /// The execution ends with an error that arose in a strand.
    pub(super) fn execution_failed(&mut self, id: StrandId, failure: Failure) {
        let last = self.strand(id).last_event;
        let Failure { error, cause, .. } = failure;
        self.stop_children(id);
        self.strand_mut(id).stopped = true;
        if id != ROOT {
            self.stop(ROOT);
        }
        let details = Details {
            error: error.clone(),
            cause: cause.clone(),
            ..Details::default()
        };
        self.record(EventType::ExecutionFailed, last, details);
        self.ended(Outcome::Failed { error, cause });
    }
}
