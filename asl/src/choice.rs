//! Owns the rules of Choice states.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html>

use std::cmp::Ordering;

use serde_json::Value;

use crate::context::Scene;
use crate::path::Path;
use crate::query::Query;
use crate::timestamp;

/// A parsed rule.
#[derive(Debug, Clone)]
pub enum Rule {
    /// All of them hold.
    And(Vec<Rule>),
    /// One of them holds.
    Or(Vec<Rule>),
    /// It does not hold.
    Not(Box<Rule>),
    /// A variable is tested.
    Test {
        /// `Variable`.
        variable: Path,
        /// How.
        test: Test,
    },
    /// `Condition` in JSONata, which [`crate::step`] evaluates.
    Query(Query),
}

/// A test of one variable.
#[derive(Debug, Clone)]
pub enum Test {
    /// `IsPresent`.
    IsPresent(bool),
    /// `IsNull`, `IsString`, …
    Is(Type, bool),
    /// `StringMatches`.
    Matches(String),
    /// `StringEquals`, `NumericLessThanPath`, …
    Compare {
        /// What both sides must be.
        type_: Type,
        /// Which of their orders hold.
        relation: Relation,
        /// The other side.
        with: Operand,
    },
}

/// A type that a value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// null.
    Null,
    /// A string.
    String,
    /// A number.
    Numeric,
    /// true or false.
    Boolean,
    /// A string that is a timestamp (RFC 3339).
    Timestamp,
}

/// An order between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Relation {
    Equals,
    LessThan,
    GreaterThan,
    LessThanEquals,
    GreaterThanEquals,
}

/// What a variable is compared with.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A value.
    Value(Value),
    /// What a path finds.
    Path(Path),
}

/// A path of a rule found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPath(pub String);

impl Rule {
    /// Whether it holds.
    pub fn holds(&self, scene: &Scene<'_>) -> Result<bool, MissingPath> {
        match self {
            Rule::And(rules) => {
                for rule in rules {
                    if !rule.holds(scene)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Rule::Or(rules) => {
                for rule in rules {
                    if rule.holds(scene)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Rule::Not(rule) => Ok(!rule.holds(scene)?),
            Rule::Test { variable, test } => {
                let found = scene.find(variable);
                if let Test::IsPresent(wanted) = test {
                    return Ok(found.is_some() == *wanted);
                }
                let value = found.ok_or_else(|| MissingPath(variable.as_str().to_owned()))?;
                test.holds(&value, scene)
            }
            Rule::Query(_) => Ok(false),
        }
    }
}

impl Test {
    fn holds(&self, value: &Value, scene: &Scene<'_>) -> Result<bool, MissingPath> {
        Ok(match self {
            Test::IsPresent(wanted) => *wanted,
            Test::Is(type_, wanted) => type_.has(value) == *wanted,
            Test::Matches(pattern) => value.as_str().is_some_and(|text| matches(pattern, text)),
            Test::Compare {
                type_,
                relation,
                with,
            } => {
                let read;
                let with = match with {
                    Operand::Value(value) => value,
                    Operand::Path(path) => {
                        read = scene
                            .find(path)
                            .ok_or_else(|| MissingPath(path.as_str().to_owned()))?;
                        &read
                    }
                };
                type_
                    .compare(value, with)
                    .is_some_and(|order| relation.allows(order))
            }
        })
    }
}

impl Type {
    /// Whether a value is of this type.
    pub fn has(self, value: &Value) -> bool {
        match self {
            Type::Null => value.is_null(),
            Type::String => value.is_string(),
            Type::Numeric => value.is_number(),
            Type::Boolean => value.is_boolean(),
            Type::Timestamp => value
                .as_str()
                .is_some_and(|text| timestamp::parse(text).is_some()),
        }
    }

    fn compare(self, a: &Value, b: &Value) -> Option<Ordering> {
        match self {
            Type::Null => None,
            // AWS compares UTF-16 code units; bytes of UTF-8 order the same outside of surrogates.
            Type::String => Some(a.as_str()?.cmp(b.as_str()?)),
            Type::Numeric => match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
            },
            Type::Boolean => Some(a.as_bool()?.cmp(&b.as_bool()?)),
            Type::Timestamp => {
                Some(timestamp::parse(a.as_str()?)?.cmp(&timestamp::parse(b.as_str()?)?))
            }
        }
    }
}

impl Relation {
    fn allows(self, order: Ordering) -> bool {
        match self {
            Relation::Equals => order.is_eq(),
            Relation::LessThan => order.is_lt(),
            Relation::GreaterThan => order.is_gt(),
            Relation::LessThanEquals => order.is_le(),
            Relation::GreaterThanEquals => order.is_ge(),
        }
    }
}

/// Whether `text` is as `pattern` says, in which `*` stands for any text and `\*` for a star.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => pieces.push(String::new()),
            c => {
                let c = if c == '\\' {
                    chars.next().unwrap_or('\\')
                } else {
                    c
                };
                pieces.last_mut().expect("there is always a piece").push(c);
            }
        }
    }
    let [first, middle @ .., last] = pieces.as_slice() else {
        return pieces[0] == text;
    };
    let Some(rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
        return false;
    };
    for piece in middle {
        let Some(at) = rest.find(piece.as_str()) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
    }

    #[test]
    fn patterns() {
        check("log-*.txt", "log-2.txt", true);
        check("log-*.txt", "log-2.csv", false);
        check("*", "", true);
        check("a*b*c", "a--b--c", true);
        check("a*b*c", "a--c--b", false);
        check("a*a", "a", false);
        check("a\\*b", "a*b", true);
        check("a\\*b", "axb", false);
        check("same", "same", true);
        check("same", "same ", false);
    }
}
