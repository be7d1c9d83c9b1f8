//! Owns how values are written as text. <https://docs.jsonata.org/string-functions#string>

use super::error::Error;
use super::value::Value;

/// A value as text: texts as they are, all else as JSON. `indent` puts fields onto lines.
pub(super) fn text_of(value: &Value, indent: bool) -> Result<String, Error> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        Value::Function(_) => Ok(String::new()),
        Value::Number(number) if !number.is_finite() => {
            let message = "Attempting to invoke string function on Infinity or NaN";
            Err(Error::new("D3001", message))
        }
        value => {
            let mut text = String::new();
            write(value, indent.then_some(0), &mut text)?;
            Ok(text)
        }
    }
}

fn line(level: Option<usize>, into: &mut String) {
    if let Some(level) = level {
        into.push('\n');
        into.extend(std::iter::repeat_n("  ", level));
    }
}

fn write(value: &Value, level: Option<usize>, into: &mut String) -> Result<(), Error> {
    let inner = level.map(|level| level + 1);
    match value {
        Value::Null | Value::Undefined | Value::Tail(_) => into.push_str("null"),
        Value::Bool(value) => into.push_str(if *value { "true" } else { "false" }),
        Value::Integer(number) => into.push_str(&number.to_string()),
        Value::Number(number) if number.is_infinite() => {
            return Err(super::value::out_of_range(*number));
        }
        Value::Number(number) if number.is_nan() => into.push_str("null"),
        Value::Number(number) => into.push_str(&number_text(rounded(*number))),
        Value::Text(text) => quote(text, into),
        Value::Function(_) => into.push_str("\"\""),
        Value::Array(array) if array.outer => match array.items().first() {
            Some(item) => write(item, level, into)?,
            None => into.push_str("null"),
        },
        Value::Array(array) if array.items().is_empty() => into.push_str("[]"),
        Value::Array(array) => {
            for (index, item) in array.items().iter().enumerate() {
                into.push_str(if index == 0 { "[" } else { "," });
                line(inner, into);
                write(item, inner, into)?;
            }
            line(level, into);
            into.push(']');
        }
        Value::Tuples(tuples) => {
            into.push('[');
            for (index, tuple) in tuples.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                write(&tuple.context, inner, into)?;
            }
            into.push(']');
        }
        Value::Object(object) => {
            let mut first = true;
            for (name, value) in object.fields() {
                into.push_str(if first { "{" } else { "," });
                first = false;
                line(inner, into);
                quote(name, into);
                into.push_str(if level.is_some() { ": " } else { ":" });
                write(value, inner, into)?;
            }
            if first {
                into.push('{');
            } else {
                line(level, into);
            }
            into.push('}');
        }
    }
    Ok(())
}

/// A text as JSON writes it.
fn quote(text: &str, into: &mut String) {
    into.push_str(&serde_json::Value::from(text).to_string());
}

/// Fractions keep 15 digits, which hides how binary fractions differ from what was meant.
fn rounded(number: f64) -> f64 {
    if number.fract() == 0.0 {
        return number;
    }
    format!("{number:.14e}").parse().unwrap_or(number)
}

/// A number in the shortest way that gives it back, as ECMAScript writes it.
pub(super) fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:e}", number.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = digits.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if number < 0.0 { "-" } else { "" };
    let count = digits.len() as i32;
    if !(-6..21).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if exponent > 0 { "+" } else { "" };
        return format!("{sign}{first}{point}{rest}e{plus}{exponent}");
    }
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1) as usize);
        return format!("{sign}0.{zeros}{digits}");
    }
    if count <= exponent + 1 {
        let zeros = "0".repeat((exponent + 1 - count) as usize);
        return format!("{sign}{digits}{zeros}");
    }
    let (whole, fraction) = digits.split_at((exponent + 1) as usize);
    format!("{sign}{whole}.{fraction}")
}
