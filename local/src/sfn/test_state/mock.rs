//! Mocked results: what they must look like to be taken.
//!
//! Owns the answers' shapes of the API actions that pipelines call most (`responses.json`: a type, `|` between
//! the values of an enumeration, `!` behind a name that must be there). Results of other actions are taken as
//! they are.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_MockInput.html>

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::wire::AwsError;

/// The answers of the actions, by `service:action`.
const RESPONSES: &str = include_str!("responses.json");

/// `mock` of TestState.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Given {
    result: Option<String>,
    error_output: Option<GivenError>,
    field_validation_mode: Option<String>,
}

#[derive(Deserialize)]
struct GivenError {
    error: Option<String>,
    cause: Option<String>,
}

/// The mock that is given for a state.
pub(super) fn read(given: Given, state: &Map<String, Value>) -> Result<asl::step::Mock, AwsError> {
    let kind = state
        .get("Type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !["Task", "Map", "Parallel"].contains(&kind) {
        return Err(AwsError::validation(format!(
            "State type '{kind}' is not supported when a mock is specified. Supported state types include: [Task, Map, Parallel]"
        )));
    }
    let text = match (given.result, given.error_output) {
        (Some(text), None) => text,
        (None, Some(GivenError { error, cause })) => {
            return Ok(asl::step::Mock::Error { error, cause });
        }
        _ => {
            return Err(AwsError::validation(
                "A test mock should have only one of the following fields: [result, errorOutput].",
            ));
        }
    };
    let result: Value = serde_json::from_str(&text)
        .map_err(|_| AwsError::validation("Mocked result must be valid JSON"))?;
    let done = |value| asl::step::Mock::Result { value, text };
    if kind == "Task" {
        let strict = match given.field_validation_mode.as_deref() {
            Some("NONE") => return Ok(done(result)),
            Some("PRESENT") => false,
            _ => true,
        };
        let resource = state.get("Resource").and_then(Value::as_str);
        if let Some(shape) = resource.and_then(shape_of) {
            check("", &result, &shape, strict)?;
        }
        return Ok(done(result));
    }
    let Some(items) = result.as_array() else {
        return Err(AwsError::validation("Mocked result must be an array."));
    };
    let branches = state.get("Branches").and_then(Value::as_array);
    if branches.is_some_and(|branches| kind == "Parallel" && branches.len() != items.len()) {
        return Err(AwsError::validation(
            "Mocked result must contain the same number of items as number of Parallel branches.",
        ));
    }
    Ok(done(result))
}

/// The shape of what an integration answers. Integrations that wait for more than the answer have none.
fn shape_of(resource: &str) -> Option<Value> {
    let action = resource.split_once(":states:::")?.1;
    let action = action.strip_prefix("aws-sdk:").unwrap_or(action);
    let mut responses: Map<String, Value> =
        serde_json::from_str(RESPONSES).expect("the responses are a JSON object");
    responses.remove(action)
}

fn check(field: &str, value: &Value, shape: &Value, strict: bool) -> Result<(), AwsError> {
    let refuse = |wanted: &str| {
        Err(AwsError::validation(format!(
            "Mock result schema validation error: Field '{field}' {wanted}"
        )))
    };
    match shape {
        Value::Object(fields) => {
            let Some(object) = value.as_object() else {
                return refuse("must be an object");
            };
            for (name, shape) in fields {
                let (name, required) = match name.strip_suffix('!') {
                    Some(name) => (name, true),
                    None => (name.as_str(), false),
                };
                match object.get(name) {
                    Some(value) => check(name, value, shape, strict)?,
                    None if required && strict => {
                        return Err(AwsError::validation(format!(
                            "Mock result schema validation error: Required field '{name}' is missing"
                        )));
                    }
                    None => {}
                }
            }
            Ok(())
        }
        Value::Array(element) => {
            let Some(elements) = value.as_array() else {
                return refuse("must be an array");
            };
            let shape = element.first().unwrap_or(&Value::Null);
            elements
                .iter()
                .try_for_each(|value| check(field, value, shape, strict))
        }
        Value::String(kind) => match kind.as_str() {
            "any" => Ok(()),
            "string" if !value.is_string() => refuse("must be a string"),
            "number" if !value.is_number() => refuse("must be a number"),
            "boolean" if !value.is_boolean() => refuse("must be a boolean"),
            values if values.contains('|') => match value.as_str() {
                None => refuse("must be a string"),
                Some(text) if values.split('|').any(|known| known == text) => Ok(()),
                Some(_) => refuse("is not an expected value"),
            },
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(resource: &str, result: Value, mode: Option<&str>) -> String {
        let given = Given {
            result: Some(result.to_string()),
            error_output: None,
            field_validation_mode: mode.map(str::to_owned),
        };
        let state = json!({"Type": "Task", "Resource": resource});
        let state = state.as_object().cloned().unwrap_or_default();
        read(given, &state)
            .err()
            .map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn every_shape_is_made_of_known_types() {
        fn known(shape: &Value) -> bool {
            match shape {
                Value::Object(fields) => fields.values().all(known),
                Value::Array(elements) => elements.len() == 1 && known(&elements[0]),
                Value::String(kind) => {
                    ["any", "string", "number", "boolean"].contains(&kind.as_str())
                        || kind.contains('|')
                }
                _ => false,
            }
        }
        let responses: Map<String, Value> = serde_json::from_str(RESPONSES).unwrap();
        for (action, shape) in &responses {
            assert!(known(shape), "{action}");
        }
    }

    #[test]
    fn results_are_held_against_the_api() {
        let start = "arn:aws:states:::states:startExecution";
        assert!(
            refused(start, json!({}), None).ends_with("Required field 'ExecutionArn' is missing")
        );
        assert_eq!(refused(start, json!({}), Some("PRESENT")), "");
        let put = "arn:aws:states:::events:putEvents";
        let wrong = json!({"Entries": [{"EventId": "a"}, {"EventId": 5}]});
        assert!(
            refused(put, wrong.clone(), Some("PRESENT"))
                .ends_with("Field 'EventId' must be a string")
        );
        assert_eq!(refused(put, wrong, Some("NONE")), "");
        let get = "arn:aws:states:::aws-sdk:s3:getObject";
        let class = json!({"StorageClass": "CELLAR"});
        assert!(
            refused(get, class, None).ends_with("Field 'StorageClass' is not an expected value")
        );
        assert_eq!(
            refused("arn:aws:states:::aws-sdk:ec2:runInstances", json!(7), None),
            ""
        );
    }
}
