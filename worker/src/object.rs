//! A bucket's objects: read, written, measured, and handed to ffmpeg as presigned addresses.
//! Owns how S3's errors read. Multi-part uploads by hand are in [`crate::uploads`].

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, aws::AmazonS3, aws::AmazonS3Builder, path::Path, signer::Signer,
};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::{Clients, Failure, Kind, codec::hex, failure::chain};

/// Files up to this size are one PutObject; larger ones go in parts of it.
const PUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long a presigned address holds: longer than any invocation (15 minutes).
const PRESIGNED_FOR: Duration = Duration::from_secs(3_600);

/// A bucket. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    pub(crate) store: Arc<AmazonS3>,
    pub(crate) builder: AmazonS3Builder,
    pub(crate) name: Arc<str>,
    stall: Duration,
}

/// What was stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Bucket {
    pub(crate) fn open(
        builder: AmazonS3Builder,
        name: &str,
        clients: &Clients,
    ) -> Result<Bucket, Failure> {
        let builder = builder.with_client_options(clients.options());
        let store = builder.clone().build().map_err(|error| {
            let cause = chain(&error);
            let message = format!("the bucket {name} cannot be addressed: {cause}");
            Failure::new(Kind::StorageNotFound, message)
        })?;
        Ok(Bucket {
            store: Arc::new(store),
            builder,
            name: name.into(),
            stall: clients.limits.stall,
        })
    }

    /// An object's size, ETag and time; none when it is not there.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, Failure> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.store.get_opts(&path(key)?, options).await {
            Ok(found) => Ok(Some(found.meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure("look at", key, &error)),
        }
    }

    /// An object's bytes from `start` to before `end`, provided that it still has that ETag.
    pub async fn read(
        &self,
        key: &str,
        start: u64,
        end: Option<u64>,
        etag: Option<&str>,
    ) -> Result<BoxStream<'static, Result<Bytes, object_store::Error>>, object_store::Error> {
        let options = GetOptions {
            range: match (start, end) {
                (0, None) => None,
                (start, None) => Some(GetRange::Offset(start)),
                (start, Some(end)) => Some(GetRange::Bounded(start..end)),
            },
            if_match: etag.map(str::to_owned),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&Path::parse(key)?, options).await?;
        Ok(found.into_stream())
    }

    /// A whole object, chunk by chunk, in order.
    pub async fn read_whole(&self, key: &str, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
        let failed = |error: object_store::Error| self.failure("read", key, &error);
        let mut stream = self.read(key, 0, None, None).await.map_err(failed)?;
        loop {
            match tokio::time::timeout(self.stall, stream.next()).await {
                Ok(Some(Ok(chunk))) => take(&chunk),
                Ok(Some(Err(error))) => return Err(failed(error)),
                Ok(None) => return Ok(()),
                Err(_) => {
                    let message = format!("S3 stopped sending {key} of {} midway", self.name);
                    return Err(Failure::new(Kind::StorageUnavailable, message));
                }
            }
        }
    }

    /// Puts a small object.
    pub async fn put(
        &self,
        key: &str,
        content: Vec<u8>,
        content_type: &str,
    ) -> Result<Stored, Failure> {
        let stored = Stored {
            bytes: content.len() as u64,
            sha256: hex(&Sha256::digest(&content)),
        };
        let options = PutOptions::from(content_type_of(content_type));
        self.store
            .put_opts(&path(key)?, PutPayload::from(content), options)
            .await
            .map_err(|error| self.failure("write", key, &error))?;
        Ok(stored)
    }

    /// Puts a file, in parts where it is large, with one part in memory at a time.
    pub async fn put_file(
        &self,
        key: &str,
        file: &FilePath,
        content_type: &str,
    ) -> Result<Stored, Failure> {
        let broken = |error: std::io::Error| {
            let message = format!("cannot read {} again: {error}", file.display());
            Failure::new(Kind::WorkerBroken, message)
        };
        let mut reader = tokio::fs::File::open(file).await.map_err(broken)?;
        let bytes = reader.metadata().await.map_err(broken)?.len();
        if bytes <= PUT_BYTES_MAX {
            let mut content = Vec::with_capacity(bytes as usize);
            reader.read_to_end(&mut content).await.map_err(broken)?;
            return self.put(key, content, content_type).await;
        }
        let failed = |error: object_store::Error| self.failure("write", key, &error);
        let options = PutMultipartOptions::from(content_type_of(content_type));
        let mut upload = self
            .store
            .put_multipart_opts(&path(key)?, options)
            .await
            .map_err(failed)?;
        let mut digest = Sha256::new();
        let mut left = bytes;
        while left > 0 {
            let mut part = vec![0; left.min(PUT_BYTES_MAX) as usize];
            let sent = match reader.read_exact(&mut part).await {
                Ok(_) => {
                    digest.update(&part);
                    left -= part.len() as u64;
                    upload.put_part(part.into()).await.map_err(failed)
                }
                Err(error) => Err(broken(error)),
            };
            if let Err(failure) = sent {
                // The failure that led here is what matters; the bucket's lifecycle rule takes what stays.
                let _ = upload.abort().await;
                return Err(failure);
            }
        }
        upload.complete().await.map_err(failed)?;
        Ok(Stored {
            bytes,
            sha256: hex(&digest.finalize()),
        })
    }

    /// A small object as a whole; none when it is not there.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Failure> {
        let failed = |error: object_store::Error| self.failure("read", key, &error);
        match self.read(key, 0, None, None).await {
            Ok(stream) => {
                let chunks: Vec<Bytes> = stream.try_collect().await.map_err(failed)?;
                Ok(Some(chunks.concat().into()))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// An address from which ffmpeg reads the object by ranges, so that nothing is copied to disk first.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html>
    pub async fn presigned(&self, key: &str) -> Result<String, Failure> {
        let url = self
            .store
            .signed_url(reqwest::Method::GET, &path(key)?, PRESIGNED_FOR)
            .await
            .map_err(|error| self.failure("sign an address of", key, &error))?;
        Ok(url.into())
    }

    /// S3's error as a failure of this worker's own storage.
    pub(crate) fn failure(&self, verb: &str, key: &str, error: &object_store::Error) -> Failure {
        use object_store::Error;
        let bucket = &self.name;
        let cause = chain(error);
        let (kind, what) = match error {
            Error::NotFound { .. } => (
                Kind::StorageNotFound,
                format!("S3 could not {verb} {key}: it, or the bucket {bucket}, is not there"),
            ),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => (
                Kind::StorageForbidden,
                format!("S3 refused to {verb} {key} in {bucket}: check the function's role"),
            ),
            _ => (
                Kind::StorageUnavailable,
                format!("S3 could not {verb} {key} in {bucket}"),
            ),
        };
        Failure::new(kind, format!("{what} ({cause})"))
    }
}

/// A key as object_store's path, unchanged.
pub(crate) fn path(key: &str) -> Result<Path, Failure> {
    Path::parse(key).map_err(|error| {
        Failure::new(
            Kind::WorkerInput,
            format!("“{key}” cannot be an object's key here: {error}"),
        )
    })
}

fn content_type_of(content_type: &str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, content_type.to_owned())])
}
