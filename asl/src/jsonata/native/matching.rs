//! Owns the functions that look for something in a text: a text, a regular expression, or whatever
//! a matcher function finds. <https://docs.jsonata.org/regex>

use std::sync::Arc;

use crate::jsonata::ast::Name;
use crate::jsonata::error::Error;
use crate::jsonata::evaluate::{Evaluator, STEPS_MAX};
use crate::jsonata::function::Function;
use crate::jsonata::regex::Regex;
use crate::jsonata::value::{Fields, Value};

use super::{argument, number, text};

/// What was found, in bytes of the text.
#[derive(Debug)]
pub(in crate::jsonata) struct Found {
    matched: String,
    start: usize,
    end: usize,
    groups: Vec<Value>,
    next: Value,
}

impl Found {
    /// The object that a matcher function gives.
    pub(in crate::jsonata) fn into_value(self, text: &str) -> Value {
        let start = units(text, self.start);
        let mut fields = Fields::new();
        fields.insert("match".into(), Value::from(&*self.matched));
        fields.insert("start".into(), start.into());
        fields.insert(
            "end".into(),
            (start + units(&self.matched, self.matched.len())).into(),
        );
        fields.insert("groups".into(), Value::array(self.groups));
        fields.insert("next".into(), self.next);
        Value::object(fields)
    }
}

/// How many UTF-16 units the first bytes of a text are.
fn units(text: &str, bytes: usize) -> usize {
    text.get(..bytes)
        .map_or(0, |text| text.encode_utf16().count())
}

/// The byte at which a UTF-16 unit begins.
fn byte(text: &str, unit: f64) -> usize {
    let mut units = 0.0;
    for (at, c) in text.char_indices() {
        if units >= unit {
            return at;
        }
        units += c.len_utf16() as f64;
    }
    text.len()
}

impl Evaluator<'_> {
    /// The first match of a regular expression at or after a byte.
    pub(in crate::jsonata) fn next_match(
        &mut self,
        regex: &Arc<Regex>,
        text: &Name,
        from: usize,
    ) -> Result<Option<Found>, Error> {
        let work = |bytes: usize| 1 + bytes.saturating_mul(1 + regex.states()) / 64;
        // What could take too long is not begun.
        let most = work(text.len().saturating_sub(from));
        if most > STEPS_MAX {
            self.spend(most)?;
        }
        let found = regex.find(text, from);
        let end = found.as_ref().map_or(text.len(), |found| found.end);
        self.spend(work(end.saturating_sub(from)))?;
        Ok(found.map(|found| Found {
            matched: text[found.start..found.end].to_owned(),
            start: found.start,
            end: found.end,
            groups: found
                .groups
                .into_iter()
                .map(|group| group.map_or(Value::Undefined, Value::from))
                .collect(),
            next: Function::NextMatch {
                regex: regex.clone(),
                text: text.clone(),
                from: found.end,
            }
            .into(),
        }))
    }

    /// The match after one that ended at a byte.
    pub(in crate::jsonata) fn following_match(
        &mut self,
        regex: &Arc<Regex>,
        text: &Name,
        from: usize,
    ) -> Result<Option<Found>, Error> {
        if from >= text.len() {
            return Ok(None);
        }
        let found = self.next_match(regex, text, from)?;
        if found.as_ref().is_some_and(|found| found.matched.is_empty()) {
            return Err(Error::new(
                "D1004",
                "Regular expression matches zero length string",
            ));
        }
        Ok(found)
    }

    /// Calls a matcher function.
    fn matcher(
        &mut self,
        matcher: &Value,
        arguments: Vec<Value>,
        text: &Name,
        name: &str,
    ) -> Result<Option<Found>, Error> {
        if let Value::Function(function) = matcher {
            match &**function {
                Function::Regex(regex) => return self.next_match(regex, text, 0),
                Function::NextMatch { regex, text, from } => {
                    return self.following_match(regex, text, *from);
                }
                _ => {}
            }
        }
        let found = self.invoke(matcher, arguments)?;
        if found.is_undefined() {
            return Ok(None);
        }
        let wrong = || {
            let message = format!(
                "The matcher function argument passed to function {name:?} does not return the correct object structure"
            );
            Error::new("T1010", message)
        };
        let Value::Object(object) = &found else {
            return Err(wrong());
        };
        let field = |name: &str| object.fields().get(name).unwrap_or(&Value::Undefined);
        let (Some(start), Some(end)) = (field("start").as_number()?, field("end").as_number()?)
        else {
            return Err(wrong());
        };
        let (start, end) = (byte(text, start), byte(text, end));
        self.spend_bytes(text.len())?;
        Ok(Some(Found {
            matched: field("match")
                .as_text()
                .map(|text| text.to_string())
                .unwrap_or_default(),
            start,
            end,
            groups: match field("groups") {
                Value::Array(groups) => groups.items().to_vec(),
                _ => Vec::new(),
            },
            next: field("next").clone(),
        }))
    }

    /// Calls `each` for what a matcher finds, at most `limit` times.
    fn each_match(
        &mut self,
        matcher: &Value,
        text: &Name,
        limit: Option<f64>,
        name: &str,
        each: &mut dyn FnMut(&mut Self, Found) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut count = 0.0;
        if limit.is_some_and(|limit| limit <= count) {
            return Ok(());
        }
        let first = vec![Value::Text(text.clone())];
        let mut found = self.matcher(matcher, first, text, name)?;
        while let Some(this) = found {
            let next = this.next.clone();
            each(self, this)?;
            count += 1.0;
            if limit.is_some_and(|limit| limit <= count) {
                break;
            }
            found = self.matcher(&next, Vec::new(), text, name)?;
        }
        Ok(())
    }
}

fn limit(
    arguments: &[Value],
    index: usize,
    code: &'static str,
    name: &str,
) -> Result<Option<f64>, Error> {
    let limit = number(arguments, index)?;
    if limit.is_some_and(|limit| limit < 0.0) {
        let which = ["First", "Second", "Third", "Fourth"][index.min(3)];
        let message =
            format!("{which} argument of {name} function must evaluate to a positive number");
        return Err(Error::new(code, message));
    }
    Ok(limit)
}

pub(super) fn contains(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (Some(text), token) = (text(arguments, 0), argument(arguments, 1)) else {
        return Ok(Value::Undefined);
    };
    this.spend_bytes(text.len())?;
    Ok(match token {
        Value::Undefined => Value::Undefined,
        Value::Text(token) => text.contains(&**token).into(),
        matcher => {
            let arguments = vec![Value::Text(text.clone())];
            this.matcher(matcher, arguments, text, "contains")?
                .is_some()
                .into()
        }
    })
}

pub(super) fn matches(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(text) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let limit = limit(arguments, 2, "D3040", "match")?;
    let mut results = Vec::new();
    let (mut seen, mut index) = (0, 0);
    this.each_match(
        argument(arguments, 1),
        text,
        limit,
        "match",
        &mut |this, found| {
            // Units are counted on from the match before, not from the beginning.
            index += text
                .get(seen..found.start)
                .map_or(0, |between| between.encode_utf16().count());
            seen = found.start.max(seen);
            this.spend_items(found.groups.len())?;
            let mut fields = Fields::new();
            fields.insert("match".into(), Value::from(found.matched));
            fields.insert("index".into(), index.into());
            fields.insert("groups".into(), Value::array(found.groups));
            results.push(Value::object(fields));
            Ok(())
        },
    )?;
    Ok(Value::sequence(results))
}

pub(super) fn split(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(text) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let limit = limit(arguments, 2, "D3020", "split")?;
    let most = limit.map_or(usize::MAX, |limit| limit as usize);
    let mut parts: Vec<Value> = Vec::new();
    this.spend_bytes(text.len())?;
    match argument(arguments, 1) {
        Value::Text(separator) if separator.is_empty() => {
            this.spend_items(text.len())?;
            let chars = text.chars().take(most);
            parts.extend(chars.map(|c| Value::from(c.to_string())));
        }
        Value::Text(separator) => {
            for part in text.split(&**separator).take(most) {
                this.spend(1)?;
                parts.push(part.into());
            }
        }
        Value::Undefined => parts.push(Value::Text(text.clone())),
        matcher => {
            let mut start = 0;
            let mut pieces = Vec::new();
            let counted = limit.map(f64::ceil);
            this.each_match(matcher, text, counted, "split", &mut |_, found| {
                let piece = text.get(start..found.start).unwrap_or_default();
                pieces.push(Value::from(piece));
                start = found.end;
                Ok(())
            })?;
            parts = pieces;
            if limit.is_none_or(|limit| (parts.len() as f64) < limit) {
                parts.push(text.get(start..).unwrap_or_default().into());
            }
        }
    }
    Ok(Value::array(parts))
}

pub(super) fn replace(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let Some(text) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let (pattern, replacement) = (argument(arguments, 1), argument(arguments, 2));
    if pattern.as_text().is_some_and(|pattern| pattern.is_empty()) {
        let message = "Second argument of replace function cannot be an empty string";
        return Err(Error::new("D3010", message));
    }
    let limit = limit(arguments, 3, "D3011", "replace")?;
    this.spend_bytes(text.len())?;
    let mut result = String::new();
    let mut position = 0;
    if let Value::Text(pattern) = pattern {
        let Value::Text(replacement) = replacement else {
            return Err(not_a_text());
        };
        let mut count = 0.0;
        while limit.is_none_or(|limit| count < limit)
            && let Some(at) = text[position..].find(&**pattern)
        {
            this.spend_bytes(at + replacement.len())?;
            result.push_str(&text[position..position + at]);
            result.push_str(replacement);
            position += at + pattern.len();
            count += 1.0;
        }
    } else {
        this.each_match(pattern, text, limit, "replace", &mut |this, found| {
            result.push_str(text.get(position..found.start).unwrap_or_default());
            position = (found.start + found.matched.len()).max(position);
            let with = match replacement {
                Value::Text(replacement) => {
                    this.spend_bytes(replacement.len() * (1 + found.matched.len() / 8))?;
                    substituted(replacement, &found)
                }
                function => match this.invoke(function, vec![found.into_value(text)])? {
                    Value::Text(with) => with.to_string(),
                    _ => return Err(not_a_text()),
                },
            };
            this.spend_bytes(with.len())?;
            result.push_str(&with);
            Ok(())
        })?;
    }
    result.push_str(text.get(position..).unwrap_or_default());
    Ok(result.into())
}

fn not_a_text() -> Error {
    Error::new(
        "D3012",
        "Attempted to replace a matched string with a non-string value",
    )
}

/// A replacement in which `$0` stands for the match, `$1` for its first group, `$$` for a dollar.
fn substituted(replacement: &str, found: &Found) -> String {
    let mut result = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix('0') {
            result.push_str(&found.matched);
            rest = after;
            continue;
        }
        // No more digits than the number of groups has, and one less if that is too many.
        let count = found.groups.len();
        let most = if count == 0 {
            1
        } else {
            count.to_string().len()
        };
        let digits = |most: usize| {
            let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit);
            rest[..digits.count()].parse::<usize>().ok()
        };
        let mut index = digits(most);
        if most > 1 && index.is_some_and(|index| index > count) {
            index = digits(most - 1);
        }
        match index {
            None => result.push('$'),
            Some(index) => {
                let group = index
                    .checked_sub(1)
                    .and_then(|index| found.groups.get(index));
                if let Some(Value::Text(group)) = group {
                    result.push_str(group);
                }
                rest = &rest[index.to_string().len().min(rest.len())..];
            }
        }
    }
    result.push_str(rest);
    result
}
