//! Owns the reading of Parallel and Map states.

use crate::machine::{Body, Count, MapState, ScopeId, StateId};
use crate::path::Path;
use crate::query::Query;
use crate::template::Template;

use super::fields::{Fields, pointer};
use super::{Builder, Names};

impl Builder<'_> {
    pub(super) fn parallel(
        &mut self,
        id: StateId,
        fields: &Fields<'_>,
        local: &Names,
        jsonata: bool,
    ) -> Option<Body> {
        let mut effort = self.effort(fields, local, jsonata);
        effort.parameters = match jsonata {
            true => self.query_template("Arguments", fields),
            false => fields.template("Parameters", self.report),
        };
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

    pub(super) fn map(
        &mut self,
        id: StateId,
        fields: &Fields<'_>,
        local: &Names,
        jsonata: bool,
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
            items_query: None,
            selector: None,
            max_concurrency: None,
            tolerated_count: None,
            tolerated_percentage: None,
            distributed: None,
            effort,
        };
        if jsonata {
            map.items_query = self.items(fields);
            map.selector = self.query_template("ItemSelector", fields);
            map.max_concurrency = self.count_query("MaxConcurrency", 0, fields);
            map.tolerated_count = self.count_query("ToleratedFailureCount", 0, fields);
            map.tolerated_percentage = match fields.is_expression("ToleratedFailurePercentage") {
                true => self.count_query("ToleratedFailurePercentage", 0, fields),
                false => self.percentage(fields),
            };
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
        if !fields.has(map.processor_field) {
            fields.missing("ItemProcessor", self.report);
        }
        let processor = fields.get(map.processor_field)?;
        let processor = Fields::of(processor, &fields.at(map.processor_field), self.report)?;
        processor.get("Comment");
        let mode = self.mode(&processor);
        let name = self.states[id.0 as usize].name.clone();
        map.distributed = self.distributed(&name, fields, mode, jsonata);
        map.processor = self.scope(&processor, Some((id, 0)));
        processor.finish(self.report);
        Some(Body::Map(Box::new(map)))
    }

    /// `Items` in JSONata: an array, or an expression that gives one.
    fn items(&mut self, fields: &Fields<'_>) -> Option<Query> {
        let value = fields.get("Items")?;
        if !value.is_array() && !fields.is_expression("Items") {
            let message = "Items must be an array or a JSONata expression that gives one";
            self.report.error(&fields.at("Items"), message, None);
        }
        fields.query("Items", "", self.report)
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
