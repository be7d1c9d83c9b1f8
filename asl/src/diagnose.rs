//! Owns what can be said about a definition: diagnostics with a place, a message and a hint.
//!
//! Refuses to read JSON, which [`crate::parse`] does.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// No state ends the machine, a branch or an item's processor.
    MissingEndState,
    /// Two states have one name.
    DuplicateStateName,
    /// A state's name is too long, or empty.
    InvalidStateName,
    /// A value looks like an expression, but its field's name does not end in `.$`.
    NoDollar,
    /// A value looks like a path, but its field's name does not end in `Path`.
    NoPath,
    /// The `Result` of a Pass state is taken as it is, and looks as if that were not meant.
    PassResultIsStatic,
    /// Something that AWS does not look for.
    Advice,
}

impl Code {
    /// The name as AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidJsonDescription => "INVALID_JSON_DESCRIPTION",
            Code::SchemaValidationFailed => "SCHEMA_VALIDATION_FAILED",
            Code::MissingTransitionTarget => "MISSING_TRANSITION_TARGET",
            Code::MissingEndState => "MISSING_END_STATE",
            Code::DuplicateStateName => "DUPLICATE_STATE_NAME",
            Code::InvalidStateName => "INVALID_STATE_NAME",
            Code::NoDollar => "NO_DOLLAR",
            Code::NoPath => "NO_PATH",
            Code::PassResultIsStatic => "PASS_RESULT_IS_STATIC",
            Code::Advice => "ADVICE",
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
    /// AWS names the object around the place instead.
    #[serde(default)]
    pub of_parent: bool,
}

impl Diagnostic {
    /// The place as AWS writes it, where elements of arrays stand in brackets: `/States/A/Choices[0]/Next`.
    /// `None` for the whole definition.
    pub fn location(&self, definition: &Value) -> Option<String> {
        let mut tokens: Vec<&str> = self.pointer.split('/').skip(1).collect();
        if self.of_parent {
            tokens.pop();
        }
        if tokens.is_empty() {
            return None;
        }
        let mut location = String::new();
        let mut at = Some(definition);
        for token in tokens {
            let token = token.replace("~1", "/").replace("~0", "~");
            at = match at {
                Some(Value::Array(elements)) => {
                    location.push_str(&format!("[{token}]"));
                    token
                        .parse()
                        .ok()
                        .and_then(|index: usize| elements.get(index))
                }
                other => {
                    location.push_str(&format!("/{token}"));
                    other.and_then(|value| value.get(&token))
                }
            };
        }
        Some(location)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_as_aws_writes_them() {
        let definition = json!({"States": {"a/b": {"Choices": [{"And": [{"Next": "x"}]}]}}});
        let mut diagnostic = Diagnostic {
            severity: Severity::Error,
            code: Code::SchemaValidationFailed,
            pointer: "/States/a~1b/Choices/0/And/0/Next".into(),
            message: String::new(),
            hint: None,
            of_parent: false,
        };
        let location = diagnostic.location(&definition);
        assert_eq!(
            location.as_deref(),
            Some("/States/a/b/Choices[0]/And[0]/Next")
        );
        diagnostic.of_parent = true;
        let location = diagnostic.location(&definition);
        assert_eq!(location.as_deref(), Some("/States/a/b/Choices[0]/And[0]"));
        diagnostic.pointer = "/Timeout".into();
        assert_eq!(diagnostic.location(&definition), None);
    }
}
