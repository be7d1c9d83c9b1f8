//! Owns the calling of functions: arguments, closures, partial and tail calls.
//!
//! <https://docs.jsonata.org/programming>

use std::sync::Arc;

use super::ast::{Kind, Name, Node};
use super::error::Error;
use super::evaluate::Evaluator;
use super::frame::{FrameId, OUTERMOST};
use super::function::{Function, TailCall};
use super::value::Value;

/// As what a function is called, for messages.
fn called(procedure: &Node) -> Name {
    match &procedure.kind {
        Kind::Variable(name) => name.clone(),
        Kind::Path { steps, .. } => match steps.first().map(|step| &step.kind) {
            Some(Kind::Name(name) | Kind::Variable(name)) => name.clone(),
            _ => Name::from(""),
        },
        _ => Name::from(""),
    }
}

impl Evaluator<'_> {
    /// Calls a function; `applied` is what `~>` gives it before all other arguments.
    #[allow(clippy::too_many_arguments)] // They are the parts of a call.
    pub(super) fn call(
        &mut self,
        procedure: &Node,
        arguments: &[Node],
        tail: bool,
        applied: Option<Value>,
        at: usize,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let function = self.evaluate(procedure, input, frame)?;
        let name = called(procedure);
        if function.is_undefined() {
            self.did_you_mean(procedure, "T1005", "Attempted to invoke", at, frame)?;
        }
        let mut values = Vec::with_capacity(arguments.len() + 1);
        values.extend(applied);
        for argument in arguments {
            values.push(self.evaluate(argument, input, frame)?);
        }
        if tail {
            return Ok(Value::Tail(Arc::new(TailCall {
                function,
                arguments: values,
                name,
                at,
            })));
        }
        self.apply(&function, values, input, &name)
            .map_err(|error| error.at(at))
    }

    /// An error if a name that has no value would have one with a `$` in front.
    fn did_you_mean(
        &mut self,
        procedure: &Node,
        code: &'static str,
        what: &str,
        at: usize,
        frame: FrameId,
    ) -> Result<(), Error> {
        if !matches!(procedure.kind, Kind::Path { .. }) {
            return Ok(());
        }
        let name = called(procedure);
        if self.find(&name, frame)?.is_undefined() {
            return Ok(());
        }
        let message = format!("{what} a non-function. Did you mean ${name}?");
        Err(Error::new(code, message).at(at))
    }

    pub(super) fn partial(
        &mut self,
        procedure: &Node,
        arguments: &[Option<Node>],
        at: usize,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(match argument {
                Some(argument) => Some(self.evaluate(argument, input, frame)?),
                None => None,
            });
        }
        let function = self.evaluate(procedure, input, frame)?;
        if !matches!(function, Value::Function(_)) {
            let what = "Attempted to partially apply";
            if function.is_undefined() {
                self.did_you_mean(procedure, "T1007", what, at, frame)?;
            }
            return Err(Error::new("T1008", format!("{what} a non-function")).at(at));
        }
        Ok(Function::partial(function, values).into())
    }

    /// `~>`
    pub(super) fn apply_to(
        &mut self,
        left: &Node,
        right: &Node,
        at: usize,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let value = self.evaluate(left, input, frame)?;
        if let Kind::Call {
            procedure,
            arguments,
            ..
        } = &right.kind
        {
            let applied = Some(value);
            return self.call(procedure, arguments, false, applied, right.at, input, frame);
        }
        let function = self.evaluate(right, input, frame)?;
        if !matches!(function, Value::Function(_)) {
            let message =
                "The right side of the function application operator ~> must be a function";
            return Err(Error::new("T2006", message).at(at));
        }
        if matches!(value, Value::Function(_)) {
            return Ok(Function::chain(value, function).into());
        }
        let name = called(right);
        self.apply(&function, vec![value], &Value::Undefined, &name)
            .map_err(|error| error.at(at))
    }

    /// Calls a function as higher-order functions do.
    pub(super) fn invoke(
        &mut self,
        function: &Value,
        arguments: Vec<Value>,
    ) -> Result<Value, Error> {
        self.nested(function, arguments, &Value::Undefined, "")
    }

    /// Calls a function from within another: more of the stack lies between than between parts.
    fn nested(
        &mut self,
        function: &Value,
        arguments: Vec<Value>,
        input: &Value,
        name: &str,
    ) -> Result<Value, Error> {
        self.deeper(2)?;
        let result = self.apply(function, arguments, input, name)?;
        self.shallower(2);
        Ok(result)
    }

    /// Calls a function, and whatever it ends with.
    pub(super) fn apply(
        &mut self,
        function: &Value,
        arguments: Vec<Value>,
        input: &Value,
        name: &str,
    ) -> Result<Value, Error> {
        let mut result = self.apply_once(function, arguments, input, name)?;
        while let Value::Tail(call) = result {
            let arguments = call.arguments.clone();
            result = self
                .apply_once(&call.function, arguments, input, &call.name)
                .map_err(|error| error.at(call.at))?;
        }
        Ok(result)
    }

    fn apply_once(
        &mut self,
        function: &Value,
        arguments: Vec<Value>,
        input: &Value,
        name: &str,
    ) -> Result<Value, Error> {
        self.spend(1)?;
        let Value::Function(function) = function else {
            return Err(Error::new("T1006", "Attempted to invoke a non-function"));
        };
        match &**function {
            Function::Native(builtin) => {
                let name = if name.is_empty() {
                    builtin.native.name
                } else {
                    name
                };
                let arguments = builtin.signature.check(arguments, input, name)?;
                (builtin.native.run)(self, &arguments)
            }
            Function::Lambda {
                lambda,
                frame,
                input: context,
            } => {
                let arguments = match &lambda.signature {
                    Some(signature) => signature.check(arguments, input, name)?,
                    None => arguments,
                };
                let mut arguments = arguments.into_iter();
                let parameters = lambda.parameters.iter();
                let bindings = parameters
                    .map(|name| (name.clone(), arguments.next().unwrap_or(Value::Undefined)))
                    .collect();
                self.within(*frame, bindings, |this, frame| {
                    this.evaluate(&lambda.body, context, frame)
                })
            }
            Function::Partial {
                function,
                arguments: given,
                ..
            } => {
                let mut arguments = arguments.into_iter();
                let mut all: Vec<Value> = given
                    .iter()
                    .map(|given| match given {
                        Some(given) => given.clone(),
                        None => arguments.next().unwrap_or(Value::Undefined),
                    })
                    .collect();
                while all.last().is_some_and(Value::is_undefined) {
                    all.pop();
                }
                self.nested(function, all, input, name)
            }
            Function::Chain { first, second, .. } => {
                let between = self.nested(first, arguments, &Value::Undefined, "")?;
                self.nested(second, vec![between], &Value::Undefined, "")
            }
            Function::Regex(regex) => {
                let Some(Value::Text(text)) = arguments.first() else {
                    return Ok(Value::Undefined);
                };
                let found = self.next_match(regex, text, 0)?;
                Ok(found.map_or(Value::Undefined, |found| found.into_value(text)))
            }
            Function::NextMatch { regex, text, from } => {
                let found = self.following_match(regex, text, *from)?;
                Ok(found.map_or(Value::Undefined, |found| found.into_value(text)))
            }
            Function::Transform { transform, frame } => {
                let argument = arguments.into_iter().next().unwrap_or(Value::Undefined);
                let argument = if argument.is_undefined() {
                    input.clone()
                } else {
                    argument
                };
                self.transform(transform, argument, *frame, name)
            }
        }
    }

    /// The frame in which an expression begins.
    pub(super) fn outermost(&mut self) -> FrameId {
        self.frames.push(OUTERMOST, Vec::new())
    }
}
