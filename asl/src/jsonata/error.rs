//! Owns what can go wrong with an expression: JSONata's codes and their messages.
//!
//! The codes are those of the reference implementation (<https://docs.jsonata.org>), which AWS puts
//! before the message as well.

use std::fmt;

/// Why an expression cannot be parsed or evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// JSONata's code: `S…` syntax, `T…` type, `D…` evaluation.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// Where in the expression, in characters, if that is known.
    pub position: Option<usize>,
}

impl Error {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            position: None,
        }
    }

    /// The same at a place, unless it has one already.
    pub(super) fn at(mut self, position: usize) -> Error {
        self.position.get_or_insert(position);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
