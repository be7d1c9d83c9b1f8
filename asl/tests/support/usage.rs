//! Owns what the cases of the corpus use of the language.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::language::{FUNCTIONS, JSONATA_FUNCTIONS, PARTS};

/// How many cases use something.
#[derive(Default)]
pub struct Used {
    counts: BTreeMap<String, usize>,
    /// What was asked for and no case uses.
    missing: RefCell<Vec<String>>,
}

impl Used {
    pub fn add(&mut self, case: &Value) {
        for name in use_in(&case["definition"]) {
            *self.counts.entry(name).or_default() += 1;
        }
    }

    /// The cell of something that is understood.
    pub fn cell(&self, key: &str) -> String {
        match self.counts.get(key) {
            Some(count) => format!("✓ {count}"),
            None => {
                self.missing.borrow_mut().push(key.to_owned());
                "✓ no case".to_owned()
            }
        }
    }

    /// What is understood and not shown by any case.
    pub fn missing(&self) -> Vec<String> {
        self.missing.borrow().clone()
    }
}

/// The key of a field of a type of state or of a part.
pub fn field(jsonata: bool, owner: &str, name: &str) -> String {
    let language = if jsonata { "JSONata" } else { "JSONPath" };
    format!("{language} {owner} {name}")
}

/// What a definition uses, each once.
fn use_in(definition: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(definition, Some("machine"), false, &mut found);
    found.sort();
    found.dedup();
    found
}

/// `part` is the part of [`PARTS`] that the value is, if it is one.
fn walk(value: &Value, part: Option<&str>, jsonata: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let language = fields.get("QueryLanguage").and_then(Value::as_str);
            let jsonata = language.map_or(jsonata, |language| language == "JSONata");
            let kind = fields.get("Type").and_then(Value::as_str);
            for (name, value) in fields {
                if let Some(owner) = kind.or(part) {
                    found.push(field(jsonata, owner, name));
                    if let Some(value) = value.as_str() {
                        found.push(field(jsonata, owner, &format!("{name} {value}")));
                    }
                }
                if fields.contains_key("Variable") {
                    found.push(name.clone());
                }
                walk(value, inside(name, part), jsonata, found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                walk(element, part, jsonata, found);
            }
        }
        Value::String(text) => {
            let called = FUNCTIONS
                .iter()
                .filter(|name| text.contains(&format!("States.{name}(")));
            found.extend(called.map(|name| format!("States.{name}")));
            if text.starts_with("{%") {
                let called = JSONATA_FUNCTIONS
                    .iter()
                    .filter(|name| text.contains(&format!("${name}(")));
                found.extend(called.map(|name| format!("${name}")));
            }
        }
        _ => {}
    }
}

/// The part that the value of a field is.
fn inside<'a>(name: &'a str, part: Option<&'a str>) -> Option<&'a str> {
    match (name, part) {
        ("Iterator", _) => Some("ItemProcessor"),
        ("And" | "Or" | "Not", Some("Choices")) => part,
        _ => PARTS
            .iter()
            .map(|(part, _)| *part)
            .find(|part| *part == name),
    }
}
