//! Owns how large and how deep values may get on their way through an execution.
//!
//! AWS limits what a state hands on; what is made on the way there must be bounded too, or one definition could
//! take all memory. Nothing here depends on a clock, so that a replay comes to the same end.

use serde_json::Value;

/// How many containers may be inside of each other. A loop that wraps its input would else make values that no
/// thread's stack is large enough for.
pub(crate) const DEPTH_MAX: usize = 200;
/// How much an expression or a template may make, in bytes of JSON text, roughly: far more than a state may hand on.
pub(crate) const MADE_MAX: usize = 4 << 20;

/// Whether more containers than that are inside of each other.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(elements) => {
            levels == 0
                || elements
                    .iter()
                    .any(|element| is_deeper(element, levels - 1))
        }
        Value::Object(fields) => {
            levels == 0 || fields.values().any(|field| is_deeper(field, levels - 1))
        }
        _ => false,
    }
}

/// How many containers are inside of each other, at most [`DEPTH_MAX`].
pub(crate) fn depth(value: &Value) -> usize {
    fn go(value: &Value, left: usize) -> usize {
        match value {
            _ if left == 0 => 0,
            Value::Array(elements) => {
                let inner = elements.iter().map(|element| go(element, left - 1)).max();
                1 + inner.unwrap_or(0)
            }
            Value::Object(fields) => {
                let inner = fields.values().map(|field| go(field, left - 1)).max();
                1 + inner.unwrap_or(0)
            }
            _ => 0,
        }
    }
    go(value, DEPTH_MAX)
}

/// About how many bytes of JSON text a value is; does not look further than `most`.
pub(crate) fn weight(value: &Value, most: usize) -> usize {
    let mut sum = 2_usize;
    match value {
        Value::String(text) => sum += text.len(),
        Value::Array(elements) => {
            for element in elements {
                if sum > most {
                    break;
                }
                sum += 1 + weight(element, most - sum);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if sum > most {
                    break;
                }
                sum += 4 + name.len() + weight(field, most.saturating_sub(sum));
            }
        }
        _ => sum += 2,
    }
    sum
}

/// How many values a value consists of.
pub(crate) fn count(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_measured() {
        let value = json!({"a": [1, [2]], "b": "text"});
        assert_eq!((depth(&value), count(&value)), (3, 6));
        assert!(is_deeper(&value, 2) && !is_deeper(&value, 3));
        assert!(weight(&value, 1000) >= value.to_string().len() - 4);
        assert!(weight(&json!(vec!["x"; 1000]), 10) < 30);
    }
}
