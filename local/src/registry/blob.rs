//! Blobs as files under `DIR/registry`: uploads while they grow, then one file a digest.
//!
//! Owns that a file under `blobs/sha256/` is complete, on disk, and has the digest that is its name:
//! it is hashed and synced before it is renamed there. An upload is a file whose length is its offset,
//! so that uploads go on after a restart.

use std::io::Read;
use std::path::{Path, PathBuf};

use axum::body::Body;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::RegistryError;

/// The files of the registry.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Opens the directory, making it when it is not there.
    pub fn open(root: PathBuf) -> std::io::Result<Blobs> {
        std::fs::create_dir_all(root.join("blobs/sha256"))?;
        std::fs::create_dir_all(root.join("uploads"))?;
        Ok(Blobs { root })
    }

    /// Where the blob of a digest is, if its file is there.
    pub fn path(&self, digest: &str) -> Result<PathBuf, RegistryError> {
        let path = self.place(digest)?;
        if path.is_file() {
            Ok(path)
        } else {
            Err(RegistryError::BlobUnknown(digest.to_owned()))
        }
    }

    /// Begins an upload and gives its id.
    pub fn begin(&self) -> Result<String, RegistryError> {
        let id = uuid::Uuid::new_v4().to_string();
        std::fs::File::create(self.upload(&id)?)?;
        Ok(id)
    }

    /// How many bytes of an upload are there.
    pub fn offset(&self, id: &str) -> Result<u64, RegistryError> {
        match std::fs::metadata(self.upload(id)?) {
            Ok(metadata) => Ok(metadata.len()),
            Err(_) => Err(RegistryError::UploadUnknown(id.to_owned())),
        }
    }

    /// Appends a body to an upload, which must stand at `start` if one is given; gives the new offset.
    pub async fn append(
        &self,
        id: &str,
        start: Option<u64>,
        body: Body,
    ) -> Result<u64, RegistryError> {
        let at = self.offset(id)?;
        if let Some(start) = start.filter(|start| *start != at) {
            return Err(RegistryError::UploadInvalid { start, at });
        }
        let file = tokio::fs::OpenOptions::new()
            .append(true)
            .open(self.upload(id)?)
            .await?;
        let mut file = tokio::io::BufWriter::with_capacity(1 << 20, file);
        let mut body = body.into_data_stream();
        let mut size = at;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(std::io::Error::other)?;
            file.write_all(&chunk).await?;
            size += chunk.len() as u64;
        }
        file.flush().await?;
        Ok(size)
    }

    /// Ends an upload as the blob of the given digest; gives its size. A wrong digest ends the upload too.
    pub async fn finish(&self, id: &str, digest: &str) -> Result<u64, RegistryError> {
        let (from, to) = (self.upload(id)?, self.place(digest)?);
        let size = self.offset(id)?;
        let expected = digest.to_owned();
        tokio::task::spawn_blocking(move || settle(&from, &to, &expected))
            .await
            .map_err(std::io::Error::other)??;
        Ok(size)
    }

    /// Gives an upload up.
    pub fn cancel(&self, id: &str) -> Result<(), RegistryError> {
        std::fs::remove_file(self.upload(id)?)
            .map_err(|_| RegistryError::UploadUnknown(id.to_owned()))
    }

    fn upload(&self, id: &str) -> Result<PathBuf, RegistryError> {
        let id: uuid::Uuid = id
            .parse()
            .map_err(|_| RegistryError::UploadUnknown(id.to_owned()))?;
        Ok(self.root.join("uploads").join(id.to_string()))
    }

    fn place(&self, digest: &str) -> Result<PathBuf, RegistryError> {
        match digest.strip_prefix("sha256:") {
            Some(hex)
                if hex.len() == 64
                    && hex
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) =>
            {
                Ok(self.root.join("blobs/sha256").join(hex))
            }
            _ => Err(RegistryError::DigestInvalid(format!(
                "{digest:?} is not a sha256 digest"
            ))),
        }
    }
}

/// Checks the digest, syncs, and renames; blocking.
fn settle(from: &Path, to: &Path, digest: &str) -> Result<(), RegistryError> {
    let mut file = std::fs::File::open(from)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    let found = format!("sha256:{:x}", hash.finalize());
    if found != digest {
        std::fs::remove_file(from)?;
        return Err(RegistryError::DigestInvalid(format!(
            "the content's digest is {found}, not {digest}"
        )));
    }
    file.sync_all()?;
    std::fs::rename(from, to)?;
    if let Some(directory) = to.parent() {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}
