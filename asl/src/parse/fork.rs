//! Owns the reading of Parallel and Map states.

use crate::machine::{Body, Count, MapState, ScopeId, StateId};
use crate::path::Path;
use crate::template::Template;

use super::fields::{Fields, pointer};
use super::{Builder, Names};

/// Fields that come with Distributed Map.
const DISTRIBUTED_FIELDS: [&str; 4] = ["ItemReader", "ItemBatcher", "ResultWriter", "Label"];

impl Builder<'_> {
    pub(super) fn parallel(
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

    pub(super) fn map(
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
