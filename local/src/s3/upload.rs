//! Multipart uploads that are open: `s3s-fs` keeps their parts, this table keeps which there are.
//!
//! Owns telling an upload that is not open (`NoSuchUpload`) from one that is, and listing those that
//! are, so that what a killed worker left open can be found and aborted.

use std::time::{Duration, UNIX_EPOCH};

use s3s::dto::{ListMultipartUploadsInput, ListMultipartUploadsOutput, MultipartUpload, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use sqlx::Row;

use crate::store::Store;
use crate::wire::{AwsError, now_ms};

/// Uploads in one answer, as on AWS.
const LISTED_MAX: i32 = 1000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS s3_uploads (
  bucket TEXT NOT NULL, key TEXT NOT NULL, upload_id TEXT NOT NULL, initiated_ms INTEGER NOT NULL,
  PRIMARY KEY (bucket, key, upload_id));
";

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

/// The open uploads.
#[derive(Debug, Clone)]
pub(super) struct Uploads {
    store: Store,
}

impl Uploads {
    /// Opens the table.
    pub async fn open(store: Store) -> Result<Uploads, AwsError> {
        sqlx::raw_sql(SCHEMA).execute(&store.db).await?;
        Ok(Uploads { store })
    }

    /// An upload begins.
    pub async fn opened(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        sqlx::query("INSERT OR REPLACE INTO s3_uploads VALUES (?, ?, ?, ?)")
            .bind(bucket)
            .bind(key)
            .bind(upload_id)
            .bind(now_ms())
            .execute(&self.store.db)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Refuses an upload that is not open.
    pub async fn check(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM s3_uploads WHERE bucket = ? AND key = ? AND upload_id = ?",
        )
        .bind(bucket)
        .bind(key)
        .bind(upload_id)
        .fetch_optional(&self.store.db)
        .await
        .map_err(failed)?;
        found.map(|_| ()).ok_or_else(no_such_upload)
    }

    /// What came of something done with an open upload. `s3s-fs` denies access to one that it does not have: a crash
    /// came between its end there and the note of it here, which is made now.
    pub async fn done<T>(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        result: S3Result<T>,
    ) -> S3Result<T> {
        match result {
            Err(error) if *error.code() == S3ErrorCode::AccessDenied => {
                self.closed(bucket, key, upload_id).await?;
                Err(no_such_upload())
            }
            result => result,
        }
    }

    /// An upload was completed or aborted.
    pub async fn closed(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        sqlx::query("DELETE FROM s3_uploads WHERE bucket = ? AND key = ? AND upload_id = ?")
            .bind(bucket)
            .bind(key)
            .bind(upload_id)
            .execute(&self.store.db)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// The open uploads of a bucket by key, one page.
    pub async fn list(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        if input.delimiter.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "local lists multipart uploads without a delimiter"
            ));
        }
        let limit = input.max_uploads.unwrap_or(LISTED_MAX).clamp(1, LISTED_MAX);
        let rows = sqlx::query(
            "SELECT key, upload_id, initiated_ms FROM s3_uploads
             WHERE bucket = ?1 AND substr(key, 1, length(?2)) = ?2
               AND (key > ?3 OR (key = ?3 AND upload_id > ?4)) ORDER BY key, upload_id LIMIT ?5",
        )
        .bind(&input.bucket)
        .bind(input.prefix.as_deref().unwrap_or(""))
        .bind(input.key_marker.as_deref().unwrap_or(""))
        // Without an upload's id the marker stands for all uploads of its key.
        .bind(input.upload_id_marker.as_deref().unwrap_or("\u{10ffff}"))
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await
        .map_err(failed)?;
        let page = usize::try_from(limit).unwrap_or(1);
        let more = rows.len() > page;
        let uploads: Vec<MultipartUpload> = rows
            .iter()
            .take(page)
            .map(|row| {
                let at_ms = row.get::<i64, _>("initiated_ms").unsigned_abs();
                MultipartUpload {
                    initiated: Some(Timestamp::from(UNIX_EPOCH + Duration::from_millis(at_ms))),
                    key: Some(row.get("key")),
                    upload_id: Some(row.get("upload_id")),
                    ..Default::default()
                }
            })
            .collect();
        let last = uploads.last().filter(|_| more);
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(more),
            key_marker: input.key_marker,
            max_uploads: Some(limit),
            next_key_marker: last.and_then(|last| last.key.clone()),
            next_upload_id_marker: last.and_then(|last| last.upload_id.clone()),
            prefix: input.prefix,
            upload_id_marker: input.upload_id_marker,
            uploads: Some(uploads),
            ..Default::default()
        })
    }
}

fn failed(error: sqlx::Error) -> s3s::S3Error {
    tracing::error!(%error, "the store failed");
    s3_error!(InternalError)
}
