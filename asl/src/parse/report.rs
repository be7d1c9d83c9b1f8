//! Owns the list of what has been found wrong while a definition is read.

use crate::diagnose::{Code, Diagnostic, Severity};

/// What has been found wrong.
#[derive(Debug, Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    fatal: bool,
    /// There is a mistake beside transitions.
    malformed: bool,
    /// How many bytes the diagnostics take.
    bytes: usize,
}

/// How many bytes diagnostics may take together. Each mistake names its place, and a place may be long.
const BYTES_MAX: usize = 1 << 20;

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
        self.malformed |= code != Code::MissingTransitionTarget;
        self.push(Severity::Error, code, pointer, message.into(), hint);
    }

    /// An error in a field for which AWS names the object that has the field.
    pub(super) fn error_in(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let before = self.diagnostics.len();
        self.error(pointer, message, hint);
        if let Some(diagnostic) = self.diagnostics.get_mut(before) {
            diagnostic.of_parent = true;
        }
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        self.push(Severity::Warning, code, pointer, message.into(), hint);
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

    /// Whether anything but transitions is wrong.
    pub(super) fn is_malformed(&self) -> bool {
        self.malformed
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
        // Who is told of so many mistakes has enough to do.
        self.bytes = self.bytes.saturating_add(pointer.len() + message.len());
        if self.bytes > BYTES_MAX && !self.diagnostics.is_empty() {
            return;
        }
        let (pointer, hint) = (pointer.to_owned(), hint.map(str::to_owned));
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            pointer,
            message,
            hint,
            of_parent: false,
        });
    }
}
