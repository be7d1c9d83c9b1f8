//! Owns the functions on text. <https://docs.jsonata.org/string-functions>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::text::text_of;
use crate::jsonata::value::Value;

use super::{argument, number, text};

/// What a function makes of a text, if it gets one.
fn with_text(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
    make: impl FnOnce(&str) -> Value,
) -> Result<Value, Error> {
    let Some(text) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    this.spend_bytes(text.len())?;
    Ok(make(text))
}

pub(super) fn string(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let value = argument(arguments, 0);
    if value.is_undefined() {
        return Ok(Value::Undefined);
    }
    this.spend_weight(value)?;
    let indent = matches!(argument(arguments, 1), Value::Bool(true));
    Ok(text_of(value, indent)?.into())
}

/// An index as `Array.prototype.slice` of ECMAScript takes it.
fn slice_index(index: f64, length: usize) -> usize {
    let index = index.trunc();
    let index = if index < 0.0 {
        index + length as f64
    } else {
        index
    };
    index.clamp(0.0, length as f64) as usize
}

pub(super) fn substring(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let start = number(arguments, 1)?.unwrap_or(0.0);
    let count = number(arguments, 2)?;
    with_text(this, arguments, |text| {
        let length = text.chars().count();
        let start = if length as f64 + start < 0.0 {
            0.0
        } else {
            start
        };
        let end = match count {
            None => length,
            Some(count) if count <= 0.0 => return Value::from(""),
            Some(count) if start >= 0.0 => slice_index(start + count, length),
            Some(count) => slice_index(length as f64 + start + count, length),
        };
        let start = slice_index(start, length);
        let chars = text.chars().skip(start).take(end.saturating_sub(start));
        Value::from(chars.collect::<String>())
    })
}

pub(super) fn substring_before(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
) -> Result<Value, Error> {
    let chars = text(arguments, 1).cloned().unwrap_or_default();
    with_text(this, arguments, |text| {
        Value::from(text.find(&*chars).map_or(text, |at| &text[..at]))
    })
}

pub(super) fn substring_after(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
) -> Result<Value, Error> {
    let chars = text(arguments, 1).cloned().unwrap_or_default();
    with_text(this, arguments, |text| {
        let after = text
            .find(&*chars)
            .map_or(text, |at| &text[at + chars.len()..]);
        Value::from(after)
    })
}

pub(super) fn lowercase(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| text.to_lowercase().into())
}

pub(super) fn uppercase(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| text.to_uppercase().into())
}

pub(super) fn length(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| text.chars().count().into())
}

pub(super) fn trim(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| {
        let words = text.split([' ', '\t', '\n', '\r']);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ").into()
    })
}

pub(super) fn pad(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(padded) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let width = number(arguments, 1)?.unwrap_or(0.0).trunc();
    let filler = match text(arguments, 2) {
        Some(filler) if !filler.is_empty() => filler,
        _ => " ",
    };
    let missing = width.abs() - padded.chars().count() as f64;
    if missing <= 0.0 {
        return Ok(Value::Text(padded.clone()));
    }
    let missing = missing as usize;
    this.spend_bytes(missing.saturating_mul(4).saturating_add(padded.len()))?;
    let padding: String = filler.chars().cycle().take(missing).collect();
    Ok(if width > 0.0 {
        format!("{padded}{padding}").into()
    } else {
        format!("{padding}{padded}").into()
    })
}

pub(super) fn join(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let texts = argument(arguments, 0);
    if texts.is_undefined() {
        return Ok(Value::Undefined);
    }
    let separator = text(arguments, 1).cloned().unwrap_or_default();
    this.spend_items(texts.as_items().len())?;
    let texts: Vec<&str> = texts
        .as_items()
        .iter()
        .filter_map(|text| text.as_text().map(|text| &**text))
        .collect();
    let length = texts.iter().map(|text| text.len() + separator.len()).sum();
    this.spend_bytes(length)?;
    Ok(texts.join(&separator).into())
}
