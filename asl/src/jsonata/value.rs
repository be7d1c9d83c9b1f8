//! Owns the values of expressions: JSON, nothing (`Undefined`), functions, and sequences, which are
//! arrays that shrink to their only element.
//!
//! Every container knows how deep it is, so that nothing recurses without bound.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Number};

use super::ast::Name;
use super::error::Error;
use super::function::{Function, TailCall};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// A whole number as it came in that a `Number` would not hold exactly.
    Integer(i64),
    Text(Name),
    Array(Arc<Array>),
    Object(Arc<Object>),
    Function(Arc<Function>),
    /// A path on its way, with what its steps bound.
    Tuples(Arc<Vec<Tuple>>),
    /// A call that a function leaves to its caller.
    Tail(Arc<TailCall>),
}

/// Fields in the order in which they came.
pub(super) type Fields = IndexMap<Name, Value>;

/// A context and what steps bound for it.
#[derive(Debug, Clone)]
pub(super) struct Tuple {
    /// `@`
    pub(super) context: Value,
    pub(super) bindings: Fields,
}

/// An array.
#[derive(Debug, Clone, Default)]
pub(super) struct Array {
    items: Vec<Value>,
    depth: usize,
    /// Nothing and a single element are not arrays in the end.
    pub(super) sequence: bool,
    /// … except for a single element.
    pub(super) keep: bool,
    /// Made by an array constructor at an end of a path: not flattened.
    pub(super) constructed: bool,
    /// Around the whole input, which is an array.
    pub(super) outer: bool,
}

/// An object.
#[derive(Debug, Clone, Default)]
pub(super) struct Object {
    fields: Fields,
    depth: usize,
}

fn deepest<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    1 + values.map(Value::depth).max().unwrap_or(0)
}

impl Array {
    pub(super) fn new(items: Vec<Value>) -> Array {
        Array {
            depth: deepest(items.iter()),
            items,
            ..Array::default()
        }
    }

    pub(super) fn sequence(items: Vec<Value>) -> Array {
        Array {
            sequence: true,
            ..Array::new(items)
        }
    }

    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Object {
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Number(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Number(value as f64)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.into())
    }
}

impl From<Array> for Value {
    fn from(value: Array) -> Value {
        Value::Array(Arc::new(value))
    }
}

impl From<Function> for Value {
    fn from(value: Function) -> Value {
        Value::Function(Arc::new(value))
    }
}

/// Whole numbers up to here are exact as `f64`.
const EXACT_MAX: i64 = 1 << 53;

impl Value {
    pub(super) fn array(items: Vec<Value>) -> Value {
        Array::new(items).into()
    }

    pub(super) fn sequence(items: Vec<Value>) -> Value {
        Array::sequence(items).into()
    }

    pub(super) fn object(fields: Fields) -> Value {
        Value::Object(Arc::new(Object {
            depth: deepest(fields.values()),
            fields,
        }))
    }

    /// How many containers are inside of each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Value::Array(array) => array.depth,
            Value::Object(object) => object.depth,
            Value::Function(function) => function.depth(),
            _ => 0,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// The elements of an array, or the value alone.
    pub(super) fn as_items(&self) -> &[Value] {
        match self {
            Value::Array(array) => &array.items,
            other => std::slice::from_ref(other),
        }
    }

    pub(super) fn as_text(&self) -> Option<&Name> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one; an error if it is not finite.
    pub(super) fn as_number(&self) -> Result<Option<f64>, Error> {
        match self {
            Value::Integer(number) => Ok(Some(*number as f64)),
            Value::Number(number) if number.is_nan() => Ok(None),
            Value::Number(number) if number.is_infinite() => Err(out_of_range(*number)),
            Value::Number(number) => Ok(Some(*number)),
            _ => Ok(None),
        }
    }

    /// AWS's and JSONata's name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined | Value::Tail(_) => "undefined",
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) | Value::Integer(_) => "number",
            Value::Text(_) => "string",
            Value::Array(_) | Value::Tuples(_) => "array",
            Value::Object(_) => "object",
            Value::Function(_) => "function",
        }
    }

    /// What it counts as in a condition; `None` if it is undefined.
    pub(super) fn truth(&self) -> Result<Option<bool>, Error> {
        Ok(Some(match self {
            Value::Undefined | Value::Tail(_) => return Ok(None),
            Value::Bool(value) => *value,
            Value::Text(text) => !text.is_empty(),
            Value::Number(_) | Value::Integer(_) => {
                self.as_number()?.is_some_and(|number| number != 0.0)
            }
            Value::Object(object) => !object.fields.is_empty(),
            Value::Array(array) => {
                let mut any = false;
                for item in &array.items {
                    any = any || item.truth()?.unwrap_or(false);
                }
                any
            }
            Value::Tuples(tuples) => !tuples.is_empty(),
            Value::Null | Value::Function(_) => false,
        }))
    }

    /// Whether it counts as true.
    pub(super) fn is_true(&self) -> Result<bool, Error> {
        Ok(self.truth()?.unwrap_or(false))
    }

    /// Whether two values are the same all the way down.
    pub(super) fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Undefined, Value::Undefined) | (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Number(a), Value::Integer(b)) | (Value::Integer(b), Value::Number(a)) => {
                *a == *b as f64
            }
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                let mut pairs = a.items.iter().zip(&b.items);
                a.items.len() == b.items.len() && pairs.all(|(a, b)| a.equals(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                let same =
                    |(name, a): (&Name, &Value)| b.fields.get(name).is_some_and(|b| a.equals(b));
                a.fields.len() == b.fields.len() && a.fields.iter().all(same)
            }
            (Value::Function(a), Value::Function(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The value of JSON.
    pub(super) fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) if !(-EXACT_MAX..=EXACT_MAX).contains(&whole) => Value::Integer(whole),
                _ => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Array(items) => {
                Value::array(items.iter().map(Value::from_json).collect())
            }
            serde_json::Value::Object(fields) => {
                let fields = fields.iter();
                let fields = fields
                    .map(|(name, value)| (Name::from(name.as_str()), Value::from_json(value)));
                Value::object(fields.collect())
            }
        }
    }

    /// As JSON; `None` if it is undefined or a function.
    pub(super) fn to_json(&self) -> Option<serde_json::Value> {
        Some(match self {
            Value::Undefined | Value::Function(_) | Value::Tail(_) => return None,
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(number) => (*number).into(),
            Value::Number(number) => json_number(*number),
            Value::Text(text) => (&**text).into(),
            Value::Array(array) if array.outer => return array.items.first()?.to_json(),
            Value::Array(array) => {
                let items = array.items.iter();
                items
                    .map(|item| item.to_json().unwrap_or(serde_json::Value::Null))
                    .collect()
            }
            Value::Object(object) => {
                let fields = object.fields.iter();
                let fields =
                    fields.filter_map(|(name, value)| Some((name.to_string(), value.to_json()?)));
                serde_json::Value::Object(fields.collect::<Map<_, _>>())
            }
            Value::Tuples(tuples) => tuples
                .iter()
                .map(|tuple| tuple.context.to_json().unwrap_or(serde_json::Value::Null))
                .collect(),
        })
    }

    /// How many values it would be as JSON, counting what is shared as often as it shows, but not
    /// beyond `most`.
    pub(super) fn weight(&self, most: usize) -> usize {
        let mut sum: usize = match self {
            Value::Text(text) => 1 + text.len() / 16,
            _ => 1,
        };
        let mut add = |value: &Value, name: usize| {
            sum = sum.saturating_add(name / 16);
            if sum < most {
                sum = sum.saturating_add(value.weight(most - sum));
            }
            sum < most
        };
        match self {
            Value::Array(array) => {
                array.items.iter().all(|item| add(item, 0));
            }
            Value::Object(object) => {
                let mut fields = object.fields.iter();
                fields.all(|(name, value)| add(value, name.len()));
            }
            Value::Tuples(tuples) => {
                tuples.iter().all(|tuple| add(&tuple.context, 0));
            }
            _ => {}
        }
        sum
    }
}

/// Whole numbers are written without a fraction, whatever made them.
fn json_number(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() < 9.2e18 {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

pub(super) fn out_of_range(number: f64) -> Error {
    Error::new("D1001", format!("Number out of range: {number}"))
}
