//! Owns the reading of Choice rules.

use serde_json::Value;

use crate::choice::{Operand, Relation, Rule, Test, Type};
use crate::timestamp;

use super::fields::{Fields, closest, pointer};
use super::report::Report;

/// Reads the rule itself; `Next` and what else only top-level rules have is the caller's.
pub(super) fn rule(fields: &Fields<'_>, report: &mut Report) -> Option<Rule> {
    let comparisons: Vec<&str> = fields
        .keys()
        .filter(|name| comparison(name).is_some())
        .collect();
    let logical: Vec<&'static str> = ["And", "Or", "Not"]
        .into_iter()
        .filter(|name| fields.has(name))
        .collect();
    match (logical.as_slice(), comparisons.as_slice()) {
        (["Not"], []) => {
            let value = fields.get("Not")?;
            inner(value, &fields.at("Not"), report).map(|rule| Rule::Not(Box::new(rule)))
        }
        ([name @ ("And" | "Or")], []) => {
            let at = fields.at(name);
            let array = fields.array(name, report)?;
            if array.is_empty() {
                report.error(&at, format!("{name} needs at least one rule"), None);
            }
            let rules: Vec<Option<Rule>> = array
                .iter()
                .enumerate()
                .map(|(index, value)| inner(value, &pointer(&at, &index.to_string()), report))
                .collect();
            let rules = rules.into_iter().collect::<Option<Vec<Rule>>>()?;
            Some(if *name == "And" {
                Rule::And(rules)
            } else {
                Rule::Or(rules)
            })
        }
        ([], [name]) => {
            let (known, build) = comparison(name)?;
            if !fields.has("Variable") {
                fields.missing("Variable", report);
            }
            let variable = fields.path("Variable", report);
            let value = fields.get(known)?;
            match build(value) {
                Ok(test) => Some(Rule::Test {
                    variable: variable?,
                    test,
                }),
                Err(wanted) => {
                    report.error(&fields.at(known), format!("{known} must be {wanted}"), None);
                    None
                }
            }
        }
        ([], []) => {
            let names = NAMES.iter().map(|(name, ..)| *name);
            let hint = fields
                .keys()
                .find_map(|key| closest(key, names.clone()).filter(|close| *close != key));
            let hint = hint.map(|close| format!("did you mean {close}?"));
            report.error(
                fields.pointer(),
                "the rule has no comparison",
                hint.as_deref(),
            );
            None
        }
        _ => {
            let message = "the rule has more than one comparison";
            report.error(fields.pointer(), message, Some("put them into And or Or"));
            None
        }
    }
}

fn inner(value: &Value, at: &str, report: &mut Report) -> Option<Rule> {
    let fields = Fields::of(value, at, report)?;
    fields.get("Comment");
    let rule = rule(&fields, report);
    if fields.has("Next") {
        report.error(
            &fields.at("Next"),
            "only the outermost rule has a Next",
            None,
        );
    }
    if rule.is_some() {
        fields.finish(report);
    }
    rule
}

type Build = Box<dyn Fn(&Value) -> Result<Test, &'static str>>;

/// What a comparison's name says; `Err` says what its value must be.
#[derive(Clone, Copy)]
enum Kind {
    Compare(Type, Relation),
    ComparePath(Type, Relation),
    Is(Type),
    IsPresent,
    Matches,
}

macro_rules! names {
    ($($type_:ident: $($relation:ident)*;)*) => {
        &[
            $($(
                (concat!(stringify!($type_), stringify!($relation)), Kind::Compare(Type::$type_, Relation::$relation)),
                (concat!(stringify!($type_), stringify!($relation), "Path"), Kind::ComparePath(Type::$type_, Relation::$relation)),
            )*)*
            ("IsNull", Kind::Is(Type::Null)),
            ("IsString", Kind::Is(Type::String)),
            ("IsNumeric", Kind::Is(Type::Numeric)),
            ("IsBoolean", Kind::Is(Type::Boolean)),
            ("IsTimestamp", Kind::Is(Type::Timestamp)),
            ("IsPresent", Kind::IsPresent),
            ("StringMatches", Kind::Matches),
        ]
    };
}

const NAMES: &[(&str, Kind)] = names! {
    String: Equals LessThan GreaterThan LessThanEquals GreaterThanEquals;
    Numeric: Equals LessThan GreaterThan LessThanEquals GreaterThanEquals;
    Timestamp: Equals LessThan GreaterThan LessThanEquals GreaterThanEquals;
    Boolean: Equals;
};

fn comparison(name: &str) -> Option<(&'static str, Build)> {
    let &(name, kind) = NAMES.iter().find(|(known, _)| *known == name)?;
    let build: Build = match kind {
        Kind::IsPresent => {
            Box::new(|value| value.as_bool().map(Test::IsPresent).ok_or("true or false"))
        }
        Kind::Is(type_) => Box::new(move |value| {
            value
                .as_bool()
                .map(|wanted| Test::Is(type_, wanted))
                .ok_or("true or false")
        }),
        Kind::Matches => Box::new(|value| {
            value
                .as_str()
                .map(|text| Test::Matches(text.to_owned()))
                .ok_or("a string")
        }),
        Kind::Compare(type_, relation) => Box::new(move |value| {
            let wanted = match type_ {
                Type::String => "a string",
                Type::Numeric => "a number",
                Type::Boolean => "true or false",
                Type::Timestamp => "an RFC 3339 timestamp such as 2016-03-14T01:59:00Z",
                Type::Null => "null",
            };
            let fits = type_.has(value)
                && (type_ != Type::Timestamp
                    || value
                        .as_str()
                        .is_some_and(|text| timestamp::parse(text).is_some()));
            let with = Operand::Value(value.clone());
            fits.then_some(Test::Compare {
                type_,
                relation,
                with,
            })
            .ok_or(wanted)
        }),
        Kind::ComparePath(type_, relation) => Box::new(move |value| {
            let path = value
                .as_str()
                .and_then(|text| crate::path::Path::parse(text).ok());
            let with = Operand::Path(path.ok_or("a path")?);
            Ok(Test::Compare {
                type_,
                relation,
                with,
            })
        }),
    };
    Some((name, build))
}
