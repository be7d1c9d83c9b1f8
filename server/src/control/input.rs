//! Inputs of jobs compared and edited: what differs between two, and a JSON Merge Patch (RFC 7396).

use model::{InputChange, time::bytes_text};
use serde_json::{Map, Value};

/// Differences told at most; what is beyond them is told as one difference of the whole.
const CHANGES_MAX: usize = 50;

/// What differs between two inputs: the outermost places whose values are not equal.
pub fn changes(before: &Value, after: &Value) -> Vec<InputChange> {
    let mut found = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut found);
    if found.len() > CHANGES_MAX {
        found = vec![InputChange {
            pointer: String::new(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        }];
    }
    // They are kept with the job and go to everybody who watches it.
    for change in &mut found {
        let values = [&mut change.before, &mut change.after];
        values.into_iter().flatten().for_each(cut_value);
    }
    found
}

fn compare(
    pointer: String,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<InputChange>,
) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                // RFC 6901, section 3: these two characters are escaped.
                let name_escaped = name.replace('~', "~0").replace('/', "~1");
                let pointer = format!("{pointer}/{name_escaped}");
                compare(pointer, before.get(name), after.get(name), found);
            }
        }
        _ => found.push(InputChange {
            pointer,
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// How an input is to be another one.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// By a merge patch.
    Patch(Value),
    /// By being replaced.
    Whole(Value),
}

impl Edit {
    /// The new input.
    pub fn applied(&self, input: &Value) -> Value {
        match self {
            Edit::Patch(patch) => patched(input, patch),
            Edit::Whole(whole) => whole.clone(),
        }
    }
}

/// The longest input that pages show whole, in bytes, and the longest value they keep of a longer one.
const SHOWN_BYTES_MAX: usize = 32 * 1024;
const SHOWN_VALUE_BYTES_MAX: usize = 4 * 1024;

/// Replaces the large values of a large input by a word of how large they are. Answers whether it did.
pub fn cut(input: &mut Value) -> bool {
    if input.to_string().len() <= SHOWN_BYTES_MAX {
        return false;
    }
    let values = input.as_object_mut().into_iter().flat_map(Map::values_mut);
    values.for_each(cut_value);
    true
}

/// Replaces a large value by a word of how large it is.
fn cut_value(value: &mut Value) {
    let bytes = value.to_string().len();
    if bytes > SHOWN_VALUE_BYTES_MAX {
        *value = format!("({} of JSON)", bytes_text(bytes as u64)).into();
    }
}

/// An input with a merge patch applied: its fields replace or add, null takes away.
pub fn patched(input: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut fields = match input {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    for (name, value) in patch {
        match value {
            Value::Null => {
                fields.shift_remove(name);
            }
            _ => {
                let merged = patched(fields.get(name).unwrap_or(&Value::Null), value);
                fields.insert(name.clone(), merged);
            }
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_outermost_differences_are_told() {
        let before = json!({"source": "a", "max_height": 1080, "tags": {"x/y": 1, "z": 2}});
        let after =
            json!({"source": "a", "max_height": 720, "tags": {"x/y": 3, "z": 2}, "title": "T"});
        let told: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| (change.pointer, change.before, change.after))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "/max_height".to_owned(),
                    Some(json!(1080)),
                    Some(json!(720))
                ),
                ("/tags/x~1y".to_owned(), Some(json!(1)), Some(json!(3))),
                ("/title".to_owned(), None, Some(json!("T"))),
            ]
        );
        assert_eq!(changes(&before, &before), []);
        let large = json!({"source": "a".repeat(9_000)});
        let told = changes(&json!({"source": "a"}), &large);
        assert_eq!(told[0].after, Some(json!("(8.8 KiB of JSON)")));
    }

    #[test]
    fn only_the_large_values_of_a_large_input_are_cut() {
        let mut small = json!({"source": "a", "tags": {"notes": "x".repeat(9_000)}});
        assert!(!cut(&mut small));
        let mut large = json!({"source": "a", "tags": {"notes": "x".repeat(99_000)}});
        assert!(cut(&mut large));
        assert_eq!(large["source"], "a");
        assert!(
            large["tags"]
                .as_str()
                .is_some_and(|text| text.contains("KiB")),
            "{large}"
        );
    }

    #[test]
    fn a_patch_replaces_adds_and_takes_away() {
        // The example of RFC 7396, section 3, in small.
        let input = json!({"title": "Goodbye!", "author": {"given": "John", "family": "Doe"}, "tags": ["a"]});
        let patch =
            json!({"title": "Hello!", "phone": "1", "author": {"family": null}, "tags": ["b"]});
        assert_eq!(
            patched(&input, &patch),
            json!({"title": "Hello!", "author": {"given": "John"}, "tags": ["b"], "phone": "1"})
        );
    }
}
