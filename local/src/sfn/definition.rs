//! Definitions: which are taken, and how AWS says what is wrong with the others.

use asl::{Code, Diagnostic, Severity, StateMachine};
use serde::Deserialize;
use serde_json::{Value, json};

use super::constraint::Constraints;
use super::revision::DEFINITION_MAX;
use crate::wire::AwsError;

/// Most diagnostics in one answer, and unless asked for more or fewer.
const DIAGNOSTICS_MAX: i64 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Validate {
    definition: String,
    severity: Option<String>,
    max_results: Option<i64>,
    r#type: Option<String>,
}

/// The state machine that a definition defines; errors with `InvalidDefinition` that names everything wrong.
pub fn parse(definition: &str) -> Result<StateMachine, AwsError> {
    parse_within(definition, "")
}

/// The same, where places are named from `parent` on, a pointer into the definition.
pub fn parse_within(definition: &str, parent: &str) -> Result<StateMachine, AwsError> {
    let parsed = asl::parse(definition);
    let document = serde_json::from_str(definition).unwrap_or_default();
    let wrong: Vec<String> = parsed
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| say(diagnostic, &document, parent))
        .collect();
    match parsed.machine {
        Some(machine) if wrong.is_empty() => Ok(machine),
        _ => Err(AwsError::bad_request(
            "InvalidDefinition",
            format!("Invalid State Machine Definition: '{}'", wrong.join(", ")),
        )),
    }
}

/// Errors with `InvalidDefinition` unless a state machine of that type may have the definition.
pub(super) fn of_kind(definition: &str, kind: &str) -> Result<(), AwsError> {
    let machine = parse(definition)?;
    let document = serde_json::from_str(definition).unwrap_or_default();
    let wrong: Vec<String> = express(&machine, kind == "EXPRESS", &document)
        .into_iter()
        .map(|(message, location)| format!("SCHEMA_VALIDATION_FAILED: {message} at {location}"))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(AwsError::bad_request(
        "InvalidDefinition",
        format!("Invalid State Machine Definition: '{}'", wrong.join(", ")),
    ))
}

/// What Express workflows cannot do: wait for somebody to report, or have Map Runs. That goes for a machine that
/// `is` one, and for the children of Map Runs. Messages with their places.
fn express(machine: &StateMachine, is: bool, document: &Value) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for state in machine.states() {
        if !is && !machine.is_express(state.scope) {
            continue;
        }
        let place = || place(document, &state.name).unwrap_or_default();
        if let asl::machine::Body::Map(map) = &state.body
            && map.distributed.is_some()
        {
            let what = "Express state machine does not support Map in DISTRIBUTED mode";
            wrong.push((what.to_owned(), place()));
        }
        let asl::machine::Body::Task(task) = &state.body else {
            continue;
        };
        let what = if task.resource.contains(":activity:") {
            "Activity ARN".to_owned()
        } else if let Some((_, pattern)) = task.resource.rsplit_once('.')
            && ["sync", "sync:2", "waitForTaskToken"].contains(&pattern)
        {
            format!("'.{pattern}' service integration")
        } else {
            continue;
        };
        wrong.push((
            format!("Express state machine does not support {what}"),
            format!("{}/Resource", place()),
        ));
    }
    wrong
}

/// Where the state of that name is.
fn place(scope: &Value, name: &str) -> Option<String> {
    let states = scope.get("States")?.as_object()?;
    states.iter().find_map(|(known, state)| {
        let at = format!("/States/{known}");
        if known == name {
            return Some(at);
        }
        let inner =
            |field: &str, scope: &Value| Some(format!("{at}/{field}{}", place(scope, name)?));
        let processors = ["ItemProcessor", "Iterator"];
        let found = processors
            .iter()
            .find_map(|field| inner(field, state.get(*field)?));
        let branches = state.get("Branches").and_then(Value::as_array);
        found.or_else(|| {
            let mut branches = branches.into_iter().flatten().enumerate();
            branches.find_map(|(index, scope)| inner(&format!("Branches[{index}]"), scope))
        })
    })
}

/// ValidateStateMachineDefinition.
pub(super) fn validate(ask: Validate) -> Result<Value, AwsError> {
    let mut constraints = Constraints::default();
    constraints.bytes("definition", Some(&ask.definition), DEFINITION_MAX);
    constraints.one_of("type", ask.r#type.as_deref(), &["STANDARD", "EXPRESS"]);
    constraints.one_of("severity", ask.severity.as_deref(), &["ERROR", "WARNING"]);
    constraints.range("maxResults", ask.max_results, 0, DIAGNOSTICS_MAX);
    constraints.check()?;
    let limit = match ask.max_results {
        None | Some(0) => DIAGNOSTICS_MAX,
        Some(limit) => limit,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parsed = asl::parse(&ask.definition);
    let document: Value = serde_json::from_str(&ask.definition).unwrap_or_default();
    let is_express = ask.r#type.as_deref() == Some("EXPRESS");
    let unfit = match &parsed.machine {
        Some(machine) => express(machine, is_express, &document),
        None => Vec::new(),
    };
    let valid = parsed.is_valid() && unfit.is_empty();
    let unfit = unfit.into_iter().map(|(message, location)| {
        let code = Code::SchemaValidationFailed.as_str();
        json!({"severity": "ERROR", "code": code, "message": message, "location": location})
    });
    let all: Vec<Value> = parsed
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code != Code::Advice)
        .filter(|diagnostic| {
            diagnostic.severity == Severity::Error || ask.severity.as_deref() == Some("WARNING")
        })
        .map(|diagnostic| {
            let severity = match diagnostic.severity {
                Severity::Error => "ERROR",
                Severity::Warning => "WARNING",
            };
            let mut answer = json!({
                "severity": severity,
                "code": diagnostic.code.as_str(),
                "message": diagnostic.message,
            });
            if let Some(location) = diagnostic.location(&document) {
                answer["location"] = json!(location);
            }
            answer
        })
        .chain(unfit)
        .collect();
    let truncated = all.len() > limit;
    Ok(json!({
        "result": if valid { "OK" } else { "FAIL" },
        "diagnostics": all.into_iter().take(limit).collect::<Vec<_>>(),
        "truncated": truncated,
    }))
}

/// A diagnostic in one line, as AWS puts it into the error; its hint is for our own pages.
fn say(diagnostic: &Diagnostic, document: &Value, parent: &str) -> String {
    let code = diagnostic.code.as_str();
    let said = format!("{code}: {}", diagnostic.message);
    match diagnostic.location(document) {
        Some(location) => {
            let location = location.strip_prefix(parent).unwrap_or(&location);
            format!("{said} at {location}")
        }
        // AWS writes it so.
        None if diagnostic.code == Code::MissingEndState => format!("{said} at null"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#;

    fn validation(definition: &str) -> Value {
        validate(Validate {
            definition: definition.into(),
            severity: None,
            max_results: None,
            r#type: None,
        })
        .unwrap()
    }

    #[test]
    fn a_good_definition_is_taken() {
        assert!(parse(GOOD).is_ok());
        assert_eq!(validation(GOOD)["result"], "OK");
    }

    #[test]
    fn a_bad_definition_is_refused_with_places() {
        let bad = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#;
        let error = parse(bad).unwrap_err();
        assert_eq!(error.code, "InvalidDefinition");
        assert!(
            error.message.contains("MISSING_TRANSITION_TARGET: "),
            "{}",
            error.message
        );
        assert!(error.message.contains(" at /States/A"), "{}", error.message);
        let answer = validation(bad);
        assert_eq!(
            (&answer["result"], &answer["truncated"]),
            (&json!("FAIL"), &json!(false))
        );
    }

    #[test]
    fn what_is_not_json_is_called_so() {
        let error = parse("{").unwrap_err();
        assert!(
            error.message.contains("INVALID_JSON_DESCRIPTION"),
            "{}",
            error.message
        );
        assert_eq!(
            validation("{")["diagnostics"][0]["code"],
            "INVALID_JSON_DESCRIPTION"
        );
    }
}
