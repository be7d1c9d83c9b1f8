//! Owns payload templates: JSON whose fields with names ending in `.$` are computed.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-inputpath-params.html>

use serde_json::{Map, Value};

use crate::context::Scene;
use crate::intrinsic::Call;
use crate::measure::{MADE_MAX, weight};
use crate::path::{Path, Root};
use crate::query::{Query, QueryTrouble};

/// A parsed payload template.
#[derive(Debug, Clone)]
pub enum Template {
    /// Nothing in it is computed.
    Literal(Value),
    /// Fields by name; those that are computed are named without `.$`.
    Object(Vec<(String, Field)>),
    /// Elements.
    Array(Vec<Template>),
    /// A field of a state in JSONata.
    Query(Box<Query>),
}

/// A field of a template.
#[derive(Debug, Clone)]
pub enum Field {
    /// Its name did not end in `.$`.
    Template(Template),
    /// Its name ended in `.$`.
    Computed(Expression),
}

/// What a field ending in `.$` may hold.
#[derive(Debug, Clone)]
pub enum Expression {
    /// A path.
    Path(Path),
    /// An intrinsic function.
    Call(Box<Call>),
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidExpression(pub String);

/// Why an expression gave no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// A path found nothing.
    Missing {
        /// The path as written.
        path: String,
    },
    /// An intrinsic function could not cope with its arguments.
    Function {
        /// The call as written.
        call: String,
        /// What was wrong.
        reason: String,
    },
    /// A path in the arguments of an intrinsic function found nothing.
    MissingArgument {
        /// The call as written.
        call: String,
        /// The path as written.
        path: String,
    },
    /// More came of it than a state can take.
    TooLarge,
    /// An expression in JSONata gave nothing, or not what it must.
    Query(Box<QueryTrouble>),
}

/// A field of a template that could not be computed.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldTrouble {
    /// Name of the field as written, with `.$`.
    pub field: String,
    /// What was wrong.
    pub trouble: Trouble,
}

impl Expression {
    /// Parses a path or an intrinsic function.
    pub fn parse(text: &str) -> Result<Expression, InvalidExpression> {
        if text.starts_with('$') {
            return match Path::parse(text) {
                Ok(path) => Ok(Expression::Path(path)),
                Err(error) => Err(InvalidExpression(error.to_string())),
            };
        }
        if text.starts_with("States.") {
            return Call::parse(text).map(|call| Expression::Call(Box::new(call)));
        }
        Err(InvalidExpression(format!(
            "'{text}' is neither a path (it would begin with $) nor an intrinsic function (States.…)"
        )))
    }

    /// Its value.
    pub fn evaluate(&self, scene: &mut Scene<'_>) -> Result<Value, Trouble> {
        match self {
            Expression::Path(path) => scene.find(path).ok_or_else(|| Trouble::Missing {
                path: path.as_str().to_owned(),
            }),
            Expression::Call(call) => call.evaluate(scene),
        }
    }

    /// The variables it reads.
    pub fn root(&self) -> Option<&Root> {
        match self {
            Expression::Path(path) => Some(path.root()),
            Expression::Call(_) => None,
        }
    }
}

impl Template {
    /// Parses a template; `report` is told the pointer (relative to the template) and what is wrong
    /// for each expression that is none.
    pub fn parse(value: &Value, report: &mut dyn FnMut(&str, String)) -> Template {
        parse(value, &mut String::new(), report)
    }

    /// Its value.
    pub fn evaluate(&self, scene: &mut Scene<'_>) -> Result<Value, FieldTrouble> {
        self.make(scene, &mut 0)
    }

    /// Its value; `made` is how much was made so far.
    fn make(&self, scene: &mut Scene<'_>, made: &mut usize) -> Result<Value, FieldTrouble> {
        match self {
            Template::Literal(value) => Ok(value.clone()),
            Template::Query(query) => query.evaluate(scene).map_err(|trouble| FieldTrouble {
                field: trouble.location.clone(),
                trouble: Trouble::Query(trouble),
            }),
            Template::Array(elements) => elements
                .iter()
                .map(|element| element.make(scene, made))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Template::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                // AWS moves computed fields behind the others; their order is settled when parsing.
                for (name, field) in fields {
                    let value = match field {
                        Field::Template(template) => template.make(scene, made)?,
                        Field::Computed(expression) => {
                            let value = expression.evaluate(scene).and_then(|value| {
                                *made += weight(&value, MADE_MAX);
                                let fits = *made <= MADE_MAX;
                                fits.then_some(value).ok_or(Trouble::TooLarge)
                            });
                            value.map_err(|trouble| FieldTrouble {
                                field: format!("{name}.$"),
                                trouble,
                            })?
                        }
                    };
                    object.insert(name.clone(), value);
                }
                Ok(Value::Object(object))
            }
        }
    }
}

fn parse(value: &Value, pointer: &mut String, report: &mut dyn FnMut(&str, String)) -> Template {
    let template = match value {
        Value::Object(object) => {
            let mut fields = Vec::with_capacity(object.len());
            let mut computed = Vec::new();
            for (name, value) in object {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if let Some(name) = name.strip_suffix(".$") {
                    match value.as_str().map(Expression::parse) {
                        Some(Ok(expression)) => {
                            computed.push((name.to_owned(), Field::Computed(expression)))
                        }
                        Some(Err(error)) => report(pointer, error.to_string()),
                        None => report(
                            pointer,
                            format!(
                                "the value of a field ending in .$ must be a string, not {value}"
                            ),
                        ),
                    }
                } else {
                    fields.push((name.clone(), Field::Template(parse(value, pointer, report))));
                }
                pointer.truncate(length);
            }
            for (name, _) in &computed {
                if object.contains_key(name) {
                    let length = pointer.len();
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    report(pointer, format!("{name} and {name}.$ give the same field"));
                    pointer.truncate(length);
                }
            }
            let buckets = (computed.len() * 4 / 3 + 1).next_power_of_two().max(16) as u32;
            computed.sort_by_key(|(name, _)| bucket(name, buckets));
            fields.extend(computed);
            Template::Object(fields)
        }
        Value::Array(array) => {
            let mut elements = Vec::with_capacity(array.len());
            for (index, element) in array.iter().enumerate() {
                let length = pointer.len();
                pointer.push_str(&format!("/{index}"));
                elements.push(parse(element, pointer, report));
                pointer.truncate(length);
            }
            Template::Array(elements)
        }
        _ => return Template::Literal(value.clone()),
    };
    let literal = match &template {
        Template::Object(fields) => fields
            .iter()
            .all(|(_, field)| matches!(field, Field::Template(Template::Literal(_)))),
        Template::Array(elements) => elements
            .iter()
            .all(|element| matches!(element, Template::Literal(_))),
        Template::Literal(_) => true,
        Template::Query(_) => false,
    };
    if literal {
        Template::Literal(value.clone())
    } else {
        template
    }
}

/// Where Java's `HashMap` of so many buckets keeps a key: the order in which AWS appends computed
/// fields, and has those of a CSV's rows, which shows wherever a result is made into text.
pub fn bucket(name: &str, buckets: u32) -> u32 {
    let hash = name.encode_utf16().fold(0_u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    });
    (hash ^ (hash >> 16)) & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::random::Random;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(template: Value, expected: Expect) {
        let mut said = String::new();
        let template = Template::parse(&template, &mut |pointer, message| {
            said.push_str(&format!("{pointer}: {message}\n"));
        });
        let input = json!({"a": 1, "list": [1, 2, 3], "b": {"c": null}});
        let context = Context::default();
        let mut random = Random::new(1);
        let mut scene = Scene::new(&input, &context, &mut random);
        match template.evaluate(&mut scene) {
            Ok(value) => said.push_str(&value.to_string()),
            Err(error) => said.push_str(&format!("{error:?}")),
        }
        expected.assert_eq(&said);
    }

    #[test]
    fn computed_fields_come_last() {
        check(
            json!({"sum.$": "States.MathAdd($.a, 1)", "all.$": "$", "fixed": [{"x.$": "$.b.c"}, 5]}),
            expect![[
                r#"{"fixed":[{"x":null},5],"all":{"a":1,"list":[1,2,3],"b":{"c":null}},"sum":2}"#
            ]],
        );
    }

    #[test]
    fn missing() {
        check(
            json!({"deep": {"x.$": "$.nothing"}}),
            expect![[r#"FieldTrouble { field: "x.$", trouble: Missing { path: "$.nothing" } }"#]],
        );
    }

    #[test]
    fn invalid() {
        check(
            json!({"a/b": {"x.$": "no path"}, "y.$": 1}),
            expect![[r#"
            /a~1b/x.$: 'no path' is neither a path (it would begin with $) nor an intrinsic function (States.…)
            /y.$: the value of a field ending in .$ must be a string, not 1
            {"a/b":{"x.$":"no path"},"y.$":1}"#]],
        );
    }
}
