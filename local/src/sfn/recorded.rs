//! How the store keeps the history events of a step: as the JSON array that GetExecutionHistory answers with, and
//! compressed, for inputs and outputs stand in it again and again.

use asl::HistoryEvent;
use serde_json::Value;

/// What compressed events begin with, which JSON does not.
const COMPRESSED: u8 = 1;
/// Shorter ones are kept as they are, bytes.
const COMPRESSED_MIN: usize = 512;

/// Events on their way into a step: written as they come, for there may be thousands.
#[derive(Default)]
pub struct Recorded(Vec<u8>);

impl Recorded {
    /// Adds an event.
    pub fn push(&mut self, event: &HistoryEvent) {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        // Neither memory nor an event's own data refuse to be written.
        let _ = serde_json::to_writer(&mut self.0, &event.wire(true));
    }

    /// What the store keeps; `None` if there are no events.
    pub fn kept(mut self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(b']');
        if self.0.len() < COMPRESSED_MIN {
            return Some(self.0);
        }
        let mut kept = vec![COMPRESSED];
        kept.extend(lz4_flex::compress_prepend_size(&self.0));
        Some(kept)
    }
}

/// The events that the store has kept; none if they cannot be read.
pub fn read(kept: &[u8]) -> Vec<Value> {
    let read = match kept.split_first() {
        Some((&COMPRESSED, rest)) => match lz4_flex::decompress_size_prepended(rest) {
            Ok(text) => serde_json::from_slice(&text),
            Err(error) => {
                tracing::error!(%error, "events of a step cannot be read");
                return Vec::new();
            }
        },
        _ => serde_json::from_slice(kept),
    };
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "events of a step cannot be read");
        Vec::new()
    })
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
            assert_eq!(kept[0] == COMPRESSED, count > 1);
            let expected: Vec<Value> = (1..=count).map(|id| event(id).to_wire(true)).collect();
            assert_eq!(read(&kept), expected);
        }
        assert_eq!(read(br#"[{"id":1}]"#), [serde_json::json!({"id": 1})]);
        assert!(read(&[COMPRESSED, 1]).is_empty());
    }
}
