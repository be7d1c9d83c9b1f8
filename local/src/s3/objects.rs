//! What `s3s` asks: `s3s-fs` answers, but for the opening and closing of multipart uploads.
//!
//! Owns three differences to `s3s-fs`: an upload belongs to whoever knows its id and not to one access key
//! (there is one user here), the error for one that is not open is AWS's, and objects are said to be encrypted
//! and to be had in ranges, as AWS says it.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;

use super::upload::Uploads;

/// The objects.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    files: Arc<FileSystem>,
    uploads: Uploads,
}

impl Objects {
    /// Objects in the given files.
    pub fn new(files: FileSystem, uploads: Uploads) -> Objects {
        let files = Arc::new(files);
        Objects { files, uploads }
    }
}

/// One user: nobody else's access key stands in the way.
fn anybody<T>(mut request: S3Request<T>) -> S3Request<T> {
    request.credentials = None;
    request
}

/// What AWS does with every object unless told otherwise.
fn encryption() -> ServerSideEncryption {
    ServerSideEncryption::from_static(ServerSideEncryption::AES256)
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(request).await
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        self.files.copy_object(request).await
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.files.delete_bucket(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.files.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.files.delete_objects(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files.get_bucket_location(request).await
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let mut response = self.files.get_object(request).await?;
        let output = &mut response.output;
        output.accept_ranges = Some("bytes".to_owned());
        output.server_side_encryption = Some(encryption());
        if output.checksum_crc32.is_some() && output.content_range.is_none() {
            output.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        }
        Ok(response)
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let mut response = self.files.head_object(request).await?;
        response.output.accept_ranges = Some("bytes".to_owned());
        response.output.server_side_encryption = Some(encryption());
        Ok(response)
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.files.list_buckets(request).await
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        self.files.list_objects(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.files.list_objects_v2(request).await
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.files.put_object(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let created = self.files.create_multipart_upload(anybody(request)).await?;
        let CreateMultipartUploadOutput {
            bucket,
            key,
            upload_id,
            ..
        } = &created.output;
        if let (Some(bucket), Some(key), Some(upload_id)) = (bucket, key, upload_id) {
            self.uploads.opened(bucket, key, upload_id).await?;
        }
        Ok(created)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = &request.input;
        let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
        let (bucket, key, id) = (bucket.clone(), key.clone(), id.clone());
        self.uploads.check(&bucket, &key, &id).await?;
        let done = self.files.upload_part(anybody(request)).await;
        self.uploads.done(&bucket, &key, &id, done).await
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = &request.input;
        let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
        let (bucket, key, id) = (bucket.clone(), key.clone(), id.clone());
        self.uploads.check(&bucket, &key, &id).await?;
        let done = self.files.upload_part_copy(anybody(request)).await;
        self.uploads.done(&bucket, &key, &id, done).await
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = &request.input;
        let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
        let (bucket, key, id) = (bucket.clone(), key.clone(), id.clone());
        self.uploads.check(&bucket, &key, &id).await?;
        let done = self.files.list_parts(anybody(request)).await;
        self.uploads.done(&bucket, &key, &id, done).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let CompleteMultipartUploadInput {
            bucket,
            key,
            upload_id,
            ..
        } = &request.input;
        let (bucket, key, upload_id) = (bucket.clone(), key.clone(), upload_id.clone());
        self.uploads.check(&bucket, &key, &upload_id).await?;
        let done = self.files.complete_multipart_upload(anybody(request)).await;
        let done = self.uploads.done(&bucket, &key, &upload_id, done).await?;
        self.uploads.closed(&bucket, &key, &upload_id).await?;
        Ok(done)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput {
            bucket,
            key,
            upload_id,
            ..
        } = &request.input;
        let (bucket, key, upload_id) = (bucket.clone(), key.clone(), upload_id.clone());
        self.uploads.check(&bucket, &key, &upload_id).await?;
        let done = self.files.abort_multipart_upload(anybody(request)).await;
        let done = self.uploads.done(&bucket, &key, &upload_id, done).await?;
        self.uploads.closed(&bucket, &key, &upload_id).await?;
        Ok(done)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        Ok(S3Response::new(self.uploads.list(request.input).await?))
    }
}
