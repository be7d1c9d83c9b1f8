//! Known faults of ministack 1.5.33, found by running and confirmed in its `services/stepfunctions.py`. Each name is
//! what it does; the comment above says what the specification (ASL, <https://states-language.net/spec.html>) or AWS's
//! developer guide (SFN) demands.

mod calls;

use serde_json::Value;

use super::executed::anywhere;
use super::questions::MISSING_PATHS;
use super::{CATCHES_RUNTIME, Fault, NAMELESS_FAIL, RESULT_PATH, Shows, values};

/// Those of calls come last: what a state does explains more than one value.
pub fn faults() -> impl Iterator<Item = &'static Fault> {
    FAULTS.iter().chain(&calls::FAULTS)
}

/// Comparisons that it does not know.
const UNKNOWN_COMPARISONS: [&str; 9] = [
    "StringLessThanPath",
    "StringGreaterThanPath",
    "StringLessThanEqualsPath",
    "StringGreaterThanEqualsPath",
    "TimestampEqualsPath",
    "TimestampLessThanPath",
    "TimestampGreaterThanPath",
    "TimestampLessThanEqualsPath",
    "TimestampGreaterThanEqualsPath",
];

const FAULTS: [Fault; 18] = [
    // SFN, "Passing data between states with variables": every state but Succeed and Fail may assign.
    Fault {
        name: "no variables in JSONPath",
        shows: Shows::Values {
            used: |executed| {
                // Those of a state in JSONPath are missing in JSONata too.
                let assigns = executed.any(|state| !state.jsonata && state.assigns());
                executed.text(|text| text.contains("$v"))
                    || (assigns
                        && executed.any(|state| {
                            state.jsonata && state.has_text(&|text| text.contains("$v"))
                        }))
            },
            // In JSONata a comparison with nothing is false, and there are 0 of it.
            is: |ours, theirs| {
                values::nulls(ours, theirs) || values::flags(ours, theirs) || *theirs == 0
            },
        },
    },
    // SFN, "Transforming data with JSONata": Parallel states take Arguments, Output and Assign, Succeed states Output.
    Fault {
        name: "no Arguments, Output and Assign of Parallel and Succeed states",
        shows: Shows::Somehow(|executed| {
            executed.any(|state| {
                state.jsonata
                    && (state.is("Parallel") || state.is("Succeed"))
                    && ["Arguments", "Output", "Assign"]
                        .iter()
                        .any(|field| state.has(field))
            })
        }),
    },
    // SFN, "Choice state": the state's own Output is for its default.
    Fault {
        name: "no Output of a Choice's default",
        shows: Shows::Somehow(|executed| {
            executed.any(|state| {
                state.jsonata
                    && state.is("Choice")
                    && state.has("Output")
                    && executed.took_default(state)
            })
        }),
    },
    // ASL, "Data-test expressions": they all have a form with Path.
    Fault {
        name: "comparisons with a path that are always false",
        shows: Shows::Somehow(|executed| {
            executed.rule(|rule| {
                UNKNOWN_COMPARISONS
                    .iter()
                    .any(|operator| rule.get(operator).is_some())
            })
        }),
    },
    // ASL, "Paths": what is in Jayway's syntax is a path.
    Fault {
        name: "no slices, filters, unions, negative indexes and descent in paths",
        shows: Shows::Values {
            used: |executed| {
                executed.text(|text| {
                    ["..", "[?", "[-", ":2]", "[0,2]", "[1:1]", "[-2:]"]
                        .iter()
                        .any(|part| text.contains(part) && text.contains('$'))
                })
            },
            is: values::nulls,
        },
    },
    // ASL, "Runtime errors": a path that finds nothing fails the state with an error that States.ALL does not catch.
    Fault {
        name: "null for a path that finds nothing",
        shows: Shows::Somehow(|executed| executed.missing_path()),
    },
    // ASL, "Parameters" and "ResultSelector": an empty template is one.
    Fault {
        name: "an empty template counts as none",
        shows: Shows::Values {
            used: |executed| {
                executed.any(|state| {
                    ["Parameters", "ResultSelector", "ItemSelector"]
                        .iter()
                        .any(|field| {
                            state.fields.get(field).is_some_and(|template| {
                                template == &Value::Object(Default::default())
                            })
                        })
                })
            },
            is: |ours, theirs| {
                ours.as_object()
                    .zip(theirs.as_object())
                    .is_some_and(|(ours, theirs)| ours.len() < theirs.len())
                    || anywhere(ours, &|value| {
                        value.as_object().is_some_and(|fields| fields.is_empty())
                    })
            },
        },
    },
    // ASL, "IsPresent": a field that is null is present.
    Fault {
        name: "null is not present",
        shows: Shows::Somehow(|executed| {
            executed.rule(|rule| {
                rule.get("IsPresent").is_some()
                    && rule["Variable"]
                        .as_str()
                        .is_some_and(|path| !MISSING_PATHS.contains(&path))
            })
        }),
    },
    // ASL, "IsNumeric": true and false are no numbers.
    Fault {
        name: "true and false are numbers",
        shows: Shows::Somehow(|executed| executed.rule(|rule| rule.get("IsNumeric").is_some())),
    },
    // ASL, "StringMatches": \\* is an asterisk.
    Fault {
        name: "StringMatches knows no escapes",
        shows: Shows::Somehow(|executed| {
            executed.rule(|rule| {
                rule["StringMatches"]
                    .as_str()
                    .is_some_and(|pattern| pattern.contains('\\'))
            })
        }),
    },
    // SFN, "ResultSelector": it may contain paths into the context object.
    Fault {
        name: "no context object in ResultSelector",
        shows: Shows::Values {
            used: |executed| {
                executed.any(|state| {
                    anywhere(&state.fields["ResultSelector"], &|value| {
                        value.as_str().is_some_and(|text| text.contains("$$"))
                    })
                })
            },
            is: values::nulls,
        },
    },
    // ASL, "Runtime errors": an index behind the end finds nothing.
    Fault {
        name: "null for an index behind the end",
        shows: Shows::Somehow(|executed| {
            executed.dispute.ours.error == "States.Runtime"
                && executed.text(|text| text.ends_with("[2]") || text.ends_with("[0]"))
        }),
    },
    // SFN, "Service quotas": a state is given and leaves at most 256 KiB.
    Fault {
        name: "no limit of a payload's size",
        shows: Shows::Somehow(|executed| {
            executed.dispute.ours.error == "States.DataLimitExceeded" && executed.too_large()
        }),
    },
    // ASL, "BooleanEquals": 0 is not false.
    Fault {
        name: "BooleanEquals takes 0 for false",
        shows: Shows::Somehow(|executed| {
            let not_boolean = |path: &Value| {
                path.as_str()
                    .is_some_and(|path| !path.ends_with(".b") && !path.ends_with(".flag"))
            };
            executed.rule(|rule| match rule.get("BooleanEqualsPath") {
                Some(path) => not_boolean(path) || not_boolean(&rule["Variable"]),
                None => rule.get("BooleanEquals").is_some() && not_boolean(&rule["Variable"]),
            })
        }),
    },
    // SFN, "Map state": States.Runtime where a path leads to no array.
    Fault {
        name: "a Map takes what is no array for its only item",
        shows: Shows::Somehow(|executed| {
            executed.dispute.ours.error == "States.Runtime"
                && executed
                    .dispute
                    .ours
                    .cause
                    .ends_with("must point to array.")
                && executed.any(|state| !state.jsonata && state.is("Map"))
        }),
    },
    RESULT_PATH,
    CATCHES_RUNTIME,
    NAMELESS_FAIL,
];
