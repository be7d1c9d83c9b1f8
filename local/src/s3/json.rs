//! S3 without HTTP: operations as JSON, in the way of AWS's SDKs, for Step Functions.
//!
//! Owns the reading of parameters and the writing of answers; [`Objects`] does the work. Refuses what state
//! machines have no use for here: uploads in parts, versions, access control.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response};
use serde_json::{Map, Value, json};

use super::objects::Objects;
use crate::wire::AwsError;

/// The operations, as state machines name them.
pub const ACTIONS: &[&str] = &[
    "copyObject",
    "createBucket",
    "deleteBucket",
    "deleteObject",
    "getObject",
    "headBucket",
    "headObject",
    "listBuckets",
    "listObjects",
    "listObjectsV2",
    "putObject",
];

/// Buckets and objects, for the other services.
#[derive(Debug, Clone)]
pub struct Storage {
    objects: Objects,
}

impl Storage {
    pub(super) fn new(objects: Objects) -> Storage {
        Storage { objects }
    }

    /// One of [`ACTIONS`] with its parameters in AWS's casing. Errors are S3's own (`NoSuchKey`, …), and
    /// `SerializationException` for parameters of the wrong type.
    pub async fn call(&self, action: &str, parameters: &Value) -> Result<Value, AwsError> {
        let ask = Ask(parameters);
        match action {
            "getObject" => self.get_object(ask).await,
            "headObject" => self.head_object(ask).await,
            "putObject" => self.put_object(ask).await,
            "deleteObject" => {
                let input = DeleteObjectInput {
                    bucket: ask.required("Bucket")?,
                    key: ask.required("Key")?,
                    ..Default::default()
                };
                done(self.objects.delete_object(request(input)).await)?;
                Ok(json!({}))
            }
            "copyObject" => self.copy_object(ask).await,
            "listObjects" => {
                let mut input = ListObjectsInput {
                    bucket: ask.required("Bucket")?,
                    ..Default::default()
                };
                input.prefix = ask.text("Prefix")?;
                input.delimiter = ask.text("Delimiter")?;
                input.marker = ask.text("Marker")?;
                input.max_keys = ask.count("MaxKeys")?;
                let listed = done(self.objects.list_objects(request(input)).await)?;
                let mut answer = listing(listed.contents, listed.common_prefixes);
                answer.insert(
                    "IsTruncated".into(),
                    json!(listed.is_truncated.unwrap_or(false)),
                );
                put(&mut answer, "Marker", listed.marker);
                put(&mut answer, "MaxKeys", listed.max_keys);
                put(&mut answer, "Name", listed.name);
                put(&mut answer, "NextMarker", listed.next_marker);
                put(&mut answer, "Prefix", listed.prefix);
                Ok(Value::Object(answer))
            }
            "listObjectsV2" => self.list_objects_v2(ask).await,
            "listBuckets" => {
                let listed = done(self.objects.list_buckets(request(Default::default())).await)?;
                let buckets = listed.buckets.unwrap_or_default();
                let buckets: Vec<Value> = buckets
                    .into_iter()
                    .map(|bucket| {
                        let mut item = Map::new();
                        put(&mut item, "CreationDate", bucket.creation_date.map(time));
                        put(&mut item, "Name", bucket.name);
                        Value::Object(item)
                    })
                    .collect();
                Ok(json!({"Buckets": buckets}))
            }
            "createBucket" => {
                let input = CreateBucketInput {
                    bucket: ask.required("Bucket")?,
                    ..Default::default()
                };
                let location = format!("/{}", input.bucket);
                done(self.objects.create_bucket(request(input)).await)?;
                Ok(json!({"Location": location}))
            }
            "deleteBucket" => {
                let input = DeleteBucketInput {
                    bucket: ask.required("Bucket")?,
                    ..Default::default()
                };
                done(self.objects.delete_bucket(request(input)).await)?;
                Ok(json!({}))
            }
            "headBucket" => {
                let input = HeadBucketInput {
                    bucket: ask.required("Bucket")?,
                    ..Default::default()
                };
                done(self.objects.head_bucket(request(input)).await)?;
                Ok(json!({}))
            }
            _ => Err(AwsError::unknown_operation("S3", action, ACTIONS)),
        }
    }

    /// An object's bytes. Errors with `EntityTooLarge` if there are more than `bytes_max`.
    pub async fn read(&self, bucket: &str, key: &str, bytes_max: u64) -> Result<Bytes, AwsError> {
        let input = GetObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..Default::default()
        };
        let got = done(self.objects.get_object(request(input)).await)?;
        read(got.body, bytes_max).await
    }

    /// Writes an object.
    pub async fn write(&self, bucket: &str, key: &str, body: Bytes) -> Result<(), AwsError> {
        let input = PutObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            content_length: i64::try_from(body.len()).ok(),
            body: Some(s3s::Body::from(body).into()),
            content_type: Some("application/json".to_owned()),
            ..Default::default()
        };
        done(self.objects.put_object(request(input)).await)?;
        Ok(())
    }

    async fn get_object(&self, ask: Ask<'_>) -> Result<Value, AwsError> {
        let input = GetObjectInput {
            bucket: ask.required("Bucket")?,
            key: ask.required("Key")?,
            ..Default::default()
        };
        let mut got = done(self.objects.get_object(request(input)).await)?;
        // More than a state can hold is refused by the execution; there is no need to read all of it.
        let body = read(got.body.take(), 16 << 20).await?;
        let mut answer = described(
            got.content_length,
            got.content_type,
            got.e_tag,
            got.last_modified,
            got.metadata,
        );
        let text = String::from_utf8_lossy(&body).into_owned();
        answer.insert("Body".into(), json!(text));
        Ok(Value::Object(answer))
    }

    async fn head_object(&self, ask: Ask<'_>) -> Result<Value, AwsError> {
        let input = HeadObjectInput {
            bucket: ask.required("Bucket")?,
            key: ask.required("Key")?,
            ..Default::default()
        };
        let head = done(self.objects.head_object(request(input)).await)?;
        Ok(Value::Object(described(
            head.content_length,
            head.content_type,
            head.e_tag,
            head.last_modified,
            head.metadata,
        )))
    }

    async fn put_object(&self, ask: Ask<'_>) -> Result<Value, AwsError> {
        // AWS writes what a state gives as a body as JSON, texts too.
        let body = match &ask.0["Body"] {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        };
        let mut checksum = flate2::Crc::new();
        checksum.update(&body);
        let sum = STANDARD.encode(checksum.sum().to_be_bytes());
        let metadata = ask.0["Metadata"].as_object().map(|metadata| {
            let texts = metadata.iter();
            texts
                .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect()
        });
        let content_type = ask.text("ContentType")?;
        let input = PutObjectInput {
            bucket: ask.required("Bucket")?,
            key: ask.required("Key")?,
            content_length: i64::try_from(body.len()).ok(),
            body: Some(s3s::Body::from(body).into()),
            content_type: Some(content_type.unwrap_or("text/plain; charset=UTF-8".to_owned())),
            checksum_crc32: Some(sum.clone()),
            metadata,
            ..Default::default()
        };
        let written = done(self.objects.put_object(request(input)).await)?;
        let mut answer = Map::new();
        answer.insert("ChecksumCRC32".into(), json!(sum));
        answer.insert("ChecksumType".into(), json!("FULL_OBJECT"));
        put(&mut answer, "ETag", written.e_tag.map(quoted));
        answer.insert("ServerSideEncryption".into(), json!("AES256"));
        Ok(Value::Object(answer))
    }

    async fn copy_object(&self, ask: Ask<'_>) -> Result<Value, AwsError> {
        let source: String = ask.required("CopySource")?;
        let source = CopySource::parse(&source).map_err(|_| {
            AwsError::bad_request("InvalidArgument", "Invalid copy source object key")
        })?;
        let mut input = CopyObjectInput::builder();
        input.set_bucket(ask.required("Bucket")?);
        input.set_key(ask.required("Key")?);
        input.set_copy_source(source);
        let input = input
            .build()
            .map_err(|error| AwsError::bad_request("InvalidRequest", error.to_string()))?;
        let copied = done(self.objects.copy_object(request(input)).await)?;
        let mut result = Map::new();
        if let Some(copy) = copied.copy_object_result {
            put(&mut result, "ETag", copy.e_tag.map(quoted));
            put(&mut result, "LastModified", copy.last_modified.map(time));
        }
        Ok(json!({"CopyObjectResult": result, "ServerSideEncryption": "AES256"}))
    }

    async fn list_objects_v2(&self, ask: Ask<'_>) -> Result<Value, AwsError> {
        let input = ListObjectsV2Input {
            bucket: ask.required("Bucket")?,
            prefix: ask.text("Prefix")?,
            delimiter: ask.text("Delimiter")?,
            start_after: ask.text("StartAfter")?,
            continuation_token: ask.text("ContinuationToken")?,
            max_keys: ask.count("MaxKeys")?,
            ..Default::default()
        };
        let listed = done(self.objects.list_objects_v2(request(input)).await)?;
        let mut answer = listing(listed.contents, listed.common_prefixes);
        answer.insert(
            "IsTruncated".into(),
            json!(listed.is_truncated.unwrap_or(false)),
        );
        put(&mut answer, "KeyCount", listed.key_count);
        put(&mut answer, "MaxKeys", listed.max_keys);
        put(&mut answer, "Name", listed.name);
        put(
            &mut answer,
            "NextContinuationToken",
            listed.next_continuation_token,
        );
        put(&mut answer, "Prefix", listed.prefix);
        Ok(Value::Object(answer))
    }
}

/// Parameters, read by type.
#[derive(Clone, Copy)]
struct Ask<'a>(&'a Value);

impl Ask<'_> {
    fn text(self, name: &str) -> Result<Option<String>, AwsError> {
        match &self.0[name] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(wrong(name, "must be a STRING")),
        }
    }

    fn required(self, name: &str) -> Result<String, AwsError> {
        self.text(name)?.ok_or_else(|| wrong(name, "is required"))
    }

    fn count(self, name: &str) -> Result<Option<i32>, AwsError> {
        match &self.0[name] {
            Value::Null => Ok(None),
            value => match value.as_i64().and_then(|count| i32::try_from(count).ok()) {
                Some(count) => Ok(Some(count)),
                None => Err(wrong(name, "must be an INTEGER")),
            },
        }
    }
}

fn wrong(name: &str, must: &str) -> AwsError {
    let message = format!("The value for the field '{name}' {must}");
    AwsError::bad_request("SerializationException", message)
}

fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Default::default(),
        uri: Default::default(),
        headers: Default::default(),
        extensions: Default::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn done<T>(result: Result<S3Response<T>, S3Error>) -> Result<T, AwsError> {
    match result {
        Ok(response) => Ok(response.output),
        Err(error) => {
            let code = error.code().as_str().to_owned();
            let status = error.status_code().or(error.code().status_code());
            let message = match code.as_str() {
                "NoSuchBucket" => "The specified bucket does not exist",
                "NoSuchKey" => "The specified key does not exist.",
                _ => error.message().unwrap_or(&code),
            };
            Err(AwsError::new(
                status.map_or(400, |status| status.as_u16()),
                &code,
                message,
            ))
        }
    }
}

async fn read(body: Option<StreamingBlob>, bytes_max: u64) -> Result<Bytes, AwsError> {
    let mut read = BytesMut::new();
    let Some(mut body) = body else {
        return Ok(Bytes::new());
    };
    let broken = |error: s3s::StdError| AwsError::new(500, "InternalError", error.to_string());
    while let Some(part) = body.try_next().await.map_err(broken)? {
        if read.len() as u64 + part.len() as u64 > bytes_max {
            let message = format!("local reads objects of at most {bytes_max} bytes.");
            return Err(AwsError::bad_request("EntityTooLarge", message));
        }
        read.extend_from_slice(&part);
    }
    Ok(read.freeze())
}

/// What is said about an object.
fn described(
    length: Option<i64>,
    content_type: Option<String>,
    e_tag: Option<ETag>,
    modified: Option<Timestamp>,
    metadata: Option<Metadata>,
) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("AcceptRanges".into(), json!("bytes"));
    put(&mut answer, "ContentLength", length);
    let content_type = content_type.filter(|given| given != "application/octet-stream");
    let content_type = content_type.unwrap_or_else(|| "binary/octet-stream".to_owned());
    answer.insert("ContentType".into(), json!(content_type));
    put(&mut answer, "ETag", e_tag.map(quoted));
    put(&mut answer, "LastModified", modified.map(time));
    answer.insert("Metadata".into(), json!(metadata.unwrap_or_default()));
    answer.insert("ServerSideEncryption".into(), json!("AES256"));
    answer
}

fn listing(contents: Option<ObjectList>, prefixes: Option<CommonPrefixList>) -> Map<String, Value> {
    let mut answer = Map::new();
    let prefixes: Vec<Value> = prefixes
        .unwrap_or_default()
        .into_iter()
        .map(|prefix| json!({"Prefix": prefix.prefix}))
        .collect();
    if !prefixes.is_empty() {
        answer.insert("CommonPrefixes".into(), json!(prefixes));
    }
    let objects: Vec<Value> = contents
        .unwrap_or_default()
        .into_iter()
        .map(object)
        .collect();
    if !objects.is_empty() {
        answer.insert("Contents".into(), json!(objects));
    }
    answer
}

fn object(object: Object) -> Value {
    let mut item = Map::new();
    put(&mut item, "ETag", object.e_tag.map(quoted));
    put(&mut item, "Key", object.key);
    put(&mut item, "LastModified", object.last_modified.map(time));
    put(&mut item, "Size", object.size);
    item.insert("StorageClass".into(), json!("STANDARD"));
    Value::Object(item)
}

fn put<T: Into<Value>>(answer: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        answer.insert(name.to_owned(), value.into());
    }
}

fn quoted(e_tag: ETag) -> String {
    format!("\"{}\"", e_tag.into_value())
}

fn time(at: Timestamp) -> String {
    let mut text = Vec::new();
    match at.format(TimestampFormat::DateTime, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}
