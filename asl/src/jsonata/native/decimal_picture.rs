//! Owns `$formatNumber`: numbers by a picture such as `#,##0.00`.
//!
//! Pictures are those of XPath's `fn:format-number`.
//! <https://www.w3.org/TR/xpath-functions-31/#func-format-number>

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;
use crate::jsonata::value::Value;

use super::integer_picture::repeat;
use super::number::rounded;
use super::{argument, number, text};

/// The characters with a meaning.
#[derive(Debug)]
struct Symbols {
    decimal: char,
    grouping: char,
    exponent: char,
    minus: String,
    percent: char,
    per_mille: char,
    zero: char,
    digit: char,
    separator: char,
}

impl Symbols {
    fn new(options: &Value) -> Symbols {
        let option = |name: &str| match options {
            Value::Object(object) => object.fields().get(name).and_then(Value::as_text).cloned(),
            _ => None,
        };
        let symbol = |name: &str, default: char| {
            option(name)
                .and_then(|text| text.chars().next())
                .unwrap_or(default)
        };
        Symbols {
            decimal: symbol("decimal-separator", '.'),
            grouping: symbol("grouping-separator", ','),
            exponent: symbol("exponent-separator", 'e'),
            minus: option("minus-sign").map_or("-".to_owned(), |text| text.to_string()),
            percent: symbol("percent", '%'),
            per_mille: symbol("per-mille", '‰'),
            zero: symbol("zero-digit", '0'),
            digit: symbol("digit", '#'),
            separator: symbol("pattern-separator", ';'),
        }
    }

    fn is_digit(&self, c: char) -> bool {
        let zero = u32::from(self.zero);
        (zero..zero + 10).contains(&u32::from(c))
    }

    fn is_active(&self, c: char) -> bool {
        let active = [
            self.decimal,
            self.exponent,
            self.grouping,
            self.digit,
            self.separator,
        ];
        self.is_digit(c) || active.contains(&c)
    }

    /// A number without sign in this family of digits.
    fn digits(&self, number: f64, places: usize) -> Vec<char> {
        let text = format!("{:.places$}", number.abs());
        let own = |c: char| match c.to_digit(10) {
            Some(value) => char::from_u32(u32::from(self.zero) + value).unwrap_or(c),
            None => c,
        };
        text.chars().map(own).collect()
    }
}

/// A picture taken apart.
#[derive(Debug)]
struct Parts {
    whole: Vec<char>,
    prefix: String,
    suffix: String,
    active: Vec<char>,
    mantissa: Vec<char>,
    integer: Vec<char>,
    fraction: Vec<char>,
    exponent: Option<Vec<char>>,
}

impl Parts {
    fn new(picture: &str, symbols: &Symbols) -> Parts {
        let whole: Vec<char> = picture.chars().collect();
        let is_active = |c: &char| symbols.is_active(*c) && *c != symbols.exponent;
        let first = whole.iter().position(is_active).unwrap_or(0);
        let last = whole.iter().rposition(is_active);
        let end = last.map_or(whole.len(), |last| last + 1);
        let active = whole[first..end].to_vec();
        let (mantissa, exponent) = match active.iter().position(|c| *c == symbols.exponent) {
            None => (active.clone(), None),
            Some(at) => (active[..at].to_vec(), Some(active[at + 1..].to_vec())),
        };
        let suffix: Vec<char> = whole[end..].to_vec();
        let (integer, fraction) = match mantissa.iter().position(|c| *c == symbols.decimal) {
            None => (mantissa.clone(), suffix.clone()),
            Some(at) => (mantissa[..at].to_vec(), mantissa[at + 1..].to_vec()),
        };
        Parts {
            prefix: whole[..first].iter().collect(),
            suffix: suffix.iter().collect(),
            whole,
            active,
            mantissa,
            integer,
            fraction,
            exponent,
        }
    }

    /// What is wrong with a picture, the last of all that is.
    fn check(&self, symbols: &Symbols) -> Result<(), Error> {
        let count = |c: char| self.whole.iter().filter(|other| **other == c).count();
        let has = |c: char| count(c) > 0;
        let digit = |c: &char| symbols.is_digit(*c);
        let mut wrong = None;
        let mut check = |holds: bool, code: &'static str, message: &'static str| {
            if holds {
                wrong = Some((code, message));
            }
        };
        check(
            count(symbols.decimal) > 1,
            "D3081",
            "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
        );
        check(
            count(symbols.percent) > 1,
            "D3082",
            "The sub-picture must not contain more than one instance of the 'percent' character",
        );
        check(
            count(symbols.per_mille) > 1,
            "D3083",
            "The sub-picture must not contain more than one instance of the 'per-mille' character",
        );
        check(
            has(symbols.percent) && has(symbols.per_mille),
            "D3084",
            "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
        );
        check(
            !self
                .mantissa
                .iter()
                .any(|c| digit(c) || *c == symbols.digit),
            "D3085",
            "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit character' or a member of the 'decimal digit family'",
        );
        check(
            self.active.iter().any(|c| !symbols.is_active(*c)),
            "D3086",
            "The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
        );
        match self.whole.iter().position(|c| *c == symbols.decimal) {
            Some(at) => {
                let before = at.checked_sub(1).and_then(|at| self.whole.get(at));
                let beside = [before, self.whole.get(at + 1)];
                check(
                    beside.contains(&Some(&symbols.grouping)),
                    "D3087",
                    "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a 'decimal-separator' character",
                );
            }
            None => check(
                self.integer.last() == Some(&symbols.grouping),
                "D3088",
                "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
            ),
        }
        let twice = self
            .whole
            .windows(2)
            .any(|pair| pair == [symbols.grouping; 2]);
        check(
            twice,
            "D3089",
            "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
        );
        let optional = self.integer.iter().position(|c| *c == symbols.digit);
        check(
            optional.is_some_and(|at| self.integer[..at].iter().any(digit)),
            "D3090",
            "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by an instance of the 'optional digit character'",
        );
        let optional = self.fraction.iter().rposition(|c| *c == symbols.digit);
        check(
            optional.is_some_and(|at| self.fraction[at..].iter().any(digit)),
            "D3091",
            "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is followed by a member of the 'decimal digit family'",
        );
        if let Some(exponent) = &self.exponent {
            let scaled = has(symbols.percent) || has(symbols.per_mille);
            check(
                !exponent.is_empty() && scaled,
                "D3092",
                "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an 'exponent-separator'",
            );
            check(
                exponent.is_empty() || !exponent.iter().all(digit),
                "D3093",
                "The exponent part of the sub-picture must comprise only of one or more characters that are members of the 'decimal digit family'",
            );
        }
        match wrong {
            Some((code, message)) => Err(Error::new(code, message)),
            None => Ok(()),
        }
    }
}

/// What a picture asks for.
#[derive(Debug)]
struct Layout {
    /// Where groups end in the integer part, in digits from the right.
    groups: Vec<usize>,
    every: Option<usize>,
    /// Where groups end in the fraction, in digits from the left.
    fraction_groups: Vec<usize>,
    integer_least: usize,
    scaling: usize,
    fraction_least: usize,
    fraction_most: usize,
    exponent_least: usize,
}

impl Layout {
    fn new(parts: &Parts, symbols: &Symbols) -> Layout {
        let mandatory = |c: &&char| symbols.is_digit(**c);
        let any = |c: &&char| symbols.is_digit(**c) || **c == symbols.digit;
        let places = |part: &[char], left: bool| -> Vec<usize> {
            let separators = part.iter().enumerate();
            let separators = separators.filter(|(_, c)| **c == symbols.grouping);
            separators
                .map(|(at, _)| match left {
                    true => part[..at].iter().filter(any).count(),
                    false => part[at..].iter().filter(any).count(),
                })
                .collect()
        };
        let groups = places(&parts.integer, false);
        let scaling = parts.integer.iter().filter(mandatory).count();
        let mut layout = Layout {
            every: repeat(&groups),
            groups,
            fraction_groups: places(&parts.fraction, true),
            integer_least: scaling,
            scaling,
            fraction_least: parts.fraction.iter().filter(mandatory).count(),
            fraction_most: parts.fraction.iter().filter(any).count(),
            exponent_least: parts
                .exponent
                .as_ref()
                .map_or(0, |part| part.iter().filter(mandatory).count()),
        };
        let exponent = parts.exponent.is_some();
        if layout.integer_least == 0 && layout.fraction_most == 0 {
            if exponent {
                (layout.fraction_least, layout.fraction_most) = (1, 1);
            } else {
                layout.integer_least = 1;
            }
        }
        if exponent && layout.integer_least == 0 && parts.integer.contains(&symbols.digit) {
            layout.integer_least = 1;
        }
        if layout.integer_least == 0 && layout.fraction_least == 0 {
            layout.fraction_least = 1;
        }
        layout
    }

    /// Writes a mantissa.
    fn write(&self, mantissa: f64, parts: &Parts, symbols: &Symbols) -> String {
        let digits = symbols.digits(mantissa, self.fraction_most);
        let point = digits
            .iter()
            .position(|c| *c == '.')
            .unwrap_or(digits.len());
        let mut integer: Vec<char> = digits[..point].to_vec();
        let mut fraction: Vec<char> = digits.get(point + 1..).unwrap_or_default().to_vec();
        let zeros = integer.iter().take_while(|c| **c == symbols.zero).count();
        integer.drain(..zeros);
        while fraction.last() == Some(&symbols.zero) {
            fraction.pop();
        }
        while integer.len() < self.integer_least {
            integer.insert(0, symbols.zero);
        }
        while fraction.len() < self.fraction_least {
            fraction.push(symbols.zero);
        }
        let length = integer.len();
        let ends: Vec<usize> = match self.every {
            Some(every) => (1..=length.saturating_sub(1) / every)
                .map(|group| group * every)
                .collect(),
            None => self.groups.clone(),
        };
        let mut text = String::new();
        for (index, digit) in integer.iter().enumerate() {
            if ends.contains(&(length - index)) && (index > 0 || self.every.is_none()) {
                text.push(symbols.grouping);
            }
            text.push(*digit);
        }
        if parts.whole.contains(&symbols.decimal) && !fraction.is_empty() {
            text.push(symbols.decimal);
        }
        for (index, digit) in fraction.iter().enumerate() {
            if self.fraction_groups.contains(&index) {
                text.push(symbols.grouping);
            }
            text.push(*digit);
        }
        text
    }
}

fn formatted(value: f64, picture: &str, options: &Value) -> Result<String, Error> {
    let symbols = Symbols::new(options);
    let pictures: Vec<&str> = picture.split(symbols.separator).collect();
    if pictures.len() > 2 {
        let message = "The picture string must only contain a maximum of two sub-pictures";
        return Err(Error::new("D3080", message));
    }
    let parts: Vec<Parts> = pictures
        .iter()
        .map(|picture| Parts::new(picture, &symbols))
        .collect();
    parts.iter().try_for_each(|parts| parts.check(&symbols))?;
    let negative = value < 0.0;
    let parts = match parts.as_slice() {
        [_, second] if negative => second,
        parts => &parts[0],
    };
    let minus = if negative && pictures.len() == 1 {
        symbols.minus.as_str()
    } else {
        ""
    };
    let layout = Layout::new(parts, &symbols);
    let mut mantissa = if parts.whole.contains(&symbols.percent) {
        value * 100.0
    } else if parts.whole.contains(&symbols.per_mille) {
        value * 1000.0
    } else {
        value
    };
    let mut exponent = None;
    if layout.exponent_least > 0 {
        let most = 10_f64.powi(layout.scaling as i32);
        let least = 10_f64.powi(layout.scaling as i32 - 1);
        let mut power = 0;
        while mantissa != 0.0 && mantissa.abs() < least {
            mantissa *= 10.0;
            power -= 1;
        }
        while mantissa.abs() > most && mantissa.is_finite() {
            mantissa /= 10.0;
            power += 1;
        }
        exponent = Some(power);
    }
    let mantissa = rounded(mantissa, layout.fraction_most as i32);
    let mut text = format!("{minus}{}", parts.prefix) + &layout.write(mantissa, parts, &symbols);
    if let Some(power) = exponent {
        let digits = symbols.digits(f64::from(power), 0);
        let zeros = layout.exponent_least.saturating_sub(digits.len());
        text.push(symbols.exponent);
        if power < 0 {
            text.push_str(&symbols.minus);
        }
        text.extend(std::iter::repeat_n(symbols.zero, zeros));
        text.extend(digits);
    }
    Ok(text + &parts.suffix)
}

pub(super) fn format_number(this: &mut Evaluator<'_>, arguments: &[Value]) -> Result<Value, Error> {
    let (Some(value), Some(picture)) = (number(arguments, 0)?, text(arguments, 1)) else {
        return Ok(Value::Undefined);
    };
    this.spend(1 + picture.len())?;
    Ok(formatted(value, picture, argument(arguments, 2))?.into())
}
