//! Owns the tokens of an expression.

use std::sync::Arc;

use super::error::Error;
use super::regex::Regex;

/// A token.
#[derive(Debug, Clone)]
pub(super) enum Token {
    Name(String),
    /// Without its `$`.
    Variable(String),
    Operator(&'static str),
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
    Regex(Arc<Regex>),
    End,
}

impl Token {
    /// The token as messages show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Token::Name(text) | Token::Variable(text) | Token::Text(text) => format!("{text:?}"),
            Token::Operator(operator) => format!("{operator:?}"),
            Token::Number(number) => number.to_string(),
            Token::Bool(value) => value.to_string(),
            Token::Null => "null".to_owned(),
            Token::Regex(_) => "a regular expression".to_owned(),
            Token::End => "\"(end)\"".to_owned(),
        }
    }

    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Token::Operator(operator) if *operator == wanted)
    }
}

/// Operators, those of two characters first.
const OPERATORS: [&str; 36] = [
    "..", ":=", "!=", ">=", "<=", "**", "~>", "?:", "??", ".", "[", "]", "{", "}", "(", ")", ",",
    "@", "#", ";", ":", "?", "+", "-", "*", "/", "%", "|", "=", "<", ">", "^", "&", "!", "~", "",
];

/// Reads tokens one after the other: whether `/` begins a regular expression depends on what the
/// parser expects.
#[derive(Debug)]
pub(super) struct Tokens {
    source: Vec<char>,
    position: usize,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}')
}

fn is_operator(c: char) -> bool {
    OPERATORS
        .iter()
        .any(|operator| operator.len() == 1 && operator.starts_with(c))
}

impl Tokens {
    pub(super) fn new(source: &str) -> Tokens {
        Tokens {
            source: source.chars().collect(),
            position: 0,
        }
    }

    pub(super) fn length(&self) -> usize {
        self.source.len()
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.position + ahead).copied()
    }

    /// The next token and where it begins. `after_operand`: a `/` is a division.
    pub(super) fn next(&mut self, after_operand: bool) -> Result<(Token, usize), Error> {
        self.skip()?;
        let start = self.position;
        let Some(first) = self.peek(0) else {
            return Ok((Token::End, start));
        };
        if first == '/' && !after_operand {
            self.position += 1;
            return Ok((Token::Regex(Arc::new(self.regex()?)), start));
        }
        let rest: String = self.source[start..].iter().take(2).collect();
        let operator = OPERATORS
            .iter()
            .find(|operator| !operator.is_empty() && rest.starts_with(**operator));
        if let Some(operator) = operator {
            self.position += operator.len();
            return Ok((Token::Operator(operator), start));
        }
        let token = match first {
            '"' | '\'' => self.text(first)?,
            '`' => self.quoted_name()?,
            '0'..='9' => self.number()?,
            _ => self.name(),
        };
        Ok((token, start))
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), Error> {
        loop {
            while self.peek(0).is_some_and(is_space) {
                self.position += 1;
            }
            if (self.peek(0), self.peek(1)) != (Some('/'), Some('*')) {
                return Ok(());
            }
            let start = self.position;
            self.position += 2;
            while (self.peek(0), self.peek(1)) != (Some('*'), Some('/')) {
                if self.peek(0).is_none() {
                    return Err(Error::new("S0106", "Comment has no closing tag").at(start));
                }
                self.position += 1;
            }
            self.position += 2;
        }
    }

    fn regex(&mut self) -> Result<Regex, Error> {
        let start = self.position;
        let (mut depth, mut escaped) = (0_i64, false);
        while let Some(c) = self.peek(0) {
            match c {
                '/' if !escaped && depth == 0 => {
                    let pattern: String = self.source[start..self.position].iter().collect();
                    if pattern.is_empty() {
                        let message = "Empty regular expressions are not allowed";
                        return Err(Error::new("S0301", message).at(self.position));
                    }
                    self.position += 1;
                    let flags = self.position;
                    while matches!(self.peek(0), Some('i' | 'm')) {
                        self.position += 1;
                    }
                    let flags = &self.source[flags..self.position];
                    let (ignore_case, lines) = (flags.contains(&'i'), flags.contains(&'m'));
                    return Regex::new(&pattern, ignore_case, lines).map_err(|e| e.at(start));
                }
                '(' | '[' | '{' if !escaped => depth += 1,
                ')' | ']' | '}' if !escaped => depth -= 1,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
            self.position += 1;
        }
        Err(Error::new("S0302", "No terminating / in regular expression").at(self.position))
    }

    fn text(&mut self, quote: char) -> Result<Token, Error> {
        self.position += 1;
        // UTF-16, so that escaped surrogates pair up.
        let mut units: Vec<u16> = Vec::new();
        let mut buffer = [0; 2];
        while let Some(c) = self.peek(0) {
            self.position += 1;
            if c == quote {
                return Ok(Token::Text(String::from_utf16_lossy(&units)));
            }
            if c != '\\' {
                units.extend_from_slice(c.encode_utf16(&mut buffer));
                continue;
            }
            let Some(escape) = self.peek(0) else { break };
            let plain = match escape {
                '"' | '\\' | '/' => escape,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = self.source[self.position + 1..].iter().take(4).collect();
                    let unit = u16::from_str_radix(&digits, 16);
                    let all = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
                    let (Ok(unit), true) = (unit, all) else {
                        let message = "The escape sequence \\u must be followed by 4 hex digits";
                        return Err(Error::new("S0104", message).at(self.position));
                    };
                    units.push(unit);
                    self.position += 5;
                    continue;
                }
                other => {
                    let message = format!("Unsupported escape sequence: \\{other}");
                    return Err(Error::new("S0103", message).at(self.position));
                }
            };
            units.extend_from_slice(plain.encode_utf16(&mut buffer));
            self.position += 1;
        }
        let message = "String literal must be terminated by a matching quote";
        Err(Error::new("S0101", message).at(self.position))
    }

    fn quoted_name(&mut self) -> Result<Token, Error> {
        let start = self.position + 1;
        let Some(length) = self.source[start..].iter().position(|c| *c == '`') else {
            self.position = self.source.len();
            let message = "Quoted property name must be terminated with a backquote (`)";
            return Err(Error::new("S0105", message).at(self.position));
        };
        self.position = start + length + 1;
        Ok(Token::Name(
            self.source[start..start + length].iter().collect(),
        ))
    }

    /// Digits as in JSON: no zeros in front, a digit after the point.
    fn number(&mut self) -> Result<Token, Error> {
        let start = self.position;
        let digits = |this: &mut Tokens| {
            while this.peek(0).is_some_and(|c| c.is_ascii_digit()) {
                this.position += 1;
            }
        };
        if self.peek(0) == Some('0') {
            self.position += 1;
        } else {
            digits(self);
        }
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        if self.peek(0) == Some('.') && digit(self.peek(1)) {
            self.position += 1;
            digits(self);
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if digit(self.peek(1 + signed)) {
                self.position += 1 + signed;
                digits(self);
            }
        }
        let text: String = self.source[start..self.position].iter().collect();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Number(number)),
            _ => Err(Error::new("S0102", format!("Number out of range: {text:?}")).at(start)),
        }
    }

    fn name(&mut self) -> Token {
        let start = self.position;
        while self
            .peek(0)
            .is_some_and(|c| !is_space(c) && !is_operator(c))
        {
            self.position += 1;
        }
        let name: String = self.source[start..self.position].iter().collect();
        if let Some(name) = name.strip_prefix('$') {
            return Token::Variable(name.to_owned());
        }
        match name.as_str() {
            "or" => Token::Operator("or"),
            "in" => Token::Operator("in"),
            "and" => Token::Operator("and"),
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            "null" => Token::Null,
            _ => Token::Name(name),
        }
    }
}
