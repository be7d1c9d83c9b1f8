//! Owns the words for a rule of a Choice: `$.size > 5 and not $.dry is present`.

use std::fmt;

use crate::choice::{Operand, Relation, Rule, Test, Type};

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::And(rules) => join(rules, " and ", f),
            Rule::Or(rules) => join(rules, " or ", f),
            Rule::Not(rule) => write!(f, "not ({rule})"),
            Rule::Query(query) => match query.source() {
                Some(source) => f.write_str(source),
                None => f.write_str(if query.literal() == Some(&true.into()) {
                    "always"
                } else {
                    "never"
                }),
            },
            Rule::Test { variable, test } => match test {
                Test::IsPresent(true) => write!(f, "{variable} is present"),
                Test::IsPresent(false) => write!(f, "{variable} is not present"),
                Test::Is(kind, yes) => {
                    let word = match kind {
                        Type::Null => "null",
                        Type::String => "a string",
                        Type::Numeric => "a number",
                        Type::Boolean => "a boolean",
                        Type::Timestamp => "a timestamp",
                    };
                    write!(f, "{variable} is {}{word}", if *yes { "" } else { "not " })
                }
                Test::Matches(pattern) => write!(f, "{variable} matches {pattern}"),
                Test::Compare { relation, with, .. } => {
                    let sign = match relation {
                        Relation::Equals => "=",
                        Relation::LessThan => "<",
                        Relation::GreaterThan => ">",
                        Relation::LessThanEquals => "≤",
                        Relation::GreaterThanEquals => "≥",
                    };
                    match with {
                        Operand::Value(value) => write!(f, "{variable} {sign} {value}"),
                        Operand::Path(path) => write!(f, "{variable} {sign} {path}"),
                    }
                }
            },
        }
    }
}

fn join(rules: &[Rule], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, rule) in rules.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        match rule {
            Rule::And(_) | Rule::Or(_) => write!(f, "({rule})")?,
            _ => write!(f, "{rule}")?,
        }
    }
    Ok(())
}
