//! Event patterns: which events a rule wants.
//!
//! Parsed once into types; what is not played here is refused when the rule is made, not passed over.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>

use serde_json::{Map, Value};

/// A pattern: every field must match.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<(String, Field)>);

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Object(Pattern),
    OneOf(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equals(Value),
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    Exists(bool),
    NoneOf(Vec<Test>),
}

impl Pattern {
    /// Reads a pattern; the error says what cannot be understood, for people.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) if !fields.is_empty() => Pattern::object(&fields),
            Ok(Value::Object(_)) => Err("Empty patterns are not allowed".into()),
            Ok(_) => Err("Filter is not an object".into()),
            Err(error) => Err(format!("Filter is not valid JSON: {error}")),
        }
    }

    fn object(fields: &Map<String, Value>) -> Result<Pattern, String> {
        let fields = fields.iter().map(|(name, wanted)| {
            let field = match wanted {
                Value::Object(fields) if fields.is_empty() => {
                    return Err(format!("Empty objects are not allowed: {name}"));
                }
                Value::Object(fields) => Field::Object(Pattern::object(fields)?),
                Value::Array(tests) if tests.is_empty() => {
                    return Err(format!("Empty arrays are not allowed: {name}"));
                }
                Value::Array(tests) if !name.starts_with('$') => {
                    Field::OneOf(tests.iter().map(test).collect::<Result<_, _>>()?)
                }
                Value::Array(_) => return Err(format!("{name} is not supported by local")),
                _ => return Err(format!("{name:?} must be an object or an array")),
            };
            Ok((name.clone(), field))
        });
        Ok(Pattern(fields.collect::<Result<_, _>>()?))
    }

    /// Whether the event is wanted.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.iter().all(|(name, field)| match field {
            Field::Object(pattern) => {
                // A field that is not there is an empty object: `exists: false` inside can still match.
                pattern.matches(event.get(name).unwrap_or(&Value::Null))
            }
            Field::OneOf(tests) => {
                let value = event.get(name);
                tests.iter().any(|test| test.holds(value))
            }
        })
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Test::Exists(wanted), value) => value.is_some() == *wanted,
            (_, None) => false,
            // An array matches if one of its elements does; for "anything but" that is AWS's rule too.
            (test, Some(Value::Array(elements))) => {
                elements.iter().any(|element| test.holds_for(element))
            }
            (test, Some(value)) => test.holds_for(value),
        }
    }

    fn holds_for(&self, value: &Value) -> bool {
        let text = || value.as_str();
        match self {
            Test::Equals(Value::Number(wanted)) => {
                value.as_f64() == wanted.as_f64() && value.is_number()
            }
            Test::Equals(wanted) => value == wanted,
            Test::Prefix(prefix) => text().is_some_and(|text| text.starts_with(prefix.as_str())),
            Test::Suffix(suffix) => text().is_some_and(|text| text.ends_with(suffix.as_str())),
            Test::EqualsIgnoreCase(wanted) => {
                text().is_some_and(|text| text.to_lowercase() == wanted.to_lowercase())
            }
            Test::Exists(wanted) => *wanted,
            Test::NoneOf(tests) => !tests.iter().any(|test| test.holds_for(value)),
        }
    }
}

fn test(wanted: &Value) -> Result<Test, String> {
    let Value::Object(object) = wanted else {
        return match wanted {
            Value::Array(_) => Err("Arrays in arrays are not allowed".into()),
            literal => Ok(Test::Equals(literal.clone())),
        };
    };
    let mut fields = object.iter();
    let (Some((name, value)), None) = (fields.next(), fields.next()) else {
        return Err("Only one key allowed in match expression".into());
    };
    match (name.as_str(), value) {
        ("prefix", Value::String(text)) => Ok(Test::Prefix(text.clone())),
        ("suffix", Value::String(text)) => Ok(Test::Suffix(text.clone())),
        ("equals-ignore-case", Value::String(text)) => Ok(Test::EqualsIgnoreCase(text.clone())),
        ("exists", Value::Bool(wanted)) => Ok(Test::Exists(*wanted)),
        ("anything-but", Value::Array(values)) => Ok(Test::NoneOf(
            values.iter().map(test).collect::<Result<_, _>>()?,
        )),
        ("anything-but", value) => Ok(Test::NoneOf(vec![test(value)?])),
        ("numeric" | "cidr" | "wildcard", _) => Err(format!("{name} is not supported by local")),
        _ => Err(format!("Unrecognized match type {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(pattern: Value, wanted: &[Value], unwanted: &[Value]) {
        let parsed = Pattern::parse(&pattern.to_string()).unwrap();
        for event in wanted {
            assert!(parsed.matches(event), "{pattern} wants {event}");
        }
        for event in unwanted {
            assert!(!parsed.matches(event), "{pattern} does not want {event}");
        }
    }

    #[test]
    fn the_rule_for_executions() {
        check(
            json!({
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {"status": ["FAILED", "SUCCEEDED"], "stateMachineArn": [{"prefix": "arn:gantry-"}]},
            }),
            &[
                json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change",
                     "detail": {"status": "FAILED", "stateMachineArn": "arn:gantry-media", "more": 1}}),
            ],
            &[
                json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change",
                       "detail": {"status": "RUNNING", "stateMachineArn": "arn:gantry-media"}}),
                json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change",
                       "detail": {"status": "FAILED", "stateMachineArn": "arn:other"}}),
                json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change"}),
            ],
        );
    }

    #[test]
    fn tests() {
        check(
            json!({"a": [1]}),
            &[json!({"a": 1.0}), json!({"a": [2, 1]})],
            &[json!({"a": "1"})],
        );
        check(json!({"a": [null]}), &[json!({"a": null})], &[json!({})]);
        check(
            json!({"a": [{"exists": false}]}),
            &[json!({})],
            &[json!({"a": null})],
        );
        check(
            json!({"a": {"b": [{"exists": false}]}}),
            &[json!({})],
            &[json!({"a": {"b": 0}})],
        );
        check(
            json!({"a": [{"anything-but": ["x", "y"]}]}),
            &[json!({"a": "z"})],
            &[json!({"a": "x"}), json!({})],
        );
        check(
            json!({"a": [{"anything-but": {"prefix": "x"}}]}),
            &[json!({"a": "ax"})],
            &[json!({"a": "xa"})],
        );
        check(
            json!({"a": [{"suffix": ".mp4"}]}),
            &[json!({"a": "b.mp4"})],
            &[json!({"a": "mp4"})],
        );
        check(
            json!({"a": [{"equals-ignore-case": "X"}]}),
            &[json!({"a": "x"})],
            &[json!({"a": "xx"})],
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for pattern in [
            "",
            "[]",
            "{}",
            r#"{"a":"b"}"#,
            r#"{"a":[]}"#,
            r#"{"a":[{"x":1}]}"#,
            r#"{"a":[{"numeric":[">",1]}]}"#,
            r#"{"$or":[{"a":[1]}]}"#,
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
