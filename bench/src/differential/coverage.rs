//! What the machines of a run exercised: counts of state types, fields, operators, functions and outcomes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Answer;
use super::generate::Machine;

/// Counts by what was counted.
#[derive(Default)]
pub struct Coverage {
    definitions: BTreeMap<String, usize>,
    outcomes: BTreeMap<String, usize>,
}

impl Coverage {
    /// Counts what a machine has, and of our answer how it ended.
    pub fn add(&mut self, machine: &Machine, ours: &Answer) {
        self.count(&machine.definition);
        let outcome = format!("{} {}", ours.status, ours.error);
        *self
            .outcomes
            .entry(outcome.trim_end().to_owned())
            .or_default() += 1;
    }

    fn count(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value.as_str()) {
                        ("Type", Some(type_)) => self.one(format!("Type {type_}")),
                        ("QueryLanguage", Some(language)) => {
                            self.one(format!("QueryLanguage {language}"))
                        }
                        // Names of states and of made-up fields are no features.
                        _ if name.starts_with(char::is_uppercase)
                            && !name.contains(char::is_numeric) =>
                        {
                            self.one(name.clone());
                        }
                        _ => {}
                    }
                    self.count(value);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.count(value)),
            Value::String(text) => self.functions(text),
            _ => {}
        }
    }

    /// Calls such as `States.Format(` and, in JSONata, `$sum(`.
    fn functions(&mut self, text: &str) {
        for (at, _) in text.match_indices('(') {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '$';
            let start = text[..at]
                .rfind(|c| !is_name(c))
                .map_or(0, |before| before + 1);
            let name = &text[start..at];
            if name.starts_with("States.") || (text.starts_with("{%") && name.starts_with('$')) {
                self.one(format!("{name}()"));
            }
        }
    }

    fn one(&mut self, what: String) {
        *self.definitions.entry(what).or_default() += 1;
    }

    /// The counts, to be read.
    pub fn lines(&self) -> String {
        let listed = |counts: &BTreeMap<String, usize>| {
            let words: Vec<String> = counts
                .iter()
                .map(|(what, count)| format!("{what} {count}"))
                .collect();
            words.join(" · ")
        };
        format!(
            "exercised: {}\noutcomes: {}",
            listed(&self.definitions),
            listed(&self.outcomes)
        )
    }
}
