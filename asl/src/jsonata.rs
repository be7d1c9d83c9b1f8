//! Owns JSONata: expressions parsed, and evaluated in a world of variables.
//!
//! It is written for this crate because evaluation must be bounded without a clock and give the same
//! at each replay: libraries measure time, and none bounds memory. The language is that of the
//! reference implementation, <https://docs.jsonata.org>, with AWS's functions.
//! Refuses to know states: what they do with expressions is in [`crate::query`].

use std::collections::HashMap;
use std::fmt;

use crate::random::Random;

mod ancestor;
mod apply;
mod ast;
mod error;
mod evaluate;
mod frame;
mod function;
mod group;
mod native;
mod operator;
mod parse;
mod path;
mod regex;
mod shape;
mod signature;
mod sort;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod transform;
mod value;

pub use error::Error;

use ast::{Kind, Name, Node};
use evaluate::Evaluator;
use frame::Global;
use value::{Array, Value};

/// A parsed expression.
#[derive(Clone)]
pub struct Expression {
    source: String,
    root: Node,
    /// The names of the slots of `%`.
    labels: Vec<Name>,
    newer: Option<&'static str>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

/// What expressions see: variables by name, and the time.
#[derive(Debug)]
pub struct World<'a> {
    input: Option<&'a serde_json::Value>,
    variables: HashMap<&'a str, Global<'a>>,
    now_ms: i64,
}

impl<'a> World<'a> {
    /// A world without variables at a time, in milliseconds since the Unix epoch.
    pub fn new(now_ms: i64) -> World<'a> {
        World {
            input: None,
            variables: HashMap::new(),
            now_ms,
        }
    }

    /// Gives a variable a value; it is named without `$`.
    pub fn with(mut self, name: &'a str, value: &'a serde_json::Value) -> World<'a> {
        self.variables.insert(name, Global::new(value));
        self
    }

    /// What `$` is; nothing, unless it is given.
    pub fn with_input(mut self, input: &'a serde_json::Value) -> World<'a> {
        self.input = Some(input);
        self
    }
}

/// Whether JSONata, as AWS has it, has a function of this name; it is named without `$`.
pub(crate) fn is_function(name: &str) -> bool {
    native::find(name).is_some()
}

impl Expression {
    /// Parses an expression.
    pub fn parse(source: &str) -> Result<Expression, Error> {
        let (raw, newer) = parse::parse(source)?;
        let (root, labels) = shape::shape(raw)?;
        Ok(Expression {
            source: source.to_owned(),
            root,
            labels,
            newer,
        })
    }

    /// An operator in it that came after JSONata 2.0.6, the version that AWS says it supports.
    pub fn newer_operator(&self) -> Option<&'static str> {
        self.newer
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it reads a field of a variable, as in `$states.result`.
    pub fn reads(&self, variable: &str, field: &str) -> bool {
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            if let Kind::Path { steps, .. } = &node.kind
                && let [first, second, ..] = steps.as_slice()
                && matches!(&first.kind, Kind::Variable(name) if &**name == variable)
                && matches!(&second.kind, Kind::Name(name) if &**name == field)
            {
                return true;
            }
            open.extend(node.parts());
        }
        false
    }

    /// Whether it begins with the input, which a state machine does not give it: with `$`, `$$` or a field's name.
    pub(crate) fn begins_with_input(&self) -> bool {
        let first = match &self.root.kind {
            Kind::Path { steps, .. } => steps.first(),
            _ => Some(&self.root),
        };
        match first.map(|node| &node.kind) {
            Some(Kind::Variable(name)) => matches!(&**name, "" | "$"),
            Some(Kind::Name(_)) => true,
            _ => false,
        }
    }

    /// Its value; `None` if it is undefined. The same world and the same `random` give the same.
    pub fn evaluate(
        &self,
        world: &World<'_>,
        random: &mut Random,
    ) -> Result<Option<serde_json::Value>, Error> {
        let mut evaluator = Evaluator::new(&world.variables, &self.labels, world.now_ms, random);
        let input = match world.input.map(Value::from_json) {
            None => Value::Undefined,
            Some(Value::Array(array)) => {
                let mut outer = Array::sequence(vec![Value::Array(array)]);
                outer.outer = true;
                outer.into()
            }
            Some(value) => value,
        };
        let frame = evaluator.outermost();
        let whole = match &input {
            Value::Array(outer) if outer.outer => outer.items()[0].clone(),
            other => other.clone(),
        };
        evaluator.frames.bind(frame, &Name::from("$"), whole);
        let value = evaluator.evaluate(&self.root, &input, frame)?;
        evaluator.spend_weight(&value)?;
        Ok(value.to_json())
    }
}
