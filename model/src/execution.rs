//! An execution and its states as pages show them: folded from the execution's history, joined with progress.

use serde::{Deserialize, Serialize};

use crate::{InvocationView, Progress, TimestampMs};

/// An execution's status, as Step Functions names it.
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
    PendingRedrive,
}

/// A state's type in Amazon States Language. <https://states-language.net/spec.html#state-types>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StateKind {
    Task,
    Pass,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}

/// Where a state, a visit, an iteration or a branch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StateStatus {
    /// Not entered yet.
    Idle,
    Running,
    /// An attempt failed; the next one waits for its backoff.
    Retrying,
    Succeeded,
    /// Failed, and a Catch led the execution on.
    Caught,
    Failed,
    /// Ended because a sibling failed or somebody stopped the execution.
    Aborted,
}

/// An execution of a state machine, without its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Execution {
    pub arn: String,
    pub name: String,
    pub status: ExecutionStatus,
    pub started_at_ms: TimestampMs,
    pub ended_at_ms: Option<TimestampMs>,
    pub redrive_count: u32,
    /// The error that ended it.
    pub error: Option<String>,
    /// The error's cause in words: the function's own message where the cause is Lambda's JSON.
    pub cause: Option<String>,
    /// The state in which that error arose first (not the Fail state that a Catch may have led to).
    pub failed_state: Option<String>,
    /// History events read so far.
    pub event_count: u64,
    /// Every state of the definition, in its order.
    pub states: Vec<StateView>,
}

impl Execution {
    /// The state that tells most of how it stands: where it failed, else what is at work, else the last that was.
    /// None before the first state is entered.
    pub fn telling_state(&self) -> Option<&str> {
        let is_container =
            |state: &StateView| matches!(state.kind, StateKind::Map | StateKind::Parallel);
        let at_work = || {
            self.states
                .iter()
                .filter(|state| {
                    matches!(state.status, StateStatus::Running | StateStatus::Retrying)
                })
                .min_by_key(|state| is_container(state))
        };
        let last = || {
            self.states
                .iter()
                .filter(|state| !is_container(state) && state.ended_at_ms.is_some())
                .max_by_key(|state| state.ended_at_ms)
        };
        self.failed_state
            .as_deref()
            .or_else(|| at_work().or_else(last).map(|state| state.name.as_str()))
    }
}

/// One state of the definition with what happened to it, all visits together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateView {
    /// The state's name; unique in its state machine.
    pub name: String,
    pub kind: StateKind,
    /// The worst unfinished or last status of its visits: a failed or running one outweighs finished ones.
    pub status: StateStatus,
    /// How often it was entered; inside a Map once for each iteration.
    pub visit_count: u32,
    pub succeeded_count: u32,
    pub failed_count: u32,
    /// Attempts beyond each visit's first.
    pub retry_count: u32,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// Progress of its running or finished work, iterations added up where they count the same unit.
    pub progress: Option<Progress>,
    /// Of a Map: its iterations, by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iterations: Vec<IterationView>,
    /// Of a Map: how many iterations there are in all, counted before the first starts.
    pub iteration_count: Option<u32>,
    /// Of a Parallel: its branches, in the definition's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<BranchView>,
}

/// One iteration of a Map state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IterationView {
    /// Counted from 0, as in the context object's `$$.Map.Item.Index`.
    pub index: u32,
    pub status: StateStatus,
    /// What people call it, where the worker said so: `part 3`, `720p`.
    pub label: Option<String>,
    /// The state it is in, or ended in.
    pub state: Option<String>,
    pub progress: Option<Progress>,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
    pub error: Option<String>,
}

/// One branch of a Parallel state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BranchView {
    /// Counted from 0, in the definition's order.
    pub index: u32,
    /// The branch's first state, which names it.
    pub name: String,
    pub status: StateStatus,
    /// The state it is in, or ended in.
    pub state: Option<String>,
    /// States of the branch that have ended well, and states in all: its coarse progress.
    pub states_done: u32,
    pub states_total: u32,
    pub progress: Option<Progress>,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
}

/// One attempt of a Task visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    pub status: StateStatus,
    pub scheduled_at_ms: TimestampMs,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// One visit to a state, in the list from which a person chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VisitView {
    /// The id of the visit's `…StateEntered` event: unique in the execution.
    pub entered_event_id: i64,
    /// The Map iteration it belongs to.
    pub iteration: Option<u32>,
    pub label: Option<String>,
    pub status: StateStatus,
}

/// A chosen state's visit in full: `GET /api/v1/jobs/{id}/states/{name}?visit=`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateDetail {
    pub name: String,
    pub kind: StateKind,
    /// Every visit, oldest first; empty when the state was not entered.
    pub visits: Vec<VisitView>,
    /// The chosen visit: the one asked for, else the newest failed, else the newest.
    pub visit: Option<VisitView>,
    /// JSON text as history has it.
    pub input: Option<String>,
    pub output: Option<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub started_at_ms: Option<TimestampMs>,
    pub ended_at_ms: Option<TimestampMs>,
    pub attempts: Vec<Attempt>,
    /// Invocations of the Lambda function that worked for the visit, oldest first, as far as they were heard of.
    #[serde(default)]
    pub invocations: Vec<InvocationView>,
    /// The function version's or resource's ARN, of a Task.
    pub resource: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, kind: StateKind, status: StateStatus, ended: Option<i64>) -> StateView {
        StateView {
            name: name.to_owned(),
            kind,
            status,
            visit_count: u32::from(status != StateStatus::Idle),
            succeeded_count: 0,
            failed_count: 0,
            retry_count: 0,
            started_at_ms: None,
            ended_at_ms: ended.map(TimestampMs),
            error: None,
            cause: None,
            progress: None,
            iterations: Vec::new(),
            iteration_count: None,
            branches: Vec::new(),
        }
    }

    #[test]
    fn the_telling_state_follows_the_execution() {
        let mut execution = Execution {
            arn: String::new(),
            name: String::new(),
            status: ExecutionStatus::Running,
            started_at_ms: TimestampMs(0),
            ended_at_ms: None,
            redrive_count: 0,
            error: None,
            cause: None,
            failed_state: None,
            event_count: 1,
            states: vec![
                state("Inspect", StateKind::Task, StateStatus::Idle, None),
                state("Process", StateKind::Parallel, StateStatus::Idle, None),
                state("Probe", StateKind::Task, StateStatus::Idle, None),
                state("Failed", StateKind::Fail, StateStatus::Idle, None),
            ],
        };
        assert_eq!(execution.telling_state(), None, "nothing was entered yet");
        execution.states[0] = state("Inspect", StateKind::Task, StateStatus::Succeeded, Some(5));
        assert_eq!(execution.telling_state(), Some("Inspect"));
        execution.states[1].status = StateStatus::Running;
        assert_eq!(execution.telling_state(), Some("Process"));
        execution.states[2].status = StateStatus::Retrying;
        assert_eq!(execution.telling_state(), Some("Probe"), "what is in it");
        execution.failed_state = Some("Inspect".to_owned());
        assert_eq!(execution.telling_state(), Some("Inspect"));
    }
}
