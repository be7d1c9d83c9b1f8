//! Owns the advice about variables that states read and none assigns.
//!
//! Refuses to follow the order of states: a variable may still be read before it is assigned.

use std::collections::HashSet;

use serde_json::Value;

use crate::diagnose::Code;
use crate::jsonata::is_function;
use crate::machine::StateMachine;
use crate::variables::references;

use super::fields::closest;
use super::reachable::place;
use super::report::Report;

pub(super) fn check(machine: &StateMachine, document: &Value, report: &mut Report) {
    let mut assigned = HashSet::new();
    collect(document, &mut assigned);
    for (state, names) in references(document) {
        let Some(id) = machine.names.get(&state) else {
            continue;
        };
        // A function of JSONata may be handed on by its name.
        let unknown = names
            .iter()
            .filter(|name| !assigned.contains(name.as_str()) && !is_function(name));
        for name in unknown {
            let message = format!("{state} reads the variable {name}, which no state assigns");
            let hint = match closest(name, assigned.iter().copied()) {
                Some(close) => format!("did you mean {close}?"),
                None => "assign it in an earlier state".to_owned(),
            };
            report.warning(Code::Advice, &place(machine, *id), message, Some(&hint));
        }
    }
}

/// Adds the names of all variables that something assigns.
fn collect<'a>(value: &'a Value, names: &mut HashSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if let (true, Value::Object(variables)) = (field == "Assign", value) {
                    let variables = variables.keys();
                    names.extend(variables.map(|name| name.strip_suffix(".$").unwrap_or(name)));
                }
                collect(value, names);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|one| collect(one, names)),
        _ => {}
    }
}
