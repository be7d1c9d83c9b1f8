//! Owns the functions on times. The current time is the one at which the state is evaluated, so that
//! a replay gives it again. <https://docs.jsonata.org/date-time-functions>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::Value;

use super::calendar::{DAY_MS, MILLIS_MAX, days_to};
use super::{date, number, text};

pub(super) fn millis(this: &mut Evaluator<'_>, _: &[Value]) -> Result<Value, Error> {
    Ok(Value::Number(this.now_ms as f64))
}

pub(super) fn now(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (picture, zone) = (text(arguments, 0), text(arguments, 1));
    let picture = picture.map(|picture| &**picture);
    this.spend(picture.map_or(0, str::len))?;
    Ok(date::format(this, this.now_ms, picture, zone.map(|zone| &**zone))?.into())
}

pub(super) fn from_millis(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(ms) = number(arguments, 0)? else {
        return Ok(Value::Undefined);
    };
    if ms.abs() > MILLIS_MAX {
        return Err(super::super::value::out_of_range(ms));
    }
    let (picture, zone) = (text(arguments, 1), text(arguments, 2));
    let picture = picture.map(|picture| &**picture);
    this.spend(picture.map_or(0, str::len))?;
    Ok(date::format(this, ms.trunc() as i64, picture, zone.map(|zone| &**zone))?.into())
}

pub(super) fn to_millis(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(timestamp) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    if let Some(picture) = text(arguments, 1) {
        let ms = date::parse(this, timestamp, picture)?;
        return Ok(ms.map_or(Value::Undefined, Value::Number));
    }
    match iso(timestamp) {
        Some(ms) => Ok(Value::Number(ms as f64)),
        None => {
            let message = format!(
                "The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given {:?}",
                &**timestamp
            );
            Err(Error::new("D3110", message))
        }
    }
}

/// Takes a number of so many digits, and not more than `most`, off the front.
fn digits(rest: &mut &str, count: usize, most: i64) -> Option<i64> {
    let digits = rest.get(..count)?;
    let number = digits.parse::<i64>().ok()?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    *rest = &rest[count..];
    (plain && number <= most).then_some(number)
}

/// Takes a character off the front, if it is there.
fn take(rest: &mut &str, c: char) -> bool {
    match rest.strip_prefix(c) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// Reads a time in ISO 8601: a year, perhaps a month, a day, a time of day, and a zone.
fn iso(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4, 9999)?;
    let (mut month, mut day) = (1, 1);
    if take_date(&mut rest) {
        month = digits(&mut rest, 2, 12)?;
        if take_date(&mut rest) {
            day = digits(&mut rest, 2, 31)?;
        }
    }
    let mut ms = 0;
    if take(&mut rest, 'T') {
        let hour = digits(&mut rest, 2, 24)?;
        take(&mut rest, ':').then_some(())?;
        let minute = digits(&mut rest, 2, 59)?;
        take(&mut rest, ':').then_some(())?;
        ms = (hour * 60 + minute) * 60_000 + digits(&mut rest, 2, 59)? * 1000;
    }
    if take(&mut rest, '.') {
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        let fraction: f64 = format!("0.{}", rest.get(..count).filter(|f| !f.is_empty())?)
            .parse()
            .ok()?;
        ms += (fraction * 1000.0) as i64;
        rest = &rest[count..];
    }
    if !take(&mut rest, 'Z') && !rest.is_empty() {
        let sign = match take(&mut rest, '+') {
            true => 1,
            false => take(&mut rest, '-').then_some(-1)?,
        };
        let hours = digits(&mut rest, 2, 23)?;
        take(&mut rest, ':');
        ms -= sign * (hours * 60 + digits(&mut rest, 2, 59)?) * 60_000;
    }
    let valid = month >= 1 && day >= 1 && rest.is_empty();
    valid.then(|| days_to(year, month, day) * DAY_MS + ms)
}

/// Takes the `-` before a month or a day, which is none before a zone.
fn take_date(rest: &mut &str) -> bool {
    let bytes = rest.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let zone = digit(3) || bytes.get(3) == Some(&b':');
    bytes.first() == Some(&b'-') && digit(1) && digit(2) && !zone && take(rest, '-')
}
