//! Transfer: one part of the source by ranged GET into UploadPart; a source without ranges as one item that
//! sends all parts in sequence. Holds one part in memory, two while a sequence overlaps reading and sending.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Failure, Invocation, Job, Kind,
    codec::hex,
    object::Bucket,
    plan::{self, PARTS_MAX, Part},
    progress::Reporter,
    source::{Origin, Reader},
    uploads::{SentPart, Upload},
};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub from: Origin,
    pub upload: Upload,
    pub part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// One, or all of a source without ranges.
    pub parts: Vec<SentPart>,
}

/// Fails with `Source.Dropped`, `Source.Changed`, `Source.TooLarge` and what a GET or S3 can fail with.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let bucket = invocation.bucket(&input.job)?;
    let part = &input.part;
    let end = part.bytes.map(|bytes| part.offset + bytes);
    let mut reader = Reader::new(invocation.clients, &input.from, part.offset, end)?;
    let Some(base) = part.split_bytes else {
        let label = format!("part {}", part.number);
        let mut progress = invocation.start("bytes", part.bytes, Some(&label));
        let bytes = part.bytes.ok_or_else(|| {
            let message = "a part without split_bytes needs its number of bytes";
            Failure::new(Kind::WorkerInput, message)
        })?;
        let (content, _) = fill(&mut reader, bytes, Bytes::new(), &mut progress).await?;
        let sent = send(&bucket, &input.upload, part.number, content).await?;
        progress.finish();
        return Ok(Output { parts: vec![sent] });
    };

    let mut progress = invocation.start("bytes", part.bytes, Some("all parts in sequence"));
    let mut parts = Vec::new();
    let mut number = 1;
    let room = |number| plan::split_bytes(base, number, part.bytes);
    let (mut content, mut over) = fill(&mut reader, room(1), Bytes::new(), &mut progress).await?;
    if content.is_empty() {
        let message = format!("the source {} is empty (0 bytes)", input.from.shown());
        return Err(Failure::new(Kind::SourceEmpty, message));
    }
    while !content.is_empty() {
        if u64::from(number) > PARTS_MAX {
            let sent = parts.iter().map(|part: &SentPart| part.bytes).sum();
            return Err(plan::too_large(sent));
        }
        let (sent, next) = tokio::try_join!(
            send(&bucket, &input.upload, number, content),
            fill(&mut reader, room(number + 1), over, &mut progress),
        )?;
        parts.push(sent);
        (content, over) = next;
        number += 1;
    }
    progress.finish();
    Ok(Output { parts })
}

/// Reads up to `bytes`, beginning with what an earlier read had too much. Answers them and what is over.
async fn fill(
    reader: &mut Reader<'_>,
    bytes: u64,
    over: Bytes,
    progress: &mut Reporter,
) -> Result<(Bytes, Bytes), Failure> {
    let room = usize::try_from(bytes).map_err(|_| plan::too_large(bytes))?;
    let mut content = BytesMut::with_capacity(room);
    let mut next = Some(over);
    while let Some(mut chunk) = next {
        let taken = chunk.split_to(chunk.len().min(room - content.len()));
        content.extend_from_slice(&taken);
        progress.add(taken.len() as u64);
        if content.len() == room {
            return Ok((content.freeze(), chunk));
        }
        next = reader.next().await?;
    }
    Ok((content.freeze(), Bytes::new()))
}

async fn send(
    bucket: &Bucket,
    upload: &Upload,
    number: u32,
    content: Bytes,
) -> Result<SentPart, Failure> {
    let bytes = content.len() as u64;
    let sha256 = hex(&Sha256::digest(&content));
    let etag = bucket.send_part(upload, number, content).await?;
    Ok(SentPart {
        number,
        bytes,
        etag,
        sha256,
    })
}
