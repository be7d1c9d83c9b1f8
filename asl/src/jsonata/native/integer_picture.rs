//! Owns whole numbers by picture: `$formatInteger` and `$parseInteger`, and the numbers in dates.
//!
//! Pictures are those of XPath and XQuery's `fn:format-integer`.
//! <https://www.w3.org/TR/xpath-functions-31/#func-format-integer>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::text::number_text;
use crate::jsonata::value::Value;

use super::{number, text, words};

/// How a whole number is written.
#[derive(Debug, Clone)]
pub(super) struct IntegerPicture {
    primary: Primary,
    pub(super) case: Case,
    ordinal: bool,
    /// The digit that stands for zero.
    zero: u32,
    pub(super) mandatory: usize,
    pub(super) optional: usize,
    pub(super) separators: Separators,
    /// How many digits are read, if others follow.
    pub(super) parse_width: Option<usize>,
}

#[derive(Debug, Clone)]
enum Primary {
    Decimal,
    Letters,
    Roman,
    Words,
    /// Some other sequence, which is not supported.
    Sequence(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
    Title,
}

#[derive(Debug, Clone)]
pub(super) enum Separators {
    /// Every so many digits.
    Regular(usize, char),
    /// After so many digits, from the right.
    Irregular(Vec<(usize, char)>),
}

/// The zeros of Unicode's decimal digits in the Basic Multilingual Plane.
const ZEROS: [u32; 37] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

fn not_supported(token: &str) -> Error {
    let message = format!(
        "Formatting or parsing an integer as a sequence starting with {token:?} is not supported by this implementation"
    );
    Error::new("D3130", message)
}

impl IntegerPicture {
    pub(super) fn parse(picture: &str) -> Result<IntegerPicture, Error> {
        let (primary, modifier) = picture.rsplit_once(';').unwrap_or((picture, ""));
        let mut format = IntegerPicture {
            primary: Primary::Decimal,
            case: Case::Lower,
            ordinal: modifier.starts_with('o'),
            zero: 0x30,
            mandatory: 0,
            optional: 0,
            separators: Separators::Irregular(Vec::new()),
            parse_width: None,
        };
        (format.primary, format.case) = match primary {
            "A" => (Primary::Letters, Case::Upper),
            "a" => (Primary::Letters, Case::Lower),
            "I" => (Primary::Roman, Case::Upper),
            "i" => (Primary::Roman, Case::Lower),
            "W" => (Primary::Words, Case::Upper),
            "Ww" => (Primary::Words, Case::Title),
            "w" => (Primary::Words, Case::Lower),
            _ => {
                format.digits(primary)?;
                return Ok(format);
            }
        };
        Ok(format)
    }

    fn digits(&mut self, picture: &str) -> Result<(), Error> {
        let mut zero = None;
        let mut separators: Vec<(usize, char)> = Vec::new();
        let mut position = 0;
        for c in picture.chars().rev() {
            let code = u32::from(c);
            if let Some(&group) = ZEROS
                .iter()
                .find(|zero| (**zero..**zero + 10).contains(&code))
            {
                self.mandatory += 1;
                position += 1;
                if *zero.get_or_insert(group) != group {
                    let message = "In a decimal digit pattern, all digits must be from the same decimal group";
                    return Err(Error::new("D3131", message));
                }
            } else if c == '#' {
                self.optional += 1;
                position += 1;
            } else {
                separators.push((position, c));
            }
        }
        let Some(zero) = zero else {
            self.primary = Primary::Sequence(picture.to_owned());
            return Ok(());
        };
        self.zero = zero;
        self.separators = match regular(&separators) {
            Some((every, c)) => Separators::Regular(every, c),
            None => Separators::Irregular(separators),
        };
        Ok(())
    }

    pub(super) fn is_regular(&self) -> bool {
        matches!(self.separators, Separators::Regular(..))
    }

    pub(super) fn format(&self, this: &mut Evaluator<'_>, number: f64) -> Result<String, Error> {
        let value = number.abs();
        let text = match &self.primary {
            Primary::Letters => {
                words::to_letters(value, if self.case == Case::Upper { 'A' } else { 'a' })
            }
            Primary::Roman => {
                this.spend((value / 1000.0) as usize)?;
                let roman = words::to_roman(value);
                match self.case {
                    Case::Upper => roman.to_uppercase(),
                    _ => roman,
                }
            }
            Primary::Words => {
                let words = words::to_words(value, self.ordinal);
                match self.case {
                    Case::Upper => words.to_uppercase(),
                    Case::Lower => words.to_lowercase(),
                    Case::Title => words,
                }
            }
            Primary::Decimal => self.decimal(value),
            Primary::Sequence(token) => return Err(not_supported(token)),
        };
        Ok(if number < 0.0 {
            format!("-{text}")
        } else {
            text
        })
    }

    fn decimal(&self, value: f64) -> String {
        let mut digits: Vec<char> = number_text(value).chars().collect();
        while digits.len() < self.mandatory {
            digits.insert(0, '0');
        }
        let plain = digits.clone();
        for digit in &mut digits {
            if let Some(value) = digit.to_digit(10) {
                *digit = char::from_u32(self.zero + value).unwrap_or(*digit);
            }
        }
        let length = digits.len();
        match &self.separators {
            Separators::Regular(every, c) => {
                for group in (1..=length.saturating_sub(1) / every).rev() {
                    // Those to the left come first and move the rest by one each.
                    let before = (length - 1) / every - group;
                    digits.insert(length - group * every + before, *c);
                }
            }
            Separators::Irregular(separators) => {
                for (position, c) in separators.iter().rev() {
                    let position = digits.len().saturating_sub(*position);
                    digits.insert(position, *c);
                }
            }
        }
        let mut text: String = digits.into_iter().collect();
        if self.ordinal {
            let teens = length > 1 && plain[length - 2] == '1';
            text += match plain.last() {
                Some('1') if !teens => "st",
                Some('2') if !teens => "nd",
                Some('3') if !teens => "rd",
                _ => "th",
            };
        }
        text
    }

    /// A regular expression for what [`IntegerPicture::parse_text`] reads.
    pub(super) fn pattern(&self) -> Result<String, Error> {
        Ok(match (&self.primary, self.case) {
            (Primary::Letters, Case::Upper) => "[A-Z]+".to_owned(),
            (Primary::Letters, _) => "[a-z]+".to_owned(),
            (Primary::Roman, Case::Upper) => "[MDCLXVI]+".to_owned(),
            (Primary::Roman, _) => "[mdclxvi]+".to_owned(),
            (Primary::Words, _) => words::pattern(),
            (Primary::Decimal, _) => {
                let count = match self.parse_width {
                    Some(width) => format!("{{{width}}}"),
                    None => "+".to_owned(),
                };
                let suffix = if self.ordinal { "(?:th|st|nd|rd)" } else { "" };
                format!("[0-9]{count}{suffix}")
            }
            (Primary::Sequence(token), _) => return Err(not_supported(token)),
        })
    }

    /// The number of a text; NaN if it is none.
    pub(super) fn parse_text(&self, text: &str) -> Result<f64, Error> {
        Ok(match &self.primary {
            Primary::Letters => {
                words::from_letters(text, if self.case == Case::Upper { 'A' } else { 'a' })
            }
            Primary::Roman => words::from_roman(text),
            Primary::Words => words::from_words(text),
            Primary::Decimal => {
                let mut chars: Vec<char> = text.chars().collect();
                if self.ordinal {
                    chars.truncate(chars.len().saturating_sub(2));
                }
                let separates = |c: &char| match &self.separators {
                    Separators::Regular(..) => *c == ',',
                    Separators::Irregular(separators) => separators.iter().any(|(_, s)| s == c),
                };
                chars.retain(|c| !separates(c));
                let digits = chars.iter().map(|c| {
                    let moved = u32::from(*c).wrapping_sub(self.zero).wrapping_add(0x30);
                    char::from_u32(moved).unwrap_or(*c)
                });
                leading_number(&digits.collect::<String>())
            }
            Primary::Sequence(token) => return Err(not_supported(token)),
        })
    }
}

/// The number with which a text begins; NaN if there is none.
pub(super) fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    digits[..length]
        .parse::<f64>()
        .map_or(f64::NAN, |number| sign * number)
}

/// The distance and the character of separators that repeat all along.
fn regular(separators: &[(usize, char)]) -> Option<(usize, char)> {
    let (_, c) = *separators.first()?;
    if separators.iter().any(|(_, other)| *other != c) {
        return None;
    }
    let positions: Vec<usize> = separators.iter().map(|(position, _)| *position).collect();
    repeat(&positions).map(|every| (every, c))
}

/// The distance of positions that are all its multiples, without a gap.
pub(super) fn repeat(positions: &[usize]) -> Option<usize> {
    let every = positions.iter().copied().reduce(divisor)?;
    let all = (1..=positions.len()).all(|index| positions.contains(&(index * every)));
    (every > 0 && all).then_some(every)
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

pub(super) fn format_integer(
    this: &mut Evaluator<'_>,
    arguments: &[Value],
) -> Result<Value, Error> {
    let (Some(number), Some(picture)) = (number(arguments, 0)?, text(arguments, 1)) else {
        return Ok(Value::Undefined);
    };
    this.spend(picture.len())?;
    let format = IntegerPicture::parse(picture)?;
    Ok(format.format(this, number.floor())?.into())
}

pub(super) fn parse_integer(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (Some(value), Some(picture)) = (text(arguments, 0), text(arguments, 1)) else {
        return Ok(Value::Undefined);
    };
    this.spend(picture.len() + value.len())?;
    Ok(IntegerPicture::parse(picture)?.parse_text(value)?.into())
}
