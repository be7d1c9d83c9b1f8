//! Multipart uploads of browsers that have not become a job. A server that finds some at its start
//! aborts them: their senders are gone.

use super::{During, Statement, Store, StoreError};

/// A multipart upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpload {
    pub key: String,
    pub upload_id: String,
}

impl Store {
    /// Notes an upload before its first byte is sent on.
    pub async fn upload_begun(
        &self,
        key: &str,
        upload_id: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let noted = Statement::new(
            "note an upload",
            "INSERT INTO upload (key, upload_id, started_at_ms) VALUES ($1, $2, $3)",
        );
        self.write(noted.bind(key).bind(upload_id).bind(now_ms))
            .await?;
        Ok(())
    }

    /// Notes that an upload was aborted.
    pub async fn upload_gone(&self, key: &str) -> Result<(), StoreError> {
        let gone = Statement::new("forget an upload", "DELETE FROM upload WHERE key = $1");
        self.write(gone.bind(key)).await?;
        Ok(())
    }

    /// Uploads that have not become a job.
    pub async fn uploads_pending(&self) -> Result<Vec<PendingUpload>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT key, upload_id FROM upload")
            .fetch_all(&self.read)
            .await
            .during("find pending uploads")?;
        Ok(rows
            .into_iter()
            .map(|(key, upload_id)| PendingUpload { key, upload_id })
            .collect())
    }
}
