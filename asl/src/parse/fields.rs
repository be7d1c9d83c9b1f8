//! Owns the reading of one object's fields by type.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::diagnose::{Code, Severity};
use crate::path::{InvalidPath, Path, ReferencePath};
use crate::query::{Query, Shows};
use crate::template::Template;

use super::report::Report;

/// Appends a token to an RFC 6901 pointer.
pub(super) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}

/// A pointer to a field.
pub(super) fn pointer(parent: &str, token: &str) -> String {
    let mut pointer = parent.to_owned();
    push(&mut pointer, token);
    pointer
}

/// The name most like `wanted`, if any is like it.
pub(super) fn closest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (distance(wanted, name), name)).min()?;
    (near.0 <= 1 + wanted.chars().count() / 4).then_some(near.1)
}

/// Levenshtein distance, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = cost.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// An object being read: every field asked for is a known one.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    pointer: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// The fields of a value that must be an object.
    pub(super) fn of(value: &'a Value, pointer: &str, report: &mut Report) -> Option<Fields<'a>> {
        let Some(object) = value.as_object() else {
            report.error(
                pointer,
                format!("This must be an object, not {}", kind(value)),
                None,
            );
            return None;
        };
        Some(Fields {
            object,
            pointer: pointer.to_owned(),
            known: RefCell::default(),
        })
    }

    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The pointer to a field.
    pub(super) fn at(&self, name: &str) -> String {
        pointer(&self.pointer, name)
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(name);
        self.object.get(name)
    }

    /// Takes a field as it is.
    pub(super) fn allow(&self, name: &'static str) {
        self.get(name);
    }

    pub(super) fn has(&self, name: &'static str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.object.keys().map(String::as_str)
    }

    /// Reports the fields nobody asked for.
    pub(super) fn finish(&self, report: &mut Report) {
        let known = self.known.borrow();
        for name in self.object.keys() {
            if !known.contains(&name.as_str()) {
                let hint = closest(name, known.iter().copied())
                    .map(|close| format!("did you mean {close}?"));
                let hint = hint
                    .as_deref()
                    .or(Some("remove it, or move it to where it belongs"));
                report.error_in(
                    &self.at(name),
                    format!("Field '{name}' is not supported"),
                    hint,
                );
            }
        }
    }

    fn wrong(&self, name: &str, wanted: &str, value: &Value, report: &mut Report) {
        let message = format!("{name} must be {wanted}, not {}", kind(value));
        report.error(&self.at(name), message, in_quotes(value));
    }

    pub(super) fn missing(&self, name: &str, report: &mut Report) {
        let message = match name {
            "RoleArn" => format!("The field '{name}' is required but was missing"),
            _ => format!("These fields are required: [{name}]"),
        };
        report.error(&self.pointer, message, Some(&format!("add {name}")));
    }

    pub(super) fn text(&self, name: &'static str, report: &mut Report) -> Option<String> {
        let value = self.get(name)?;
        if value.as_str().is_none() {
            self.wrong(name, "a string", value, report);
        }
        value.as_str().map(str::to_owned)
    }

    pub(super) fn required_text(&self, name: &'static str, report: &mut Report) -> Option<String> {
        if !self.has(name) {
            self.missing(name, report);
        }
        self.text(name, report)
    }

    pub(super) fn required_object(
        &self,
        name: &'static str,
        report: &mut Report,
    ) -> Option<&'a Map<String, Value>> {
        let Some(value) = self.get(name) else {
            self.missing(name, report);
            return None;
        };
        if !value.is_object() {
            self.wrong(name, "an object", value, report);
        }
        value.as_object()
    }

    pub(super) fn array(&self, name: &'static str, report: &mut Report) -> Option<&'a Vec<Value>> {
        let value = self.get(name)?;
        if !value.is_array() {
            self.wrong(name, "an array", value, report);
        }
        value.as_array()
    }

    pub(super) fn boolean(&self, name: &'static str, report: &mut Report) -> Option<bool> {
        let value = self.get(name)?;
        if !value.is_boolean() {
            self.wrong(name, "true or false", value, report);
        }
        value.as_bool()
    }

    /// A whole number of at least `least`.
    pub(super) fn natural(
        &self,
        name: &'static str,
        least: u64,
        report: &mut Report,
    ) -> Option<u64> {
        /// AWS's limit for seconds and counts.
        const MOST: u64 = 99_999_999;
        let value = self.get(name)?;
        let number = value
            .as_u64()
            .filter(|number| (least..=MOST).contains(number));
        if number.is_none() {
            let message = format!(
                "{name} must be a whole number from {least} to {MOST}, not {}",
                shown(value)
            );
            report.error(&self.at(name), message, in_quotes(value));
        }
        number
    }

    pub(super) fn number(&self, name: &'static str, report: &mut Report) -> Option<f64> {
        let value = self.get(name)?;
        if !value.is_number() {
            self.wrong(name, "a number", value, report);
        }
        value.as_f64()
    }

    pub(super) fn path(&self, name: &'static str, report: &mut Report) -> Option<Path> {
        let text = self.text(name, report)?;
        let wrong = "Value must be a valid JSONPath.";
        let parsed = Path::parse(&text);
        let because =
            |error: InvalidPath| report.error(&self.at(name), wrong, Some(error.reason()));
        parsed.map_err(because).ok()
    }

    pub(super) fn reference_path(
        &self,
        name: &'static str,
        report: &mut Report,
    ) -> Option<ReferencePath> {
        let text = self.text(name, report)?;
        let wrong = "Value is not a Reference Path";
        let parsed = ReferencePath::parse(&text);
        let because =
            |error: InvalidPath| report.error(&self.at(name), wrong, Some(error.reason()));
        parsed.map_err(because).ok()
    }

    /// What was parsed, or a report why not.
    pub(super) fn checked<T, E: ToString>(
        &self,
        name: &str,
        parsed: Result<T, E>,
        report: &mut Report,
    ) -> Option<T> {
        parsed
            .map_err(|error| report.error(&self.at(name), error.to_string(), None))
            .ok()
    }

    pub(super) fn template(&self, name: &'static str, report: &mut Report) -> Option<Template> {
        let value = self.get(name)?;
        let at = self.at(name);
        Some(Template::parse(value, &mut |pointer, message| {
            let field = pointer.rsplit('/').next().unwrap_or_default();
            let field = field.replace("~1", "/").replace("~0", "~");
            let wrong = format!(
                "The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"
            );
            report.error_in(&format!("{at}{pointer}"), wrong, Some(&message));
        }))
    }

    /// A field of a state in JSONata. `place` is what history events call what it is in, with a `/`.
    pub(super) fn query(
        &self,
        name: &'static str,
        place: &str,
        report: &mut Report,
    ) -> Option<Query> {
        let value = self.get(name)?;
        let at = self.at(name);
        let query = Query::parse(
            &format!("{place}{name}"),
            value,
            self.shows(name, place),
            &mut |how, pointer, message| {
                let at = format!("{at}{pointer}");
                match how {
                    Severity::Error => report.error(&at, message, None),
                    Severity::Warning => {
                        report.warning(Code::SchemaValidationFailed, &at, message, None)
                    }
                }
            },
        );
        Some(query)
    }

    /// What `$states` shows in a field.
    fn shows(&self, name: &str, place: &str) -> Shows {
        let kind = self.object.get("Type").and_then(Value::as_str);
        match (name, place, kind) {
            ("Output" | "Assign", "", Some("Task" | "Parallel" | "Map")) => Shows::Result,
            ("Output" | "Assign", place, _) if place.starts_with("Catch") => Shows::ErrorOutput,
            _ => Shows::Neither,
        }
    }

    /// Whether a field is text that is to be evaluated as JSONata, or is meant to be.
    pub(super) fn is_expression(&self, name: &'static str) -> bool {
        self.get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| text.starts_with("{%") || text.ends_with("%}"))
    }

    /// At most one of these may be there.
    pub(super) fn exclusive(&self, names: &[&'static str], report: &mut Report) {
        let there: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.has(name))
            .collect();
        if let [first, second, ..] = there.as_slice() {
            report.error(
                &self.at(second),
                format!("{first} and {second} exclude each other"),
                Some("keep one of them"),
            );
        }
    }
}

/// A value's type, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What to do about a number, or true or false, that is written as text.
fn in_quotes(value: &Value) -> Option<&'static str> {
    let inner = serde_json::from_str(value.as_str()?);
    matches!(inner, Ok(Value::Number(_) | Value::Bool(_))).then_some("remove the quotes")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}
