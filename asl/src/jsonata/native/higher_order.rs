//! Owns the functions that take functions. <https://docs.jsonata.org/higher-order-functions>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::{Fields, Value};

use super::argument;

/// Calls a function with as many of the arguments as it takes, the first at least.
fn call<const N: usize>(
    this: &mut Evaluator<'_>,
    function: &Value,
    arguments: [&Value; N],
) -> Result<Value, Error> {
    let most = arity(function).max(1);
    let arguments = arguments.iter().take(most).map(|&value| value.clone());
    this.invoke(function, arguments.collect())
}

fn arity(function: &Value) -> usize {
    match function {
        Value::Function(function) => function.arity(),
        _ => 1,
    }
}

pub(super) fn map(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (array, function) = (argument(arguments, 0), argument(arguments, 1));
    if array.is_undefined() {
        return Ok(Value::Undefined);
    }
    let mut results = Vec::new();
    for (index, item) in array.as_items().iter().enumerate() {
        let result = call(this, function, [item, &index.into(), array])?;
        if !result.is_undefined() {
            results.push(result);
        }
    }
    Ok(Value::sequence(results))
}

pub(super) fn filter(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (array, function) = (argument(arguments, 0), argument(arguments, 1));
    if array.is_undefined() {
        return Ok(Value::Undefined);
    }
    let mut results = Vec::new();
    for (index, item) in array.as_items().iter().enumerate() {
        if call(this, function, [item, &index.into(), array])?.is_true()? {
            results.push(item.clone());
        }
    }
    Ok(Value::sequence(results))
}

pub(super) fn single(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (array, function) = (argument(arguments, 0), argument(arguments, 1));
    if array.is_undefined() {
        return Ok(Value::Undefined);
    }
    let expected = "The $single() function expected exactly 1 matching result. Instead it matched";
    let mut found = None;
    for (index, item) in array.as_items().iter().enumerate() {
        let matches = function.is_undefined()
            || call(this, function, [item, &index.into(), array])?.is_true()?;
        if matches && found.replace(item).is_some() {
            return Err(Error::new("D3138", format!("{expected} more.")));
        }
    }
    match found {
        Some(found) => Ok(found.clone()),
        None => Err(Error::new("D3139", format!("{expected} 0."))),
    }
}

pub(super) fn reduce(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (array, function) = (argument(arguments, 0), argument(arguments, 1));
    if array.is_undefined() {
        return Ok(Value::Undefined);
    }
    if arity(function) < 2 {
        let message =
            "The second argument of reduce function must be a function with at least two arguments";
        return Err(Error::new("D3050", message));
    }
    let mut result = argument(arguments, 2).clone();
    let mut items = array.as_items().iter().enumerate();
    if result.is_undefined()
        && let Some((_, first)) = items.next()
    {
        result = first.clone();
    }
    for (index, item) in items {
        result = call(this, function, [&result, item, &index.into(), array])?;
    }
    Ok(result)
}

pub(super) fn each(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (object, function) = (argument(arguments, 0), argument(arguments, 1));
    let mut results = Vec::new();
    if let Value::Object(inner) = object {
        for (name, value) in inner.fields() {
            let name = Value::Text(name.clone());
            let result = call(this, function, [value, &name, object])?;
            if !result.is_undefined() {
                results.push(result);
            }
        }
    }
    Ok(Value::sequence(results))
}

pub(super) fn sift(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (object, function) = (argument(arguments, 0), argument(arguments, 1));
    let mut kept = Fields::new();
    if let Value::Object(inner) = object {
        for (name, value) in inner.fields() {
            let key = Value::Text(name.clone());
            if call(this, function, [value, &key, object])?.is_true()? {
                kept.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(match kept.is_empty() {
        true => Value::Undefined,
        false => Value::object(kept),
    })
}

pub(super) fn sort(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (array, function) = (argument(arguments, 0), argument(arguments, 1));
    if array.is_undefined() || array.as_items().len() <= 1 {
        return Ok(array.clone());
    }
    let items = array.as_items().to_vec();
    this.spend_items(items.len())?;
    let sorted = if function.is_undefined() {
        let texts = items.iter().all(|item| matches!(item, Value::Text(_)));
        let numbers = items
            .iter()
            .all(|item| matches!(item, Value::Number(_) | Value::Integer(_)));
        if !texts && !numbers {
            let message = "The single argument form of the sort function can only be applied to an array of strings or an array of numbers. Use the second argument to specify a comparison function";
            return Err(Error::new("D3070", message));
        }
        this.merge_sort(items, &mut |_, a, b| match (a, b) {
            (Value::Text(a), Value::Text(b)) => Ok(a > b),
            (a, b) => Ok(a.as_number()? > b.as_number()?),
        })?
    } else {
        this.merge_sort(items, &mut |this, a, b| {
            this.invoke(function, vec![a.clone(), b.clone()])?.is_true()
        })?
    };
    Ok(Value::array(sorted))
}
