//! Sources in S3, the job's own bucket (what a browser uploaded) or another one that the function's role may read.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::Error;

use super::{Chunks, HEAD_BYTES, Origin, Survey, changed};
use crate::{Clients, Failure, Kind, failure::chain};

/// The first look: size and ETag of the object, and its first bytes by a ranged read.
pub async fn survey(
    clients: &Clients,
    source: &str,
    bucket: &str,
    key: &str,
) -> Result<Survey, Failure> {
    let mut origin = Origin {
        source: source.to_owned(),
        bytes: None,
        etag: None,
        modified: None,
        ranges: true,
    };
    let store = clients.bucket(bucket)?;
    let found = store
        .head(key)
        .await
        .map_err(|failure| as_source(failure, &origin))?
        .ok_or_else(|| not_found(&origin))?;
    origin.bytes = Some(found.size);
    origin.etag = found.e_tag;
    if found.size == 0 {
        let message = format!(
            "the source {} is empty (0 bytes): check that it was written completely",
            origin.shown()
        );
        return Err(Failure::new(Kind::SourceEmpty, message));
    }
    let end = found.size.min(HEAD_BYTES);
    let chunks = open(clients, &origin, bucket, key, 0, Some(end)).await?;
    let head: Vec<Bytes> = chunks.try_collect().await?;
    Ok(Survey {
        origin,
        content_type: None,
        head: head.concat().into(),
    })
}

/// The object's bytes from `start` to before `end`, provided that it is still the same object.
pub async fn open(
    clients: &Clients,
    origin: &Origin,
    bucket: &str,
    key: &str,
    start: u64,
    end: Option<u64>,
) -> Result<Chunks, Failure> {
    let store = clients.bucket(bucket)?;
    let chunks = store
        .read(key, start, end, origin.etag.as_deref())
        .await
        .map_err(|error| failure(origin, &error))?;
    let origin = origin.clone();
    Ok(chunks
        .map_err(move |error| {
            let message = format!("reading {} broke off ({})", origin.shown(), chain(&error));
            Failure::new(Kind::SourceDropped, message)
        })
        .boxed())
}

fn failure(origin: &Origin, error: &Error) -> Failure {
    let shown = origin.shown();
    match error {
        Error::NotFound { .. } => not_found(origin),
        Error::Precondition { .. } => changed(origin, "it has another ETag"),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => forbidden(origin),
        error => Failure::new(
            Kind::SourceUnreachable,
            format!("S3 could not read {shown} ({})", chain(error)),
        ),
    }
}

/// What S3 said of the source, told as the source's.
fn as_source(failure: Failure, origin: &Origin) -> Failure {
    match failure.kind {
        Kind::StorageNotFound => not_found(origin),
        Kind::StorageForbidden => forbidden(origin),
        _ => Failure::new(Kind::SourceUnreachable, failure.message()),
    }
}

fn not_found(origin: &Origin) -> Failure {
    let message = format!("there is no {}: check bucket and key", origin.shown());
    Failure::new(Kind::SourceNotFound, message)
}

fn forbidden(origin: &Origin) -> Failure {
    let message = format!(
        "S3 does not hand out {}: give the function's role s3:GetObject on it",
        origin.shown()
    );
    Failure::new(Kind::SourceForbidden, message)
}
