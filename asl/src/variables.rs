//! Owns which variables the states of a definition read, as DescribeStateMachine lists them.
//!
//! It looks at the text of expressions only, so that it can tell of a definition in any query language.
//! Refuses to say whether a variable is assigned when it is read.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The fields that hold states of their own.
const INNER: [&str; 3] = ["Branches", "ItemProcessor", "Iterator"];

/// Names of states with the names of the variables they read, both in order; states that read none stay away.
pub fn variable_references(definition: &str) -> BTreeMap<String, BTreeSet<String>> {
    let definition = serde_json::from_str(definition).unwrap_or_default();
    references(&definition)
}

/// The same of a definition that has been read.
pub(crate) fn references(definition: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    if let Value::Object(machine) = definition {
        let jsonata = is_jsonata(machine, false);
        scope(machine, jsonata, &mut found);
    }
    found
}

fn is_jsonata(fields: &Map<String, Value>, inherited: bool) -> bool {
    match fields.get("QueryLanguage").and_then(Value::as_str) {
        Some(language) => language == "JSONata",
        None => inherited,
    }
}

fn scope(
    fields: &Map<String, Value>,
    jsonata: bool,
    found: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let Some(Value::Object(states)) = fields.get("States") else {
        return;
    };
    for (name, state) in states {
        let Value::Object(state) = state else {
            continue;
        };
        let is_jsonata = is_jsonata(state, jsonata);
        let mut names = BTreeSet::new();
        for (field, value) in state {
            if INNER.contains(&field.as_str()) {
                match value {
                    Value::Object(inner) => scope(inner, jsonata, found),
                    Value::Array(branches) => {
                        let branches = branches.iter().filter_map(Value::as_object);
                        branches.for_each(|inner| scope(inner, jsonata, found));
                    }
                    _ => {}
                }
            } else if field != "Result" {
                read(field, value, is_jsonata, &mut names);
            }
        }
        if !names.is_empty() {
            found.insert(name.clone(), names);
        }
    }
}

/// Adds what a field reads, and what the fields in it read.
fn read(field: &str, value: &Value, jsonata: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                read(field, value, jsonata, names);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                // An element has no name that could end in `.$`.
                read("", element, jsonata, names);
            }
        }
        Value::String(text) if jsonata => {
            let inner = text.trim().strip_prefix("{%");
            if let Some(expression) = inner.and_then(|inner| inner.strip_suffix("%}")) {
                let Seen { read, bound } = see(expression, true);
                names.extend(read.difference(&bound).cloned());
            }
        }
        Value::String(text)
            if field.ends_with(".$") || field.ends_with("Path") || field == "Variable" =>
        {
            names.extend(see(text, false).read);
        }
        _ => {}
    }
}

/// The names in an expression that begin with `$`.
#[derive(Default)]
struct Seen {
    read: BTreeSet<String>,
    /// Bound in the expression itself: by `:=`, `@` or `#`, or as a function's parameter.
    bound: BTreeSet<String>,
}

fn see(expression: &str, jsonata: bool) -> Seen {
    let mut seen = Seen::default();
    let mut rest = expression;
    // Whether the parameters of a function are being read.
    let mut parameters = false;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '\'' | '"' | '`') {
            rest = after_quoted(&rest[1..], c);
        } else if jsonata && rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, rest)| rest);
        } else if let Some(named) = rest.strip_prefix('$') {
            let before = expression[..expression.len() - rest.len()].trim_end();
            let is_step = jsonata && before.ends_with(['@', '#']);
            let end = named
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(named.len());
            let (name, after) = named.split_at(end);
            // `$$` is the context, `$` the input.
            rest = if name.is_empty() {
                let after = after.strip_prefix('$').unwrap_or(after);
                let end = after
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(after.len());
                &after[end..]
            } else {
                after
            };
            let next = rest.trim_start();
            if name.is_empty() || (jsonata && (name == "states" || next.starts_with('('))) {
                continue;
            }
            if parameters || is_step || next.starts_with(":=") {
                seen.bound.insert(name.to_owned());
            } else {
                seen.read.insert(name.to_owned());
            }
        } else if jsonata && (c.is_alphanumeric() || c == '_') {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            parameters |= matches!(word, "function" | "λ") && after.trim_start().starts_with('(');
            rest = after;
        } else {
            parameters &= c != ')';
            rest = &rest[c.len_utf8()..];
        }
    }
    seen
}

/// What follows a quoted text whose opening quote was read.
fn after_quoted(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return &text[at + c.len_utf8()..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(language: &str, states: Value, expected: Expect) {
        let machine = json!({"QueryLanguage": language, "StartAt": "A", "States": states});
        let found = variable_references(&machine.to_string());
        expected.assert_eq(&json!(found).to_string());
    }

    #[test]
    fn paths_and_functions() {
        check(
            "JSONPath",
            json!({
                "A": {"Type": "Choice", "Choices": [{"Variable": "$guess", "StringEqualsPath": "$answer.x"}]},
                "B": {"Type": "Pass", "Result": {"x.$": "$no"}, "Parameters": {"a": "$no", "b.$": "$$.State.Name",
                    "c.$": "States.Format('$no {}', $yes[0])", "d.$": "$.no"}, "OutputPath": "$out"},
                "C": {"Type": "Map", "MaxConcurrencyPath": "$most", "ItemProcessor": {"States":
                    {"D": {"Type": "Pass", "InputPath": "$inner"}}}},
                "E": {"Type": "Pass", "Comment": "$no"},
            }),
            expect![[r#"{"A":["answer","guess"],"B":["out","yes"],"C":["most"],"D":["inner"]}"#]],
        );
    }

    #[test]
    fn jsonata() {
        check(
            "JSONata",
            json!({
                "A": {"Type": "Pass", "Output": "{% $states.input.x + $count + $sum($list) & '$no' %}"},
                "B": {"Type": "Pass", "Assign": {"a": "{% ($local := $outer; $map([1], function($v, $i) { $v + $local })) %}"}},
                "C": {"Type": "Pass", "Output": "$no", "Comment": "{ % $no % }"},
                "D": {"Type": "Pass", "QueryLanguage": "JSONPath", "InputPath": "$path"},
                "E": {"Type": "Pass", "Output": "{% /* $no */ $$.x %}"},
                "F": {"Type": "Pass", "Output": "{% $states.input.a@$no#$i.(b[$i = $step]) %}"},
            }),
            expect![[r#"{"A":["count","list"],"B":["outer"],"D":["path"],"F":["step"]}"#]],
        );
    }

    #[test]
    fn nothing_is_found_in_what_is_no_definition() {
        for definition in ["", "[]", "{", r#"{"States": 5}"#, r#"{"States": {"A": 5}}"#] {
            assert!(variable_references(definition).is_empty(), "{definition}");
        }
    }
}
