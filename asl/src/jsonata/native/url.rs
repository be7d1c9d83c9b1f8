//! Owns the functions that encode text: base 64 and URLs. <https://docs.jsonata.org/string-functions>

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::Value;

use super::text;

/// What stays as it is in a part of a URL, besides letters and digits.
const COMPONENT: &str = "-_.!~*'()";
/// What has a meaning in a URL.
const RESERVED: &str = ";/?:@&=+$,#";

fn with_text(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
    make: impl FnOnce(&str) -> Result<String, Error>,
) -> Result<Value, Error> {
    let Some(text) = text(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    this.spend_bytes(text.len() * 3)?;
    Ok(make(text)?.into())
}

/// Each character is one byte, as in `btoa` of ECMAScript.
pub(super) fn base64encode(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| {
        let bytes: Vec<u8> = text.encode_utf16().map(|unit| unit as u8).collect();
        Ok(STANDARD.encode(bytes))
    })
}

pub(super) fn base64decode(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let lenient = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    with_text(this, arguments, |text| {
        let bytes = lenient.decode(text).map_err(|_| {
            Error::new(
                "D3137",
                format!("The argument of base64decode is not base 64: {text:?}"),
            )
        })?;
        Ok(bytes.into_iter().map(char::from).collect())
    })
}

fn encoded(text: &str, keep: &[&str]) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || (c.is_ascii() && keep.iter().any(|set| set.contains(c))) {
            result.push(c);
        } else {
            result.push_str(&format!("%{byte:02X}"));
        }
    }
    result
}

fn decoded(text: &str, keep: &str, name: &str) -> Result<String, Error> {
    let wrong = || {
        Error::new(
            "D3140",
            format!("Malformed URL passed to ${name}(): {text:?}"),
        )
    };
    let source = text.as_bytes();
    let mut bytes = Vec::with_capacity(source.len());
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        at += 1;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = text.get(at..at + 2).ok_or_else(wrong)?;
        let all = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|_| all)
            .ok_or_else(wrong)?;
        if keep.contains(char::from(byte)) && byte.is_ascii() {
            bytes.extend_from_slice(&source[at - 1..at + 2]);
        } else {
            bytes.push(byte);
        }
        at += 2;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

pub(super) fn encode_component(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
) -> Result<Value, Error> {
    with_text(this, arguments, |text| Ok(encoded(text, &[COMPONENT])))
}

pub(super) fn encode(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| {
        Ok(encoded(text, &[COMPONENT, RESERVED]))
    })
}

pub(super) fn decode_component(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
) -> Result<Value, Error> {
    with_text(this, arguments, |text| {
        decoded(text, "", "decodeUrlComponent")
    })
}

pub(super) fn decode(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    with_text(this, arguments, |text| decoded(text, RESERVED, "decodeUrl"))
}
