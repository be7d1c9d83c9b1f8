//! Histories in S3: what an archived one is called there, how it is packed, and how it is read back. When one goes
//! there is [`crate::tracker`]'s to decide.
//!
//! `history/<state machine>/<execution>.json.gz` is a JSON array of events in GetExecutionHistory's wire format,
//! `….progress.json.gz` beside it the last progress of each unit of work; both packed by gzip (RFC 1952).

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    control::{Control, Failure},
    store::ProgressRow,
};

/// What an archive has unpacked at most; a longer history stays in the database.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The object that an execution's history goes to. A name is unique in its state machine only.
pub(crate) fn history_key(arn: &str) -> String {
    // arn:aws:states:<region>:<account>:execution:<state machine>:<execution>
    let mut parts = arn.rsplit(':');
    let name = parts.next().unwrap_or(arn);
    let machine = parts.next().unwrap_or("other");
    format!("history/{machine}/{name}.json.gz")
}

/// The object beside it with the execution's progress.
pub(crate) fn progress_key(history_key: &str) -> String {
    let stem = history_key.strip_suffix(".json.gz").unwrap_or(history_key);
    format!("{stem}.progress.json.gz")
}

/// Rows as an archive has them.
pub(crate) fn packed<T: Serialize>(rows: &[T]) -> io::Result<Bytes> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut packing, rows)?;
    packing.flush()?;
    packing.finish().map(Bytes::from)
}

/// The rows of an archive.
fn unpacked<T: DeserializeOwned>(archive: &[u8]) -> io::Result<Vec<T>> {
    let mut text = Vec::new();
    let read = GzDecoder::new(archive)
        .take(UNPACKED_BYTES_MAX + 1)
        .read_to_end(&mut text)?;
    if read as u64 > UNPACKED_BYTES_MAX {
        return Err(io::Error::other("it is larger than an archive can be"));
    }
    Ok(serde_json::from_slice(&text)?)
}

impl Control {
    /// The rows under a key; none when there is no such object.
    pub(crate) async fn archived<T: DeserializeOwned + Send + 'static>(
        &self,
        key: &str,
    ) -> Result<Option<Vec<T>>, Failure> {
        let Some(archive) = self.aws.bucket.read(key, UNPACKED_BYTES_MAX).await? else {
            return Ok(None);
        };
        match tokio::task::spawn_blocking(move || unpacked(&archive)).await {
            Ok(Ok(rows)) => Ok(Some(rows)),
            Ok(Err(error)) => {
                tracing::error!(key, %error, "an archived history is unreadable");
                Err(Failure::Fault("an archived history is unreadable"))
            }
            Err(_) => Err(Failure::Fault("unpacking a history panicked")),
        }
    }
}

/// Progress of before and after a redrive: of each unit of work the newer.
pub(crate) fn joined(archived: Vec<ProgressRow>, kept: Vec<ProgressRow>) -> Vec<ProgressRow> {
    let unit = |row: &ProgressRow| (row.state.clone(), row.entered.clone(), row.iteration);
    let newer: std::collections::HashSet<_> = kept.iter().map(unit).collect();
    let mut rows: Vec<_> = archived
        .into_iter()
        .filter(|row| !newer.contains(&unit(row)))
        .chain(kept)
        .collect();
    rows.sort_by_key(|row| row.at_ms);
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_archive_is_named_by_state_machine_and_execution() {
        let key =
            history_key("arn:aws:states:us-east-1:000000000000:execution:gantry-media:nightly");
        assert_eq!(key, "history/gantry-media/nightly.json.gz");
        assert_eq!(
            progress_key(&key),
            "history/gantry-media/nightly.progress.json.gz"
        );
    }

    #[test]
    fn what_is_packed_is_read_back() {
        let events: Vec<Value> = (1..500)
            .map(|id| json!({"id": id, "type": "TaskScheduled"}))
            .collect();
        let archive = packed(&events).unwrap();
        assert!(archive.len() < 4_000, "{}", archive.len());
        assert_eq!(unpacked::<Value>(&archive).unwrap(), events);
        assert!(unpacked::<Value>(&archive[..archive.len() / 2]).is_err());
    }
}
