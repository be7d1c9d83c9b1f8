//! Owns the functions on numbers. <https://docs.jsonata.org/numeric-functions>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::text::{number_text, text_of};
use crate::jsonata::value::Value;

use super::{argument, number as number_of};

/// The numbers of an array; `None` if there is no array.
fn numbers(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Option<Vec<f64>>, Error> {
    let array = argument(arguments, 0);
    if array.is_undefined() {
        return Ok(None);
    }
    this.spend_items(array.as_items().len())?;
    let mut numbers = Vec::with_capacity(array.as_items().len());
    for item in array.as_items() {
        numbers.push(item.as_number()?.unwrap_or(f64::NAN));
    }
    Ok(Some(numbers))
}

pub(super) fn sum(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let numbers = numbers(this, arguments)?;
    Ok(numbers.map_or(Value::Undefined, |numbers| {
        Value::Number(numbers.iter().fold(0.0, |sum, number| sum + number))
    }))
}

fn fold(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
    make: impl FnOnce(&[f64]) -> f64,
) -> Result<Value, Error> {
    Ok(match numbers(this, arguments)? {
        Some(numbers) if !numbers.is_empty() => Value::Number(make(&numbers)),
        _ => Value::Undefined,
    })
}

pub(super) fn max(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    fold(this, arguments, |numbers| {
        numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    })
}

pub(super) fn min(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    fold(this, arguments, |numbers| {
        numbers.iter().copied().fold(f64::INFINITY, f64::min)
    })
}

pub(super) fn average(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    fold(this, arguments, |numbers| {
        numbers.iter().fold(0.0, |sum, number| sum + number) / numbers.len() as f64
    })
}

fn unary(arguments: &[Value], make: impl FnOnce(f64) -> f64) -> Result<Value, Error> {
    Ok(number_of(arguments, 0)?.map_or(Value::Undefined, |number| make(number).into()))
}

pub(super) fn floor(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    unary(arguments, f64::floor)
}

pub(super) fn ceil(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    unary(arguments, f64::ceil)
}

pub(super) fn abs(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    unary(arguments, f64::abs)
}

pub(super) fn sqrt(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    if let Some(number) = number_of(arguments, 0)?
        && number < 0.0
    {
        let number = number_text(number);
        let message = format!("The sqrt function cannot be applied to a negative number: {number}");
        return Err(Error::new("D3060", message));
    }
    unary(arguments, f64::sqrt)
}

pub(super) fn power(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(base) = number_of(arguments, 0)? else {
        return Ok(Value::Undefined);
    };
    let exponent = number_of(arguments, 1)?.unwrap_or(f64::NAN);
    let result = base.powf(exponent);
    if !result.is_finite() {
        let message = format!(
            "The power function has resulted in a value that cannot be represented as a JSON number: base={}, exponent={}",
            number_text(base),
            number_text(exponent)
        );
        return Err(Error::new("D3061", message));
    }
    Ok(result.into())
}

pub(super) fn round(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let precision = number_of(arguments, 1)?.unwrap_or(0.0) as i32;
    unary(arguments, |number| rounded(number, precision))
}

/// Moves the decimal point without rounding in binary.
fn shifted(number: f64, places: i32) -> f64 {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0).saturating_add(places);
    format!("{digits}e{exponent}").parse().unwrap_or(number)
}

/// Rounds to a number of decimal places, halves to even.
pub(super) fn rounded(number: f64, places: i32) -> f64 {
    let number = shifted(number, places);
    let below = number.floor();
    let mut result = if number - below >= 0.5 {
        below + 1.0
    } else {
        below
    };
    if (result - number).abs() == 0.5 && (result % 2.0).abs() == 1.0 {
        result -= 1.0;
    }
    // Adding nothing makes the negative zero positive.
    shifted(result, places.saturating_neg()) + 0.0
}

pub(super) fn format_base(_: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(number) = number_of(arguments, 0)? else {
        return Ok(Value::Undefined);
    };
    let number = rounded(number, 0);
    let radix = rounded(number_of(arguments, 1)?.unwrap_or(10.0), 0);
    if !(2.0..=36.0).contains(&radix) {
        let message = format!(
            "The radix of the formatBase function must be between 2 and 36. It was given {}",
            number_text(radix)
        );
        return Err(Error::new("D3100", message));
    }
    if radix == 10.0 {
        return Ok(number_text(number).into());
    }
    let mut left = number.abs();
    let mut digits = Vec::new();
    loop {
        let digit = (left % radix) as u32;
        digits.push(char::from_digit(digit, radix as u32).unwrap_or('0'));
        left = (left / radix).floor();
        if left < 1.0 {
            break;
        }
    }
    if number < 0.0 {
        digits.push('-');
    }
    Ok(digits.iter().rev().collect::<String>().into())
}

pub(super) fn number(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let value = argument(arguments, 0);
    let number = match value {
        Value::Undefined | Value::Number(_) | Value::Integer(_) => return Ok(value.clone()),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Text(text) => {
            this.spend_bytes(text.len())?;
            parsed(text)
        }
        _ => None,
    };
    match number {
        Some(number) => Ok(number.into()),
        None => {
            let shown = match value {
                Value::Text(text) => format!("{:?}", &**text),
                other => text_of(other, false)?,
            };
            let message = format!("Unable to cast value to a number: {shown}");
            Err(Error::new("D3030", message))
        }
    }
}

fn parsed(text: &str) -> Option<f64> {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        let digits = text
            .get(..2)
            .filter(|start| start.eq_ignore_ascii_case(prefix))
            .and_then(|_| text.get(2..));
        if let Some(digits) = digits {
            let digits: Option<Vec<u32>> = digits.chars().map(|c| c.to_digit(radix)).collect();
            let digits = digits.filter(|digits| !digits.is_empty())?;
            let digits = digits.into_iter();
            return Some(digits.fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)));
        }
    }
    // A sign, digits, perhaps a fraction, perhaps an exponent; no blanks, no names.
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => all_digits(mantissa),
    } && exponent
        .is_none_or(|exponent| all_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let number = text.parse::<f64>().ok()?;
    (fits && number.is_finite()).then_some(number)
}
