//! In which values two outputs differ.

use serde_json::Value;

use crate::differential::compare::same;

pub fn texts(ours: &Value, theirs: &Value) -> bool {
    ours.is_string() && theirs.is_string()
}

pub fn flags(ours: &Value, theirs: &Value) -> bool {
    ours.is_boolean() && theirs.is_boolean()
}

pub fn numbers(ours: &Value, theirs: &Value) -> bool {
    ours.is_number() && theirs.is_number()
}

/// null where there is something, or what was made from it: a list, or an object without what null does not have.
pub fn nulls(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(_), Value::Array(_)) => true,
        (Value::Object(one), Value::Object(other)) => other.len() < one.len(),
        _ => theirs.is_null() && !ours.is_null(),
    }
}

/// Whether every place in which two values differ has such values; lists of other lengths are one place.
pub fn all_differing(ours: &Value, theirs: &Value, is: &impl Fn(&Value, &Value) -> bool) -> bool {
    match (ours, theirs) {
        _ if same(ours, theirs) => true,
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .all(|(one, other)| all_differing(one, other, is)),
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            one.iter().all(|(name, value)| {
                other
                    .get(name)
                    .is_some_and(|other| all_differing(value, other, is))
            })
        }
        _ => is(ours, theirs),
    }
}
