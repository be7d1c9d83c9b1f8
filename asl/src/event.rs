//! Owns the history event: its type, its details and the shape AWS gives both on the wire.
//!
//! Refuses to know what an event means: [`crate::history`] folds events into visits, and
//! [`crate::step`] decides which events happen. The names and fields are those of
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html>.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};

mod compact;
mod wire;

use wire::Wire;

/// One event in the history of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Consecutive from 1 within an execution, redrives included.
    pub id: i64,
    /// The event that led to this one within its branch or iteration; 0 for the first ones.
    pub previous_event_id: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What happened.
    pub kind: EventType,
    /// What is told about it; which fields are there depends on `kind`.
    pub details: Details,
}

/// The union of the fields of all `…EventDetails` objects. JSON texts are strings, as on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is AWS's field of the same name.
pub struct Details {
    pub name: Option<String>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub resource: Option<String>,
    pub resource_type: Option<String>,
    pub region: Option<String>,
    pub parameters: Option<String>,
    pub timeout_in_seconds: Option<i64>,
    pub heartbeat_in_seconds: Option<i64>,
    pub role_arn: Option<String>,
    /// `taskCredentials.roleArn`.
    pub task_role_arn: Option<String>,
    pub length: Option<i64>,
    pub index: Option<i64>,
    pub redrive_count: Option<i64>,
    pub state_machine_alias_arn: Option<String>,
    pub state_machine_version_arn: Option<String>,
    pub map_run_arn: Option<String>,
    pub worker_name: Option<String>,
    /// Name of each variable to the JSON text of its value.
    pub assigned_variables: Option<BTreeMap<String, String>>,
    /// The field whose expression could not be evaluated.
    pub location: Option<String>,
    /// The state whose expression could not be evaluated.
    pub state: Option<String>,
}

macro_rules! event_types {
    ($($variant:ident $(=> $details:literal [$($field:ident),*])?;)*) => {
        /// AWS's `HistoryEventType`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // AWS's names say it.
        pub enum EventType { $($variant),* }

        impl EventType {
            /// Every type, in the order of the enum.
            pub const ALL: &'static [EventType] = &[$(EventType::$variant),*];

            /// AWS's name.
            pub fn as_str(self) -> &'static str {
                match self { $(EventType::$variant => stringify!($variant)),* }
            }

            /// The wire's details object: its key and the fields that belong into it.
            fn shape(self) -> Option<(&'static str, &'static [Field])> {
                match self {
                    $(EventType::$variant => { event_types!(@shape $($details [$($field),*])?) })*
                }
            }
        }

        impl FromStr for EventType {
            type Err = UnknownEventType;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $(stringify!($variant) => Ok(EventType::$variant),)*
                    _ => Err(UnknownEventType(text.to_owned())),
                }
            }
        }
    };
    (@shape) => { None };
    (@shape $details:literal [$($field:ident),*]) => { Some(($details, &[$(Field::$field),*])) };
}

event_types! {
    ActivityFailed => "activityFailedEventDetails" [Error, Cause];
    ActivityScheduleFailed => "activityScheduleFailedEventDetails" [Error, Cause];
    ActivityScheduled => "activityScheduledEventDetails" [Resource, Input, Timeout, Heartbeat];
    ActivityStarted => "activityStartedEventDetails" [WorkerName];
    ActivitySucceeded => "activitySucceededEventDetails" [Output];
    ActivityTimedOut => "activityTimedOutEventDetails" [Error, Cause];
    ChoiceStateEntered => "stateEnteredEventDetails" [Name, Input];
    ChoiceStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
    EvaluationFailed => "evaluationFailedEventDetails" [Error, Cause, Location, State];
    ExecutionAborted => "executionAbortedEventDetails" [Error, Cause];
    ExecutionFailed => "executionFailedEventDetails" [Error, Cause];
    ExecutionRedriven => "executionRedrivenEventDetails" [RedriveCount];
    ExecutionStarted => "executionStartedEventDetails" [Input, RoleArn, AliasArn, VersionArn];
    ExecutionSucceeded => "executionSucceededEventDetails" [Output];
    ExecutionTimedOut => "executionTimedOutEventDetails" [Error, Cause];
    FailStateEntered => "stateEnteredEventDetails" [Name, Input];
    LambdaFunctionFailed => "lambdaFunctionFailedEventDetails" [Error, Cause];
    LambdaFunctionScheduleFailed => "lambdaFunctionScheduleFailedEventDetails" [Error, Cause];
    LambdaFunctionScheduled => "lambdaFunctionScheduledEventDetails" [Resource, Input, Timeout, TaskRole];
    LambdaFunctionStartFailed => "lambdaFunctionStartFailedEventDetails" [Error, Cause];
    LambdaFunctionStarted;
    LambdaFunctionSucceeded => "lambdaFunctionSucceededEventDetails" [Output];
    LambdaFunctionTimedOut => "lambdaFunctionTimedOutEventDetails" [Error, Cause];
    MapIterationAborted => "mapIterationAbortedEventDetails" [Name, Index];
    MapIterationFailed => "mapIterationFailedEventDetails" [Name, Index];
    MapIterationStarted => "mapIterationStartedEventDetails" [Name, Index];
    MapIterationSucceeded => "mapIterationSucceededEventDetails" [Name, Index];
    MapRunAborted;
    MapRunFailed => "mapRunFailedEventDetails" [Error, Cause];
    MapRunRedriven => "mapRunRedrivenEventDetails" [MapRunArn, RedriveCount];
    MapRunStarted => "mapRunStartedEventDetails" [MapRunArn];
    MapRunSucceeded;
    MapStateAborted;
    MapStateEntered => "stateEnteredEventDetails" [Name, Input];
    MapStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
    MapStateFailed;
    MapStateStarted => "mapStateStartedEventDetails" [Length];
    MapStateSucceeded;
    ParallelStateAborted;
    ParallelStateEntered => "stateEnteredEventDetails" [Name, Input];
    ParallelStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
    ParallelStateFailed;
    ParallelStateStarted;
    ParallelStateSucceeded;
    PassStateEntered => "stateEnteredEventDetails" [Name, Input];
    PassStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
    SucceedStateEntered => "stateEnteredEventDetails" [Name, Input];
    SucceedStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
    TaskFailed => "taskFailedEventDetails" [ResourceType, Resource, Error, Cause];
    TaskScheduled => "taskScheduledEventDetails" [ResourceType, Resource, Region, Parameters, Timeout, Heartbeat, TaskRole];
    TaskStartFailed => "taskStartFailedEventDetails" [ResourceType, Resource, Error, Cause];
    TaskStarted => "taskStartedEventDetails" [ResourceType, Resource];
    TaskStateAborted;
    TaskStateEntered => "stateEnteredEventDetails" [Name, Input];
    TaskStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
    TaskSubmitFailed => "taskSubmitFailedEventDetails" [ResourceType, Resource, Error, Cause];
    TaskSubmitted => "taskSubmittedEventDetails" [ResourceType, Resource, Output];
    TaskSucceeded => "taskSucceededEventDetails" [ResourceType, Resource, Output];
    TaskTimedOut => "taskTimedOutEventDetails" [ResourceType, Resource, Error, Cause];
    WaitStateAborted;
    WaitStateEntered => "stateEnteredEventDetails" [Name, Input];
    WaitStateExited => "stateExitedEventDetails" [Name, Output, Assigned];
}

/// A type of event that AWS did not have when this was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown history event type: {0}")]
pub struct UnknownEventType(pub String);

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field of some details object. A new one goes to the end: see [`compact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Input,
    Output,
    Error,
    Cause,
    Resource,
    ResourceType,
    Region,
    Parameters,
    Timeout,
    Heartbeat,
    RoleArn,
    TaskRole,
    Length,
    Index,
    RedriveCount,
    AliasArn,
    VersionArn,
    MapRunArn,
    WorkerName,
    Assigned,
    Location,
    State,
}

impl Field {
    /// The wire's name.
    fn key(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::Input => "input",
            Field::Output => "output",
            Field::Error => "error",
            Field::Cause => "cause",
            Field::Resource => "resource",
            Field::ResourceType => "resourceType",
            Field::Region => "region",
            Field::Parameters => "parameters",
            Field::Timeout => "timeoutInSeconds",
            Field::Heartbeat => "heartbeatInSeconds",
            Field::RoleArn => "roleArn",
            Field::TaskRole => "taskCredentials",
            Field::Length => "length",
            Field::Index => "index",
            Field::RedriveCount => "redriveCount",
            Field::AliasArn => "stateMachineAliasArn",
            Field::VersionArn => "stateMachineVersionArn",
            Field::MapRunArn => "mapRunArn",
            Field::WorkerName => "workerName",
            Field::Assigned => "assignedVariables",
            Field::Location => "location",
            Field::State => "state",
        }
    }

    /// Whether `includeExecutionData = false` leaves it out.
    fn is_execution_data(self) -> bool {
        matches!(
            self,
            Field::Input | Field::Output | Field::Parameters | Field::Assigned
        )
    }
}

/// How a field is kept in [`Details`].
enum Slot<Text, Number, Variables> {
    Text(Text),
    Number(Number),
    Variables(Variables),
    Role(Text),
}

type SlotRef<'a> = Slot<&'a Option<String>, &'a Option<i64>, &'a Option<BTreeMap<String, String>>>;
type SlotMut<'a> =
    Slot<&'a mut Option<String>, &'a mut Option<i64>, &'a mut Option<BTreeMap<String, String>>>;

/// The slot of a field, borrowed as the last argument says.
macro_rules! slot {
    ($details:expr, $field:expr, $($borrow:tt)+) => {
        match $field {
            Field::Name => Slot::Text($($borrow)+ $details.name),
            Field::Input => Slot::Text($($borrow)+ $details.input),
            Field::Output => Slot::Text($($borrow)+ $details.output),
            Field::Error => Slot::Text($($borrow)+ $details.error),
            Field::Cause => Slot::Text($($borrow)+ $details.cause),
            Field::Resource => Slot::Text($($borrow)+ $details.resource),
            Field::ResourceType => Slot::Text($($borrow)+ $details.resource_type),
            Field::Region => Slot::Text($($borrow)+ $details.region),
            Field::Parameters => Slot::Text($($borrow)+ $details.parameters),
            Field::Timeout => Slot::Number($($borrow)+ $details.timeout_in_seconds),
            Field::Heartbeat => Slot::Number($($borrow)+ $details.heartbeat_in_seconds),
            Field::RoleArn => Slot::Text($($borrow)+ $details.role_arn),
            Field::TaskRole => Slot::Role($($borrow)+ $details.task_role_arn),
            Field::Length => Slot::Number($($borrow)+ $details.length),
            Field::Index => Slot::Number($($borrow)+ $details.index),
            Field::RedriveCount => Slot::Number($($borrow)+ $details.redrive_count),
            Field::AliasArn => Slot::Text($($borrow)+ $details.state_machine_alias_arn),
            Field::VersionArn => Slot::Text($($borrow)+ $details.state_machine_version_arn),
            Field::MapRunArn => Slot::Text($($borrow)+ $details.map_run_arn),
            Field::WorkerName => Slot::Text($($borrow)+ $details.worker_name),
            Field::Assigned => Slot::Variables($($borrow)+ $details.assigned_variables),
            Field::Location => Slot::Text($($borrow)+ $details.location),
            Field::State => Slot::Text($($borrow)+ $details.state),
        }
    };
}

impl Details {
    fn slot(&self, field: Field) -> SlotRef<'_> {
        slot!(self, field, &)
    }

    fn slot_mut(&mut self, field: Field) -> SlotMut<'_> {
        slot!(self, field, &mut)
    }

    fn read(&mut self, field: Field, from: &Map<String, Value>) {
        let Some(value) = from.get(field.key()) else {
            return;
        };
        match self.slot_mut(field) {
            Slot::Text(slot) => *slot = value.as_str().map(str::to_owned),
            Slot::Number(slot) => *slot = value.as_i64(),
            Slot::Role(slot) => *slot = value["roleArn"].as_str().map(str::to_owned),
            Slot::Variables(slot) => {
                *slot = value.as_object().map(|variables| {
                    let texts = variables.iter();
                    texts
                        .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                        .collect()
                });
            }
        }
    }
}

impl HistoryEvent {
    /// The event as `GetExecutionHistory` (AWS JSON 1.0) answers it: times are epoch seconds with a
    /// fraction. Without execution data, inputs, outputs, parameters and variables stay away.
    pub fn to_wire(&self, include_execution_data: bool) -> Value {
        serde_json::to_value(self.wire(include_execution_data)).unwrap_or_default()
    }

    /// The same, to be written without a value in between.
    pub fn wire(&self, include_execution_data: bool) -> impl Serialize {
        Wire {
            event: self,
            include_execution_data,
        }
    }

    /// Reads what [`HistoryEvent::to_wire`] writes. `None` if it is not a history event of a type
    /// known here; missing and unknown fields are tolerated.
    pub fn from_wire(wire: &Value) -> Option<HistoryEvent> {
        let kind: EventType = wire["type"].as_str()?.parse().ok()?;
        let mut details = Details::default();
        if let Some((key, fields)) = kind.shape()
            && let Some(object) = wire[key].as_object()
        {
            for &field in fields {
                details.read(field, object);
            }
        }
        Some(HistoryEvent {
            id: wire["id"].as_i64()?,
            previous_event_id: wire["previousEventId"].as_i64().unwrap_or(0),
            timestamp_ms: (wire["timestamp"].as_f64()? * 1000.0).round() as i64,
            kind,
            details,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(kind: EventType, details: Details, expected: Expect) {
        let event = HistoryEvent {
            id: 7,
            previous_event_id: 6,
            timestamp_ms: 1_700_000_000_123,
            kind,
            details,
        };
        let wire = event.to_wire(true);
        assert_eq!(HistoryEvent::from_wire(&wire).as_ref(), Some(&event));
        expected.assert_eq(&wire.to_string());
    }

    #[test]
    fn entered() {
        check(
            EventType::TaskStateEntered,
            Details {
                name: Some("A".into()),
                input: Some("{}".into()),
                ..Details::default()
            },
            expect![[
                r#"{"timestamp":1700000000.123,"type":"TaskStateEntered","id":7,"previousEventId":6,"stateEnteredEventDetails":{"name":"A","input":"{}","inputDetails":{"truncated":false}}}"#
            ]],
        );
    }

    #[test]
    fn bare() {
        check(
            EventType::ParallelStateStarted,
            Details::default(),
            expect![[
                r#"{"timestamp":1700000000.123,"type":"ParallelStateStarted","id":7,"previousEventId":6}"#
            ]],
        );
    }

    #[test]
    fn without_execution_data() {
        let event = HistoryEvent {
            id: 1,
            previous_event_id: 0,
            timestamp_ms: 5,
            kind: EventType::ExecutionStarted,
            details: Details {
                input: Some("{}".into()),
                role_arn: Some("r".into()),
                ..Details::default()
            },
        };
        expect![[
            r#"{"timestamp":0.005,"type":"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"roleArn":"r"}}"#
        ]]
        .assert_eq(&event.to_wire(false).to_string());
    }

    #[test]
    fn names_round_trip() {
        for &kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("Nonsense".parse::<EventType>().is_err());
    }
}
