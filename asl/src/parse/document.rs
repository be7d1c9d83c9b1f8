//! Owns the reading of JSON text with its duplicate fields noticed, which `serde_json` drops.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::diagnose::Code;

use super::fields::push;
use super::report::Report;

/// AWS's words for a definition that is something else.
pub(super) const NOT_AN_OBJECT: &str = "Definition must be a valid JSON object";

/// How many fields that are there more than once are told.
const DUPLICATES_MAX: usize = 100;

/// Reads a document; `None` if it is not JSON.
pub(super) fn read(text: &str, report: &mut Report) -> Option<Value> {
    if text.trim().is_empty() {
        report.error("", NOT_AN_OBJECT, None);
        return None;
    }
    let mut place = Place {
        pointer: String::new(),
        duplicates: Vec::new(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed(&mut place).deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    for duplicate in place.duplicates {
        report.error(
            &duplicate,
            "this field is there more than once",
            Some("remove all but one"),
        );
    }
    match value {
        Ok(value) => Some(value),
        Err(error) => {
            let message = format!("the definition is not JSON: {error}");
            report.say(Code::InvalidJsonDescription, "", message, None);
            None
        }
    }
}

struct Place {
    pointer: String,
    duplicates: Vec<String>,
}

struct Seed<'a>(&'a mut Place);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        loop {
            let length = self.0.pointer.len();
            push(&mut self.0.pointer, &array.len().to_string());
            let element = access.next_element_seed(Seed(self.0))?;
            self.0.pointer.truncate(length);
            match element {
                Some(element) => array.push(element),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let length = self.0.pointer.len();
            push(&mut self.0.pointer, &key);
            if object.contains_key(&key) && self.0.duplicates.len() < DUPLICATES_MAX {
                self.0.duplicates.push(self.0.pointer.clone());
            }
            let value = access.next_value_seed(Seed(self.0))?;
            self.0.pointer.truncate(length);
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
