//! Owns what the checks know of a definition, read from its JSON and not by the parser that is being checked.

use std::collections::HashMap;

use serde_json::{Value, json};

/// A state of a definition.
#[derive(Debug)]
pub struct StateOutline {
    pub name: String,
    pub kind: String,
    /// Its fields, without the states inside of it.
    pub fields: Value,
    /// It tells missed heartbeats from other timeouts.
    pub minds_heartbeats: bool,
    /// The Parallel or Map state it is inside of.
    pub owner: Option<usize>,
    /// The names of states it may lead to.
    pub targets: Vec<String>,
    /// Its scope begins with it.
    pub is_start: bool,
    /// It is in the processor of a Map Run, which is not run here.
    pub elsewhere: bool,
}

/// All states of a definition.
#[derive(Debug, Default)]
pub struct Outline {
    pub states: Vec<StateOutline>,
    by_name: HashMap<String, usize>,
}

impl Outline {
    pub fn of(definition: &Value) -> Outline {
        let mut outline = Outline::default();
        outline.scope(definition, None, false);
        outline
    }

    /// The outline of the processor of a Map state, which is run by itself.
    pub fn of_processor(definition: &Value, map: &str) -> Option<Outline> {
        let mut outline = Outline::default();
        outline.scope(processor(definition, map)?, None, false);
        Some(outline)
    }

    fn scope(&mut self, scope: &Value, owner: Option<usize>, elsewhere: bool) {
        for (name, fields) in scope["States"].as_object().into_iter().flatten() {
            let mut targets = Vec::new();
            collect_targets(fields, &mut targets);
            let index = self.states.len();
            self.by_name.insert(name.clone(), index);
            self.states.push(StateOutline {
                name: name.clone(),
                kind: fields["Type"].as_str().unwrap_or_default().to_owned(),
                fields: without_inner(fields),
                minds_heartbeats: ["Retry", "Catch"].iter().any(|effort| {
                    fields[effort]
                        .to_string()
                        .contains("States.HeartbeatTimeout")
                }),
                owner,
                targets,
                is_start: scope["StartAt"] == json!(name),
                elsewhere,
            });
            let elsewhere = elsewhere || self.states[index].is_distributed();
            for branch in fields["Branches"].as_array().into_iter().flatten() {
                self.scope(branch, Some(index), elsewhere);
            }
            self.scope(&fields["ItemProcessor"], Some(index), elsewhere);
        }
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn get(&self, index: usize) -> &StateOutline {
        &self.states[index]
    }

    /// The forks around a state, the innermost first.
    pub fn around(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.states[index].owner, |&owner| self.states[owner].owner)
    }

    /// Whether a state is a fork or inside of it.
    pub fn within(&self, index: usize, fork: usize) -> bool {
        index == fork || self.around(index).any(|owner| owner == fork)
    }

    /// The name of some Map state that makes Map Runs.
    pub fn distributed(&self) -> Option<&str> {
        let state = self.states.iter().find(|state| state.is_distributed());
        state.map(|state| state.name.as_str())
    }
}

impl StateOutline {
    pub fn is_distributed(&self) -> bool {
        self.fields["ItemProcessor"]["ProcessorConfig"]["Mode"] == json!("DISTRIBUTED")
    }

    pub fn tolerates(&self) -> bool {
        let fields = self.fields.as_object();
        fields.is_some_and(|fields| fields.keys().any(|field| field.starts_with("Tolerated")))
    }
}

fn without_inner(fields: &Value) -> Value {
    let mut outer = serde_json::Map::new();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = match name.as_str() {
            "Branches" => continue,
            "ItemProcessor" => json!({"ProcessorConfig": value["ProcessorConfig"]}),
            _ => value.clone(),
        };
        outer.insert(name.clone(), value);
    }
    Value::Object(outer)
}

/// The processor of a Map state.
fn processor<'a>(scope: &'a Value, map: &str) -> Option<&'a Value> {
    let states = scope["States"].as_object()?;
    states.iter().find_map(|(name, fields)| match name == map {
        true => Some(&fields["ItemProcessor"]),
        false => {
            let branches = fields["Branches"].as_array().into_iter().flatten();
            let mut inner = branches.chain(fields.get("ItemProcessor"));
            inner.find_map(|inner| processor(inner, map))
        }
    })
}

fn collect_targets(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match (field.as_str(), value) {
                    ("Next" | "Default", Value::String(name)) => found.push(name.clone()),
                    ("Choices" | "Catch", _) => collect_targets(value, found),
                    _ => {}
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| collect_targets(value, found)),
        _ => {}
    }
}
