//! Owns the fields of states in JSONata: JSON in which texts between `{%` and `%}` are expressions.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>

use serde_json::{Map, Value};

use crate::context::Scene;
use crate::diagnose::Severity;
use crate::jsonata::{Error, Expression, World};

/// A parsed field.
#[derive(Debug, Clone)]
pub struct Query {
    part: Part,
    /// The field, as AWS's history names the place of an evaluation that failed.
    location: String,
}

#[derive(Debug, Clone)]
enum Part {
    /// Nothing in it is evaluated.
    Literal(Value),
    Expression(Box<Placed>),
    Object(Vec<(String, Part)>),
    Array(Vec<Part>),
}

/// An expression and where it stands.
#[derive(Debug, Clone)]
struct Placed {
    expression: Expression,
    location: String,
}

/// Why a field has no value, or not the value it must have.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryTrouble {
    /// The place of the expression.
    pub location: String,
    /// The expression as written, without `{%` and `%}`.
    pub expression: String,
    /// What was wrong.
    pub reason: Reason,
}

/// What was wrong with an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The value is undefined, which JSON does not know.
    Undefined,
    /// The evaluation failed.
    Threw(Error),
    /// The value is of another type than the field takes.
    Type {
        /// The type that the field takes.
        expected: &'static str,
        /// The value.
        found: Value,
    },
    /// The value is of the right type, but the field does not take it.
    Range {
        /// What the field takes.
        expected: &'static str,
        /// The value.
        found: Value,
    },
}

/// Is told how bad a mistake is, where (a pointer relative to the field) and what is wrong.
pub type Report<'a> = &'a mut dyn FnMut(Severity, &str, String);

/// The expression of a text; `Err` if only one of its marks is there.
fn marked(text: &str) -> Result<Option<&str>, ()> {
    match text
        .strip_prefix("{%")
        .map(|inner| inner.strip_suffix("%}"))
    {
        Some(Some(inner)) => Ok(Some(inner.trim())),
        Some(None) => Err(()),
        None if text.ends_with("%}") => Err(()),
        None => Ok(None),
    }
}

impl Query {
    /// Parses a field; `report` is told of each expression that is none.
    pub fn parse(location: &str, value: &Value, report: Report<'_>) -> Query {
        Query {
            part: part(value, &mut location.to_owned(), &mut String::new(), report),
            location: location.to_owned(),
        }
    }

    /// The value, if nothing in it is evaluated.
    pub fn literal(&self) -> Option<&Value> {
        match &self.part {
            Part::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// The source of the expression, if the field is one.
    pub fn source(&self) -> Option<&str> {
        match &self.part {
            Part::Expression(placed) => Some(placed.expression.source()),
            _ => None,
        }
    }

    /// The field's value: `$states` and the variables are what the scene shows.
    pub fn evaluate(&self, scene: &mut Scene<'_>) -> Result<Value, Box<QueryTrouble>> {
        if let Part::Literal(value) = &self.part {
            return Ok(value.clone());
        }
        let mut states = Map::new();
        states.insert("input".to_owned(), scene.input.clone());
        let seen = [
            ("result", scene.result),
            ("errorOutput", scene.error_output),
        ];
        for (name, value) in seen {
            if let Some(value) = value {
                states.insert(name.to_owned(), value.clone());
            }
        }
        states.insert("context".to_owned(), scene.context.whole());
        let states = Value::Object(states);
        let mut world = World::new(scene.now_ms);
        for (name, value) in scene.variables.into_iter().flatten() {
            world = world.with(name, value);
        }
        let world = world.with("states", &states);
        self.part.evaluate(&world, scene)
    }

    /// The value, if the field takes values of this kind.
    pub fn evaluate_as<T>(
        &self,
        scene: &mut Scene<'_>,
        expected: &'static str,
        take: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Box<QueryTrouble>> {
        let found = self.evaluate(scene)?;
        take(&found).ok_or_else(|| self.trouble(Reason::Type { expected, found }))
    }

    /// What is wrong with the value of the field as a whole.
    pub fn trouble(&self, reason: Reason) -> Box<QueryTrouble> {
        Box::new(QueryTrouble {
            location: self.location.clone(),
            expression: match (&self.part, self.source()) {
                (_, Some(source)) => source.to_owned(),
                (Part::Literal(value), _) => value.to_string(),
                _ => String::new(),
            },
            reason,
        })
    }
}

impl Part {
    fn evaluate(
        &self,
        world: &World<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<Value, Box<QueryTrouble>> {
        match self {
            Part::Literal(value) => Ok(value.clone()),
            Part::Expression(placed) => {
                let trouble = |reason| {
                    Box::new(QueryTrouble {
                        location: placed.location.clone(),
                        expression: placed.expression.source().to_owned(),
                        reason,
                    })
                };
                match placed.expression.evaluate(world, scene.random) {
                    Ok(Some(value)) => Ok(value),
                    Ok(None) => Err(trouble(Reason::Undefined)),
                    Err(error) => Err(trouble(Reason::Threw(error))),
                }
            }
            Part::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (name, part) in fields {
                    object.insert(name.clone(), part.evaluate(world, scene)?);
                }
                Ok(Value::Object(object))
            }
            Part::Array(parts) => {
                let parts = parts.iter();
                parts.map(|part| part.evaluate(world, scene)).collect()
            }
        }
    }
}

fn part(value: &Value, location: &mut String, pointer: &mut String, report: Report<'_>) -> Part {
    let part = match value {
        Value::String(text) => match marked(text) {
            Ok(None) => return Part::Literal(value.clone()),
            Ok(Some(source)) => match Expression::parse(source) {
                Ok(expression) => {
                    if let Some(operator) = expression.newer_operator() {
                        let message = format!(
                            "AWS supports JSONata 2.0.6, which does not have the operator {operator}"
                        );
                        report(Severity::Warning, pointer, message);
                    }
                    let location = location.clone();
                    return Part::Expression(Box::new(Placed {
                        expression,
                        location,
                    }));
                }
                Err(error) => {
                    let place = match error.position {
                        Some(position) => format!(" (at character {})", position + 1),
                        None => String::new(),
                    };
                    report(
                        Severity::Error,
                        pointer,
                        format!("Invalid JSONata expression: {error}{place}"),
                    );
                    return Part::Literal(value.clone());
                }
            },
            Err(()) => {
                let wrong = "A JSONata expression must begin with '{%' and end with '%}'";
                report(Severity::Error, pointer, wrong.to_owned());
                return Part::Literal(value.clone());
            }
        },
        Value::Object(object) => {
            let mut fields = Vec::with_capacity(object.len());
            for (name, value) in object {
                let (places, pointers) = (location.len(), pointer.len());
                location.push_str(&format!("/{name}"));
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                fields.push((name.clone(), part(value, location, pointer, report)));
                location.truncate(places);
                pointer.truncate(pointers);
            }
            Part::Object(fields)
        }
        Value::Array(array) => {
            let mut elements = Vec::with_capacity(array.len());
            for (index, value) in array.iter().enumerate() {
                let (places, pointers) = (location.len(), pointer.len());
                location.push_str(&format!("[{index}]"));
                pointer.push_str(&format!("/{index}"));
                elements.push(part(value, location, pointer, report));
                location.truncate(places);
                pointer.truncate(pointers);
            }
            Part::Array(elements)
        }
        _ => return Part::Literal(value.clone()),
    };
    let is_literal = match &part {
        Part::Object(fields) => fields
            .iter()
            .all(|(_, part)| matches!(part, Part::Literal(_))),
        Part::Array(parts) => parts.iter().all(|part| matches!(part, Part::Literal(_))),
        _ => false,
    };
    if is_literal {
        Part::Literal(value.clone())
    } else {
        part
    }
}
