//! What the tables of faults ask about an execution.

use serde_json::Value;

use super::executed::{Executed, State, anywhere};
use crate::differential::compare::Dispute;
use crate::differential::generate::FAILING_CALLS;

/// Paths, as written by the generator, that find nothing whatever the data is.
pub const MISSING_PATHS: [&str; 4] = ["$.nothing", "$.o.nothing", "$.n.below", "$.items[9].id"];

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

    /// Whether a value is hashed or encoded, so that a text differs in its place.
    pub fn digests(&self) -> bool {
        self.text(|text| {
            ["States.Hash(", "States.Base64Encode("]
                .iter()
                .any(|call| text.contains(call))
        })
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
