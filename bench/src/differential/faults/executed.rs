//! What was executed of a machine that two endpoints answer differently, and questions about it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::values;
use crate::differential::compare::{Difference, Dispute};

/// A state that was entered.
#[derive(Clone, Copy)]
pub struct State<'a> {
    name: &'a str,
    pub fields: &'a Value,
    pub jsonata: bool,
    /// Whether it is inside of a Parallel or Map state.
    nested: bool,
}

/// A dispute with the states that were entered: those that were not can explain nothing.
pub struct Executed<'a> {
    pub dispute: &'a Dispute<'a>,
    states: Vec<State<'a>>,
}

impl<'a> Executed<'a> {
    pub fn of(dispute: &'a Dispute<'a>) -> Executed<'a> {
        let definition = &dispute.machine.definition;
        let mut all = BTreeMap::new();
        collect(
            definition,
            definition["QueryLanguage"] == "JSONata",
            false,
            &mut all,
        );
        let mut entered: Vec<&String> = dispute
            .ours
            .entered
            .iter()
            .chain(&dispute.theirs.entered)
            .collect();
        entered.sort();
        entered.dedup();
        let states = entered
            .into_iter()
            .filter_map(|name| all.get(name.as_str()).copied());
        Executed {
            dispute,
            states: states.collect(),
        }
    }

    /// Whether an entered state, without the states inside of it, is such a one.
    pub fn any(&self, is: impl Fn(&State<'a>) -> bool) -> bool {
        self.states.iter().any(is)
    }

    /// Whether a state in JSONPath has such a text in a field of its own.
    pub fn text(&self, is: impl Fn(&str) -> bool) -> bool {
        self.any(|state| !state.jsonata && state.has_text(&is))
    }

    /// Whether the peer's cause, or one that it caught, has this text.
    pub fn says(&self, text: &str) -> bool {
        let theirs = self.dispute.theirs;
        theirs.cause.contains(text) || theirs.caught.iter().any(|cause| cause.contains(text))
    }

    /// Whether a state catches this error by this name.
    pub fn catches(&self, error: &str) -> bool {
        self.any(|state| anywhere(&state.fields["Catch"], &|value| value == error))
    }

    /// Whether a rule of a Choice state in JSONPath is such a one, and the ways differ: at the top, or below where the
    /// peer does not tell.
    pub fn rule(&self, is: impl Fn(&Value) -> bool) -> bool {
        let differ = self.dispute.difference == Difference::States || self.ways_differ();
        self.any(|state| {
            (differ || (state.nested && !self.tells_nested()))
                && !state.jsonata
                && state.is("Choice")
                && anywhere(&state.fields["Choices"], &is)
        })
    }

    /// Whether the peer took a Choice's default, or does not tell.
    pub fn took_default(&self, choice: &State<'_>) -> bool {
        let way = &self.dispute.theirs.entered;
        choice.nested
            || way
                .windows(2)
                .any(|pair| pair[0] == choice.name && choice.fields["Default"] == pair[1].as_str())
    }

    /// Whether the peer's history has the states inside of Parallel and Map states.
    fn tells_nested(&self) -> bool {
        let states = &self.dispute.machine.definition["States"];
        self.dispute
            .theirs
            .entered
            .iter()
            .any(|name| states.get(name).is_none())
    }

    /// Whether a value may have been tested where the peer does not tell which way was taken.
    fn tested_unseen(&self) -> bool {
        !self.tells_nested() && self.any(|state| state.nested && state.is("Choice"))
    }

    fn ways_differ(&self) -> bool {
        let sorted = |names: &[String]| {
            let states = &self.dispute.machine.definition["States"];
            let seen = names
                .iter()
                .filter(|name| self.tells_nested() || states.get(*name).is_some());
            let mut seen: Vec<String> = seen.cloned().collect();
            seen.sort();
            seen
        };
        sorted(&self.dispute.ours.entered) != sorted(&self.dispute.theirs.entered)
    }

    /// Whether the two went other ways, or ended alike with outputs that differ only in such values, or what differs
    /// was hashed, encoded or tested on the way.
    pub fn differs(&self, is: impl Fn(&Value, &Value) -> bool) -> bool {
        let Dispute { ours, theirs, .. } = self.dispute;
        ours.status != theirs.status
            || ours.error != theirs.error
            || self.ways_differ()
            || self.tested_unseen()
            || values::all_differing(&ours.output, &theirs.output, &|ours, theirs| {
                is(ours, theirs) || (self.digests() && values::texts(ours, theirs))
            })
    }
}

impl<'a> State<'a> {
    pub fn is(&self, type_: &str) -> bool {
        self.fields["Type"] == type_
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some()
    }

    /// Whether it, one of its rules or one of its catchers assigns.
    pub fn assigns(&self) -> bool {
        ["Choices", "Catch"]
            .iter()
            .any(|field| anywhere(&self.fields[field], &|value| value.get("Assign").is_some()))
            || self.has("Assign")
    }

    pub fn has_text(&self, is: &impl Fn(&str) -> bool) -> bool {
        let own = self.fields.as_object().into_iter().flatten();
        own.filter(|(name, _)| !["Branches", "ItemProcessor", "Iterator"].contains(&name.as_str()))
            .any(|(_, value)| anywhere(value, &|value: &Value| value.as_str().is_some_and(is)))
    }
}

/// Whether something in a value is such a one.
pub fn anywhere(value: &Value, is: &impl Fn(&Value) -> bool) -> bool {
    is(value)
        || match value {
            Value::Object(fields) => fields.values().any(|value| anywhere(value, is)),
            Value::Array(list) => list.iter().any(|value| anywhere(value, is)),
            _ => false,
        }
}

fn collect<'a>(
    scope: &'a Value,
    jsonata: bool,
    nested: bool,
    all: &mut BTreeMap<&'a str, State<'a>>,
) {
    for (name, fields) in scope["States"].as_object().into_iter().flatten() {
        let own = jsonata || fields["QueryLanguage"] == "JSONata";
        all.insert(
            name,
            State {
                name,
                fields,
                jsonata: own,
                nested,
            },
        );
        for branch in fields["Branches"].as_array().into_iter().flatten() {
            collect(branch, jsonata, true, all);
        }
        collect(&fields["ItemProcessor"], jsonata, true, all);
        collect(&fields["Iterator"], jsonata, true, all);
    }
}
