//! Owns the parsed state machine: typed states in one arena, no raw JSON.
//!
//! Names are unique in the whole machine, so states refer to each other by [`StateId`].
//! <https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html>

pub mod distributed;

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::choice::Rule;
use crate::path::{Path, ReferencePath};
use crate::query::Query;
use crate::template::Template;

/// A state of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub(crate) u32);

/// The machine itself, a branch of a Parallel state or the processor of a Map state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub(crate) u32);

impl ScopeId {
    /// The machine itself.
    pub const ROOT: ScopeId = ScopeId(0);
}

/// A parsed definition.
#[derive(Debug, Clone)]
pub struct StateMachine {
    /// The `Comment` of the definition.
    pub comment: Option<String>,
    /// Seconds after which an execution times out.
    pub timeout_seconds: Option<u64>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) states: Vec<State>,
    pub(crate) names: HashMap<String, StateId>,
}

/// States that transition among themselves.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The first state to enter.
    pub start: StateId,
    /// The states, in the order of the definition.
    pub states: Vec<StateId>,
    /// The Parallel or Map state it is inside of, and which branch of it.
    pub owner: Option<(StateId, usize)>,
}

/// One state.
#[derive(Debug, Clone)]
pub struct State {
    /// Unique in the machine.
    pub name: String,
    /// The `Comment` of the state.
    pub comment: Option<String>,
    /// Where it belongs.
    pub scope: ScopeId,
    /// What it reads of its input.
    pub input: Source,
    /// What it passes on of its result.
    pub output: Source,
    /// Where it goes.
    pub next: Next,
    /// What it does.
    pub body: Body,
    /// `Assign`; of a Choice, the one that goes with `Default`.
    pub assign: Option<Template>,
    /// Its `QueryLanguage` is JSONata.
    pub jsonata: bool,
    /// `Output` in JSONata; of a Choice, the one that goes with `Default`.
    pub output_query: Option<Query>,
}

/// `InputPath` or `OutputPath`.
#[derive(Debug, Clone)]
pub enum Source {
    /// `null`: an empty object.
    Nothing,
    /// What the path finds.
    Path(Path),
}

/// `Next`, `End`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The scope ends with the state's output.
    End,
    /// Another state of the same scope.
    State(StateId),
}

/// `ResultPath`.
#[derive(Debug, Clone)]
pub enum Place {
    /// `null`: the result is dropped and the input kept.
    Nowhere,
    /// Put into the input.
    Path(ReferencePath),
}

/// What a state does.
#[derive(Debug, Clone)]
pub enum Body {
    /// Has something done by a service.
    Task(Box<Task>),
    /// Passes its input on, changed or not.
    Pass {
        /// `Parameters`.
        parameters: Option<Template>,
        /// `Result`.
        result: Option<serde_json::Value>,
        /// `ResultPath`.
        result_path: Place,
    },
    /// Chooses where to go.
    Choice {
        /// `Choices`, in order.
        rules: Vec<ChoiceRule>,
        /// `Default`.
        default: Option<StateId>,
    },
    /// Waits.
    Wait(Until),
    /// Ends its scope well.
    Succeed,
    /// Ends its scope with an error.
    Fail {
        /// `Error` or `ErrorPath`.
        error: Option<Text>,
        /// `Cause` or `CausePath`.
        cause: Option<Text>,
    },
    /// Runs branches side by side.
    Parallel {
        /// The branches, in order.
        branches: Vec<ScopeId>,
        /// What surrounds it.
        effort: Effort,
    },
    /// Runs one scope for each element of an array.
    Map(Box<MapState>),
}

/// One element of `Choices`.
#[derive(Debug, Clone)]
pub struct ChoiceRule {
    /// When it is taken.
    pub rule: Rule,
    /// `Next`.
    pub next: StateId,
    /// `Assign`.
    pub assign: Option<Template>,
    /// `Output` in JSONata.
    pub output: Option<Query>,
}

/// A Task state.
#[derive(Debug, Clone)]
pub struct Task {
    /// ARN of what is to be called.
    pub resource: String,
    /// `TimeoutSeconds` or `TimeoutSecondsPath`.
    pub timeout: Option<Count>,
    /// `HeartbeatSeconds` or `HeartbeatSecondsPath`.
    pub heartbeat: Option<Count>,
    /// `Credentials`.
    pub credentials: Option<Template>,
    /// What surrounds it.
    pub effort: Effort,
}

/// A Map state.
#[derive(Debug, Clone)]
pub struct MapState {
    /// The processor's states.
    pub processor: ScopeId,
    /// `ItemProcessor`, or `Iterator` as it was called.
    pub processor_field: &'static str,
    /// `ItemsPath`.
    pub items: Path,
    /// `Items` in JSONata.
    pub items_query: Option<Query>,
    /// `ItemSelector`, or `Parameters` as it was called.
    pub selector: Option<Template>,
    /// `MaxConcurrency` or `MaxConcurrencyPath`; 0 is no limit.
    pub max_concurrency: Option<Count>,
    /// `ToleratedFailureCount` or its path.
    pub tolerated_count: Option<Count>,
    /// `ToleratedFailurePercentage` or its path.
    pub tolerated_percentage: Option<Count>,
    /// What it has in DISTRIBUTED mode.
    pub distributed: Option<distributed::Distributed>,
    /// What surrounds it; its `parameters` are unused.
    pub effort: Effort,
}

/// What Task, Parallel and Map states have in common around what they do.
#[derive(Debug, Clone)]
pub struct Effort {
    /// `Parameters`.
    pub parameters: Option<Template>,
    /// `ResultSelector`.
    pub selector: Option<Template>,
    /// `ResultPath`.
    pub result_path: Place,
    /// `Retry`.
    pub retriers: Vec<Retrier>,
    /// `Catch`.
    pub catchers: Vec<Catcher>,
}

/// A number, or where to read it.
#[derive(Debug, Clone)]
pub enum Count {
    /// Given.
    Given(f64),
    /// Read from the state's input.
    Path(Path),
    /// Evaluated in JSONata.
    Query(Query),
}

/// A text, or where to get it.
#[derive(Debug, Clone)]
pub enum Text {
    /// Given.
    Given(String),
    /// Read or computed from the state's input.
    Computed(crate::template::Expression),
    /// Evaluated in JSONata.
    Query(Query),
}

/// What a Wait state waits for.
#[derive(Debug, Clone)]
pub enum Until {
    /// `Seconds`.
    Seconds(u64),
    /// `SecondsPath`.
    SecondsPath(Path),
    /// `Timestamp`, in milliseconds since the Unix epoch.
    Timestamp(i64),
    /// `TimestampPath`.
    TimestampPath(Path),
    /// `Seconds` in JSONata.
    SecondsQuery(Query),
    /// `Timestamp` in JSONata.
    TimestampQuery(Query),
}

/// One element of `Retry`.
#[derive(Debug, Clone)]
pub struct Retrier {
    /// `ErrorEquals`.
    pub errors: Vec<String>,
    /// `IntervalSeconds`, 1 by default.
    pub interval_seconds: u64,
    /// `MaxAttempts`, 3 by default.
    pub max_attempts: u64,
    /// `BackoffRate`, 2 by default.
    pub backoff_rate: f64,
    /// `MaxDelaySeconds`.
    pub max_delay_seconds: Option<u64>,
    /// `JitterStrategy` is `FULL`.
    pub full_jitter: bool,
}

/// One element of `Catch`.
#[derive(Debug, Clone)]
pub struct Catcher {
    /// `ErrorEquals`.
    pub errors: Vec<String>,
    /// `Next`.
    pub next: StateId,
    /// `ResultPath`.
    pub result_path: Place,
    /// `Assign`.
    pub assign: Option<Template>,
    /// `Output` in JSONata.
    pub output: Option<Query>,
}

/// The type of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // AWS's names say it.
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

impl StateKind {
    /// All types of states.
    pub const ALL: [StateKind; 8] = [
        StateKind::Task,
        StateKind::Pass,
        StateKind::Choice,
        StateKind::Wait,
        StateKind::Succeed,
        StateKind::Fail,
        StateKind::Parallel,
        StateKind::Map,
    ];

    /// The value of the state's `Type`.
    pub fn as_str(self) -> &'static str {
        match self {
            StateKind::Task => "Task",
            StateKind::Pass => "Pass",
            StateKind::Choice => "Choice",
            StateKind::Wait => "Wait",
            StateKind::Succeed => "Succeed",
            StateKind::Fail => "Fail",
            StateKind::Parallel => "Parallel",
            StateKind::Map => "Map",
        }
    }

    /// Reads [`StateKind::as_str`].
    pub fn from_name(name: &str) -> Option<StateKind> {
        StateKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl State {
    /// The state's type.
    pub fn kind(&self) -> StateKind {
        match &self.body {
            Body::Task(_) => StateKind::Task,
            Body::Pass { .. } => StateKind::Pass,
            Body::Choice { .. } => StateKind::Choice,
            Body::Wait(_) => StateKind::Wait,
            Body::Succeed => StateKind::Succeed,
            Body::Fail { .. } => StateKind::Fail,
            Body::Parallel { .. } => StateKind::Parallel,
            Body::Map(_) => StateKind::Map,
        }
    }

    /// What surrounds it, if it makes an effort that may fail.
    pub fn effort(&self) -> Option<&Effort> {
        match &self.body {
            Body::Task(task) => Some(&task.effort),
            Body::Parallel { effort, .. } => Some(effort),
            Body::Map(map) => Some(&map.effort),
            _ => None,
        }
    }
}

impl StateMachine {
    /// A state by its id.
    pub fn state(&self, id: StateId) -> &State {
        &self.states[id.0 as usize]
    }

    /// A scope by its id.
    pub fn scope(&self, id: ScopeId) -> &Scope {
        &self.scopes[id.0 as usize]
    }

    /// Whether a scope is run by Express workflows: it is, or is inside of, the processor of a Map state that says so.
    pub fn is_express(&self, scope: ScopeId) -> bool {
        let Some((owner, _)) = self.scope(scope).owner else {
            return false;
        };
        let owner = self.state(owner);
        let express = match &owner.body {
            Body::Map(map) => map.distributed.as_ref().is_some_and(|map| map.express),
            _ => false,
        };
        express || self.is_express(owner.scope)
    }

    /// A state by its name.
    pub fn state_named(&self, name: &str) -> Option<&State> {
        self.names.get(name).map(|&id| self.state(id))
    }

    /// All states; those of a scope come in the order of the definition.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        self.states.iter()
    }

    /// The resources of all Task states, in the order of the states.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.states.iter().filter_map(|state| match &state.body {
            Body::Task(task) => Some(task.resource.as_str()),
            _ => None,
        })
    }
}
