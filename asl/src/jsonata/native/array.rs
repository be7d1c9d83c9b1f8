//! Owns the functions on arrays. <https://docs.jsonata.org/array-functions>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::Value;

use super::argument;

pub(super) fn count(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    Ok(match argument(arguments, 0) {
        Value::Undefined => 0,
        array => array.as_items().len(),
    }
    .into())
}

pub(super) fn append(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (a, b) = (argument(arguments, 0), argument(arguments, 1));
    if a.is_undefined() {
        return Ok(b.clone());
    }
    if b.is_undefined() {
        return Ok(a.clone());
    }
    this.spend_items(a.as_items().len() + b.as_items().len())?;
    Ok(Value::array([a.as_items(), b.as_items()].concat()))
}

pub(super) fn reverse(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let array = argument(arguments, 0);
    if array.is_undefined() || array.as_items().len() <= 1 {
        return Ok(array.clone());
    }
    this.spend_items(array.as_items().len())?;
    Ok(Value::array(
        array.as_items().iter().rev().cloned().collect(),
    ))
}

/// Fisher and Yates's, from the source of chance that replays give again.
pub(super) fn shuffle(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let array = argument(arguments, 0);
    if array.is_undefined() || array.as_items().len() <= 1 {
        return Ok(array.clone());
    }
    this.spend_items(array.as_items().len())?;
    let mut items = array.as_items().to_vec();
    for at in (1..items.len()).rev() {
        let with = this.random.between(0, at as i64 + 1);
        items.swap(at, with.max(0) as usize);
    }
    Ok(Value::array(items))
}

pub(super) fn distinct(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let value = argument(arguments, 0);
    let Value::Array(array) = value else {
        return Ok(value.clone());
    };
    if array.items().len() <= 1 {
        return Ok(value.clone());
    }
    let mut distinct: Vec<Value> = Vec::new();
    for item in array.items() {
        this.spend_items(distinct.len())?;
        if !distinct.iter().any(|known| known.equals(item)) {
            distinct.push(item.clone());
        }
    }
    Ok(match array.sequence {
        true => Value::sequence(distinct),
        false => Value::array(distinct),
    })
}

pub(super) fn zip(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let lengths = arguments.iter().map(|array| match array {
        Value::Array(array) => array.items().len(),
        _ => 0,
    });
    let length = lengths.min().unwrap_or(0);
    this.spend_items(length * arguments.len())?;
    let row = |at: usize| {
        let row = arguments.iter().map(|array| array.as_items()[at].clone());
        Value::array(row.collect())
    };
    Ok(Value::array((0..length).map(row).collect()))
}
