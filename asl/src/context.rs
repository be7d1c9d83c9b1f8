//! Owns the context object (`$$`) and the scene in which expressions are evaluated.
//!
//! The context object is put together from parts that live on in the execution, so that reading
//! one field of it does not copy the execution's input.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html>

use std::cell::OnceCell;
use std::fmt;

use serde_json::{Map, Value};

use crate::path::{Path, Root, Segment};
use crate::random::Random;

/// The parts of the context object, in AWS's order.
#[derive(Debug)]
pub struct Context<'a> {
    parts: Vec<(&'static str, Part<'a>)>,
}

enum Part<'a> {
    Borrowed(&'a Value),
    Made(OnceCell<Value>, &'a dyn Fn() -> Value),
}

/// How many parts there can be.
const PARTS_MAX: usize = 5;

impl Default for Context<'_> {
    fn default() -> Self {
        Context {
            parts: Vec::with_capacity(PARTS_MAX),
        }
    }
}

impl<'a> Context<'a> {
    /// Adds a part that lives elsewhere.
    pub fn with(mut self, name: &'static str, part: &'a Value) -> Context<'a> {
        self.parts.push((name, Part::Borrowed(part)));
        self
    }

    /// Adds a part that is made when an expression asks for it: most never do.
    pub fn with_made(mut self, name: &'static str, make: &'a dyn Fn() -> Value) -> Context<'a> {
        self.parts.push((name, Part::Made(OnceCell::new(), make)));
        self
    }

    fn part(&self, name: &str) -> Option<&Value> {
        self.parts
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, part)| part.value())
    }

    /// All of it.
    pub fn whole(&self) -> Value {
        let parts = self.parts.iter();
        let object: Map<String, Value> = parts
            .map(|(name, part)| ((*name).to_owned(), part.value().clone()))
            .collect();
        Value::Object(object)
    }

    fn find(&self, path: &Path) -> Option<Value> {
        match path.segments() {
            Some([Segment::Key(name), rest @ ..]) => {
                crate::path::find(rest, self.part(name)?).cloned()
            }
            _ => path.find(&self.whole()),
        }
    }
}

impl Part<'_> {
    fn value(&self) -> &Value {
        match self {
            Part::Borrowed(value) => value,
            Part::Made(value, make) => value.get_or_init(make),
        }
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// What expressions can see.
#[derive(Debug)]
pub struct Scene<'a> {
    /// `$`.
    pub input: &'a Value,
    /// `$$`.
    pub context: &'a Context<'a>,
    /// `$name`: the variables in reach.
    pub variables: Option<&'a Map<String, Value>>,
    /// `$states.result`: what a state's task, branches or iterations came to.
    pub result: Option<&'a Value>,
    /// `$states.errorOutput`: the error that a catcher took.
    pub error_output: Option<&'a Value>,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// What functions draw from.
    pub random: &'a mut Random,
}

impl<'a> Scene<'a> {
    /// A scene.
    pub fn new(input: &'a Value, context: &'a Context<'a>, random: &'a mut Random) -> Scene<'a> {
        Scene {
            input,
            context,
            variables: None,
            result: None,
            error_output: None,
            now_ms: 0,
            random,
        }
    }

    /// The same scene with what `$states` shows beside the input and the context.
    pub fn showing<'b>(
        &'b mut self,
        result: Option<&'b Value>,
        error_output: Option<&'b Value>,
    ) -> Scene<'b> {
        Scene {
            input: self.input,
            context: self.context,
            variables: self.variables,
            result,
            error_output,
            now_ms: self.now_ms,
            random: self.random,
        }
    }

    /// What a path finds; `None` if it is definite and finds nothing.
    pub fn find(&self, path: &Path) -> Option<Value> {
        match path.root() {
            Root::Input => path.find(self.input),
            Root::Context => self.context.find(path),
            Root::Variable(name) => path.find(self.variables?.get(name)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(path: &str, expected: Expect) {
        let execution = json!({"Id": "arn", "Input": {"a": [1, 2]}});
        let state = || json!({"Name": "S"});
        let context = Context::default()
            .with("Execution", &execution)
            .with_made("State", &state);
        let input = Value::Null;
        let mut random = Random::new(0);
        let scene = Scene::new(&input, &context, &mut random);
        let found = scene.find(&Path::parse(path).expect("a path"));
        expected.assert_eq(&found.map_or("nothing".to_owned(), |value| value.to_string()));
    }

    #[test]
    fn find() {
        check("$$.Execution.Input.a[1]", expect!["2"]);
        check("$$.State.Name", expect![[r#""S""#]]);
        check("$$.Map.Item.Index", expect!["nothing"]);
        check("$$.Execution.Input.a[*]", expect!["[1,2]"]);
        check(
            "$$",
            expect![[r#"{"Execution":{"Id":"arn","Input":{"a":[1,2]}},"State":{"Name":"S"}}"#]],
        );
        check("$", expect!["null"]);
    }
}
