//! Files that browsers upload: streamed to the bucket part by part as they come, with at most two parts in
//! memory. An upload that does not become a job is aborted: when it breaks off, at once; when the server
//! itself dies, at its next start.

use aws_sdk_s3::types::CompletedPart;
use bytes::{Bytes, BytesMut};
use model::{ApiError, ErrorCode, JobId};
use tokio::task::JoinHandle;

use super::{Control, Failure, causes};
use crate::{
    aws::{AwsError, Upload},
    clock,
};

/// Bytes of a part. S3 allows 10,000 parts of at least 5 MiB: 80 GiB in all.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART_BYTES: usize = 8 * 1024 * 1024;
/// The longest name kept of an uploaded file.
const NAME_BYTES_MAX: usize = 200;

/// A file on its way to the bucket. Dropping it before [`Incoming::finish`] aborts the upload.
pub struct Incoming {
    control: Control,
    /// None once it is finished.
    upload: Option<Upload>,
    filling: BytesMut,
    /// The part that is being sent while the next one fills.
    sending: Option<JoinHandle<Result<CompletedPart, AwsError>>>,
    parts: Vec<CompletedPart>,
    bytes: u64,
}

/// A file that has arrived whole.
pub struct Arrived {
    control: Control,
    /// None once a job has taken it.
    key: Option<String>,
}

impl Control {
    /// Begins an upload for the job to be.
    pub async fn receive(&self, job: JobId, file_name: &str) -> Result<Incoming, Failure> {
        let key = format!("uploads/{job}/{}", safe_name(file_name));
        let upload = self.aws.bucket.begin(&key).await?;
        let incoming = Incoming {
            control: self.clone(),
            upload: Some(upload.clone()),
            filling: BytesMut::new(),
            sending: None,
            parts: Vec::new(),
            bytes: 0,
        };
        self.store
            .upload_begun(&key, &upload.id, clock::now().0)
            .await?;
        Ok(incoming)
    }

    /// Aborts what a server that lives no more has left.
    pub async fn abort_left_uploads(&self) -> Result<(), Failure> {
        for pending in self.store.uploads_left(clock::now().0).await? {
            tracing::info!(key = pending.key, "an upload was broken off by a restart");
            self.discard(Upload {
                key: pending.key,
                id: pending.upload_id,
            })
            .await;
        }
        Ok(())
    }

    /// Aborts an upload and deletes its object if it was completed. Failing is logged, and tried again at the next start.
    async fn discard(&self, upload: Upload) {
        let result = async {
            let aborted = self.aws.bucket.abort(&upload).await;
            // One that was completed cannot be aborted, and its object is what is left of it.
            self.aws.bucket.delete(&upload.key).await?;
            if let Err(error) = aborted {
                tracing::debug!(key = upload.key, causes = %causes(&error), "nothing to abort");
            }
            self.store.upload_gone(&upload.key).await?;
            Ok::<_, Failure>(())
        };
        if let Err(failure) = result.await {
            tracing::warn!(key = upload.key, causes = %causes(&failure), "an upload was not aborted");
        }
    }
}

impl Incoming {
    /// Takes the next bytes. Waits while two parts are on their way.
    pub async fn push(&mut self, data: Bytes) -> Result<(), Failure> {
        self.bytes += data.len() as u64;
        let limit = self.control.config.upload_bytes_max;
        if self.bytes > limit {
            return Err(ApiError::new(
                ErrorCode::TooLarge,
                format!(
                    "The file is larger than {}, the most that can be uploaded here. Put it where an https:// or s3:// address reaches it, and give that.",
                    model::time::bytes_text(limit)
                ),
            )
            .into());
        }
        self.filling.extend_from_slice(&data);
        while self.filling.len() >= PART_BYTES {
            let part = self.filling.split_to(PART_BYTES).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    /// Completes the upload. None when not a byte came.
    pub async fn finish(mut self) -> Result<Option<Arrived>, Failure> {
        if self.bytes == 0 {
            return Ok(None);
        }
        if !self.filling.is_empty() {
            let part = self.filling.split().freeze();
            self.send(part).await?;
        }
        self.sent().await?;
        if let Some(upload) = &self.upload {
            let parts = std::mem::take(&mut self.parts);
            self.control.aws.bucket.complete(upload, parts).await?;
        }
        Ok(self.upload.take().map(|upload| Arrived {
            control: self.control.clone(),
            key: Some(upload.key),
        }))
    }

    async fn send(&mut self, part: Bytes) -> Result<(), Failure> {
        self.sent().await?;
        let Some(upload) = self.upload.clone() else {
            return Err(Failure::Fault("a part came after the upload's end"));
        };
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let bucket = self.control.aws.bucket.clone();
        self.sending = Some(tokio::spawn(async move {
            bucket.part(&upload, number, part).await
        }));
        Ok(())
    }

    /// Waits for the part that is being sent.
    async fn sent(&mut self) -> Result<(), Failure> {
        if let Some(sending) = self.sending.take() {
            let part = sending
                .await
                .map_err(|_| Failure::Fault("a part's sending was cut off"))??;
            self.parts.push(part);
        }
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(sending) = self.sending.take() {
            sending.abort();
        }
        if let Some(upload) = self.upload.take() {
            let control = self.control.clone();
            tracing::info!(key = upload.key, "an upload was broken off");
            tokio::spawn(async move { control.discard(upload).await });
        }
    }
}

impl Arrived {
    /// The object's key.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// The address that a pipeline reads it from.
    pub fn source(&self) -> String {
        // A key made by `safe_name` needs no escaping.
        format!("s3://{}/{}", self.control.aws.bucket.name(), self.key())
    }

    /// Keeps the object: a job has it now.
    pub fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let control = self.control.clone();
            tokio::spawn(async move {
                control
                    .discard(Upload {
                        key,
                        id: String::new(),
                    })
                    .await;
            });
        }
    }
}

/// A file's name as the last segment of a key: ASCII letters, digits, '.', '-' and '_' alone, which mean
/// themselves in an address, a shell and a header.
fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut safe: String = last
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => letter,
            '.' | '-' | '_' => letter,
            _ => '_',
        })
        .collect();
    // From the front, so that the extension stays.
    safe.drain(..safe.len().saturating_sub(NAME_BYTES_MAX));
    match safe.trim_start_matches('.') {
        "" => "file".to_owned(),
        safe => safe.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::safe_name;

    #[test]
    fn a_files_name_is_a_name_and_nothing_more() {
        for (given, safe) in [
            ("clip.mp4", "clip.mp4"),
            ("../../etc/passwd", "passwd"),
            ("C:\\videos\\Über uns.mov", "_ber_uns.mov"),
            ("a?b#c%d.mp4", "a_b_c_d.mp4"),
            ("..", "file"),
            ("", "file"),
        ] {
            assert_eq!(safe_name(given), safe);
        }
        assert_eq!(safe_name(&format!("{}.mp4", "x".repeat(300))).len(), 200);
    }
}
