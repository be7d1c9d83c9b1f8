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

/// What `$states` shows in a field beside the input and the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Nothing.
    Neither,
    /// `$states.result`: in `Output` and `Assign` of Task, Parallel and Map states.
    Result,
    /// `$states.errorOutput`: in `Output` and `Assign` of catchers.
    ErrorOutput,
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
    pub fn parse(location: &str, value: &Value, shows: Shows, report: Report<'_>) -> Query {
        let mut place = Place {
            location: location.to_owned(),
            pointer: String::new(),
            shows,
        };
        Query {
            part: part(value, &mut place, report),
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

/// Where in a field a part stands.
struct Place {
    location: String,
    pointer: String,
    shows: Shows,
}

impl Place {
    /// Goes into an element and comes back.
    fn within<R>(&mut self, location: &str, token: &str, run: impl FnOnce(&mut Place) -> R) -> R {
        let lengths = (self.location.len(), self.pointer.len());
        self.location.push_str(location);
        self.pointer.push('/');
        self.pointer
            .push_str(&token.replace('~', "~0").replace('/', "~1"));
        let result = run(self);
        self.location.truncate(lengths.0);
        self.pointer.truncate(lengths.1);
        result
    }
}

fn part(value: &Value, place: &mut Place, report: Report<'_>) -> Part {
    let part = match value {
        Value::String(text) => return text_part(text, place, report),
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| {
                let part = place.within(&format!("/{name}"), name, |place| {
                    part(value, place, report)
                });
                (name.clone(), part)
            });
            Part::Object(fields.collect())
        }
        Value::Array(array) => {
            let parts = array.iter().enumerate().map(|(index, value)| {
                place.within(&format!("[{index}]"), &index.to_string(), |place| {
                    part(value, place, report)
                })
            });
            Part::Array(parts.collect())
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

fn text_part(text: &str, place: &Place, report: Report<'_>) -> Part {
    let literal = || Part::Literal(text.into());
    let source = match marked(text) {
        Ok(None) => return literal(),
        Ok(Some(source)) => source,
        Err(()) => {
            let wrong = "A JSONata expression must begin with '{%' and end with '%}'";
            report(Severity::Error, &place.pointer, wrong.to_owned());
            return literal();
        }
    };
    let expression = match Expression::parse(source) {
        Ok(expression) => expression,
        Err(error) => {
            let at = match error.position {
                Some(position) => format!(" (at character {})", position + 1),
                None => String::new(),
            };
            let message = format!("Invalid JSONata expression: {error}{at}");
            report(Severity::Error, &place.pointer, message);
            return literal();
        }
    };
    if let Some(operator) = expression.newer_operator() {
        let message =
            format!("AWS supports JSONata 2.0.6, which does not have the operator {operator}");
        report(Severity::Warning, &place.pointer, message);
    }
    for (field, shows) in [
        ("result", Shows::Result),
        ("errorOutput", Shows::ErrorOutput),
    ] {
        if place.shows != shows && expression.reads("states", field) {
            let message = format!("$states.{field} is not accessible in this field");
            report(Severity::Error, &place.pointer, message);
        }
    }
    Part::Expression(Box::new(Placed {
        expression,
        location: place.location.clone(),
    }))
}
