//! TestState: one state, run by itself.
//!
//! Owns the checks of the request and the answer; what the state does is `asl`'s probe, and a task that is not
//! mocked runs as in an execution. Refuses to wait for time to pass: a Wait state's time comes at once.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html>

mod mock;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use asl::step::{Inspection, Mock, ProbeSetup, ProbeStatus, Probed};
use asl::{
    CannotIsolate, Command, Execution, Input, Isolated, Pattern, Resource, Start, TimerId, isolate,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::constraint::Constraints;
use super::integration::Caller;
use super::revision::{ARN_MAX, DEFINITION_MAX};
use super::{Sfn, definition};
use crate::wire::{ACCOUNT, AwsError, REGION, now_ms};

/// How long a state may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Most bytes of data.
const DATA_BYTES_MAX: usize = 262_144;
/// What a context object may have; below an empty list, anything.
const CONTEXT: &[(&str, &[&str])] = &[
    (
        "Execution",
        &[
            "Id",
            "Input",
            "Name",
            "RedriveCount",
            "RedriveTime",
            "RoleArn",
            "StartTime",
        ],
    ),
    ("Map", &["Item"]),
    ("State", &["EnteredTime", "Name", "RetryCount"]),
    ("StateMachine", &["Id", "Name"]),
    ("Task", &["Token"]),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestState {
    definition: String,
    role_arn: Option<String>,
    input: Option<String>,
    inspection_level: Option<String>,
    #[serde(default)]
    reveal_secrets: bool,
    variables: Option<String>,
    state_name: Option<String>,
    mock: Option<mock::Given>,
    context: Option<String>,
    #[serde(default)]
    state_configuration: StateConfiguration,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateConfiguration {
    retrier_retry_count: Option<i64>,
    error_caused_by_state: Option<String>,
    map_iteration_failure_count: Option<i64>,
    map_item_reader_data: Option<String>,
}

impl Sfn {
    pub(super) async fn test_state(&self, ask: TestState) -> Result<Value, AwsError> {
        ask.check()?;
        let isolated = ask.isolated()?;
        let state = &isolated.state;
        let kind = state
            .get("Type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let role_arn = ask.role_arn.clone();
        if ask.mock.is_none() && ["Map", "Parallel"].contains(&kind) {
            return Err(AwsError::bad_request(
                "InvalidDefinition",
                "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]",
            ));
        }
        if ask.mock.is_none() && kind == "Task" && role_arn.is_none() {
            return Err(AwsError::validation(
                "RoleArn must be specified when testing a Task state",
            ));
        }
        if ask.mock.is_none() && kind == "Task" {
            check_waits(state)?;
        }
        let mut setup = ProbeSetup {
            context: ask.context.as_deref().map(context).transpose()?,
            variables: ask.variables.as_deref().map_or(Ok(Map::new()), variables)?,
            ..ProbeSetup::default()
        };
        let configuration = &ask.state_configuration;
        setup.retries = count(configuration.retrier_retry_count);
        setup.failed_iterations = count(configuration.map_iteration_failure_count);
        if let Some(given) = ask.mock {
            let mock = mock::read(given, state)?;
            if let Mock::Result {
                value: Value::Array(items),
                ..
            } = &mock
                && setup.failed_iterations > items.len() as u64
            {
                return Err(AwsError::validation(
                    "Map iteration failure count must be less than or equal to the number of Map iterations",
                ));
            }
            setup.mock = Some(mock);
        }
        if let Some(name) = &configuration.error_caused_by_state {
            let around = json!({"States": {"": state}}).to_string();
            if isolate(&around, Some(name)).is_err() {
                return Err(AwsError::validation("State not found in definition"));
            }
        }
        let machine = machine(&isolated)?;
        let input_text = ask.input.unwrap_or_else(|| "{}".to_owned());
        let input = serde_json::from_str(&input_text).map_err(|error| {
            AwsError::bad_request(
                "InvalidExecutionInput",
                format!("Invalid State Machine Execution Input: '{error}'"),
            )
        })?;
        let (machine_name, execution_name) = (Uuid::new_v4(), Uuid::new_v4());
        let start = Start {
            execution_arn: format!(
                "arn:aws:states:{REGION}:{ACCOUNT}:express:{machine_name}:{execution_name}"
            ),
            execution_name: execution_name.to_string(),
            role_arn: role_arn.unwrap_or_default(),
            state_machine_arn: super::arn::of_machine(&machine_name.to_string()),
            state_machine_name: machine_name.to_string(),
            input,
            input_text: Some(input_text),
            seed: Uuid::new_v4().as_u128() as u64,
        };
        let caller = Caller {
            execution_arn: start.execution_arn.clone(),
            machine_arn: start.state_machine_arn.clone(),
            task: 0,
        };
        let begun = Execution::probe(Arc::new(machine), start, setup, now_ms());
        let probed = self.probe(caller, begun.0, begun.1).await?;
        let inspected = ask.inspection_level.as_deref().unwrap_or("INFO") != "INFO";
        Ok(answer(&probed, inspected, isolated.jsonata))
    }

    /// Runs the state to its end.
    async fn probe(
        &self,
        caller: Caller,
        mut execution: Execution,
        mut commands: Vec<Command>,
    ) -> Result<Probed, AwsError> {
        let (started_ms, deadline) = (now_ms(), Instant::now() + PATIENCE);
        let mut timers: BTreeMap<i64, TimerId> = BTreeMap::new();
        loop {
            if let Some(probed) = execution.probed() {
                return Ok(probed);
            }
            let mut work = None;
            for command in std::mem::take(&mut commands) {
                match command {
                    Command::InvokeTask {
                        task,
                        resource,
                        parameters,
                        ..
                    } => work = Some((task, resource, parameters)),
                    Command::SetTimer { timer, at_ms } => {
                        timers.insert(at_ms, timer);
                    }
                    Command::CancelTimer { timer } => timers.retain(|_, known| *known != timer),
                    _ => {}
                }
            }
            let first = timers
                .first_key_value()
                .map(|(at_ms, timer)| (*at_ms, *timer));
            if let Some((task, resource, parameters)) = work {
                let due = first.map_or(deadline, |(at_ms, _)| {
                    let left = u64::try_from(at_ms - now_ms()).unwrap_or(0);
                    deadline.min(Instant::now() + Duration::from_millis(left))
                });
                commands = execution.apply(now_ms(), Input::TaskStarted { task });
                let caller = Caller {
                    task: task.0,
                    ..caller.clone()
                };
                let running = self.driver.perform_alone(caller, &resource, parameters);
                let input = match (tokio::time::timeout_at(due, running).await, first) {
                    (Ok(ended), _) => ended,
                    (Err(_), Some((_, timer))) if due < deadline => Input::TimerFired { timer },
                    (Err(_), _) => return Ok(timed_out(&execution)),
                };
                commands.extend(execution.apply(now_ms(), input));
                continue;
            }
            let Some((at_ms, timer)) = first else {
                return Err(AwsError::new(
                    500,
                    "InternalServerError",
                    "The state neither ended nor waits for anything; see the log of local.",
                ));
            };
            if at_ms - started_ms > i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX) {
                return Ok(timed_out(&execution));
            }
            timers.remove(&at_ms);
            commands = execution.apply(at_ms, Input::TimerFired { timer });
        }
    }
}

impl TestState {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.bytes("definition", Some(&self.definition), DEFINITION_MAX);
        constraints.length("roleArn", self.role_arn.as_deref(), 1, ARN_MAX);
        constraints.bytes("input", self.input.as_deref(), DATA_BYTES_MAX);
        constraints.bytes("variables", self.variables.as_deref(), DATA_BYTES_MAX);
        constraints.bytes("context", self.context.as_deref(), DATA_BYTES_MAX);
        let levels = ["INFO", "DEBUG", "TRACE"];
        constraints.one_of("inspectionLevel", self.inspection_level.as_deref(), &levels);
        let configuration = &self.state_configuration;
        for (member, number) in [
            ("retrierRetryCount", configuration.retrier_retry_count),
            (
                "mapIterationFailureCount",
                configuration.map_iteration_failure_count,
            ),
        ] {
            let member = format!("stateConfiguration.{member}");
            constraints.range(&member, number, 0, i64::MAX);
        }
        constraints.check()?;
        if self.mock.is_some() {
            if self.reveal_secrets {
                return Err(AwsError::validation(
                    "TestState does not support RevealSecrets when a mock is specified.",
                ));
            }
            return Ok(());
        }
        for (name, given) in [
            (
                "RetrierRetryCount",
                configuration.retrier_retry_count.is_some(),
            ),
            (
                "ErrorCausedByState",
                configuration.error_caused_by_state.is_some(),
            ),
            (
                "MapIterationFailureCount",
                configuration.map_iteration_failure_count.is_some(),
            ),
            (
                "MapItemReaderData",
                configuration.map_item_reader_data.is_some(),
            ),
        ] {
            if given {
                return Err(AwsError::validation(format!(
                    "TestState does not support {name} when a mock is not specified."
                )));
            }
        }
        Ok(())
    }

    /// The state that is asked for; with a name, in a state machine without errors.
    fn isolated(&self) -> Result<Isolated, AwsError> {
        let isolated = isolate(&self.definition, self.state_name.as_deref());
        if self.state_name.is_some() && isolated.is_ok() {
            definition::parse(&self.definition)?;
        }
        isolated.map_err(|error| match error {
            CannotIsolate::NotFound => AwsError::validation("State not found in definition"),
            // The parser finds the words for it.
            CannotIsolate::NotAnObject => match definition::parse(&self.definition) {
                Err(error) => error,
                Ok(_) => AwsError::validation(error.to_string()),
            },
        })
    }
}

/// The machine of one state. What is said about it names places in the state.
fn machine(isolated: &Isolated) -> Result<asl::StateMachine, AwsError> {
    let parent = format!(
        "/States/{}",
        isolated.name.replace('~', "~0").replace('/', "~1")
    );
    definition::parse_within(&isolated.definition, &parent)
}

/// Whoever is to report on the task does not know of a state that is tested by itself.
fn check_waits(state: &Map<String, Value>) -> Result<(), AwsError> {
    let resource = state
        .get("Resource")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let what = match Resource::of(resource) {
        Resource::Activity => "Activity tasks".to_owned(),
        _ => match Resource::of(resource).pattern() {
            Pattern::Response => return Ok(()),
            _ => {
                let pattern = resource.rsplit('.').next().unwrap_or_default();
                format!("the '.{pattern}' service integration pattern")
            }
        },
    };
    Err(AwsError::validation(format!(
        "TestState does not support {what} when a mock is not specified."
    )))
}

fn count(given: Option<i64>) -> u64 {
    given
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or(0)
}

fn variables(text: &str) -> Result<Map<String, Value>, AwsError> {
    serde_json::from_str(text)
        .map_err(|_| AwsError::validation("The variables must be a JSON object"))
}

fn context(text: &str) -> Result<Map<String, Value>, AwsError> {
    let refuse =
        |reason: String| AwsError::validation(format!("Invalid Context object provided: {reason}"));
    let given: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| refuse("It must be a JSON object".to_owned()))?;
    for (name, part) in &given {
        let not_allowed = |name: &str| refuse(format!("Field '{name}' is not allowed"));
        let (_, fields) = CONTEXT
            .iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| not_allowed(name))?;
        let Some(part) = part.as_object() else {
            return Err(refuse(format!("Field '{name}' must be an object")));
        };
        if let Some(other) = part.keys().find(|field| !fields.contains(&field.as_str())) {
            return Err(not_allowed(other));
        }
    }
    Ok(given)
}

/// The state took longer than TestState waits.
fn timed_out(execution: &Execution) -> Probed {
    Probed {
        status: ProbeStatus::Failed,
        output: None,
        error: Some("States.Timeout".to_owned()),
        cause: None,
        next: None,
        inspection: execution.inspection(),
    }
}

fn answer(probed: &Probed, inspected: bool, jsonata: bool) -> Value {
    let mut answer = Map::new();
    let status = match probed.status {
        ProbeStatus::Succeeded => "SUCCEEDED",
        ProbeStatus::Failed => "FAILED",
        ProbeStatus::Retriable => "RETRIABLE",
        ProbeStatus::CaughtError => "CAUGHT_ERROR",
    };
    answer.insert("status".to_owned(), json!(status));
    for (member, text) in [
        ("output", &probed.output),
        ("error", &probed.error),
        ("cause", &probed.cause),
        ("nextState", &probed.next),
    ] {
        if let Some(text) = text {
            answer.insert(member.to_owned(), json!(text));
        }
    }
    if inspected {
        let inspection = inspection(&probed.inspection, jsonata);
        answer.insert("inspectionData".to_owned(), inspection);
    }
    Value::Object(answer)
}

/// Paths are there for JSONPath only; what a task is called with has a name for either language.
fn inspection(seen: &Inspection, jsonata: bool) -> Value {
    let paths = |text: &Option<String>| text.clone().filter(|_| !jsonata);
    let parameters = if jsonata {
        "afterArguments"
    } else {
        "afterParameters"
    };
    let texts = [
        ("input", seen.input.clone()),
        ("afterInputPath", paths(&seen.after_input_path)),
        (parameters, seen.after_parameters.clone()),
        ("afterItemsPath", paths(&seen.after_items_path)),
        ("afterItemSelector", seen.after_item_selector.clone()),
        ("result", seen.result.clone()),
        ("afterResultSelector", paths(&seen.after_result_selector)),
        ("afterResultPath", paths(&seen.after_result_path)),
        ("variables", seen.variables.clone()),
    ];
    let mut data = Map::new();
    for (member, text) in texts {
        if let Some(text) = text {
            data.insert(member.to_owned(), json!(text));
        }
    }
    for (member, count) in [
        ("maxConcurrency", seen.max_concurrency),
        ("toleratedFailureCount", seen.tolerated_failure_count),
    ] {
        if let Some(count) = count {
            data.insert(member.to_owned(), json!(count as i64));
        }
    }
    if let Some(percentage) = seen.tolerated_failure_percentage {
        data.insert("toleratedFailurePercentage".to_owned(), json!(percentage));
    }
    let mut details = Map::new();
    if let Some(index) = seen.retry_index {
        details.insert("retryIndex".to_owned(), json!(index));
    }
    if let Some(seconds) = seen.retry_backoff_interval_seconds {
        details.insert("retryBackoffIntervalSeconds".to_owned(), json!(seconds));
    }
    if let Some(index) = seen.catch_index {
        details.insert("catchIndex".to_owned(), json!(index));
    }
    if !details.is_empty() {
        data.insert("errorDetails".to_owned(), Value::Object(details));
    }
    Value::Object(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_have_known_fields_only() {
        assert!(context(r#"{"Execution": {"Id": "x"}, "Task": {"Token": "t"}}"#).is_ok());
        for (text, wanted) in [
            (r#"{"Elsewhere": {}}"#, "Field 'Elsewhere' is not allowed"),
            (r#"{"State": {"Mood": 1}}"#, "Field 'Mood' is not allowed"),
            (r#"{"State": 1}"#, "Field 'State' must be an object"),
            ("[]", "It must be a JSON object"),
        ] {
            let said = context(text).unwrap_err().message;
            assert_eq!(said, format!("Invalid Context object provided: {wanted}"));
        }
    }

    #[test]
    fn jsonata_has_arguments_and_no_paths() {
        let seen = Inspection {
            input: Some("1".into()),
            after_input_path: Some("1".into()),
            after_parameters: Some("2".into()),
            max_concurrency: Some(0.0),
            catch_index: Some(1),
            ..Inspection::default()
        };
        assert_eq!(
            inspection(&seen, true),
            json!({"input": "1", "afterArguments": "2", "maxConcurrency": 0, "errorDetails": {"catchIndex": 1}})
        );
        assert_eq!(inspection(&seen, false)["afterInputPath"], "1");
    }
}
