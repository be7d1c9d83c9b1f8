//! Owns the functions on objects, and those on any value. <https://docs.jsonata.org/object-functions>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::{Fields, Value};

use super::{argument, text};

pub(super) fn boolean(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    this.spend_items(argument(arguments, 0).as_items().len())?;
    let truth = argument(arguments, 0).truth()?;
    Ok(truth.map_or(Value::Undefined, Value::from))
}

pub(super) fn not(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    this.spend_items(argument(arguments, 0).as_items().len())?;
    let truth = argument(arguments, 0).truth()?;
    Ok(truth.map_or(Value::Undefined, |truth| (!truth).into()))
}

pub(super) fn exists(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    Ok((!argument(arguments, 0).is_undefined()).into())
}

pub(super) fn type_of(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    Ok(match argument(arguments, 0) {
        Value::Undefined => Value::Undefined,
        value => value.type_name().into(),
    })
}

/// Values are never changed, so that the value itself serves.
pub(super) fn clone(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    Ok(argument(arguments, 0).clone())
}

pub(super) fn lookup(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    match text(arguments, 1) {
        Some(name) => this.lookup(argument(arguments, 0), name),
        None => Ok(Value::Undefined),
    }
}

fn add_keys(value: &Value, keys: &mut Fields) {
    match value {
        Value::Array(array) => array.items().iter().for_each(|item| add_keys(item, keys)),
        Value::Object(object) => {
            for name in object.fields().keys() {
                keys.insert(name.clone(), Value::Null);
            }
        }
        _ => {}
    }
}

pub(super) fn keys(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    this.spend_weight(argument(arguments, 0))?;
    let mut keys = Fields::new();
    add_keys(argument(arguments, 0), &mut keys);
    Ok(Value::sequence(keys.into_keys().map(Value::Text).collect()))
}

pub(super) fn spread(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let value = argument(arguments, 0);
    this.spend_weight(value)?;
    Ok(spread_out(value))
}

fn spread_out(value: &Value) -> Value {
    match value {
        Value::Array(array) => {
            let items = array.items().iter().map(spread_out);
            let items: Vec<Value> = items.filter(|item| !item.is_undefined()).collect();
            let parts = items
                .iter()
                .flat_map(|item| item.as_items().iter().cloned());
            match items.is_empty() {
                true => Value::sequence(Vec::new()),
                false => Value::array(parts.collect()),
            }
        }
        Value::Object(object) => {
            let fields = object.fields().iter();
            let single = |(name, value): (&_, &Value)| {
                let mut single = Fields::new();
                single.insert(std::sync::Arc::clone(name), value.clone());
                Value::object(single)
            };
            Value::sequence(fields.map(single).collect())
        }
        other => other.clone(),
    }
}

pub(super) fn merge(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let objects = argument(arguments, 0);
    if objects.is_undefined() {
        return Ok(Value::Undefined);
    }
    let mut merged = Fields::new();
    for object in objects.as_items() {
        if let Value::Object(object) = object {
            this.spend_items(object.fields().len() * 2)?;
            merged.extend(object.fields().clone());
        }
    }
    Ok(Value::object(merged))
}

pub(super) fn error(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let message = text(arguments, 0).map(|text| text.to_string());
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| "$error() function evaluated".to_owned());
    Err(Error::new("D3137", message))
}

pub(super) fn assert(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    if argument(arguments, 0).is_true()? {
        return Ok(Value::Undefined);
    }
    let message = text(arguments, 1).map(|text| text.to_string());
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| "$assert() statement failed".to_owned());
    Err(Error::new("D3141", message))
}
