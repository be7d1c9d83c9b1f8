//! Owns a JSON value on its way through an execution: shared, and with its text made only once.
//!
//! Step Functions passes text through untouched where nothing is changed, so the text a caller
//! wrote travels with the value.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

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
