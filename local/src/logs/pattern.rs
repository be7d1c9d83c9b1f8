//! Filter patterns, as far as subscriptions of JSON logs use them.
//!
//! Owns two of the forms: terms (`ERROR "two words" ?either ?or -not`) and JSON
//! (`{ $.type = "progress" || ($.record.metrics.durationMs > 100 && $.x IS NULL) }`). Refuses the others
//! (space-delimited `[…]`, regular expressions `%…%`) with the reason, when the filter is put.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>

use serde_json::Value;

/// A parsed filter pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// The empty pattern.
    All,
    /// Words in the text: all of the first, any of the second, none of the third.
    Terms(Vec<String>, Vec<String>, Vec<String>),
    /// A condition over a JSON text.
    Json(Condition),
}

/// A condition of a JSON pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// Any of them.
    Or(Vec<Condition>),
    /// A comparison: path, operator, operand.
    Compare(Vec<String>, Operator, Operand),
    /// The path's value is null.
    IsNull(Vec<String>),
    /// The path leads nowhere.
    NotExists(Vec<String>),
    /// The path's value is this truth.
    Is(Vec<String>, bool),
}

/// How a JSON pattern compares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// What a JSON pattern compares with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A number.
    Number(f64),
    /// A text, in which `*` stands for anything.
    Text(String),
}

impl Pattern {
    /// Reads a pattern; the error says which part it is that cannot be read.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Pattern::All);
        }
        if text.starts_with('[') || text.starts_with('%') {
            return Err("local reads term and JSON patterns, not space-delimited ones or regular expressions".into());
        }
        let Some(inner) = text.strip_prefix('{') else {
            return terms(text);
        };
        let inner = inner
            .strip_suffix('}')
            .ok_or("a JSON pattern must end with }")?;
        let mut parser = Parser {
            tokens: tokens(inner)?,
            at: 0,
        };
        let condition = parser.any()?;
        match parser.peek() {
            None => Ok(Pattern::Json(condition)),
            Some(token) => Err(format!("unexpected {token:?}")),
        }
    }

    /// Whether a message matches.
    pub fn matches(&self, message: &str) -> bool {
        match self {
            Pattern::All => true,
            Pattern::Terms(all, any, none) => {
                all.iter().all(|term| message.contains(term))
                    && (any.is_empty() || any.iter().any(|term| message.contains(term)))
                    && !none.iter().any(|term| message.contains(term))
            }
            Pattern::Json(condition) => serde_json::from_str::<Value>(message)
                .is_ok_and(|value| value.is_object() && condition.holds(&value)),
        }
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Condition::And(parts) => parts.iter().all(|part| part.holds(value)),
            Condition::Or(parts) => parts.iter().any(|part| part.holds(value)),
            Condition::IsNull(path) => find(value, path).is_some_and(Value::is_null),
            Condition::NotExists(path) => find(value, path).is_none(),
            Condition::Is(path, truth) => {
                find(value, path).and_then(Value::as_bool) == Some(*truth)
            }
            Condition::Compare(path, operator, operand) => {
                find(value, path).is_some_and(|found| compare(found, *operator, operand))
            }
        }
    }
}

fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => value.get(part),
    })
}

fn compare(found: &Value, operator: Operator, operand: &Operand) -> bool {
    match operand {
        Operand::Number(wanted) => {
            let Some(found) = found.as_f64() else {
                return false;
            };
            match operator {
                Operator::Equal => found == *wanted,
                Operator::NotEqual => found != *wanted,
                Operator::Less => found < *wanted,
                Operator::AtMost => found <= *wanted,
                Operator::Greater => found > *wanted,
                Operator::AtLeast => found >= *wanted,
            }
        }
        Operand::Text(wanted) => {
            let found = match found {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return false,
            };
            match operator {
                Operator::Equal => glob(wanted, &found),
                Operator::NotEqual => !glob(wanted, &found),
                _ => false,
            }
        }
    }
}

/// Whether a text matches a pattern in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn terms(text: &str) -> Result<Pattern, String> {
    let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (list, after) = match rest.split_at_checked(1) {
            Some(("?", after)) => (&mut any, after),
            Some(("-", after)) => (&mut none, after),
            _ => (&mut all, rest),
        };
        let (term, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or("a quotation mark is not closed")?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        list.push(term.to_owned());
        rest = after.trim_start();
    }
    Ok(Pattern::Terms(all, any, none))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Operator(Operator),
    Path(Vec<String>),
    Quoted(String),
    Word(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    'next: while !rest.is_empty() {
        let fixed = [
            ("&&", Token::And),
            ("||", Token::Or),
            ("(", Token::Open),
            (")", Token::Close),
            ("!=", Token::Operator(Operator::NotEqual)),
            ("<=", Token::Operator(Operator::AtMost)),
            (">=", Token::Operator(Operator::AtLeast)),
            ("=", Token::Operator(Operator::Equal)),
            ("<", Token::Operator(Operator::Less)),
            (">", Token::Operator(Operator::Greater)),
        ];
        for (sign, token) in fixed {
            if let Some(after) = rest.strip_prefix(sign) {
                tokens.push(token);
                rest = after.trim_start();
                continue 'next;
            }
        }
        if let Some(after) = rest.strip_prefix('"') {
            let (quoted, after) = after
                .split_once('"')
                .ok_or("a quotation mark is not closed")?;
            tokens.push(Token::Quoted(quoted.to_owned()));
            rest = after.trim_start();
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "()=!<>&|".contains(c))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return Err(format!("cannot read {rest:?}"));
        }
        tokens.push(match word.strip_prefix("$.") {
            Some(path) => Token::Path(
                path.split(['.', '['])
                    .map(|part| part.trim_end_matches(']').to_owned())
                    .collect(),
            ),
            None => Token::Word(word.to_owned()),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.next();
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::Or(parts)
        })
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.peek() == Some(&Token::And) {
            self.next();
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::And(parts)
        })
    }

    fn one(&mut self) -> Result<Condition, String> {
        match self.next() {
            Some(Token::Open) => {
                let inner = self.any()?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err("a parenthesis is not closed".into()),
                }
            }
            Some(Token::Path(path)) => self.comparison(path),
            other => Err(format!("expected a path such as $.type, found {other:?}")),
        }
    }

    fn comparison(&mut self, path: Vec<String>) -> Result<Condition, String> {
        match (self.next(), self.next()) {
            (Some(Token::Operator(operator)), Some(Token::Quoted(text))) => {
                Ok(Condition::Compare(path, operator, Operand::Text(text)))
            }
            (Some(Token::Operator(operator)), Some(Token::Word(word))) => {
                let operand = word
                    .parse()
                    .map_or_else(|_| Operand::Text(word.clone()), Operand::Number);
                Ok(Condition::Compare(path, operator, operand))
            }
            (Some(Token::Word(is)), Some(Token::Word(what))) => {
                match (
                    is.to_ascii_uppercase().as_str(),
                    what.to_ascii_uppercase().as_str(),
                ) {
                    ("IS", "NULL") => Ok(Condition::IsNull(path)),
                    ("IS", "TRUE") => Ok(Condition::Is(path, true)),
                    ("IS", "FALSE") => Ok(Condition::Is(path, false)),
                    ("NOT", "EXISTS") => Ok(Condition::NotExists(path)),
                    _ => Err(format!("cannot read {is} {what}")),
                }
            }
            (operator, operand) => Err(format!(
                "expected a comparison, found {operator:?} {operand:?}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, message: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(message)
    }

    #[test]
    fn json_patterns_choose_by_value() {
        let pattern = r#"{ $.type = "progress" || $.type = "platform.*" }"#;
        assert!(check(pattern, r#"{"type":"progress"}"#));
        assert!(check(pattern, r#"{"type":"platform.report","record":{}}"#));
        assert!(!check(pattern, r#"{"type":"log"}"#));
        assert!(!check(pattern, "platform.report"));
        assert!(check(
            "{ $.a.b[1] >= 3 && $.c NOT EXISTS }",
            r#"{"a":{"b":[1,3]}}"#
        ));
        assert!(!check("{ $.a IS NULL }", r#"{"b":1}"#));
        assert!(check(
            "{ ($.a = 1 || $.a = 2) && $.ok IS TRUE }",
            r#"{"a":2,"ok":true}"#
        ));
    }

    #[test]
    fn terms_are_all_any_or_none() {
        assert!(check("", "whatever"));
        assert!(check("ERROR \"out of memory\"", "an ERROR: out of memory"));
        assert!(!check("ERROR -retry", "ERROR, will retry"));
        assert!(check("?WARN ?ERROR", "WARN x"));
    }

    #[test]
    fn globs_match_whole_texts() {
        assert!(
            glob("a*c", "abbc")
                && glob("*", "")
                && glob("*b*", "abc")
                && !glob("a*c", "abcd")
                && !glob("a", "ab")
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(Pattern::parse("[ip, user]").is_err());
        assert!(Pattern::parse("{ $.a = }").is_err());
        assert!(Pattern::parse("{ $.a = 1").is_err());
    }
}
