//! Assemble: completes the upload, then reads the object back and compares its size and every part's SHA-256.
//! Repeated after a crash, it finds the upload completed and verifies the object all the same.

use model::ArtifactKind;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Media, Product, transfer};
use crate::{
    Failure, Invocation, Job, Kind,
    codec::hex,
    object::Stored,
    source::Origin,
    uploads::{SentPart, Upload},
};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub from: Origin,
    pub upload: Upload,
    /// The results of Transfer's iterations.
    pub transfer: Vec<transfer::Output>,
    /// What Inspect found the source to be.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// Fails with `Storage.Corrupt` when the object is not what was sent, and with `Source.Changed` when the parts
/// are not what Inspect saw.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Media, Failure> {
    let mut parts: Vec<SentPart> = input
        .transfer
        .into_iter()
        .flat_map(|sent| sent.parts)
        .collect();
    parts.sort_by_key(|part| part.number);
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    let gapless = parts
        .iter()
        .zip(1..)
        .all(|(part, number)| part.number == number);
    if parts.is_empty() || !gapless {
        let message = "the parts that Transfer answered are not 1, 2, 3 and so on";
        return Err(Failure::new(Kind::WorkerInput, message));
    }
    if let Some(expected) = input.from.bytes.filter(|expected| *expected != bytes) {
        let message = format!(
            "the source {} had {expected} bytes when the job started, {bytes} were copied: submit it again when it is complete",
            input.from.shown()
        );
        return Err(Failure::new(Kind::SourceChanged, message));
    }
    let bucket = invocation.bucket(&input.job)?;
    let mut progress = invocation.start("bytes", Some(bytes), None);
    if let Err(failure) = bucket.complete_upload(&input.upload, &parts).await {
        // An earlier attempt may have completed it; what counts is the object, which is read below.
        match bucket.head(&input.upload.key).await? {
            Some(found) if found.size == bytes => invocation.reports.log(
                "WARN",
                &format!("the upload is closed and its object is there; verifying it ({failure})"),
                None,
            ),
            _ => return Err(failure),
        }
    }

    let mut verification = Verification::new(&parts);
    let read = bucket.read_whole(&input.upload.key, |chunk| {
        verification.take(chunk);
        progress.add(chunk.len() as u64);
    });
    read.await?;
    let stored = verification.end(&input.upload.key)?;
    progress.finish();
    let product = Product {
        kind: ArtifactKind::Source,
        name: "source",
        label: "source",
        content_type: input
            .content_type
            .as_deref()
            .unwrap_or("application/octet-stream"),
        size: None,
    };
    Ok(Media {
        key: input.upload.key,
        bytes,
        artifacts: vec![product.artifact(&input.job, stored)],
    })
}

/// Compares a stream of bytes with the parts it should consist of.
struct Verification<'a> {
    parts: &'a [SentPart],
    whole: Sha256,
    part: Sha256,
    /// Index of the part that is being read, and what is missing of it.
    index: usize,
    left: u64,
    bytes: u64,
    wrong: Option<u32>,
}

impl<'a> Verification<'a> {
    fn new(parts: &'a [SentPart]) -> Self {
        Verification {
            parts,
            whole: Sha256::new(),
            part: Sha256::new(),
            index: 0,
            left: parts.first().map_or(0, |part| part.bytes),
            bytes: 0,
            wrong: None,
        }
    }

    fn take(&mut self, mut chunk: &[u8]) {
        self.whole.update(chunk);
        self.bytes += chunk.len() as u64;
        while let (Some(part), false) = (self.parts.get(self.index), chunk.is_empty()) {
            let (now, later) = chunk.split_at((chunk.len() as u64).min(self.left) as usize);
            self.part.update(now);
            self.left -= now.len() as u64;
            chunk = later;
            if self.left == 0 {
                let found = hex(&self.part.finalize_reset());
                if found != part.sha256 {
                    self.wrong.get_or_insert(part.number);
                }
                self.index += 1;
                self.left = self.parts.get(self.index).map_or(0, |part| part.bytes);
            }
        }
    }

    fn end(self, key: &str) -> Result<Stored, Failure> {
        let expected: u64 = self.parts.iter().map(|part| part.bytes).sum();
        let wrong = match self.wrong {
            Some(number) => Some(format!(
                "part {number} has another SHA-256 than what was sent"
            )),
            None if self.bytes != expected => {
                Some(format!("it has {} bytes, {expected} were sent", self.bytes))
            }
            None => None,
        };
        match wrong {
            Some(why) => Err(Failure::new(
                Kind::StorageCorrupt,
                format!("{key} does not hold what was sent: {why}. Run the job again"),
            )),
            None => Ok(Stored {
                bytes: self.bytes,
                sha256: hex(&self.whole.finalize()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(number: u32, content: &[u8]) -> SentPart {
        SentPart {
            number,
            bytes: content.len() as u64,
            etag: String::new(),
            sha256: hex(&Sha256::digest(content)),
        }
    }

    fn verify(chunks: &[&[u8]]) -> Result<Stored, Kind> {
        let parts = [sent(1, b"hello "), sent(2, b"wor"), sent(3, b"ld")];
        let mut verification = Verification::new(&parts);
        chunks.iter().for_each(|chunk| verification.take(chunk));
        verification.end("k").map_err(|failure| failure.kind)
    }

    #[test]
    fn chunks_need_not_match_parts() {
        let whole = Ok(Stored {
            bytes: 11,
            sha256: hex(&Sha256::digest(b"hello world")),
        });
        assert_eq!(verify(&[b"hello world"]), whole);
        assert_eq!(verify(&[b"hel", b"lo w", b"", b"orl", b"d"]), whole);
    }

    #[test]
    fn another_byte_or_length_is_corrupt() {
        assert_eq!(verify(&[b"hello worlD"]), Err(Kind::StorageCorrupt));
        assert_eq!(verify(&[b"hello worl"]), Err(Kind::StorageCorrupt));
        assert_eq!(verify(&[b"hello world!"]), Err(Kind::StorageCorrupt));
    }
}
