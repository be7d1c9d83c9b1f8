//! Owns the form in which events are kept: what a type of event has, and no names of fields. Goes through serde, for
//! any binary format. Refuses to be the wire's form, which is [`HistoryEvent::wire`].
//!
//! Stored histories outlive a program: a field's number is its place in [`Field`], which only grows at its end.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Details, EventType, Field, HistoryEvent, Slot};

/// A field's value.
#[derive(Serialize, Deserialize)]
enum Kept<'a> {
    Text(Cow<'a, str>),
    Number(i64),
    Variables(Cow<'a, BTreeMap<String, String>>),
}

/// An event's head and its fields.
#[derive(Serialize, Deserialize)]
struct Compact<'a, F> {
    id: i64,
    previous_event_id: i64,
    timestamp_ms: i64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    fields: F,
}

/// The fields that are there, each with its number.
struct Fields<'a> {
    details: &'a Details,
    fields: &'static [Field],
}

impl<'a> Fields<'a> {
    fn kept(&self) -> impl Iterator<Item = (u8, Kept<'a>)> {
        let details = self.details;
        self.fields.iter().filter_map(move |&field| {
            let kept = match details.slot(field) {
                Slot::Text(text) | Slot::Role(text) => Kept::Text(Cow::Borrowed(text.as_deref()?)),
                Slot::Number(number) => Kept::Number((*number)?),
                Slot::Variables(variables) => Kept::Variables(Cow::Borrowed(variables.as_ref()?)),
            };
            Some((field as u8, kept))
        })
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.kept().count()))?;
        for field in self.kept() {
            all.serialize_element(&field)?;
        }
        all.end()
    }
}

impl Serialize for HistoryEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let compact = Compact {
            id: self.id,
            previous_event_id: self.previous_event_id,
            timestamp_ms: self.timestamp_ms,
            kind: Cow::Borrowed(self.kind.as_str()),
            fields: Fields {
                details: &self.details,
                fields: self.kind.shape().map_or(&[], |(_, fields)| fields),
            },
        };
        compact.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HistoryEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let compact = Compact::<Vec<(u8, Kept<'_>)>>::deserialize(deserializer)?;
        let kind: EventType = compact.kind.parse().map_err(D::Error::custom)?;
        let mut details = Details::default();
        for (number, kept) in compact.fields {
            let shape = kind.shape().map_or(&[][..], |(_, fields)| fields);
            let field = shape.iter().find(|field| **field as u8 == number);
            let field = *field.ok_or_else(|| D::Error::custom("a field of no such event"))?;
            match (details.slot_mut(field), kept) {
                (Slot::Text(slot) | Slot::Role(slot), Kept::Text(text)) => {
                    *slot = Some(text.into_owned());
                }
                (Slot::Number(slot), Kept::Number(number)) => *slot = Some(number),
                (Slot::Variables(slot), Kept::Variables(variables)) => {
                    *slot = Some(variables.into_owned());
                }
                _ => return Err(D::Error::custom("a field of another type")),
            }
        }
        Ok(HistoryEvent {
            id: compact.id,
            previous_event_id: compact.previous_event_id,
            timestamp_ms: compact.timestamp_ms,
            kind,
            details,
        })
    }
}
