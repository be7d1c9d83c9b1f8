//! Owns the way from a definition's text to a [`StateMachine`].

use crate::diagnose::{Diagnostic, Severity};
use crate::machine::StateMachine;

/// What a definition's text turned out to be.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The machine: there unless an error makes it impossible to say what was meant. It is also
    /// there when the only errors are "not supported yet: …", so that it can be drawn; what is not
    /// supported fails with `States.Runtime` if it is run all the same.
    pub machine: Option<StateMachine>,
    /// Everything found wrong, in the order of the document.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether a state machine may be created from the definition: no diagnostic is an error.
    pub fn is_valid(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Error)
    }
}

/// Parses and checks a definition. Never fails: everything wrong is a diagnostic.
pub fn parse(definition: &str) -> Parsed {
    let _ = definition;
    todo!("parser under construction")
}
