//! In what two answers to one machine differ. Owns what the specification leaves open: how causes are worded, and in
//! which order branches run.

use std::fmt;

use serde_json::Value;

use super::answer::Answer;
use super::generate::Machine;

/// Something in which two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    Refused,
    Status,
    Output,
    Error,
    Cause,
    States,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Two answers that differ.
pub struct Dispute<'a> {
    pub machine: &'a Machine,
    pub ours: &'a Answer,
    pub theirs: &'a Answer,
    pub difference: Difference,
}

/// The first difference. `nested` tells whether the peer's history has what happens inside of branches.
pub fn difference(
    machine: &Machine,
    ours: &Answer,
    theirs: &Answer,
    nested: bool,
) -> Option<Difference> {
    if (ours.status == "REFUSED") != (theirs.status == "REFUSED") {
        return Some(Difference::Refused);
    }
    if ours.status != theirs.status {
        return Some(Difference::Status);
    }
    if ours.status == "REFUSED" {
        return None;
    }
    if !same(&ours.output, &theirs.output) {
        return Some(Difference::Output);
    }
    if ours.error != theirs.error {
        return Some(Difference::Error);
    }
    // What a Fail state says is passed on as it is; all other causes are AWS's words.
    if !ours.error.starts_with("States.") && ours.cause != theirs.cause {
        return Some(Difference::Cause);
    }
    let outer = |answer: &Answer| -> Vec<String> {
        let states = &machine.definition["States"];
        let entered = answer.entered.iter();
        entered
            .filter(|name| states.get(*name).is_some())
            .cloned()
            .collect()
    };
    if outer(ours) != outer(theirs) {
        return Some(Difference::States);
    }
    if nested && !ours.cut_short {
        let sorted = |answer: &Answer| {
            let mut entered = answer.entered.clone();
            entered.sort();
            entered
        };
        if sorted(ours) != sorted(theirs) {
            return Some(Difference::States);
        }
    }
    None
}

/// Whether two values are the same JSON: 1 is 1.0, and causes of AWS's own errors may be worded differently.
pub fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(one), Value::Number(other)) => {
            one == other
                || one
                    .as_f64()
                    .zip(other.as_f64())
                    .is_some_and(|(one, other)| one == other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let aws_error = one.len() == 2
                && one.contains_key("Cause")
                && one
                    .get("Error")
                    .and_then(Value::as_str)
                    .is_some_and(|error| error.starts_with("States."));
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    let there = other.get(name);
                    there.is_some_and(|there| (aws_error && name == "Cause") || same(value, there))
                })
        }
        _ => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_by_value_and_causes_only_of_fail_states() {
        assert!(same(&json!([1, { "a": 2.0 }]), &json!([1.0, { "a": 2 }])));
        assert!(!same(&json!(1), &json!("1")));
        assert!(!same(&json!({ "a": null }), &json!({})));
        let error = |error: &str, cause: &str| json!({ "e": { "Error": error, "Cause": cause } });
        assert!(same(
            &error("States.Runtime", "ours"),
            &error("States.Runtime", "theirs")
        ));
        assert!(!same(
            &error("States.Runtime", "ours"),
            &error("States.Timeout", "ours")
        ));
        assert!(!same(&error("Mine", "ours"), &error("Mine", "theirs")));
    }
}
