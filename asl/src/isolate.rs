//! Owns making a state machine of one state, so that the state can be run by itself.
//!
//! States that it leads to are there in name only. Refuses to check anything: the result is parsed like any
//! definition.

use serde_json::{Map, Value, json};

/// The name that a state has when it comes without one.
pub const STATE_NAME: &str = "StateName";

/// One state as a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Isolated {
    /// The definition of a machine that starts with the state.
    pub definition: String,
    /// The state's name in it.
    pub name: String,
    /// The state as it was written.
    pub state: Map<String, Value>,
    /// Whether the state's query language is JSONata.
    pub jsonata: bool,
}

/// Why there is nothing to isolate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotIsolate {
    /// The definition is not a JSON object.
    #[error("the definition is not a JSON object")]
    NotAnObject,
    /// No state of the definition has that name.
    #[error("there is no such state")]
    NotFound,
}

/// Isolates the state that the definition is, or with a name, that state of the state machine that the
/// definition is.
pub fn isolate(definition: &str, name: Option<&str>) -> Result<Isolated, CannotIsolate> {
    let Ok(Value::Object(document)) = serde_json::from_str(definition) else {
        return Err(CannotIsolate::NotAnObject);
    };
    let language = document.get("QueryLanguage").cloned();
    let mut state = match name {
        None => document,
        Some(name) => find(&document, name)
            .ok_or(CannotIsolate::NotFound)?
            .clone(),
    };
    if let (Some(language), false) = (language, state.contains_key("QueryLanguage")) {
        state.insert("QueryLanguage".to_owned(), language);
    }
    let name = name.unwrap_or(STATE_NAME);
    let mut states = Map::new();
    for target in targets(&state) {
        states.insert(target.to_owned(), json!({"Type": "Succeed"}));
    }
    states.insert(name.to_owned(), Value::Object(state.clone()));
    // States without a language of their own inside of it have the machine's.
    let jsonata = state
        .get("QueryLanguage")
        .is_some_and(|language| language == "JSONata");
    let machine = json!({"StartAt": name, "States": states});
    Ok(Isolated {
        definition: machine.to_string(),
        name: name.to_owned(),
        state,
        jsonata,
    })
}

/// A state by its name, however deep it is.
fn find<'a>(scope: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    let states = scope.get("States")?.as_object()?;
    if let Some(Value::Object(state)) = states.get(name) {
        return Some(state);
    }
    states.values().find_map(|state| {
        let branches = state.get("Branches").and_then(Value::as_array);
        let processors = [state.get("ItemProcessor"), state.get("Iterator")];
        let mut inner = branches
            .into_iter()
            .flatten()
            .chain(processors.into_iter().flatten());
        inner.find_map(|scope| find(scope.as_object()?, name))
    })
}

/// The states that it leads to.
fn targets(state: &Map<String, Value>) -> Vec<&str> {
    let lists = ["Choices", "Catch"].into_iter().filter_map(|field| {
        let list = state.get(field)?.as_array()?;
        Some(list.iter().filter_map(|one| one.get("Next")))
    });
    let own = ["Next", "Default"]
        .into_iter()
        .filter_map(|field| state.get(field));
    own.chain(lists.flatten())
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_what_it_leads_to() {
        let state = json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "A"}], "Default": "B"});
        let isolated = isolate(&state.to_string(), None).unwrap();
        let parsed = crate::parse(&isolated.definition);
        assert!(parsed.is_valid(), "{:?}", parsed.diagnostics);
        assert_eq!(
            parsed.machine.unwrap().states().count(),
            3,
            "the state, and two to go to"
        );
    }

    #[test]
    fn a_state_is_found_however_deep_it_is() {
        let machine = json!({"QueryLanguage": "JSONata", "StartAt": "P", "States": {
            "P": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "M", "States": {
                "M": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "X", "States": {
                    "X": {"Type": "Succeed"}}}}}}]}}});
        let isolated = isolate(&machine.to_string(), Some("X")).unwrap();
        assert_eq!(
            Value::Object(isolated.state),
            json!({"Type": "Succeed", "QueryLanguage": "JSONata"})
        );
        assert!(isolated.jsonata);
        assert_eq!(
            isolate(&machine.to_string(), Some("Y")),
            Err(CannotIsolate::NotFound)
        );
        assert_eq!(isolate("[]", None), Err(CannotIsolate::NotAnObject));
    }
}
