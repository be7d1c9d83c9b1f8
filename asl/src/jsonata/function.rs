//! Owns the functions of expressions as values.

use std::sync::Arc;

use super::ast::{Lambda, Name, Transform};
use super::frame::FrameId;
use super::native::Builtin;
use super::regex::Regex;
use super::value::Value;

/// A function.
#[derive(Debug)]
pub(super) enum Function {
    Native(&'static Builtin),
    Lambda {
        lambda: Arc<Lambda>,
        frame: FrameId,
        /// The context it was written in.
        input: Value,
    },
    /// Some arguments are given; `None` stands for those that are not.
    Partial {
        function: Value,
        arguments: Vec<Option<Value>>,
        depth: usize,
    },
    /// `f ~> g`
    Chain {
        first: Value,
        second: Value,
        depth: usize,
    },
    /// Matches a text.
    Regex(Arc<Regex>),
    /// Gives the match after a match.
    NextMatch {
        regex: Arc<Regex>,
        text: Name,
        from: usize,
    },
    Transform {
        transform: Arc<Transform>,
        frame: FrameId,
    },
}

/// A call with which a function ended.
#[derive(Debug)]
pub(super) struct TailCall {
    pub(super) function: Value,
    pub(super) arguments: Vec<Value>,
    /// As what the function was called.
    pub(super) name: Name,
    pub(super) at: usize,
}

impl Function {
    /// A function of which some arguments are given.
    pub(super) fn partial(function: Value, arguments: Vec<Option<Value>>) -> Function {
        let given = arguments.iter().flatten().map(Value::depth).max();
        let depth = 1 + function.depth().max(given.unwrap_or(0));
        Function::Partial {
            function,
            arguments,
            depth,
        }
    }

    /// One function after another.
    pub(super) fn chain(first: Value, second: Value) -> Function {
        let depth = 1 + first.depth().max(second.depth());
        Function::Chain {
            first,
            second,
            depth,
        }
    }

    /// How many values are inside of each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Function::Partial { depth, .. } | Function::Chain { depth, .. } => *depth,
            Function::Lambda { input, .. } => 1 + input.depth(),
            _ => 1,
        }
    }

    /// How many arguments it takes.
    pub(super) fn arity(&self) -> usize {
        match self {
            Function::Native(builtin) => builtin.native.arity,
            Function::Lambda { lambda, .. } => lambda.parameters.len(),
            Function::Partial { arguments, .. } => arguments
                .iter()
                .filter(|argument| argument.is_none())
                .count(),
            Function::NextMatch { .. } => 0,
            Function::Chain { .. } | Function::Regex(_) | Function::Transform { .. } => 1,
        }
    }
}
