//! Owns how the parser is asked what it understands.

use serde_json::{Map, Value, json};

/// What the parser makes of something.
#[derive(PartialEq)]
pub enum Understood {
    Yes,
    NotYet,
    No,
}

/// A state of a type with what it cannot do without.
pub fn smallest(kind: &str, jsonata: bool) -> Map<String, Value> {
    let scope = json!({"StartAt": "B", "States": {"B": {"Type": "Succeed"}}});
    let mut state = match kind {
        "Task" => json!({"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f"}),
        "Parallel" => json!({"Branches": [scope]}),
        "Map" => json!({"ItemProcessor": scope}),
        "Wait" => json!({"Seconds": 1}),
        "Choice" if jsonata => json!({"Choices": [{"Condition": true, "Next": "A"}]}),
        "Choice" => json!({"Choices": [{"Variable": "$.a", "IsNull": true, "Next": "A"}]}),
        _ => json!({}),
    };
    state["Type"] = json!(kind);
    if jsonata {
        state["QueryLanguage"] = json!("JSONata");
    }
    if !["Choice", "Succeed", "Fail"].contains(&kind) {
        state["End"] = json!(true);
    }
    state.as_object().cloned().unwrap_or_default()
}

/// A machine of one state.
fn machine(state: Value) -> Value {
    json!({"StartAt": "A", "States": {"A": state}})
}

/// What the parser says of a machine.
fn said(machine: &Value) -> Vec<String> {
    let parsed = asl::parse(&machine.to_string());
    let diagnostics = parsed.diagnostics.into_iter();
    diagnostics.map(|diagnostic| diagnostic.message).collect()
}

/// What the parser makes of a field put into a part of a machine.
fn understood(machine: &Value, pointer: &str, field: &str, value: Option<&str>) -> Understood {
    let before = said(machine);
    let mut after = machine.clone();
    let part = after.pointer_mut(pointer).and_then(Value::as_object_mut);
    let part = part.expect("the machine has the part");
    match value {
        Some(value) => {
            part.insert(field.to_owned(), value.into());
        }
        None => {
            part.entry(field).or_insert_with(|| json!({}));
        }
    }
    let mut new = said(&after);
    new.retain(|message| !before.contains(message));
    let any = |part: &str| new.iter().any(|message| message.contains(part));
    if any(&format!("Field '{field}' is not supported"))
        || any(&format!("field '{field}' is only supported for"))
        || any("there is no ")
    {
        return Understood::No;
    }
    match any("not supported yet") {
        true => Understood::NotYet,
        false => Understood::Yes,
    }
}

/// What the parser makes of a field of a type of state.
pub fn state_field(kind: &str, field: &str, jsonata: bool) -> Understood {
    let machine = machine(smallest(kind, jsonata).into());
    understood(&machine, "/States/A", field, None)
}

/// A machine with a part that is to have a field, and where that part is.
fn with_part(part: &str, field: &str, jsonata: bool) -> (Value, &'static str) {
    // Only what goes with an input type is looked at.
    let input = match field.starts_with("CSV") {
        true => "CSV",
        false => "MANIFEST",
    };
    let (kind, owner, value, pointer) = match part {
        "machine" => {
            let mut whole = machine(smallest("Pass", false).into());
            if jsonata {
                whole["QueryLanguage"] = json!("JSONata");
            }
            return (whole, "");
        }
        "Branches" => {
            return (
                machine(smallest("Parallel", jsonata).into()),
                "/States/A/Branches/0",
            );
        }
        "ItemProcessor" => {
            return (
                machine(smallest("Map", jsonata).into()),
                "/States/A/ItemProcessor",
            );
        }
        "Choices" => {
            return (
                machine(smallest("Choice", jsonata).into()),
                "/States/A/Choices/0",
            );
        }
        "Retry" => (
            "Task",
            part,
            json!([{"ErrorEquals": ["E"]}]),
            "/States/A/Retry/0",
        ),
        "Catch" => (
            "Task",
            part,
            json!([{"ErrorEquals": ["E"], "Next": "A"}]),
            "/States/A/Catch/0",
        ),
        "ProcessorConfig" => (
            "Map",
            "",
            json!({}),
            "/States/A/ItemProcessor/ProcessorConfig",
        ),
        "ReaderConfig" => (
            "Map",
            "ItemReader",
            json!({"ReaderConfig": {"InputType": input}}),
            "/States/A/ItemReader/ReaderConfig",
        ),
        "WriterConfig" => (
            "Map",
            "ResultWriter",
            json!({"WriterConfig": {}}),
            "/States/A/ResultWriter/WriterConfig",
        ),
        "ItemReader" => ("Map", part, json!({}), "/States/A/ItemReader"),
        "ItemBatcher" => ("Map", part, json!({}), "/States/A/ItemBatcher"),
        "ResultWriter" => ("Map", part, json!({}), "/States/A/ResultWriter"),
        other => unreachable!("{other} is no part"),
    };
    let mut state = Value::from(smallest(kind, jsonata));
    if kind == "Map" {
        let mode = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
        state["ItemProcessor"]["ProcessorConfig"] = mode;
    }
    if !owner.is_empty() {
        state[owner] = value;
    }
    (machine(state), pointer)
}

/// What the parser makes of a field of a part, or of one of its values.
pub fn part_field(part: &str, field: &str, value: Option<&str>, jsonata: bool) -> Understood {
    let (machine, pointer) = with_part(part, field, jsonata);
    understood(&machine, pointer, field, value)
}

/// Whether the parser takes an intrinsic function with some arguments.
pub fn function(name: &str) -> bool {
    let arguments = ["", "$", "$, $", "$, $, $", "1, 2", "$, $, false", "'{}', $"];
    arguments.iter().any(|arguments| {
        let mut state = smallest("Pass", false);
        let call = format!("States.{name}({arguments})");
        state.insert("Parameters".to_owned(), json!({ "a.$": call }));
        said(&machine(state.into())).is_empty()
    })
}

/// Whether the parser takes a comparison.
pub fn comparison(name: &str) -> bool {
    let value = match name {
        name if name.ends_with("Path") => json!("$.b"),
        name if name.starts_with("Is") || name.starts_with("Boolean") => json!(true),
        name if name.starts_with("Numeric") => json!(1),
        name if name.starts_with("Timestamp") => json!("2016-03-14T01:59:00Z"),
        _ => json!("a"),
    };
    let rule = json!({"Variable": "$.a", name: value, "Next": "A"});
    let messages = said(&machine(json!({"Type": "Choice", "Choices": [rule]})));
    // That such a machine never ends is another matter.
    messages.iter().all(|message| message.contains("terminal"))
}
