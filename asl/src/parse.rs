//! Owns the way from a definition's text to a [`StateMachine`].
//!
//! Parsing never stops at the first mistake: each part says what is wrong with it and the rest is
//! read all the same. [`document`] reads JSON, [`fields`] reads objects, [`state`], [`effort`],
//! [`fork`] and [`choice`] read states, and this module puts scopes and transitions together.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::diagnose::{Code, Diagnostic, Severity};
use crate::machine::{Body, Next, Scope, ScopeId, Source, State, StateId, StateMachine};

mod choice;
mod dialect;
mod distributed;
mod document;
mod effort;
mod fields;
mod fork;
mod integration;
mod reachable;
mod report;
mod state;
mod static_text;
mod unassigned;

use fields::Fields;
use report::Report;

/// What a definition's text turned out to be.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The machine: there unless an error makes it impossible to say what was meant. It is also
    /// there when the only errors are "not supported yet: …", so that it can be drawn; what is not
    /// supported fails with `States.Runtime` if it is run all the same.
    pub machine: Option<StateMachine>,
    /// Everything found wrong, in the order of the document as far as possible.
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

/// AWS's limit for the length of a state's name, in characters.
const NAME_MAX: usize = 80;
/// AWS's limit for the length of a definition, in bytes.
const DEFINITION_MAX: usize = 1_048_576;

/// Parses and checks a definition. Never fails: everything wrong is a diagnostic.
pub fn parse(definition: &str) -> Parsed {
    let mut report = Report::default();
    if definition.len() > DEFINITION_MAX {
        report.error(
            "",
            format!("the definition is longer than {DEFINITION_MAX} bytes"),
            None,
        );
    }
    let machine = document::read(definition, &mut report)
        .and_then(|document| machine(&document, &mut report));
    let machine = machine.filter(|_| !report.is_fatal());
    Parsed {
        machine,
        diagnostics: report.into_diagnostics(),
    }
}

fn machine(document: &Value, report: &mut Report) -> Option<StateMachine> {
    if !document.is_object() {
        report.error("", document::NOT_AN_OBJECT, None);
        return None;
    }
    let fields = Fields::of(document, "", report)?;
    let mut builder = Builder {
        report,
        scopes: Vec::new(),
        states: Vec::new(),
        names: HashMap::new(),
        led_to: HashSet::new(),
        ends: HashSet::new(),
        jsonata: false,
    };
    let comment = fields.text("Comment", builder.report);
    let timeout_seconds = fields.natural("TimeoutSeconds", 1, builder.report);
    if let Some(version) = fields.text("Version", builder.report)
        && version != "1.0"
    {
        builder.report.error(
            &fields.at("Version"),
            format!("there is no version {version}"),
            Some("the only one is 1.0"),
        );
    }
    builder.jsonata = builder.query_language(&fields, false);
    builder.scope(&fields, None);
    fields.finish(builder.report);
    let Builder {
        scopes,
        states,
        names,
        led_to,
        ends,
        report,
        ..
    } = builder;
    if report.is_malformed() {
        return None;
    }
    let machine = StateMachine {
        comment,
        timeout_seconds,
        scopes,
        states,
        names,
    };
    reachable::check(&machine, &led_to, &ends, report);
    static_text::check(document, "", false, report);
    unassigned::check(&machine, document, report);
    Some(machine)
}

struct Builder<'a> {
    report: &'a mut Report,
    scopes: Vec<Scope>,
    states: Vec<State>,
    names: HashMap<String, StateId>,
    /// States that a transition or `StartAt` names.
    led_to: HashSet<StateId>,
    /// States that end their scope.
    ends: HashSet<StateId>,
    /// The machine's query language.
    jsonata: bool,
}

/// The states of the scope that is being read, for transitions.
type Names = HashMap<String, StateId>;

impl Builder<'_> {
    /// Reads `QueryLanguage`; whether it is JSONata.
    fn query_language(&mut self, fields: &Fields<'_>, inherited: bool) -> bool {
        match fields.text("QueryLanguage", self.report).as_deref() {
            None => inherited,
            Some("JSONPath") => {
                if inherited {
                    let message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
                    let hint =
                        "remove it, or set QueryLanguage in the states that use JSONata only";
                    let at = fields.at("QueryLanguage");
                    self.report.error(&at, message, Some(hint));
                }
                false
            }
            Some("JSONata") => true,
            Some(other) => {
                let message = format!("there is no query language {other}");
                self.report.error(
                    &fields.at("QueryLanguage"),
                    message,
                    Some("use JSONPath or JSONata"),
                );
                inherited
            }
        }
    }

    /// Reads `StartAt` and `States`.
    fn scope(&mut self, fields: &Fields<'_>, owner: Option<(StateId, usize)>) -> ScopeId {
        let id = ScopeId(self.scopes.len() as u32);
        self.scopes.push(Scope {
            start: StateId(0),
            states: Vec::new(),
            owner,
        });
        let start_at = fields.required_text("StartAt", self.report);
        let Some(states) = fields.required_object("States", self.report) else {
            return id;
        };
        let at = fields.at("States");
        if states.is_empty() {
            self.report
                .error(&at, "there are no states", Some("add at least one state"));
        }
        // All names first, so that transitions may point forward.
        let mut local = Names::new();
        for name in states.keys() {
            let state = StateId(self.states.len() as u32);
            self.states.push(blank(name, id));
            local.insert(name.clone(), state);
            let pointer = fields::pointer(&at, name);
            if name.is_empty() || name.chars().count() > NAME_MAX {
                self.report.say(
                    Code::InvalidStateName,
                    &pointer,
                    format!("The name of a state has 1 to {NAME_MAX} characters"),
                    Some("choose another name"),
                );
            }
            if name == crate::graph::START || name == crate::graph::END {
                self.report.error(
                    &pointer,
                    "this name is used for drawing",
                    Some("choose another name"),
                );
            }
            if self.names.insert(name.clone(), state).is_some() {
                let message = format!("Duplicate State name: {name}");
                self.report.say(
                    Code::DuplicateStateName,
                    &pointer,
                    message,
                    Some("names are unique in the whole state machine"),
                );
            }
        }
        self.scopes[id.0 as usize].states = states.keys().map(|name| local[name]).collect();
        if let Some(start_at) = start_at
            && let Some(start) = self.target(&start_at, &fields.at("StartAt"), &local)
        {
            self.scopes[id.0 as usize].start = start;
        }
        for (name, value) in states {
            let pointer = fields::pointer(&at, name);
            if let Some(fields) = Fields::of(value, &pointer, self.report) {
                self.state(local[name], &fields, &local);
            }
        }
        id
    }

    /// The state of the same scope that a transition names.
    fn target(&mut self, name: &str, pointer: &str, local: &Names) -> Option<StateId> {
        if let Some(&state) = local.get(name) {
            self.led_to.insert(state);
            return Some(state);
        }
        // AWS says Next whatever the field is called.
        let message = format!("Missing 'Next' target: {name}");
        let hint = if self.names.contains_key(name) {
            Some(
                "a transition cannot leave or enter a Parallel branch or a Map processor"
                    .to_owned(),
            )
        } else {
            let close = fields::closest(name, local.keys().map(String::as_str));
            close.map(|close| format!("did you mean {close}?"))
        };
        self.report.say(
            Code::MissingTransitionTarget,
            pointer,
            message,
            hint.as_deref(),
        );
        None
    }
}

fn blank(name: &str, scope: ScopeId) -> State {
    State {
        name: name.to_owned(),
        comment: None,
        scope,
        input: Source::Path(crate::path::Path::whole()),
        output: Source::Path(crate::path::Path::whole()),
        next: Next::End,
        body: Body::Succeed,
        assign: None,
        jsonata: false,
        output_query: None,
    }
}

#[cfg(test)]
mod tests;
