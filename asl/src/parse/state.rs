//! Owns the reading of states, type by type.

use serde_json::Value;

use crate::choice::Rule;
use crate::machine::{
    Body, ChoiceRule, Count, Next, Place, Source, StateId, StateKind, Task, Text, Until,
};
use crate::path::{Path, ReferencePath};
use crate::template::Expression;
use crate::timestamp;

use super::fields::{Fields, closest, pointer};
use super::integration;
use super::{Builder, Names};

/// Fields that come with JSONata.
const JSONATA_FIELDS: [&str; 4] = ["Arguments", "Output", "Items", "Condition"];
/// Fields that come with JSONPath.
const JSONPATH_FIELDS: [&str; 17] = [
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultPath",
    "ResultSelector",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
    "ErrorPath",
    "CausePath",
    "Result",
    "Variable",
];

impl Builder<'_> {
    pub(super) fn state(&mut self, id: StateId, fields: &Fields<'_>, local: &Names) {
        let kind = fields.required_text("Type", self.report);
        let comment = fields.text("Comment", self.report);
        let jsonata = self.query_language(fields, self.jsonata);
        let assign = match kind.as_deref() {
            // Nothing comes after them that could read a variable.
            Some("Succeed" | "Fail") => None,
            _ => self.assign(fields, jsonata, ""),
        };
        let Some(name) = kind else { return };
        let Some(kind) = StateKind::from_name(&name) else {
            let message = "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]";
            let names = StateKind::ALL.iter().map(|kind| kind.as_str());
            let hint = closest(&name, names).map(|close| format!("did you mean {close}?"));
            self.report
                .error(&fields.at("Type"), message, hint.as_deref());
            return;
        };
        let next = match kind {
            StateKind::Choice | StateKind::Succeed | StateKind::Fail => None,
            _ => self.next(fields, local),
        };
        let mut output_query = None;
        if jsonata && kind != StateKind::Fail {
            output_query = fields.query("Output", "", self.report);
        }
        let (mut input, mut output) = (Source::Path(Path::whole()), Source::Path(Path::whole()));
        if kind != StateKind::Fail && !jsonata {
            input = self.source("InputPath", fields);
            output = self.source("OutputPath", fields);
        }
        let body = match kind {
            StateKind::Task => self.task(fields, local, jsonata),
            StateKind::Pass => Some(Body::Pass {
                parameters: if jsonata {
                    None
                } else {
                    fields.template("Parameters", self.report)
                },
                result: if jsonata {
                    None
                } else {
                    fields.get("Result").cloned()
                },
                result_path: if jsonata {
                    Place::Path(ReferencePath::whole())
                } else {
                    self.place(fields)
                },
            }),
            StateKind::Choice => self.choice(fields, local, jsonata),
            StateKind::Wait => self.wait(fields, jsonata),
            StateKind::Succeed => Some(Body::Succeed),
            StateKind::Fail => self.fail(fields, jsonata),
            StateKind::Parallel => self.parallel(id, fields, local, jsonata),
            StateKind::Map => self.map(id, fields, local, jsonata),
        };
        self.other_language(fields, jsonata);
        fields.finish(self.report);
        if matches!(kind, StateKind::Succeed | StateKind::Fail) || next == Some(Next::End) {
            self.ends.insert(id);
        }
        let state = &mut self.states[id.0 as usize];
        state.comment = comment;
        state.assign = assign;
        state.jsonata = jsonata;
        state.output_query = output_query;
        state.input = input;
        state.output = output;
        state.next = next.unwrap_or(Next::End);
        if let Some(body) = body {
            state.body = body;
        }
    }

    /// Fields that the state's query language does not have, but the other one does.
    fn other_language(&mut self, fields: &Fields<'_>, jsonata: bool) {
        let (this, other, names) = if jsonata {
            ("JSONata", "JSONPath", JSONPATH_FIELDS.as_slice())
        } else {
            ("JSONPath", "JSONata", JSONATA_FIELDS.as_slice())
        };
        for name in names.iter().filter(|name| fields.has(name)) {
            let message = format!(
                "The QueryLanguage is set to '{this}', but field '{name}' is only supported for the '{other}' QueryLanguage"
            );
            let hint = format!("remove it, or set QueryLanguage to {other}");
            self.report.error_in(&fields.at(name), message, Some(&hint));
        }
    }

    fn next(&mut self, fields: &Fields<'_>, local: &Names) -> Option<Next> {
        let next = fields.text("Next", self.report);
        let end = fields.boolean("End", self.report);
        match (next, end) {
            (Some(next), None | Some(false)) => self
                .target(&next, &fields.at("Next"), local)
                .map(Next::State),
            (Some(_), Some(true)) => {
                self.report.error(
                    &fields.at("End"),
                    "Next and End exclude each other",
                    Some("keep one of them"),
                );
                None
            }
            (None, Some(true)) => Some(Next::End),
            (None, _) => {
                let is_unreadable = end.is_none() && fields.has("End");
                if !fields.has("Next") && !is_unreadable {
                    self.report.error(
                        fields.pointer(),
                        "the state goes nowhere",
                        Some("add Next, or End: true"),
                    );
                }
                None
            }
        }
    }

    fn source(&mut self, name: &'static str, fields: &Fields<'_>) -> Source {
        match fields.get(name) {
            Some(Value::Null) => Source::Nothing,
            _ => Source::Path(fields.path(name, self.report).unwrap_or_else(Path::whole)),
        }
    }

    fn task(&mut self, fields: &Fields<'_>, local: &Names, jsonata: bool) -> Option<Body> {
        let resource = fields.required_text("Resource", self.report);
        if let Some(resource) = &resource
            && let Err(wrong) = check_resource(resource)
        {
            let hint = "name a function as arn:aws:lambda:<region>:<account>:function:<name>, with :<alias> if any";
            self.report.error(&fields.at("Resource"), wrong, Some(hint));
        } else if let Some(resource) = &resource
            && let Err(hint) = integration::check(resource)
        {
            let wrong = format!(
                "The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."
            );
            self.report
                .error(&fields.at("Resource"), wrong, Some(&hint));
        }
        let mut effort = self.effort(fields, local, jsonata);
        let credentials;
        if jsonata {
            effort.parameters = self.query_template("Arguments", fields);
            credentials = self.query_template("Credentials", fields);
        } else {
            effort.parameters = fields.template("Parameters", self.report);
            credentials = fields.template("Credentials", self.report);
        }
        if let Some(value) = fields.get("Credentials")
            && let Some(fields) = Fields::of(value, &fields.at("Credentials"), self.report)
            && !fields.has("RoleArn")
            && !fields.has("RoleArn.$")
        {
            fields.missing("RoleArn", self.report);
        }
        let (timeout, heartbeat);
        if jsonata {
            timeout = self.count_query("TimeoutSeconds", 1, fields);
            heartbeat = self.count_query("HeartbeatSeconds", 1, fields);
        } else {
            timeout = self.count("TimeoutSeconds", "TimeoutSecondsPath", 1, fields);
            heartbeat = self.count("HeartbeatSeconds", "HeartbeatSecondsPath", 1, fields);
        }
        if let (Some(Count::Given(timeout)), Some(Count::Given(heartbeat))) = (&timeout, &heartbeat)
            && heartbeat >= timeout
        {
            let message = "HeartbeatSeconds must be less than TimeoutSeconds";
            self.report
                .error(&fields.at("HeartbeatSeconds"), message, None);
        }
        Some(Body::Task(Box::new(Task {
            resource: resource?,
            timeout,
            heartbeat,
            credentials,
            effort,
        })))
    }

    fn choice(&mut self, fields: &Fields<'_>, local: &Names, jsonata: bool) -> Option<Body> {
        let default = fields.text("Default", self.report);
        let default =
            default.and_then(|default| self.target(&default, &fields.at("Default"), local));
        let at = fields.at("Choices");
        if !fields.has("Choices") {
            fields.missing("Choices", self.report);
        }
        let array = fields.array("Choices", self.report)?;
        if array.is_empty() {
            self.report
                .error(&at, "Choices needs at least one rule", None);
        }
        let mut rules = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            let Some(fields) = Fields::of(value, &pointer(&at, &index.to_string()), self.report)
            else {
                continue;
            };
            fields.get("Comment");
            let next = fields.required_text("Next", self.report);
            let next = next.and_then(|next| self.target(&next, &fields.at("Next"), local));
            let place = format!("Choices[{index}]/");
            let assign = self.assign(&fields, jsonata, &place);
            let mut output = None;
            let rule = if jsonata {
                output = fields.query("Output", &place, self.report);
                self.condition(&fields, &place)
            } else {
                super::choice::rule(&fields, self.report)
            };
            if rule.is_some() {
                fields.finish(self.report);
            }
            if let (Some(rule), Some(next)) = (rule, next) {
                rules.push(ChoiceRule {
                    rule,
                    next,
                    assign,
                    output,
                });
            }
        }
        Some(Body::Choice { rules, default })
    }

    /// `Condition` in JSONata.
    fn condition(&mut self, fields: &Fields<'_>, place: &str) -> Option<Rule> {
        let Some(value) = fields.get("Condition") else {
            fields.missing("Condition", self.report);
            return None;
        };
        if !value.is_boolean() && !fields.is_expression("Condition") {
            let message = "Condition must be true, false or a JSONata expression";
            self.report.error(&fields.at("Condition"), message, None);
        }
        fields
            .query("Condition", place, self.report)
            .map(Rule::Query)
    }

    fn wait(&mut self, fields: &Fields<'_>, jsonata: bool) -> Option<Body> {
        let all = ["Seconds", "Timestamp", "SecondsPath", "TimestampPath"];
        let names = if jsonata { &all[..2] } else { &all[..] };
        fields.exclusive(names, self.report);
        if jsonata && fields.is_expression("Seconds") {
            let query = fields.query("Seconds", "", self.report);
            return query.map(|query| Body::Wait(Until::SecondsQuery(query)));
        }
        if jsonata && fields.is_expression("Timestamp") {
            let query = fields.query("Timestamp", "", self.report);
            return query.map(|query| Body::Wait(Until::TimestampQuery(query)));
        }
        if !names.iter().any(|name| fields.has(name)) {
            let hint = format!("add one of {}", names.join(", "));
            self.report.error(
                fields.pointer(),
                "the state does not say how long to wait",
                Some(&hint),
            );
        }
        let timestamp = fields.text("Timestamp", self.report).and_then(|text| {
            let parsed =
                timestamp::parse(&text).map(|time| Until::Timestamp(timestamp::to_millis(time)));
            let wrong = "String does not match RFC3339 timestamp";
            fields.checked("Timestamp", parsed.ok_or(wrong), self.report)
        });
        let until = fields
            .natural("Seconds", 0, self.report)
            .map(Until::Seconds);
        let mut until = until.or(timestamp);
        if !jsonata {
            let seconds = fields.path("SecondsPath", self.report);
            let timestamp = fields.path("TimestampPath", self.report);
            until = until.or(seconds.map(Until::SecondsPath));
            until = until.or(timestamp.map(Until::TimestampPath));
        }
        until.map(Body::Wait)
    }

    fn fail(&mut self, fields: &Fields<'_>, jsonata: bool) -> Option<Body> {
        let (error, cause) = if jsonata {
            (
                self.said_query("Error", fields),
                self.said_query("Cause", fields),
            )
        } else {
            (
                self.said("Error", "ErrorPath", fields),
                self.said("Cause", "CausePath", fields),
            )
        };
        Some(Body::Fail { error, cause })
    }

    fn said_query(&mut self, name: &'static str, fields: &Fields<'_>) -> Option<Text> {
        if fields.is_expression(name) {
            return fields.query(name, "", self.report).map(Text::Query);
        }
        fields.text(name, self.report).map(Text::Given)
    }

    fn said(
        &mut self,
        name: &'static str,
        path: &'static str,
        fields: &Fields<'_>,
    ) -> Option<Text> {
        fields.exclusive(&[name, path], self.report);
        let given = fields.text(name, self.report).map(Text::Given);
        let computed = fields.text(path, self.report);
        let computed =
            computed.and_then(|text| fields.checked(path, Expression::parse(&text), self.report));
        given.or(computed.map(Text::Computed))
    }
}

/// Whether a resource is an ARN, and one of a Lambda function a whole one. Placeholders that are
/// still to be substituted (`${…}`) are taken as they are.
fn check_resource(resource: &str) -> Result<(), String> {
    if let Some((_, rest)) = resource.split_once("${") {
        return if rest.contains('}') {
            Ok(())
        } else {
            Err("${ without }".to_owned())
        };
    }
    if !resource.starts_with("arn:") {
        return Err("Resource must be an ARN".to_owned());
    }
    let Some((_, function)) = resource.split_once(":function:") else {
        return Ok(());
    };
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let (name, qualifier) = function.split_once(':').unwrap_or((function, "$LATEST"));
    if plain(name) && (qualifier == "$LATEST" || plain(qualifier)) {
        Ok(())
    } else {
        Err(format!(
            "{function} is not the name of a function with at most one version or alias"
        ))
    }
}
