//! The multi-part upload that one execution's functions share: opened by Inspect, filled by Transfer, completed
//! by Assemble or aborted by Abort. Every operation may be repeated.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use bytes::Bytes;
use object_store::{
    ClientOptions, PutPayload,
    aws::{AmazonS3ConfigKey, AwsAuthorizer},
    client::HttpRequest,
    multipart::{MultipartStore, PartId},
};
use serde::{Deserialize, Serialize};

use crate::{
    Clients, Failure, Kind,
    failure::chain,
    object::{Bucket, path},
};

/// An upload that is open, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    pub key: String,
    pub upload_id: String,
}

/// A part as UploadPart took it. What Transfer answers with, compactly: there may be 1,000 of these in a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPart {
    /// From 1, as S3 counts.
    pub number: u32,
    pub bytes: u64,
    pub etag: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Bucket {
    /// Opens an upload whose object will have this media type.
    pub async fn open_upload(
        &self,
        clients: &Clients,
        key: &str,
        content_type: &str,
    ) -> Result<Upload, Failure> {
        let options: ClientOptions = clients.options().with_default_content_type(content_type);
        let store = self.builder.clone().with_client_options(options).build();
        let opened = match store {
            Ok(store) => store.create_multipart(&path(key)?).await,
            Err(error) => Err(error),
        };
        let upload_id = opened.map_err(|error| self.failure("open an upload of", key, &error))?;
        Ok(Upload {
            key: key.to_owned(),
            upload_id,
        })
    }

    /// Sends one part; sent again, it replaces the earlier one. Answers its ETag.
    pub async fn send_part(
        &self,
        upload: &Upload,
        number: u32,
        content: Bytes,
    ) -> Result<String, Failure> {
        let index = number.checked_sub(1).ok_or_else(|| {
            Failure::new(Kind::WorkerInput, "parts are counted from 1, not from 0")
        })?;
        let location = path(&upload.key)?;
        let payload = PutPayload::from(content);
        let part = self
            .store
            .put_part(&location, &upload.upload_id, index as usize, payload)
            .await
            .map_err(|error| {
                self.failure(&format!("take part {number} of"), &upload.key, &error)
            })?;
        Ok(part.content_id)
    }

    /// Completes the upload from parts in order.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[SentPart],
    ) -> Result<(), Failure> {
        let parts = parts.iter().map(|part| PartId {
            content_id: part.etag.clone(),
        });
        self.store
            .complete_multipart(&path(&upload.key)?, &upload.upload_id, parts.collect())
            .await
            .map_err(|error| self.failure("complete the upload of", &upload.key, &error))?;
        Ok(())
    }

    /// Aborts the upload. Answers whether it was open.
    pub async fn abort_upload(&self, upload: &Upload) -> Result<bool, Failure> {
        let location = path(&upload.key)?;
        match self
            .store
            .abort_multipart(&location, &upload.upload_id)
            .await
        {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failure("abort the upload of", &upload.key, &error)),
        }
    }

    /// Uploads of exactly this key that are open (ListMultipartUploads, which object_store does not have: the
    /// request is its own, signed by object_store). The error is in words, for a log: this is tidying, and a
    /// bucket's lifecycle rule does it too.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
    pub async fn uploads_of(&self, clients: &Clients, key: &str) -> Result<Vec<Upload>, String> {
        let region = clients
            .setting(AmazonS3ConfigKey::Region)
            .or_else(|| clients.setting(AmazonS3ConfigKey::DefaultRegion))
            .unwrap_or("us-east-1");
        let endpoint = clients
            .setting(AmazonS3ConfigKey::S3Endpoint)
            .or_else(|| clients.setting(AmazonS3ConfigKey::Endpoint))
            .map_or_else(
                || format!("https://s3.{region}.amazonaws.com"),
                |endpoint| endpoint.trim_end_matches('/').to_owned(),
            );
        let mut url = reqwest::Url::parse(&format!("{endpoint}/{}", self.name))
            .map_err(|error| error.to_string())?;
        url.query_pairs_mut()
            .append_pair("prefix", key)
            .append_pair("uploads", "");
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(|error| chain(&error))?;
        let mut request = HttpRequest::new(Bytes::new().into());
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| "not an address".to_owned())?;
        AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
        let answer = clients
            .http()
            .map_err(|failure| failure.to_string())?
            .get(url)
            .headers(request.headers().clone())
            .send()
            .await
            .map_err(|error| chain(&error.without_url()))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("ListMultipartUploads answered {status}"));
        }
        let body = answer
            .text()
            .await
            .map_err(|error| chain(&error.without_url()))?;
        Ok(uploads_in(&body, key))
    }
}

/// The uploads of `key` in a ListMultipartUploads answer. Keys and ids there are plain text without entities.
fn uploads_in(xml: &str, key: &str) -> Vec<Upload> {
    let field = |block: &str, name: &str| -> Option<String> {
        let (_, after) = block.split_once(&format!("<{name}>"))?;
        let (value, _) = after.split_once(&format!("</{name}>"))?;
        Some(value.to_owned())
    };
    xml.split("<Upload>")
        .skip(1)
        .filter(|block| field(block, "Key").as_deref() == Some(key))
        .filter_map(|block| field(block, "UploadId"))
        .map(|upload_id| Upload {
            key: key.to_owned(),
            upload_id,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_of_the_very_key_are_listed() {
        let xml = "<ListMultipartUploadsResult><Upload><Key>jobs/1/source</Key><UploadId>a</UploadId></Upload>\
            <Upload><Key>jobs/1/source2</Key><UploadId>b</UploadId></Upload>\
            <Upload><UploadId>c</UploadId><Key>jobs/1/source</Key></Upload></ListMultipartUploadsResult>";
        let ids: Vec<_> = uploads_in(xml, "jobs/1/source")
            .into_iter()
            .map(|upload| upload.upload_id)
            .collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
