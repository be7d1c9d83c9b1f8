//! Owns the functions that AWS adds to JSONata.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>

use crate::intrinsic::hash as digest;
use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::Value;

use super::{argument, number, text};

/// AWS's limit for the length of what `$range` gives.
const RANGE_MAX: f64 = 1000.0;

fn wrong(function: &str, what: &str) -> Error {
    Error::new("D3137", format!("${function}: {what}"))
}

/// `$partition(array, size)`: the array in pieces, the last one perhaps shorter.
pub(super) fn partition(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (array, size) = (argument(arguments, 0), number(arguments, 1)?);
    if array.is_undefined() {
        return Ok(Value::Undefined);
    }
    let size = size.map(f64::floor).filter(|size| *size >= 1.0);
    let Some(size) = size else {
        return Err(wrong(
            "partition",
            "the size of the pieces must be a positive integer",
        ));
    };
    this.spend_items(array.as_items().len() * 2)?;
    let pieces = array.as_items().chunks(size as usize);
    Ok(Value::array(
        pieces.map(|piece| Value::array(piece.to_vec())).collect(),
    ))
}

/// `$range(first, last, step)`: whole numbers from the first to the last, both included.
pub(super) fn range(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let mut bounds = [0.0; 3];
    for (index, bound) in bounds.iter_mut().enumerate() {
        let Some(number) = number(arguments, index)? else {
            return Ok(Value::Undefined);
        };
        *bound = number.round();
    }
    let [first, last, step] = bounds;
    if step == 0.0 {
        return Err(wrong("range", "the step must not be 0"));
    }
    let count = ((last - first) / step).floor() + 1.0;
    if count > RANGE_MAX {
        return Err(wrong(
            "range",
            "the array would have more than 1000 elements",
        ));
    }
    let count = count.max(0.0) as usize;
    this.spend_items(count)?;
    let numbers = (0..count).map(|index| Value::Number(first + index as f64 * step));
    // A sequence, as AWS gives: a single number is no array.
    Ok(Value::sequence(numbers.collect()))
}

/// `$hash(data, algorithm)`: the digest in hexadecimal.
pub(super) fn hash(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(data) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    this.spend_bytes(data.len() * 4)?;
    let algorithm = text(arguments, 1).map_or("SHA-256", |algorithm| algorithm);
    match digest(data, algorithm) {
        Ok(serde_json::Value::String(digest)) => Ok(digest.into()),
        Ok(_) => Ok(Value::Undefined),
        Err(reason) => Err(wrong("hash", &reason)),
    }
}

/// `$random(seed)`: at least 0 and less than 1; the same for the same seed.
pub(super) fn random(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let draw = match number(arguments, 0)? {
        Some(seed) => crate::random::Random::new(seed as i64 as u64).draw(),
        None => this.random.draw(),
    };
    // The 53 bits that a number holds.
    Ok(Value::Number((draw >> 11) as f64 / (1_u64 << 53) as f64))
}

/// `$uuid()`: a version 4 UUID.
pub(super) fn uuid(this: &mut Evaluator<'_>, _: &[Value]) -> Result<Value, Error> {
    Ok(this.random.uuid().into())
}

/// `$parse(text)`: the value of JSON text.
pub(super) fn parse(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(text) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    this.spend(text.len() / 8)?;
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => Ok(Value::from_json(&json)),
        Err(error) => Err(wrong("parse", &format!("the text is not JSON: {error}"))),
    }
}

/// AWS does not have `$eval`.
pub(super) fn eval(_: &mut Evaluator<'_>, _: &[Value]) -> Result<Value, Error> {
    Err(Error::new(
        "T1006",
        "Attempted to invoke a non-function: $eval is not supported, use $parse",
    ))
}
