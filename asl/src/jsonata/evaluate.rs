//! Owns the evaluation of an expression, part by part, within limits that do not depend on a clock:
//! steps, nesting, and the size of what is made.

use std::collections::HashMap;
use std::sync::Arc;

use crate::random::Random;

use super::ast::{Kind, Name, Node, Stage};
use super::error::Error;
use super::frame::{FrameId, Frames, Global};
use super::function::Function;
use super::native;
use super::value::{Array, Value};

/// How many steps an evaluation may take. Reading and making values counts by their size, so that
/// this bounds time and memory alike.
pub(super) const STEPS_MAX: usize = 4_000_000;
/// How deep an evaluation may nest.
const DEPTH_MAX: usize = 400;
/// How much of the stack an evaluation may use, in bytes. Optimised builds come to [`DEPTH_MAX`]
/// first, so that what is given does not depend on it; other builds need several times as much.
const STACK_MAX: usize = 5 << 18;
/// How many containers may be inside of each other.
pub(super) const VALUE_DEPTH_MAX: usize = 200;

/// An evaluation.
pub(super) struct Evaluator<'a> {
    pub(super) globals: &'a HashMap<&'a str, Global<'a>>,
    /// The names of the slots of `%`.
    pub(super) labels: &'a [Name],
    pub(super) frames: Frames,
    /// How many functions were made that may refer to frames.
    pub(super) closures: usize,
    depth: usize,
    /// An address on the stack where the evaluation began.
    stack: usize,
    steps: usize,
    /// `$now()`, in milliseconds since the Unix epoch.
    pub(super) now_ms: i64,
    pub(super) random: &'a mut Random,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(
        globals: &'a HashMap<&'a str, Global<'a>>,
        labels: &'a [Name],
        now_ms: i64,
        random: &'a mut Random,
    ) -> Evaluator<'a> {
        Evaluator {
            globals,
            labels,
            frames: Frames::default(),
            closures: 0,
            depth: 0,
            stack: here(),
            steps: 0,
            now_ms,
            random,
        }
    }

    /// Takes steps; an error if they are more than an evaluation may take.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Error> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            let message = "The evaluation takes too many steps. Check for infinite loop";
            return Err(Error::new("D1012", message));
        }
        Ok(())
    }

    /// Takes the steps for a list of so many values.
    pub(super) fn spend_items(&mut self, items: usize) -> Result<(), Error> {
        self.spend(items / 4 + 1)
    }

    /// Takes the steps for a text of so many bytes.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        self.spend(bytes / 64 + 1)
    }

    /// Takes the steps for going through a value all the way down.
    pub(super) fn spend_weight(&mut self, value: &Value) -> Result<(), Error> {
        let weight = value.weight(4 * (STEPS_MAX - self.steps.min(STEPS_MAX)) + 8);
        self.spend(weight / 4 + 1)
    }

    /// Goes some levels deeper, if that is allowed.
    pub(super) fn deeper(&mut self, levels: usize) -> Result<(), Error> {
        self.depth += levels;
        if self.depth > DEPTH_MAX || self.stack.abs_diff(here()) > STACK_MAX {
            return Err(too_deep());
        }
        Ok(())
    }

    /// Comes back from [`Evaluator::deeper`].
    pub(super) fn shallower(&mut self, levels: usize) {
        self.depth = self.depth.saturating_sub(levels);
    }

    /// Evaluates a part in a context.
    pub(super) fn evaluate(
        &mut self,
        node: &Node,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        self.spend(1)?;
        self.deeper(1).map_err(|error| error.at(node.at))?;
        let mut result = self.part(node, input, frame)?;
        if !node.predicates.is_empty() || node.group.is_some() {
            result = self.suffixes(node, result, frame)?;
        }
        self.shallower(1);
        if result.depth() > VALUE_DEPTH_MAX {
            return Err(too_deep().at(node.at));
        }
        settle(result, node.keep_array)
    }

    fn part(&mut self, node: &Node, input: &Value, frame: FrameId) -> Result<Value, Error> {
        match &node.kind {
            Kind::Path { steps, .. } => self.path(node, steps, input, frame),
            Kind::Name(name) => self.lookup(input, name),
            Kind::Variable(name) => self.variable(name, input, frame),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Number(number) => Ok(Value::Number(*number)),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Null => Ok(Value::Null),
            Kind::Binary(operator, left, right) => {
                self.binary(*operator, left, right, node.at, input, frame)
            }
            Kind::Call {
                procedure,
                arguments,
                tail,
            } => self.call(procedure, arguments, *tail, None, node.at, input, frame),
            Kind::Condition {
                condition,
                then,
                otherwise,
            } => {
                if self.evaluate(condition, input, frame)?.is_true()? {
                    return self.evaluate(then, input, frame);
                }
                match otherwise {
                    Some(otherwise) => self.evaluate(otherwise, input, frame),
                    None => Ok(Value::Undefined),
                }
            }
            Kind::Block(parts) => self.block(parts, input, frame),
            Kind::Object(pairs) => self.group(pairs, input, node.at, frame),
            Kind::Array(items) => self.array(items, node.constructs, input, frame),
            Kind::Bind(name, value) => {
                let value = self.evaluate(value, input, frame)?;
                self.frames.bind(frame, name, value.clone());
                Ok(value)
            }
            Kind::Lambda(lambda) => {
                self.closures += 1;
                let (lambda, input) = (lambda.clone(), input.clone());
                Ok(Function::Lambda {
                    lambda,
                    frame,
                    input,
                }
                .into())
            }
            Kind::Negate(inner) => self.negate(inner, node.at, input, frame),
            Kind::Apply(left, right) => self.apply_to(left, right, node.at, input, frame),
            Kind::Partial {
                procedure,
                arguments,
            } => self.partial(procedure, arguments, node.at, input, frame),
            Kind::Transform(transform) => {
                self.closures += 1;
                let transform = transform.clone();
                Ok(Function::Transform { transform, frame }.into())
            }
            Kind::Regex(regex) => Ok(Function::Regex(regex.clone()).into()),
            Kind::Wildcard => self.wildcard(input),
            Kind::Descendants => self.descendants(input),
            Kind::Parent(slot) => {
                let label = self.labels.get(*slot).cloned();
                let found = label.and_then(|label| self.frames.find(frame, &label).0.cloned());
                Ok(found.unwrap_or(Value::Undefined))
            }
            // Only steps sort.
            Kind::Sort(_) => Ok(Value::Undefined),
        }
    }

    /// What follows a part in brackets and braces.
    fn suffixes(&mut self, node: &Node, mut result: Value, frame: FrameId) -> Result<Value, Error> {
        for predicate in &node.predicates {
            if let Stage::Filter(filter) = predicate {
                result = self.filter(filter, result, frame)?;
            }
        }
        match &node.group {
            Some(pairs) if !matches!(node.kind, Kind::Path { .. }) => {
                self.group(pairs, &result, node.at, frame)
            }
            _ => Ok(result),
        }
    }

    fn variable(&mut self, name: &Name, input: &Value, frame: FrameId) -> Result<Value, Error> {
        if !name.is_empty() {
            return self.find(name, frame);
        }
        Ok(match input {
            Value::Array(array) if array.outer => {
                array.items().first().cloned().unwrap_or(Value::Undefined)
            }
            other => other.clone(),
        })
    }

    /// The value of a variable or a function that comes with the language.
    pub(super) fn find(&mut self, name: &str, frame: FrameId) -> Result<Value, Error> {
        let (found, searched) = self.frames.find(frame, name);
        let found = found.cloned();
        self.spend(searched / 4)?;
        if let Some(found) = found {
            return Ok(found);
        }
        if let Some(global) = self.globals.get(name) {
            return Ok(global.value().clone());
        }
        Ok(native::find(name).map_or(Value::Undefined, |builtin| Function::Native(builtin).into()))
    }

    /// Runs something in a frame of its own, which is forgotten unless a function was made in it.
    pub(super) fn within<R>(
        &mut self,
        parent: FrameId,
        bindings: Vec<(Name, Value)>,
        run: impl FnOnce(&mut Evaluator<'a>, FrameId) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let (mark, closures) = (self.frames.mark(), self.closures);
        self.spend_items(bindings.len())?;
        let frame = self.frames.push(parent, bindings);
        let result = run(self, frame)?;
        if self.closures == closures {
            self.frames.forget(mark);
        }
        Ok(result)
    }

    fn block(&mut self, parts: &[Node], input: &Value, frame: FrameId) -> Result<Value, Error> {
        self.within(frame, Vec::new(), |this, frame| {
            let mut result = Value::Undefined;
            for part in parts {
                result = this.evaluate(part, input, frame)?;
            }
            Ok(result)
        })
    }

    fn array(
        &mut self,
        items: &[Node],
        constructs: bool,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let mut array = Vec::new();
        for item in items {
            let value = self.evaluate(item, input, frame)?;
            if value.is_undefined() {
                continue;
            }
            if item.is_array() {
                array.push(value);
            } else {
                self.spend_items(value.as_items().len())?;
                array.extend_from_slice(value.as_items());
            }
        }
        let mut array = Array::new(array);
        array.constructed = constructs;
        Ok(array.into())
    }

    /// The values of a field.
    pub(super) fn lookup(&mut self, input: &Value, name: &str) -> Result<Value, Error> {
        match input {
            Value::Object(object) => Ok(object
                .fields()
                .get(name)
                .cloned()
                .unwrap_or(Value::Undefined)),
            Value::Array(array) => {
                self.spend_items(array.items().len())?;
                let mut found = Vec::new();
                for item in array.items() {
                    match self.lookup(item, name)? {
                        Value::Undefined => {}
                        Value::Array(values) => {
                            self.spend_items(values.items().len())?;
                            found.extend_from_slice(values.items());
                        }
                        value => found.push(value),
                    }
                }
                Ok(Value::sequence(found))
            }
            _ => Ok(Value::Undefined),
        }
    }

    fn wildcard(&mut self, input: &Value) -> Result<Value, Error> {
        let inner = match input {
            Value::Array(array) if array.outer => array.items().first().unwrap_or(input),
            other => other,
        };
        let mut results = Vec::new();
        let mut sequence = true;
        let mut add = |value: &Value| {
            if matches!(value, Value::Array(_)) {
                sequence = false;
                flatten(value, &mut results);
            } else {
                results.push(value.clone());
            }
        };
        match inner {
            Value::Object(object) => object.fields().values().for_each(&mut add),
            Value::Array(array) => array.items().iter().for_each(&mut add),
            _ => {}
        }
        self.spend_items(results.len())?;
        Ok(match sequence {
            true => Value::sequence(results),
            false => Value::array(results),
        })
    }

    fn descendants(&mut self, input: &Value) -> Result<Value, Error> {
        if input.is_undefined() {
            return Ok(Value::Undefined);
        }
        self.spend_weight(input)?;
        let mut results = Vec::new();
        descend(input, &mut results);
        Ok(match results.as_slice() {
            [single] => single.clone(),
            _ => Value::sequence(results),
        })
    }
}

/// About where the stack ends now.
fn here() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(&marker) as usize
}

fn too_deep() -> Error {
    let message = "Stack overflow. Check for non-terminating recursive function. Consider rewriting as tail-recursive";
    Error::new("D1011", message)
}

/// Sequences of nothing and of one value are no arrays.
fn settle(result: Value, keep_array: bool) -> Result<Value, Error> {
    let Value::Array(mut array) = result else {
        return Ok(result);
    };
    if array.sequence {
        if keep_array && !array.keep {
            Arc::make_mut(&mut array).keep = true;
        }
        match array.items() {
            [] => return Ok(Value::Undefined),
            [single] if !array.keep => return Ok(single.clone()),
            _ => {}
        }
    }
    Ok(Value::Array(array))
}

fn flatten(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(array) => array.items().iter().for_each(|item| flatten(item, into)),
        other => into.push(other.clone()),
    }
}

fn descend(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(array) => array.items().iter().for_each(|item| descend(item, into)),
        other => {
            into.push(other.clone());
            if let Value::Object(object) = other {
                object
                    .fields()
                    .values()
                    .for_each(|field| descend(field, into));
            }
        }
    }
}
