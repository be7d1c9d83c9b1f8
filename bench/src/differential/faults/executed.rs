//! What was executed of a machine that two endpoints answer differently, and questions about it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::differential::compare::Dispute;

/// Calls, as written by the generator, that must fail with `States.IntrinsicFailure`.
const FAILING_CALLS: [&str; 8] = [
    "States.ArrayGetItem($.texts, 9)",
    "States.StringToJson('{')",
    "States.ArrayLength('text')",
    "States.Hash('text', 'MD4')",
    "States.ArrayPartition($.numbers, 0)",
    "States.Format('{}')",
    "States.JsonMerge($.o, 1, false)",
    "States.ArrayGetItem($.nothing, 0)",
];

/// Paths, as written by the generator, that find nothing whatever the data is.
pub const MISSING_PATHS: [&str; 4] = ["$.nothing", "$.o.nothing", "$.n.below", "$.items[9].id"];

/// A state that was entered.
#[derive(Clone, Copy)]
pub struct State<'a> {
    pub fields: &'a Value,
    pub jsonata: bool,
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

    /// Whether the peer's cause has this text.
    pub fn says(&self, text: &str) -> bool {
        self.dispute.theirs.cause.contains(text)
    }

    /// Whether a state catches this error by this name.
    pub fn catches(&self, error: &str) -> bool {
        self.any(|state| anywhere(&state.fields["Catch"], &|value| value == error))
    }

    /// Whether a rule of a Choice state in JSONPath is such a one.
    pub fn rule(&self, is: impl Fn(&Value) -> bool) -> bool {
        self.any(|state| {
            !state.jsonata && state.is("Choice") && anywhere(&state.fields["Choices"], &is)
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

/// AWS's limit for what a state is given and leaves, in bytes.
const PAYLOAD_MAX: usize = 262_144;

impl Executed<'_> {
    /// Whether the peer went on with more than a payload may be.
    pub fn too_large(&self) -> bool {
        self.dispute.theirs.largest > PAYLOAD_MAX
    }

    /// Whether we failed with States.Runtime where the peer entered a state for which States.ALL was caught.
    pub fn caught_runtime(&self) -> bool {
        let Dispute { ours, theirs, .. } = self.dispute;
        let caught = |state: &State<'_>| {
            let catchers = state.fields["Catch"].as_array().into_iter().flatten();
            catchers
                .filter(|catcher| anywhere(&catcher["ErrorEquals"], &|name| name == "States.ALL"))
                .filter_map(|catcher| catcher["Next"].as_str())
                .any(|next| theirs.entered.iter().any(|name| name == next))
        };
        ours.error == "States.Runtime" && self.any(caught)
    }

    /// Whether a ResultPath leads into what is no object, read from the input that our cause names.
    pub fn result_path_in_the_way(&self) -> bool {
        let ours = self.dispute.ours;
        let is_one = |cause: &str| {
            let Some((path, input)) = cause
                .strip_prefix("Unable to apply Reference Path $.")
                .and_then(|rest| rest.split_once(" to input "))
            else {
                return false;
            };
            let Ok(input) = serde_json::from_str::<Value>(input) else {
                return false;
            };
            let above = path.split_once('.').map(|(above, _)| &input[above]);
            !input.is_object() || above.is_some_and(|above| !above.is_object())
        };
        is_one(&ours.cause) || ours.caught.iter().any(|cause| is_one(cause))
    }

    /// Whether a path that must find nothing stands in an entered state, and we failed for it or it may be caught.
    pub fn missing_path(&self) -> bool {
        let fails = self.dispute.ours.error == "States.Runtime" || self.catches("States.Runtime");
        fails && self.text(|text| MISSING_PATHS.iter().any(|path| text.contains(path)))
    }

    /// Whether a call that must fail stands in an entered state, and we failed for it or it may be caught.
    pub fn failing_call(&self) -> bool {
        let caught = ["States.IntrinsicFailure", "States.TaskFailed", "States.ALL"]
            .iter()
            .any(|error| self.catches(error));
        // States.Runtime, if a path in it finds nothing.
        let errors = ["States.IntrinsicFailure", "States.Runtime"];
        let fails = errors.contains(&self.dispute.ours.error.as_str()) || caught;
        fails && self.text(|text| FAILING_CALLS.iter().any(|call| text.contains(call)))
    }

    /// Whether a text is hashed, encoded or compared, so that another text is not seen itself.
    pub fn digests(&self) -> bool {
        self.text(|text| {
            ["States.Hash(", "States.Base64Encode("]
                .iter()
                .any(|call| text.contains(call))
        }) || self.any(|state| state.is("Choice"))
    }

    /// Whether the machine has a number that is no integer.
    pub fn has_fraction(&self) -> bool {
        let machine = self.dispute.machine;
        let fraction = |value: &Value| value.as_f64().is_some_and(|number| number.fract() != 0.0);
        anywhere(&machine.input, &fraction)
            || self.text(|text| ["1.4", "2.5"].iter().any(|number| text.contains(number)))
    }

    /// Whether the machine has a timestamp with an offset or a fraction of a second.
    pub fn unusual_timestamp(&self) -> bool {
        let machine = self.dispute.machine;
        let unusual = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            text.starts_with("202")
                && text.contains('T')
                && !(text.len() == 20 && text.ends_with('Z'))
        };
        anywhere(&machine.input, &unusual) || anywhere(&machine.definition, &unusual)
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

fn collect<'a>(scope: &'a Value, jsonata: bool, all: &mut BTreeMap<&'a str, State<'a>>) {
    for (name, fields) in scope["States"].as_object().into_iter().flatten() {
        let own = jsonata || fields["QueryLanguage"] == "JSONata";
        all.insert(
            name,
            State {
                fields,
                jsonata: own,
            },
        );
        for branch in fields["Branches"].as_array().into_iter().flatten() {
            collect(branch, jsonata, all);
        }
        collect(&fields["ItemProcessor"], jsonata, all);
        collect(&fields["Iterator"], jsonata, all);
    }
}
