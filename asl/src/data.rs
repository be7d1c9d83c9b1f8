//! Owns a JSON value on its way through an execution: shared, and with its text made only once.
//!
//! Step Functions passes text through untouched where nothing is changed, so the text a caller
//! wrote travels with the value.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::path::Segment;

/// A value and its text.
#[derive(Debug, Clone)]
pub struct Data(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    value: Value,
    text: OnceLock<String>,
}

impl Data {
    /// A value whose text is compact JSON.
    pub fn new(value: Value) -> Data {
        Data(Arc::new(Inner {
            value,
            text: OnceLock::new(),
        }))
    }

    /// A value that was written so.
    pub fn written(value: Value, text: String) -> Data {
        Data(Arc::new(Inner {
            value,
            text: OnceLock::from(text),
        }))
    }

    /// An array of values, its text made of theirs.
    pub fn array(elements: &[Data]) -> Data {
        let texts: Vec<&str> = elements.iter().map(Data::text).collect();
        let text = format!("[{}]", texts.join(","));
        Data::written(
            Value::Array(
                elements
                    .iter()
                    .map(|element| element.value().clone())
                    .collect(),
            ),
            text,
        )
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// The text of a part of it, as it was written; `None` if there is no such part.
    pub fn text_of(&self, part: &[Segment]) -> Option<String> {
        let mut text: &RawValue = serde_json::from_str(self.text()).ok()?;
        for segment in part {
            text = match segment {
                Segment::Key(name) => {
                    let mut members: HashMap<Cow<'_, str>, &RawValue> =
                        serde_json::from_str(text.get()).ok()?;
                    members.remove(name.as_str())?
                }
                Segment::Index(index) => {
                    let elements: Vec<&RawValue> = serde_json::from_str(text.get()).ok()?;
                    let index = usize::try_from(*index).ok()?;
                    elements.get(index).copied()?
                }
            };
        }
        Some(text.get().to_owned())
    }

    /// The value as JSON text.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| self.0.value.to_string())
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Data {
        Data::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    #[test]
    fn text_of_a_part() {
        let text = r#"{"a": [1, {"b" : [ 2,3 ]}]}"#;
        let data = Data::written(serde_json::from_str(text).unwrap(), text.to_owned());
        let part = |path: &str| data.text_of(Path::parse(path).unwrap().segments().unwrap());
        assert_eq!(part("$").as_deref(), Some(text));
        assert_eq!(part("$.a[1].b").as_deref(), Some("[ 2,3 ]"));
        assert_eq!(part("$.a[7]"), None);
        assert_eq!(part("$.a.b"), None);
    }
}
