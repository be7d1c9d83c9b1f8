//! Known faults of moto 5.2.5, found by running and confirmed in its `stepfunctions/parser`. Each name is what it does;
//! the comment above says what the specification (ASL, <https://states-language.net/spec.html>) or AWS's developer
//! guide (SFN) demands. Where it breaks off with an exception of Python, the exception names the fault.

use serde_json::{Value, json};

use super::executed::{Executed, anywhere};
use super::questions::MISSING_PATHS;
use super::{CATCHES_RUNTIME, CONTAINS_TRUE, Fault, NAMELESS_FAIL, RESULT_PATH, Shows, values};

pub fn faults() -> impl Iterator<Item = &'static Fault> {
    FAULTS.iter()
}

const FAULTS: [Fault; 24] = [
    // SFN, "Passing data between states with variables".
    Fault {
        name: "no variables in JSONPath",
        shows: Shows::Somehow(|executed| {
            let broke_off = executed.says("'NoneType' object is not callable");
            let tested = executed.rule(|rule| {
                rule["Variable"]
                    .as_str()
                    .is_some_and(|path| path.starts_with("$v"))
            });
            (broke_off && executed.text(|text| text.contains("$v"))) || tested
        }),
    },
    // SFN, "Intrinsic functions": an argument may be any number.
    Fault {
        name: "no fractions in calls",
        shows: Shows::Somehow(|executed| {
            executed.says("'Func_arg_floatContext' object has no attribute 'INT'")
        }),
    },
    // SFN, "Error handling": a failure inside of a branch or an item keeps its name.
    Fault {
        name: "cannot pass on an error that begins with States.",
        shows: Shows::Somehow(|executed| {
            executed.says("Custom Error Names MUST NOT begin with the prefix 'States.'")
        }),
    },
    // SFN, "Intrinsics for data encoding": texts are Unicode.
    Fault {
        name: "no Base64 of what is not ASCII",
        shows: Shows::Somehow(|executed| {
            executed.says("'ascii' codec can't")
                && executed.text(|text| text.contains("States.Base64"))
        }),
    },
    // SFN, "Intrinsics for data encoding": MIME's decoding, which needs no padding (RFC 2045, section 6.8).
    Fault {
        name: "States.Base64Decode needs padding",
        shows: Shows::Somehow(|executed| {
            executed.says("Incorrect padding")
                && executed.text(|text| text.contains("States.Base64Decode("))
        }),
    },
    // ASL, "Intrinsic functions": \' \{ and \} stand for the character.
    Fault {
        name: "no escapes in States.Format",
        shows: Shows::Somehow(|executed| {
            ["Replacement index", "'ö"]
                .iter()
                .any(|cause| executed.says(cause))
                && executed.text(|text| text.contains("States.Format(") && text.contains('\\'))
        }),
    },
    // SFN: the step of States.ArrayRange may be negative.
    Fault {
        name: "States.ArrayRange only upwards",
        shows: Shows::Somehow(|executed| {
            executed.says("Expected step argument to be non negative")
        }),
    },
    // SFN, "Intrinsic functions": States.IntrinsicFailure, which may be caught.
    Fault {
        name: "Python's exception instead of States.IntrinsicFailure",
        shows: Shows::Somehow(|executed| executed.failing_call()),
    },
    // ASL, "Intrinsic functions": null is a value.
    Fault {
        name: "calls leave out null",
        shows: Shows::Values {
            used: |executed| {
                executed.text(|text| text.contains("States.Array(") && text.contains("null)"))
                    || (executed.says("Expected 2 arguments for function type")
                        && executed.says(", null)"))
            },
            is: |ours, theirs| {
                // A list, or its length.
                (anywhere(ours, &Value::is_null) && theirs.is_array())
                    || values::numbers(ours, theirs)
            },
        },
    },
    // SFN, DescribeExecution: the output is JSON.
    Fault {
        name: "a text as output is not written as JSON",
        shows: Shows::Somehow(unquoted),
    },
    // ASL, "Timestamps": RFC 3339, with fractions and offsets.
    Fault {
        name: "no timestamps with fractions or offsets",
        shows: Shows::Somehow(|executed| {
            let tested = executed.rule(|rule| {
                rule.as_object()
                    .is_some_and(|rule| rule.keys().any(|operator| operator.contains("Timestamp")))
            });
            let waits = executed.says(
                "does not reference a valid ISO-8601 extended offset date-time format string",
            );
            let breaks = executed.says("not supported between instances of 'datetime.datetime'");
            (tested || waits || breaks) && executed.unusual_timestamp()
        }),
    },
    // SFN, "Choice state": a Variable that finds nothing fails the state.
    Fault {
        name: "a Choice's missing variable is no error",
        shows: Shows::Somehow(|executed| {
            executed.rule(|rule| {
                rule.get("IsPresent").is_none()
                    && rule["Variable"]
                        .as_str()
                        .is_some_and(|path| MISSING_PATHS.contains(&path))
            })
        }),
    },
    // ASL, "Paths": what may find many gives a list of them, also of none.
    Fault {
        name: "slices, unions, filters and descent that find one or nothing",
        shows: Shows::Values {
            used: |executed| {
                executed.text(|text| {
                    ["..", "[?", ":2]", "[0,2]", "[1:1]", "[-2:]", "[-1]", "[*]"]
                        .iter()
                        .any(|part| text.contains(part))
                })
            },
            is: |ours, theirs| ours.is_array() || theirs.is_array(),
        },
    },
    // SFN: States.ArrayUnique takes any array.
    Fault {
        name: "States.ArrayUnique of plain values only",
        shows: Shows::Somehow(|executed| executed.says("unhashable type")),
    },
    // SFN, "Error handling": States.NoChoiceMatched, which may be caught.
    Fault {
        name: "Python's exception instead of States.NoChoiceMatched",
        shows: Shows::Somehow(|executed| executed.says("No branching option reached in state")),
    },
    // SFN: non-integers are rounded to the nearest integer.
    Fault {
        name: "States.MathAdd rounds otherwise",
        shows: Shows::Values {
            used: |executed| {
                executed.text(|text| text.contains("States.MathAdd(")) && executed.has_fraction()
            },
            is: values::numbers,
        },
    },
    // SFN: the end of States.MathRandom is exclusive.
    Fault {
        name: "States.MathRandom includes its end",
        shows: Shows::Values {
            used: |executed| executed.text(|text| text.contains("States.MathRandom(")),
            is: values::flags,
        },
    },
    // SFN, "Map state": States.Runtime where a path leads to no array; JSONata's error is for JSONata.
    Fault {
        name: "JSONata's error for a Map of what is no array",
        shows: Shows::Somehow(|executed| executed.says("Map state input must be an array but was")),
    },
    // SFN, "Service quotas": a state is given and leaves at most 256 KiB.
    Fault {
        name: "no limit of a payload's size",
        shows: Shows::Somehow(|executed| {
            executed.dispute.ours.error == "States.DataLimitExceeded" && executed.too_large()
        }),
    },
    // SFN, "Passing data between states with variables": Assign of a rule sees the state's input.
    Fault {
        name: "Assign of a Choice's rule sees the rule's outcome",
        shows: Shows::Somehow(|executed| {
            let outcome = ["'true'", "'false'"].iter().any(|outcome| {
                executed.says(&format!("could not be found in the input {outcome}"))
            });
            outcome && executed.any(|state| state.is("Choice") && state.assigns())
        }),
    },
    CONTAINS_TRUE,
    RESULT_PATH,
    CATCHES_RUNTIME,
    NAMELESS_FAIL,
];

fn unquoted(executed: &Executed<'_>) -> bool {
    let (ours, theirs) = (
        &executed.dispute.ours.output,
        &executed.dispute.theirs.output,
    );
    ours.as_str().is_some_and(|text| {
        *theirs == json!(format!("no JSON: {text}"))
            || serde_json::from_str::<Value>(text).is_ok_and(|value| value == *theirs)
    })
}
