//! Owns how an event is written: straight from its details, for an execution may have thousands of them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Details, Field, HistoryEvent, Slot};

/// An event as it is written.
pub(super) struct Wire<'a> {
    pub(super) event: &'a HistoryEvent,
    pub(super) include_execution_data: bool,
}

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.event;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &(event.timestamp_ms as f64 / 1000.0))?;
        map.serialize_entry("type", event.kind.as_str())?;
        map.serialize_entry("id", &event.id)?;
        map.serialize_entry("previousEventId", &event.previous_event_id)?;
        if let Some((key, fields)) = event.kind.shape() {
            let details = WireDetails {
                details: &event.details,
                fields,
                include_execution_data: self.include_execution_data,
            };
            map.serialize_entry(key, &details)?;
        }
        map.end()
    }
}

/// The details object of an event as it is written.
struct WireDetails<'a> {
    details: &'a Details,
    fields: &'static [Field],
    include_execution_data: bool,
}

/// What stands beside data: nothing here is ever cut.
#[derive(Serialize)]
struct DataDetails {
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Role<'a> {
    role_arn: &'a str,
}

impl Serialize for WireDetails<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = DataDetails { truncated: false };
        let mut map = serializer.serialize_map(None)?;
        for &field in self.fields {
            if !self.include_execution_data && field.is_execution_data() {
                continue;
            }
            let key = field.key();
            match self.details.slot(field) {
                Slot::Text(Some(text)) => {
                    map.serialize_entry(key, text)?;
                    match field {
                        Field::Input => map.serialize_entry("inputDetails", &whole)?,
                        Field::Output => map.serialize_entry("outputDetails", &whole)?,
                        _ => {}
                    }
                }
                Slot::Number(Some(number)) => map.serialize_entry(key, number)?,
                Slot::Role(Some(role_arn)) => map.serialize_entry(key, &Role { role_arn })?,
                Slot::Variables(Some(variables)) => {
                    map.serialize_entry(key, variables)?;
                    map.serialize_entry("assignedVariablesDetails", &whole)?;
                }
                _ => {}
            }
        }
        map.end()
    }
}
