//! Owns what can be said about a definition: diagnostics with a place, a message and a hint.
//!
//! Refuses to read JSON, which [`crate::parse`] does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The definition runs, but probably not as meant.
    Warning,
    /// The definition cannot be created or run.
    Error,
}

/// AWS's name for a kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The text is not JSON.
    InvalidJsonDescription,
    /// A field is missing, unknown or not what it must be.
    SchemaValidationFailed,
    /// A transition leads nowhere, or none leads to a state.
    MissingTransitionTarget,
}

impl Code {
    /// The name as AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidJsonDescription => "INVALID_JSON_DESCRIPTION",
            Code::SchemaValidationFailed => "SCHEMA_VALIDATION_FAILED",
            Code::MissingTransitionTarget => "MISSING_TRANSITION_TARGET",
        }
    }
}

/// One thing to tell the author of a definition. Messages are in AWS's words where these are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether the definition may be used in spite of it.
    pub severity: Severity,
    /// What kind of mistake it is.
    pub code: Code,
    /// RFC 6901 pointer into the definition; empty for the whole of it.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that can be told.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let pointer = if self.pointer.is_empty() {
            "/"
        } else {
            &self.pointer
        };
        write!(f, "{severity} at {pointer}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
