//! Owns the advice about texts that are written in the state's other query language, and about what AWS's
//! page on paths says they do not support: <https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html>
//!
//! Refuses to judge: AWS looks for none of it when a state machine is created.

use serde_json::{Map, Value};

use crate::diagnose::Code;
use crate::jsonata::Expression;
use crate::path::unsupported;

use super::fields::pointer;
use super::report::Report;

/// Fields of a state that are not its own: other states, data taken as it is, and prose.
const NOT_LOOKED_AT: [&str; 5] = ["ItemProcessor", "Iterator", "Branches", "Result", "Comment"];

/// Looks at a state, or at an object in one.
pub(super) fn look(fields: &Map<String, Value>, at: &str, jsonata: bool, report: &mut Report) {
    let own = fields
        .iter()
        .filter(|(name, _)| !NOT_LOOKED_AT.contains(&name.as_str()));
    for (name, field) in own {
        inside(name, field, &pointer(at, name), jsonata, report);
    }
}

fn inside(name: &str, field: &Value, at: &str, jsonata: bool, report: &mut Report) {
    match field {
        Value::Object(fields) => {
            for (name, field) in fields {
                inside(name, field, &pointer(at, name), jsonata, report);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                inside(
                    "",
                    element,
                    &pointer(at, &index.to_string()),
                    jsonata,
                    report,
                );
            }
        }
        Value::String(text) if jsonata => in_jsonata(text, at, report),
        Value::String(text) => in_jsonpath(name, text, at, report),
        _ => {}
    }
}

fn in_jsonata(text: &str, at: &str, report: &mut Report) {
    let is_path = ["$.", "$[", "$$.", "$$["]
        .iter()
        .any(|start| text.starts_with(start));
    let call = text.strip_prefix("States.").unwrap_or_default();
    let inner = text.strip_prefix("{%");
    let inner = inner.and_then(|inner| inner.strip_suffix("%}"));
    let (message, hint) = if is_path || (call.contains('(') && call.ends_with(')')) {
        (
            "The text looks like JSONPath, but the state's QueryLanguage is JSONata: it is taken as it is",
            "write it in JSONata between {% and %}, with $states.input for $ and $states.context for $$",
        )
    } else if inner.is_some_and(|inner| inner.contains("$eval(")) {
        ("AWS leaves $eval out of JSONata", "use $parse to read JSON")
    } else if inner.is_some_and(|inner| {
        Expression::parse(inner.trim()).is_ok_and(|expression| expression.begins_with_input())
    }) {
        (
            "The expression begins with $, $$ or the name of a field, which stand for nothing in a state machine",
            "begin with $states.input for the input, with $states.context for the context",
        )
    } else {
        return;
    };
    report.warning(Code::Advice, at, message, Some(hint));
}

fn in_jsonpath(name: &str, text: &str, at: &str, report: &mut Report) {
    if text.starts_with("{%") && text.ends_with("%}") {
        let message = "The text looks like JSONata, but the state's QueryLanguage is JSONPath: it is taken as it is";
        let hint = "set QueryLanguage to JSONata";
        report.warning(Code::Advice, at, message, Some(hint));
    }
    let is_path = name.ends_with(".$") || name.ends_with("Path") || name == "Variable";
    if let Some(what) = unsupported(text).filter(|_| is_path) {
        let message = format!("Step Functions does not support {what}");
        let hint = "use an intrinsic function, or set QueryLanguage to JSONata";
        report.warning(Code::Advice, at, message, Some(hint));
    }
}
