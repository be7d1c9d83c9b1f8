//! Owns the warnings about texts that look like expressions where none is evaluated.
//!
//! Refuses states in JSONata, in which every text says itself whether it is an expression, and texts in
//! the other language, which [`dialect`] finds.

use serde_json::{Map, Value};

use crate::diagnose::Code;

use super::dialect;
use super::fields::pointer;
use super::report::Report;

/// The fields of a state that are payload templates.
const TEMPLATES: [&str; 5] = [
    "Parameters",
    "ResultSelector",
    "ItemSelector",
    "Assign",
    "Credentials",
];

/// Looks at the states of a scope and of those inside of them.
pub(super) fn check(scope: &Value, at: &str, jsonata: bool, report: &mut Report) {
    let language = scope.get("QueryLanguage").and_then(Value::as_str);
    let jsonata = language.map_or(jsonata, |language| language == "JSONata");
    let Some(Value::Object(states)) = scope.get("States") else {
        return;
    };
    let at = pointer(at, "States");
    for (name, state) in states {
        let at = pointer(&at, name);
        let Value::Object(fields) = state else {
            continue;
        };
        let language = fields.get("QueryLanguage").and_then(Value::as_str);
        let jsonata = language.map_or(jsonata, |language| language == "JSONata");
        dialect::look(fields, &at, jsonata, report);
        if !jsonata {
            look(fields, &at, report);
        }
        for field in ["ItemProcessor", "Iterator"] {
            if let Some(scope) = fields.get(field) {
                check(scope, &pointer(&at, field), jsonata, report);
            }
        }
        let branches = fields.get("Branches").and_then(Value::as_array);
        for (index, scope) in branches.into_iter().flatten().enumerate() {
            let at = pointer(&pointer(&at, "Branches"), &index.to_string());
            check(scope, &at, jsonata, report);
        }
    }
}

fn look(fields: &Map<String, Value>, at: &str, report: &mut Report) {
    for (name, value) in fields {
        let at = pointer(at, name);
        match (name.as_str(), value) {
            (name, value) if TEMPLATES.contains(&name) => template(value, &at, report),
            ("Result", value) if dynamic(value) => {
                let message = "The Result of a Pass state is static: nothing in it is evaluated";
                let hint = Some("use Parameters instead of Result");
                report.warning(Code::PassResultIsStatic, &at, message, hint);
            }
            ("Error" | "Cause", Value::String(text)) if is_path(text) => {
                no_path(&format!("{name}Path"), &at, report);
            }
            ("Choices", Value::Array(rules)) => {
                for (index, rule) in rules.iter().enumerate() {
                    choice(rule, &pointer(&at, &index.to_string()), report);
                }
            }
            _ => {}
        }
    }
}

fn template(value: &Value, at: &str, report: &mut Report) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = pointer(at, name);
                match value {
                    Value::String(text) if !name.ends_with(".$") && is_expression(text) => {
                        let message = format!(
                            "The value of '{name}' looks like an expression, but is taken as it is"
                        );
                        let hint = format!("call the field {name}.$ to have it evaluated");
                        report.warning(Code::NoDollar, &at, message, Some(&hint));
                    }
                    value => template(value, &at, report),
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                template(element, &pointer(at, &index.to_string()), report);
            }
        }
        _ => {}
    }
}

fn choice(rule: &Value, at: &str, report: &mut Report) {
    let Value::Object(fields) = rule else { return };
    for (name, value) in fields {
        let at = pointer(at, name);
        match (name.as_str(), value) {
            ("And" | "Or", Value::Array(rules)) => {
                for (index, rule) in rules.iter().enumerate() {
                    choice(rule, &pointer(&at, &index.to_string()), report);
                }
            }
            ("Not", rule) => choice(rule, &at, report),
            (name, Value::String(text))
                if name.starts_with("String") && !name.ends_with("Path") && is_path(text) =>
            {
                no_path(&format!("{name}Path"), &at, report);
            }
            _ => {}
        }
    }
}

fn no_path(field: &str, at: &str, report: &mut Report) {
    let message = "The value looks like a path, but is taken as it is";
    let hint = format!("use {field} to have it read");
    report.warning(Code::NoPath, at, message, Some(&hint));
}

/// Whether something in a value looks as if it should be computed.
fn dynamic(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.ends_with(".$") || dynamic(value)),
        Value::Array(elements) => elements.iter().any(dynamic),
        Value::String(text) => is_expression(text),
        _ => false,
    }
}

fn is_path(text: &str) -> bool {
    text == "$"
        || ["$.", "$[", "$$."]
            .iter()
            .any(|start| text.starts_with(start))
}

fn is_expression(text: &str) -> bool {
    is_path(text) || (text.starts_with("States.") && text.contains('(') && text.ends_with(')'))
}
