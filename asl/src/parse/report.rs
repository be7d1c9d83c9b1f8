//! Owns the list of what has been found wrong while a definition is read.

use crate::diagnose::{Code, Diagnostic, Severity};

/// What has been found wrong.
#[derive(Debug, Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    fatal: bool,
}

impl Report {
    pub(super) fn error(&mut self, pointer: &str, message: impl Into<String>, hint: Option<&str>) {
        self.say(Code::SchemaValidationFailed, pointer, message, hint);
    }

    /// An error of another kind than usual.
    pub(super) fn say(
        &mut self,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        self.fatal = true;
        self.push(Severity::Error, code, pointer, message.into(), hint);
    }

    pub(super) fn warning(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        self.push(
            Severity::Warning,
            Code::SchemaValidationFailed,
            pointer,
            message.into(),
            hint,
        );
    }

    /// An error that leaves no doubt about what was meant.
    pub(super) fn unsupported(&mut self, pointer: &str, what: &str) -> String {
        let message = format!("not supported yet: {what}");
        self.push(
            Severity::Error,
            Code::SchemaValidationFailed,
            pointer,
            message.clone(),
            None,
        );
        message
    }

    /// Whether it cannot be said what was meant.
    pub(super) fn is_fatal(&self) -> bool {
        self.fatal
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    fn push(
        &mut self,
        severity: Severity,
        code: Code,
        pointer: &str,
        message: String,
        hint: Option<&str>,
    ) {
        let (pointer, hint) = (pointer.to_owned(), hint.map(str::to_owned));
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            pointer,
            message,
            hint,
        });
    }
}
