//! How the store keeps the history events of a step: one after the other in their compact form, and compressed, for
//! inputs and outputs stand in it again and again. What earlier versions kept, a JSON array, is read too.

use asl::HistoryEvent;
use serde_json::Value;

/// What kept events begin with: a JSON array's compression, or events in their compact form, compressed and not.
/// JSON itself begins with a bracket.
const JSON_COMPRESSED: u8 = 1;
const COMPACT: u8 = 2;
const COMPACT_COMPRESSED: u8 = 3;
/// Shorter ones are kept as they are, bytes.
const COMPRESSED_MIN: usize = 512;

/// Events on their way into a step: written as they come, for there may be thousands.
#[derive(Default)]
pub struct Recorded(Vec<u8>);

impl Recorded {
    /// Adds an event.
    pub fn push(&mut self, event: &HistoryEvent) {
        // Neither memory nor an event's own data refuse to be written.
        let _ = postcard::to_io(event, &mut self.0);
    }

    /// What the store keeps; `None` if there are no events.
    pub fn kept(self) -> Option<Vec<u8>> {
        let (mark, events) = match self.0.len() {
            0 => return None,
            1..COMPRESSED_MIN => (COMPACT, self.0),
            _ => (COMPACT_COMPRESSED, lz4_flex::compress_prepend_size(&self.0)),
        };
        let mut kept = Vec::with_capacity(events.len() + 1);
        kept.push(mark);
        kept.extend(events);
        Some(kept)
    }
}

/// The events that the store has kept, as GetExecutionHistory answers them; none if they cannot be read.
pub fn read(kept: &[u8]) -> Vec<Value> {
    let read = match kept.split_first() {
        Some((&COMPACT, rest)) => compact(rest),
        Some((&COMPACT_COMPRESSED, rest)) => decompressed(rest).and_then(|events| compact(&events)),
        Some((&JSON_COMPRESSED, rest)) => decompressed(rest).and_then(|text| json(&text)),
        _ => json(kept),
    };
    read.unwrap_or_else(|error| {
        tracing::error!(error, "events of a step cannot be read");
        Vec::new()
    })
}

fn decompressed(events: &[u8]) -> Result<Vec<u8>, String> {
    lz4_flex::decompress_size_prepended(events).map_err(|error| error.to_string())
}

fn json(text: &[u8]) -> Result<Vec<Value>, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

fn compact(mut events: &[u8]) -> Result<Vec<Value>, String> {
    let mut read = Vec::new();
    while !events.is_empty() {
        let (event, rest) =
            postcard::take_from_bytes::<HistoryEvent>(events).map_err(|error| error.to_string())?;
        read.push(event.to_wire(true));
        events = rest;
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back() {
        assert_eq!(Recorded::default().kept(), None);
        for count in [1, 100] {
            let mut recorded = Recorded::default();
            let event = |id| HistoryEvent {
                id,
                previous_event_id: id - 1,
                timestamp_ms: 1_700_000_000_123,
                kind: asl::EventType::PassStateEntered,
                details: asl::Details {
                    name: Some("state".into()),
                    input: Some(r#"{"a": "é"}"#.into()),
                    ..asl::Details::default()
                },
            };
            (1..=count).for_each(|id| recorded.push(&event(id)));
            let kept = recorded.kept().unwrap();
            assert_eq!(kept[0] == COMPACT_COMPRESSED, count > 1);
            let expected: Vec<Value> = (1..=count).map(|id| event(id).to_wire(true)).collect();
            assert_eq!(read(&kept), expected);
        }
        assert!(read(&[COMPACT_COMPRESSED, 1]).is_empty());
        assert!(read(&[COMPACT, 1]).is_empty());
    }

    #[test]
    fn what_earlier_versions_kept_is_read() {
        let text = br#"[{"id":1}]"#;
        let mut compressed = vec![JSON_COMPRESSED];
        compressed.extend(lz4_flex::compress_prepend_size(text));
        for kept in [&text[..], &compressed] {
            assert_eq!(read(kept), [serde_json::json!({"id": 1})]);
        }
    }
}
