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

/// One thing to tell the author of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether the definition may be used in spite of it.
    pub severity: Severity,
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
