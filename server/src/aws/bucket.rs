//! S3: the bucket with sources, uploads and artifacts. Streams both ways; holds at most one part in memory.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::{
    Client,
    config::timeout::TimeoutConfig,
    primitives::{ByteStream, SdkBody},
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;

use super::{Api, AwsError, call::Calls, moment_ms};

/// Until an object's first byte, of one attempt: a browser waits for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    pub(super) calls: Calls,
    name: String,
}

/// A request for an object, with the conditions a browser sends along (RFC 9110).
#[derive(Debug, Clone, Default)]
pub struct FetchRequest {
    pub range: Option<String>,
    pub if_none_match: Option<String>,
}

/// An answer to a [`FetchRequest`].
pub enum Fetched {
    /// The object, or the range asked for.
    Object {
        body: SdkBody,
        bytes: u64,
        /// `Content-Range`, when it is a range.
        content_range: Option<String>,
        etag: Option<String>,
        modified_at_ms: Option<i64>,
    },
    /// The caller has it already.
    NotModified,
    /// The range lies outside of the object.
    OutOfRange,
    /// There is no such object.
    Missing,
}

/// A multipart upload under way.
#[derive(Debug, Clone)]
pub struct Upload {
    pub key: String,
    pub id: String,
}

/// A page of a listing.
#[derive(Debug)]
pub struct Listed {
    pub objects: Vec<ListedObject>,
    /// Asks for the next page; none on the last.
    pub next: Option<String>,
}

/// An object in a listing.
#[derive(Debug)]
pub struct ListedObject {
    pub key: String,
    pub bytes: u64,
}

impl Bucket {
    pub(super) fn new(shared: &SdkConfig, calls: Calls, name: &str, path_style: bool) -> Bucket {
        let config = aws_sdk_s3::config::Builder::from(shared)
            .force_path_style(path_style)
            .build();
        Bucket {
            client: Client::from_conf(config),
            calls,
            name: name.to_owned(),
        }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins to fetch an object.
    pub async fn fetch(&self, key: &str, request: FetchRequest) -> Result<Fetched, AwsError> {
        let request = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .set_range(request.range)
            .set_if_none_match(request.if_none_match);
        let answer = self.calls.sdk(Api::GetObject, || {
            request
                .clone()
                .customize()
                .config_override(
                    aws_sdk_s3::config::Config::builder().timeout_config(
                        TimeoutConfig::builder()
                            .operation_timeout(FETCH_TIMEOUT)
                            .build(),
                    ),
                )
                .send()
        });
        let answer = answer.await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return match error.status {
                    Some(304) => Ok(Fetched::NotModified),
                    Some(416) => Ok(Fetched::OutOfRange),
                    Some(404) if !error.is("NoSuchBucket") => Ok(Fetched::Missing),
                    _ => Err(error),
                };
            }
        };
        Ok(Fetched::Object {
            bytes: answer
                .content_length
                .and_then(|bytes| u64::try_from(bytes).ok())
                .unwrap_or(0),
            content_range: answer.content_range,
            etag: answer.e_tag,
            modified_at_ms: answer.last_modified.as_ref().map(moment_ms),
            body: answer.body.into_inner(),
        })
    }

    /// A small object whole; none when there is none. Refuses one larger than `bytes_max`.
    pub async fn read(&self, key: &str, bytes_max: u64) -> Result<Option<Bytes>, AwsError> {
        match self.fetch(key, FetchRequest::default()).await? {
            Fetched::Object { bytes, .. } if bytes > bytes_max => Err(AwsError::unreadable(
                Api::GetObject,
                format!("{key} has {bytes} bytes, more than {bytes_max}"),
            )),
            Fetched::Object { body, .. } => ByteStream::new(body)
                .collect()
                .await
                .map(|body| Some(body.into_bytes()))
                .map_err(|error| AwsError::unreachable(Api::GetObject, error)),
            _ => Ok(None),
        }
    }

    /// PutObject: a small object whole.
    pub async fn write(&self, key: &str, body: Bytes) -> Result<(), AwsError> {
        let request = || {
            self.client
                .put_object()
                .bucket(&self.name)
                .key(key)
                .body(ByteStream::from(body.clone()))
                .send()
        };
        self.calls.sdk(Api::PutObject, request).await?;
        Ok(())
    }

    /// ListObjectsV2: a page of the objects under a prefix, of any bucket that these credentials may list.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        token: Option<&str>,
    ) -> Result<Listed, AwsError> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_continuation_token(token.map(str::to_owned));
        let answer = self
            .calls
            .sdk(Api::ListObjectsV2, || request.clone().send())
            .await?;
        Ok(Listed {
            objects: answer
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|object| {
                    Some(ListedObject {
                        key: object.key?,
                        bytes: u64::try_from(object.size.unwrap_or(0)).unwrap_or(0),
                    })
                })
                .collect(),
            next: answer.next_continuation_token,
        })
    }

    /// CreateMultipartUpload.
    pub async fn begin(&self, key: &str) -> Result<Upload, AwsError> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key);
        let answer = self
            .calls
            .sdk(Api::CreateMultipartUpload, || request.clone().send())
            .await?;
        let id = answer
            .upload_id
            .ok_or_else(|| AwsError::unreadable(Api::CreateMultipartUpload, "no uploadId"))?;
        Ok(Upload {
            key: key.to_owned(),
            id,
        })
    }

    /// UploadPart; parts count from 1.
    pub async fn part(
        &self,
        upload: &Upload,
        number: i32,
        data: Bytes,
    ) -> Result<CompletedPart, AwsError> {
        let answer = self.calls.sdk(Api::UploadPart, || {
            self.client
                .upload_part()
                .bucket(&self.name)
                .key(&upload.key)
                .upload_id(&upload.id)
                .part_number(number)
                .body(ByteStream::from(data.clone()))
                .send()
        });
        let answer = answer.await?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32)
            .build())
    }

    /// CompleteMultipartUpload.
    pub async fn complete(
        &self,
        upload: &Upload,
        parts: Vec<CompletedPart>,
    ) -> Result<(), AwsError> {
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(&upload.key)
            .upload_id(&upload.id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            );
        self.calls
            .sdk(Api::CompleteMultipartUpload, || request.clone().send())
            .await?;
        Ok(())
    }

    /// AbortMultipartUpload; one that is gone already is as good.
    pub async fn abort(&self, upload: &Upload) -> Result<(), AwsError> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.name)
            .key(&upload.key)
            .upload_id(&upload.id);
        let answer = self
            .calls
            .sdk(Api::AbortMultipartUpload, || request.clone().send())
            .await;
        match answer {
            Err(error) if !error.is("NoSuchUpload") => Err(error),
            _ => Ok(()),
        }
    }

    /// DeleteObject; S3 does not mind when there is none.
    pub async fn delete(&self, key: &str) -> Result<(), AwsError> {
        let request = self.client.delete_object().bucket(&self.name).key(key);
        self.calls
            .sdk(Api::DeleteObject, || request.clone().send())
            .await?;
        Ok(())
    }
}
