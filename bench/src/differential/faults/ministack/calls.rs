//! Known faults of ministack in intrinsic functions and in JSONata. The comment above each says what is demanded.

use crate::differential::faults::{CONTAINS_TRUE, Fault, Shows, values};

pub const FAULTS: [Fault; 14] = [
    // SFN, "Intrinsic functions": States.IntrinsicFailure, which may be caught.
    Fault {
        name: "Python's exception instead of States.IntrinsicFailure",
        shows: Shows::Somehow(|executed| executed.failing_call()),
    },
    // SFN: States.ArrayRange's last argument may be negative and its end is inclusive.
    Fault {
        name: "States.ArrayRange downwards leaves out its end",
        shows: Shows::Values {
            used: |executed| executed.text(|text| text.contains("States.ArrayRange(5, 1, -2)")),
            is: |ours, theirs| ours.is_array() || (ours.is_number() && theirs.is_number()),
        },
    },
    // SFN: JSON's words in texts, not Python's True, None and 1.0.
    Fault {
        name: "Python's words in States.Format",
        shows: Shows::Values {
            used: |executed| {
                let told = executed.dispute.theirs.output.to_string();
                let python = ["True", "False", "None"]
                    .iter()
                    .any(|word| told.contains(word));
                executed
                    .text(|text| text.contains("States.Format(") && (python || executed.digests()))
            },
            is: values::texts,
        },
    },
    // SFN: non-integers are rounded to the nearest integer.
    Fault {
        name: "States.MathAdd truncates",
        shows: Shows::Values {
            used: |executed| {
                executed.text(|text| text.contains("States.MathAdd(")) && executed.has_fraction()
            },
            is: values::numbers,
        },
    },
    // SFN: a text of JSON, in which nothing demands that ö is escaped.
    Fault {
        name: "States.JsonToString escapes what is not ASCII",
        shows: Shows::Values {
            used: |executed| {
                executed.text(|text| text.contains("States.JsonToString("))
                    && !executed.dispute.machine.input.to_string().is_ascii()
            },
            is: values::texts,
        },
    },
    // SFN, "Intrinsic functions": the end of States.MathRandom is exclusive.
    Fault {
        name: "States.MathRandom includes its end",
        shows: Shows::Values {
            used: |executed| executed.text(|text| text.contains("States.MathRandom(")),
            is: values::flags,
        },
    },
    // JSONata, "Numeric operators": the remainder of 1.75 by 3 is 1.75.
    Fault {
        name: "the remainder is an integer",
        shows: Shows::Values {
            used: |executed| {
                executed.any(|state| state.jsonata && state.has_text(&|text| text.contains(" % 3")))
            },
            is: values::numbers,
        },
    },
    CONTAINS_TRUE,
    // SFN, "Intrinsics for arrays": true is not 1, nor false 0.
    Fault {
        name: "States.ArrayUnique takes true for 1",
        shows: Shows::Values {
            used: |executed| executed.text(|text| text.contains("States.ArrayUnique(")),
            is: |ours, theirs| match (ours.as_array(), theirs.as_array()) {
                (Some(one), Some(other)) => {
                    other.len() < one.len() && one.iter().any(|element| element.is_boolean())
                }
                _ => false,
            },
        },
    },
    // ASL, "Intrinsic functions": \' stands for the quote.
    Fault {
        name: "texts in calls keep their escapes",
        shows: Shows::Values {
            used: |executed| executed.text(|text| text.contains("'it\\'s'")),
            is: values::texts,
        },
    },
    // JSONata, "$string()": JSON.stringify, which escapes no letters.
    Fault {
        name: "$string escapes what is not ASCII",
        shows: Shows::Values {
            used: |executed| {
                executed.any(|state| {
                    state.jsonata && state.has_text(&|text| text.contains("$string(["))
                }) && !executed.dispute.machine.input.to_string().is_ascii()
            },
            is: values::texts,
        },
    },
    // JSONata, "$string()": JSON.stringify, which writes -10.0 as -10.
    Fault {
        name: "$string writes a whole number with a fraction",
        shows: Shows::Values {
            used: |executed| {
                executed
                    .any(|state| state.jsonata && state.has_text(&|text| text.contains("$string(")))
            },
            is: |ours, theirs| match (ours.as_str(), theirs.as_str()) {
                (Some(one), Some(other)) => other.replace(".0", "") == one,
                _ => false,
            },
        },
    },
    // ASL, "States.Format": null is written as in JSON; this is of an error's name that was made so.
    Fault {
        name: "None for null in an error's name",
        shows: Shows::Somehow(|executed| {
            let (ours, theirs) = (&executed.dispute.ours.error, &executed.dispute.theirs.error);
            ours != theirs && theirs.replace("None", "null") == *ours
        }),
    },
    // SFN, "Passing data between states with variables": an inner scope reads the variables of the outer one.
    Fault {
        name: "a missing variable ends a branch",
        shows: Shows::Somehow(|executed| {
            executed.text(|text| text.starts_with("$v"))
                && executed.says("'NoneType' object is not iterable")
        }),
    },
];
