//! Owns the reading of what Task, Parallel and Map states have in common: retriers, catchers, and
//! where results go.

use serde_json::Value;

use crate::machine::{Catcher, Count, Effort, Place, Retrier};
use crate::path::ReferencePath;
use crate::template::Template;

use super::fields::{Fields, pointer};
use super::{Builder, Names};

/// AWS's limit for `MaxDelaySeconds`: 366 days.
const DELAY_MAX: u64 = 31_622_400;

impl Builder<'_> {
    pub(super) fn place(&mut self, fields: &Fields<'_>) -> Place {
        match fields.get("ResultPath") {
            Some(Value::Null) => Place::Nowhere,
            _ => Place::Path(
                fields
                    .reference_path("ResultPath", self.report)
                    .unwrap_or_else(ReferencePath::whole),
            ),
        }
    }

    /// Reads `Assign`: an object of variables.
    /// `place` is as in [`Fields::query`].
    pub(super) fn assign(
        &mut self,
        fields: &Fields<'_>,
        jsonata: bool,
        place: &str,
    ) -> Option<Template> {
        /// AWS's limit for the length of a variable's name, in characters.
        const NAME_MAX: usize = 80;
        let value = fields.get("Assign")?;
        let at = fields.at("Assign");
        let Some(variables) = value.as_object() else {
            self.report
                .error(&at, "Assign must be an object of variables", None);
            return None;
        };
        for name in variables.keys() {
            let plain = match jsonata {
                true => name,
                false => name.strip_suffix(".$").unwrap_or(name),
            };
            let mut chars = plain.chars();
            let is_name = chars.next().is_some_and(char::is_alphabetic)
                && chars.all(|c| c.is_alphanumeric() || c == '_')
                && plain.chars().count() <= NAME_MAX;
            if !is_name || plain == "states" {
                let message = format!("{plain} cannot be the name of a variable");
                let hint = "a letter, then letters, digits and _, and not states";
                self.report.error(&pointer(&at, name), message, Some(hint));
            }
        }
        if jsonata {
            let query = fields.query("Assign", place, self.report);
            return query.map(|query| Template::Query(Box::new(query)));
        }
        fields.template("Assign", self.report)
    }

    /// A field of a state in JSONata where the one in JSONPath is a template.
    pub(super) fn query_template(
        &mut self,
        name: &'static str,
        fields: &Fields<'_>,
    ) -> Option<Template> {
        let query = fields.query(name, "", self.report);
        query.map(|query| Template::Query(Box::new(query)))
    }

    /// A number, or an expression in JSONata that gives one.
    pub(super) fn count_query(
        &mut self,
        name: &'static str,
        least: u64,
        fields: &Fields<'_>,
    ) -> Option<Count> {
        if fields.is_expression(name) {
            return fields.query(name, "", self.report).map(Count::Query);
        }
        let given = fields.natural(name, least, self.report);
        given.map(|number| Count::Given(number as f64))
    }

    /// A field or its `…Path`.
    pub(super) fn count(
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

    pub(super) fn effort(&mut self, fields: &Fields<'_>, local: &Names, jsonata: bool) -> Effort {
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
                Some("name the errors, or States.ALL for any"),
            );
        }
        if errors.iter().any(|error| error == "States.ALL") && (errors.len() > 1 || !last) {
            self.report.error(
                &at,
                "States.ALL must stand alone and in the last place",
                Some("put it into an entry of its own behind the others"),
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
            if max_delay_seconds.is_some_and(|most| most > DELAY_MAX) {
                let message = format!("MaxDelaySeconds must be at most {DELAY_MAX}");
                self.report
                    .error(&fields.at("MaxDelaySeconds"), message, None);
            }
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
            let place = format!("Catch[{index}]/");
            let mut output = None;
            if jsonata {
                output = fields.query("Output", &place, self.report);
            }
            let assign = self.assign(&fields, jsonata, &place);
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
                    assign,
                    output,
                });
            }
        }
        catchers
    }
}
