//! Owns the reading of states, type by type.

use serde_json::Value;

use crate::machine::{
    Body, Catcher, Count, Effort, MapState, Next, Place, Retrier, ScopeId, Source, StateId,
    StateKind, Task, Text, Until,
};
use crate::path::{Path, ReferencePath};
use crate::template::{Expression, Template};
use crate::timestamp;

use super::fields::{Fields, closest, pointer};
use super::{Builder, Names};

/// Fields that come with JSONata, variables and Distributed Map.
const JSONATA_FIELDS: [&str; 4] = ["Arguments", "Output", "Items", "Condition"];
const DISTRIBUTED_FIELDS: [&str; 4] = ["ItemReader", "ItemBatcher", "ResultWriter", "Label"];

impl Builder<'_> {
    pub(super) fn state(&mut self, id: StateId, fields: &Fields<'_>, local: &Names) {
        let kind = fields.required_text("Type", self.report);
        let comment = fields.text("Comment", self.report);
        let jsonata = self.query_language(fields, self.jsonata);
        let mut unsupported =
            jsonata.then(|| "not supported yet: QueryLanguage JSONata".to_owned());
        if fields.has("Assign") {
            unsupported = Some(if jsonata {
                "not supported yet: Assign".to_owned()
            } else {
                self.report.unsupported(&fields.at("Assign"), "Assign")
            });
        }
        if jsonata {
            JSONATA_FIELDS.iter().for_each(|name| fields.allow(name));
        }
        let Some(kind) = kind else { return };
        let Some(kind) = StateKind::from_name(&kind) else {
            let kinds = [
                "Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map",
            ];
            let hint =
                closest(&kind, kinds.into_iter()).map(|close| format!("did you mean {close}?"));
            self.report.error(
                &fields.at("Type"),
                format!("there is no type of state {kind}"),
                hint.as_deref(),
            );
            return;
        };
        let next = match kind {
            StateKind::Choice | StateKind::Succeed | StateKind::Fail => None,
            _ => self.next(fields, local),
        };
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
            StateKind::Map => self.map(id, fields, local, jsonata, &mut unsupported),
        };
        fields.finish(self.report);
        let state = &mut self.states[id.0 as usize];
        state.comment = comment;
        state.unsupported = unsupported;
        state.input = input;
        state.output = output;
        state.next = next.unwrap_or(Next::End);
        if let Some(body) = body {
            state.body = body;
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
                if !fields.has("Next") {
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

    fn place(&mut self, fields: &Fields<'_>) -> Place {
        match fields.get("ResultPath") {
            Some(Value::Null) => Place::Nowhere,
            _ => Place::Path(
                fields
                    .reference_path("ResultPath", self.report)
                    .unwrap_or_else(ReferencePath::whole),
            ),
        }
    }

    /// A field or its `…Path`.
    fn count(
        &mut self,
        name: &'static str,
        path: &'static str,
        least: u64,
        fields: &Fields<'_>,
    ) -> Option<Count> {
        fields.exclusive(&[name, path], self.report);
        let given = fields
            .natural(name, least, self.report)
            .map(|number| Count::Given(number as f64));
        let read = fields.path(path, self.report).map(Count::Path);
        given.or(read)
    }

    fn effort(&mut self, fields: &Fields<'_>, local: &Names, jsonata: bool) -> Effort {
        let retriers = self.retriers(fields);
        let catchers = self.catchers(fields, local, jsonata);
        if jsonata {
            let result_path = Place::Path(ReferencePath::whole());
            return Effort {
                parameters: None,
                selector: None,
                result_path,
                retriers,
                catchers,
            };
        }
        Effort {
            parameters: None,
            selector: fields.template("ResultSelector", self.report),
            result_path: self.place(fields),
            retriers,
            catchers,
        }
    }

    fn errors(&mut self, fields: &Fields<'_>, last: bool) -> Vec<String> {
        let at = fields.at("ErrorEquals");
        if !fields.has("ErrorEquals") {
            fields.missing("ErrorEquals", self.report);
        }
        let Some(array) = fields.array("ErrorEquals", self.report) else {
            return Vec::new();
        };
        let errors: Vec<String> = array
            .iter()
            .filter_map(|error| error.as_str().map(str::to_owned))
            .collect();
        if errors.len() < array.len() || array.is_empty() {
            self.report.error(
                &at,
                "ErrorEquals must be an array of at least one error's name",
                None,
            );
        }
        if errors.iter().any(|error| error == "States.ALL") && (errors.len() > 1 || !last) {
            self.report.error(
                &at,
                "States.ALL must stand alone and in the last place",
                None,
            );
        }
        errors
    }

    fn retriers(&mut self, fields: &Fields<'_>) -> Vec<Retrier> {
        let Some(array) = fields.array("Retry", self.report) else {
            return Vec::new();
        };
        let at = fields.at("Retry");
        let mut retriers = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            let Some(fields) = Fields::of(value, &pointer(&at, &index.to_string()), self.report)
            else {
                continue;
            };
            fields.get("Comment");
            let errors = self.errors(&fields, index + 1 == array.len());
            let backoff_rate = fields.number("BackoffRate", self.report).unwrap_or(2.0);
            if backoff_rate < 1.0 {
                self.report.error(
                    &fields.at("BackoffRate"),
                    "BackoffRate must be at least 1.0",
                    None,
                );
            }
            let interval_seconds = fields
                .natural("IntervalSeconds", 1, self.report)
                .unwrap_or(1);
            let max_delay_seconds = fields.natural("MaxDelaySeconds", 1, self.report);
            if max_delay_seconds.is_some_and(|most| most <= interval_seconds) {
                let message = "MaxDelaySeconds must be greater than IntervalSeconds";
                self.report
                    .error(&fields.at("MaxDelaySeconds"), message, None);
            }
            let jitter = fields.text("JitterStrategy", self.report);
            if jitter
                .as_deref()
                .is_some_and(|jitter| !["FULL", "NONE"].contains(&jitter))
            {
                self.report.error(
                    &fields.at("JitterStrategy"),
                    "JitterStrategy is FULL or NONE",
                    None,
                );
            }
            retriers.push(Retrier {
                errors,
                interval_seconds,
                max_attempts: fields.natural("MaxAttempts", 0, self.report).unwrap_or(3),
                backoff_rate,
                max_delay_seconds,
                full_jitter: jitter.as_deref() == Some("FULL"),
            });
            fields.finish(self.report);
        }
        retriers
    }

    fn catchers(&mut self, fields: &Fields<'_>, local: &Names, jsonata: bool) -> Vec<Catcher> {
        let Some(array) = fields.array("Catch", self.report) else {
            return Vec::new();
        };
        let at = fields.at("Catch");
        let mut catchers = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            let Some(fields) = Fields::of(value, &pointer(&at, &index.to_string()), self.report)
            else {
                continue;
            };
            fields.get("Comment");
            let errors = self.errors(&fields, index + 1 == array.len());
            if jsonata {
                fields.get("Output");
            }
            if fields.has("Assign") && !jsonata {
                self.report.unsupported(&fields.at("Assign"), "Assign");
            }
            let result_path = if jsonata {
                Place::Path(ReferencePath::whole())
            } else {
                self.place(&fields)
            };
            let next = fields.required_text("Next", self.report);
            let next = next.and_then(|next| self.target(&next, &fields.at("Next"), local));
            fields.finish(self.report);
            if let Some(next) = next {
                catchers.push(Catcher {
                    errors,
                    next,
                    result_path,
                });
            }
        }
        catchers
    }

    fn task(&mut self, fields: &Fields<'_>, local: &Names, jsonata: bool) -> Option<Body> {
        let resource = fields.required_text("Resource", self.report);
        if let Some(resource) = &resource
            && let Err(wrong) = check_resource(resource)
        {
            let hint = "name a function as arn:aws:lambda:<region>:<account>:function:<name>, with :<alias> if any";
            self.report.error(&fields.at("Resource"), wrong, Some(hint));
        }
        let mut effort = self.effort(fields, local, jsonata);
        if jsonata {
            ["TimeoutSeconds", "HeartbeatSeconds", "Credentials"]
                .iter()
                .for_each(|name| fields.allow(name));
            return Some(Body::Task(Box::new(Task {
                resource: resource?,
                timeout: None,
                heartbeat: None,
                credentials: None,
                effort,
            })));
        }
        effort.parameters = fields.template("Parameters", self.report);
        let credentials = fields.template("Credentials", self.report);
        fields.object_if_any("Credentials", self.report);
        let timeout = self.count("TimeoutSeconds", "TimeoutSecondsPath", 1, fields);
        let heartbeat = self.count("HeartbeatSeconds", "HeartbeatSecondsPath", 1, fields);
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
            if fields.has("Assign") && !jsonata {
                self.report.unsupported(&fields.at("Assign"), "Assign");
            }
            let rule = if jsonata {
                ["Condition", "Output"]
                    .iter()
                    .for_each(|name| fields.allow(name));
                // Never evaluated: the state is marked as not supported.
                Some(crate::choice::Rule::Or(Vec::new()))
            } else {
                super::choice::rule(&fields, self.report)
            };
            if rule.is_some() {
                fields.finish(self.report);
            }
            if let (Some(rule), Some(next)) = (rule, next) {
                rules.push((rule, next));
            }
        }
        Some(Body::Choice { rules, default })
    }

    fn wait(&mut self, fields: &Fields<'_>, jsonata: bool) -> Option<Body> {
        let names = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        fields.exclusive(&names, self.report);
        if jsonata {
            return Some(Body::Wait(Until::Seconds(0)));
        }
        if !names.iter().any(|name| fields.has(name)) {
            let hint = "add one of Seconds, SecondsPath, Timestamp, TimestampPath";
            self.report.error(
                fields.pointer(),
                "the state does not say how long to wait",
                Some(hint),
            );
        }
        let timestamp = fields.text("Timestamp", self.report).and_then(|text| {
            let parsed =
                timestamp::parse(&text).map(|time| Until::Timestamp(timestamp::to_millis(time)));
            let wanted = format!("{text} is not a timestamp such as 2016-03-14T01:59:00Z");
            fields.checked("Timestamp", parsed.ok_or(wanted), self.report)
        });
        let until = fields
            .natural("Seconds", 0, self.report)
            .map(Until::Seconds);
        let until = until.or(fields
            .path("SecondsPath", self.report)
            .map(Until::SecondsPath));
        let until = until.or(timestamp).or(fields
            .path("TimestampPath", self.report)
            .map(Until::TimestampPath));
        until.map(Body::Wait)
    }

    fn fail(&mut self, fields: &Fields<'_>, jsonata: bool) -> Option<Body> {
        let (error, cause) = if jsonata {
            ["Error", "Cause"]
                .iter()
                .for_each(|name| fields.allow(name));
            (None, None)
        } else {
            (
                self.said("Error", "ErrorPath", fields),
                self.said("Cause", "CausePath", fields),
            )
        };
        Some(Body::Fail { error, cause })
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

    fn parallel(
        &mut self,
        id: StateId,
        fields: &Fields<'_>,
        local: &Names,
        jsonata: bool,
    ) -> Option<Body> {
        let mut effort = self.effort(fields, local, jsonata);
        if !jsonata {
            effort.parameters = fields.template("Parameters", self.report);
        }
        let at = fields.at("Branches");
        if !fields.has("Branches") {
            fields.missing("Branches", self.report);
        }
        let array = fields.array("Branches", self.report)?;
        if array.is_empty() {
            self.report
                .error(&at, "Branches needs at least one branch", None);
        }
        let mut branches = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            let Some(fields) = Fields::of(value, &pointer(&at, &index.to_string()), self.report)
            else {
                continue;
            };
            fields.get("Comment");
            branches.push(self.scope(&fields, Some((id, index))));
            fields.finish(self.report);
        }
        Some(Body::Parallel { branches, effort })
    }

    fn map(
        &mut self,
        id: StateId,
        fields: &Fields<'_>,
        local: &Names,
        jsonata: bool,
        unsupported: &mut Option<String>,
    ) -> Option<Body> {
        fields.exclusive(&["ItemProcessor", "Iterator"], self.report);
        fields.exclusive(&["ItemSelector", "Parameters"], self.report);
        let effort = self.effort(fields, local, jsonata);
        let mut map = MapState {
            processor: ScopeId(0),
            processor_field: if fields.has("Iterator") {
                "Iterator"
            } else {
                "ItemProcessor"
            },
            items: Path::whole(),
            selector: None,
            max_concurrency: None,
            tolerated_count: None,
            tolerated_percentage: None,
            effort,
        };
        if jsonata {
            let names = [
                "ItemSelector",
                "MaxConcurrency",
                "ToleratedFailureCount",
                "ToleratedFailurePercentage",
            ];
            names.iter().for_each(|name| fields.allow(name));
        } else {
            map.items = fields
                .path("ItemsPath", self.report)
                .unwrap_or_else(Path::whole);
            let selector: Option<Template> = fields.template("ItemSelector", self.report);
            map.selector = selector.or(fields.template("Parameters", self.report));
            map.max_concurrency = self.count("MaxConcurrency", "MaxConcurrencyPath", 0, fields);
            map.tolerated_count = self.count(
                "ToleratedFailureCount",
                "ToleratedFailureCountPath",
                0,
                fields,
            );
            map.tolerated_percentage = self.percentage(fields);
        }
        for name in DISTRIBUTED_FIELDS {
            if fields.has(name) {
                *unsupported = Some(
                    self.report
                        .unsupported(&fields.at(name), &format!("{name} (Distributed Map)")),
                );
            }
        }
        if !fields.has(map.processor_field) {
            fields.missing("ItemProcessor", self.report);
        }
        let processor = fields.get(map.processor_field)?;
        let processor = Fields::of(processor, &fields.at(map.processor_field), self.report)?;
        processor.get("Comment");
        if let Some(config) = processor.get("ProcessorConfig")
            && let Some(config) = Fields::of(config, &processor.at("ProcessorConfig"), self.report)
        {
            config.text("ExecutionType", self.report);
            match config.text("Mode", self.report).as_deref() {
                None | Some("INLINE") => {}
                Some("DISTRIBUTED") => {
                    *unsupported = Some(
                        self.report
                            .unsupported(&config.at("Mode"), "Map in DISTRIBUTED mode"),
                    );
                }
                Some(other) => {
                    let message = format!("there is no mode {other}");
                    self.report.error(
                        &config.at("Mode"),
                        message,
                        Some("use INLINE or DISTRIBUTED"),
                    );
                }
            }
            config.finish(self.report);
        }
        map.processor = self.scope(&processor, Some((id, 0)));
        processor.finish(self.report);
        Some(Body::Map(Box::new(map)))
    }

    fn percentage(&mut self, fields: &Fields<'_>) -> Option<Count> {
        fields.exclusive(
            &[
                "ToleratedFailurePercentage",
                "ToleratedFailurePercentagePath",
            ],
            self.report,
        );
        let given = fields.number("ToleratedFailurePercentage", self.report);
        if given.is_some_and(|given| !(0.0..=100.0).contains(&given)) {
            let at = fields.at("ToleratedFailurePercentage");
            self.report.error(
                &at,
                "ToleratedFailurePercentage must be from 0 to 100",
                None,
            );
        }
        let read = fields
            .path("ToleratedFailurePercentagePath", self.report)
            .map(Count::Path);
        given.map(Count::Given).or(read)
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
