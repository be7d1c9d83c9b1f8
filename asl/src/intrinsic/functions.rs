//! Owns what each intrinsic function does with its arguments.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use base64::{Engine, alphabet};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::random::Random;

/// AWS's limit for what `States.Base64Encode`, `Base64Decode` and `Hash` take, in characters.
const TEXT_MAX: usize = 10_000;
/// AWS's limit for what `States.ArrayRange` makes.
const RANGE_MAX: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Format,
    StringToJson,
    JsonToString,
    Array,
    ArrayPartition,
    ArrayContains,
    ArrayRange,
    ArrayGetItem,
    ArrayLength,
    ArrayUnique,
    Base64Encode,
    Base64Decode,
    Hash,
    JsonMerge,
    MathRandom,
    MathAdd,
    StringSplit,
    Uuid,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Function> {
        Some(match name {
            "States.Format" => Function::Format,
            "States.StringToJson" => Function::StringToJson,
            "States.JsonToString" => Function::JsonToString,
            "States.Array" => Function::Array,
            "States.ArrayPartition" => Function::ArrayPartition,
            "States.ArrayContains" => Function::ArrayContains,
            "States.ArrayRange" => Function::ArrayRange,
            "States.ArrayGetItem" => Function::ArrayGetItem,
            "States.ArrayLength" => Function::ArrayLength,
            "States.ArrayUnique" => Function::ArrayUnique,
            "States.Base64Encode" => Function::Base64Encode,
            "States.Base64Decode" => Function::Base64Decode,
            "States.Hash" => Function::Hash,
            "States.JsonMerge" => Function::JsonMerge,
            "States.MathRandom" => Function::MathRandom,
            "States.MathAdd" => Function::MathAdd,
            "States.StringSplit" => Function::StringSplit,
            "States.UUID" => Function::Uuid,
            _ => return None,
        })
    }

    pub(super) fn check_arity(self, count: usize) -> Result<(), String> {
        let (low, high) = match self {
            Function::Format => (1, usize::MAX),
            Function::Array => (0, usize::MAX),
            Function::Uuid => (0, 0),
            Function::StringToJson
            | Function::JsonToString
            | Function::ArrayLength
            | Function::ArrayUnique
            | Function::Base64Encode
            | Function::Base64Decode => (1, 1),
            Function::ArrayPartition
            | Function::ArrayContains
            | Function::ArrayGetItem
            | Function::Hash
            | Function::MathAdd
            | Function::StringSplit => (2, 2),
            Function::MathRandom => (2, 3),
            Function::ArrayRange | Function::JsonMerge => (3, 3),
        };
        if (low..=high).contains(&count) {
            return Ok(());
        }
        let wanted = match high {
            usize::MAX => format!("at least {low}"),
            _ if low == high => low.to_string(),
            _ => format!("{low} to {high}"),
        };
        Err(format!("it takes {wanted} arguments, not {count}"))
    }

    /// Whether an argument can only be a number.
    pub(super) fn wants_number(self, index: usize) -> bool {
        match self {
            Function::MathAdd | Function::MathRandom | Function::ArrayRange => true,
            Function::ArrayPartition | Function::ArrayGetItem => index == 1,
            _ => false,
        }
    }

    pub(super) fn call(self, arguments: Vec<Value>, random: &mut Random) -> Result<Value, String> {
        match (self, arguments.as_slice()) {
            (Function::Format, [template, rest @ ..]) => format(text(template)?, rest),
            (Function::StringToJson, [argument]) => {
                let text = text(argument)?;
                if text.trim().is_empty() {
                    return Ok(Value::Null);
                }
                let parsed = serde_json::from_str(text)
                    .map_err(|error| format!("{text} is not JSON: {error}"))?;
                // serde_json reads -0 as a float; AWS has no such number.
                Ok(if parsed == json!(-0.0) {
                    json!(0)
                } else {
                    parsed
                })
            }
            (Function::JsonToString, [argument]) => Ok(argument.to_string().into()),
            (Function::Array, _) => Ok(Value::Array(arguments)),
            (Function::ArrayPartition, [argument, size]) => {
                let size = usize::try_from(integer(size)?)
                    .ok()
                    .filter(|&size| size > 0);
                let size = size.ok_or("the chunk size must be a positive number")?;
                Ok(array(argument)?
                    .chunks(size)
                    .map(|chunk| Value::Array(chunk.to_vec()))
                    .collect())
            }
            (Function::ArrayContains, [argument, wanted]) => Ok(array(argument)?
                .iter()
                .any(|element| same(element, wanted))
                .into()),
            (Function::ArrayRange, [from, to, step]) => {
                range(integer(from)?, integer(to)?, integer(step)?)
            }
            (Function::ArrayGetItem, [argument, index]) => {
                let (array, index) = (array(argument)?, integer(index)?);
                let element = usize::try_from(index).ok().and_then(|at| array.get(at));
                element.cloned().ok_or_else(|| {
                    format!(
                        "index {index} is outside of an array of {} elements",
                        array.len()
                    )
                })
            }
            (Function::ArrayLength, [argument]) => Ok(array(argument)?.len().into()),
            (Function::ArrayUnique, [argument]) => {
                let mut unique: Vec<Value> = Vec::new();
                // By a number that elements that are the same have in common.
                let mut known: HashMap<u64, Vec<usize>> = HashMap::new();
                for element in array(argument)? {
                    let alike = known.entry(mark(element)).or_default();
                    if !alike.iter().any(|&at| same(&unique[at], element)) {
                        alike.push(unique.len());
                        unique.push(element.clone());
                    }
                }
                Ok(Value::Array(unique))
            }
            (Function::Base64Encode, [argument]) => {
                Ok(STANDARD.encode(short(text(argument)?)?).into())
            }
            (Function::Base64Decode, [argument]) => mime_decoded(short(text(argument)?)?),
            (Function::Hash, [argument, algorithm]) => {
                let data = match argument {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                hash(short(&data)?, text(algorithm)?)
            }
            (Function::JsonMerge, [first, second, deep]) => merge(first, second, deep),
            (Function::MathRandom, [from, to, seed @ ..]) => {
                let (from, to) = (integer(from)?, integer(to)?);
                if from >= to {
                    return Err(format!("the start {from} must be less than the end {to}"));
                }
                match seed.first() {
                    Some(seed) => Ok(Random::new(integer(seed)? as u64).between(from, to).into()),
                    None => Ok(random.between(from, to).into()),
                }
            }
            (Function::MathAdd, [first, second]) => Ok(integer(first)?
                .checked_add(integer(second)?)
                .ok_or("the sum is too large")?
                .into()),
            (Function::StringSplit, [argument, delimiters]) => {
                let delimiters: HashSet<char> = text(delimiters)?.chars().collect();
                let pieces = text(argument)?.split(|c| delimiters.contains(&c));
                Ok(pieces
                    .filter(|piece| !piece.is_empty())
                    .map(Value::from)
                    .collect())
            }
            (Function::Uuid, []) => Ok(random.uuid().into()),
            _ => Err("wrong number of arguments".to_owned()),
        }
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("{value} is not a string"))
}

fn short(text: &str) -> Result<&str, String> {
    if text.chars().count() > TEXT_MAX {
        return Err(format!("more than {TEXT_MAX} characters"));
    }
    Ok(text)
}

/// What Base64 in MIME says (RFC 2045, section 6.8): characters outside of the alphabet are ignored, `=` ends the
/// data, and what is no UTF-8 is shown as such.
fn mime_decoded(text: &str) -> Result<Value, String> {
    let mut digits: Vec<u8> = text
        .bytes()
        .take_while(|&byte| byte != b'=')
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .collect();
    // One digit is six bits, less than a byte.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    let lenient = NO_PAD.with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, lenient)
        .decode(digits)
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into())
}

fn array(value: &Value) -> Result<&Vec<Value>, String> {
    value
        .as_array()
        .ok_or_else(|| format!("{value} is not an array"))
}

/// The nearest integer, halves going up, as AWS rounds.
fn integer(value: &Value) -> Result<i64, String> {
    if let Some(integer) = value.as_i64() {
        return Ok(integer);
    }
    let number = value
        .as_f64()
        .ok_or_else(|| format!("{value} is not a number"))?;
    Ok((number + 0.5).floor() as i64)
}

/// Equality of JSON values in which 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A number that is the same for values that are [`same`].
fn mark(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Null => 0_u8.hash(&mut hasher),
        Value::Bool(value) => value.hash(&mut hasher),
        // 0 and -0 are the same.
        Value::Number(number) => (number.as_f64().unwrap_or(0.0) + 0.0)
            .to_bits()
            .hash(&mut hasher),
        Value::String(text) => text.hash(&mut hasher),
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| mark(element).hash(&mut hasher)),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| {
                let mut hasher = DefaultHasher::new();
                (name, mark(field)).hash(&mut hasher);
                hasher.finish()
            });
            // In whatever order they come.
            fields.fold(1_u64, u64::wrapping_add).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn format(template: &str, arguments: &[Value]) -> Result<Value, String> {
    let mut out = String::new();
    let mut left = arguments.iter();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if matches!(chars.peek(), Some('{' | '}')) => out.extend(chars.next()),
            '{' => {
                if chars.next() != Some('}') {
                    return Err("{ without }".to_owned());
                }
                match left.next().ok_or("more {} than arguments")? {
                    Value::String(text) => out.push_str(text),
                    other @ (Value::Array(_) | Value::Object(_)) => {
                        return Err(format!(
                            "{other} is not a string, a number, a boolean or null"
                        ));
                    }
                    other => out.push_str(&other.to_string()),
                }
            }
            c => out.push(c),
        }
    }
    if left.next().is_some() {
        return Err("more arguments than {}".to_owned());
    }
    Ok(out.into())
}

fn range(from: i64, to: i64, step: i64) -> Result<Value, String> {
    if step == 0 {
        return Err("the step must not be 0".to_owned());
    }
    let mut elements = Vec::new();
    let mut at = from;
    while (step > 0 && at <= to) || (step < 0 && at >= to) {
        if elements.len() == RANGE_MAX {
            return Err(format!("more than {RANGE_MAX} elements"));
        }
        elements.push(at);
        let Some(next) = at.checked_add(step) else {
            break;
        };
        at = next;
    }
    Ok(elements.into())
}

pub(crate) fn hash(data: &str, algorithm: &str) -> Result<Value, String> {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    Ok(match algorithm {
        "MD5" => hex(&Md5::digest(data)),
        "SHA-1" => hex(&<Sha1 as sha1::Digest>::digest(data)),
        "SHA-256" => hex(&Sha256::digest(data)),
        "SHA-384" => hex(&Sha384::digest(data)),
        "SHA-512" => hex(&Sha512::digest(data)),
        _ => {
            return Err(format!(
                "{algorithm} is none of MD5, SHA-1, SHA-256, SHA-384, SHA-512"
            ));
        }
    }
    .into())
}

fn merge(first: &Value, second: &Value, deep: &Value) -> Result<Value, String> {
    match deep {
        Value::Bool(false) => {}
        Value::Bool(true) => {
            return Err(
                "deep merging is not available: the third argument must be false".to_owned(),
            );
        }
        other => return Err(format!("{other} is not a boolean")),
    }
    let object = |value: &Value| {
        value
            .as_object()
            .cloned()
            .ok_or_else(|| format!("{value} is not an object"))
    };
    let mut merged: Map<String, Value> = object(first)?;
    merged.extend(object(second)?);
    Ok(Value::Object(merged))
}
