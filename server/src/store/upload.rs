//! Multipart uploads of browsers that have not become a job. Those of a server that lives no more are to be aborted:
//! their senders are gone.

use super::{Backend, During, Statement, Store, StoreError};

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
            "INSERT INTO upload (key, upload_id, started_at_ms, server) VALUES ($1, $2, $3, $4)",
        );
        let noted = noted.bind(key).bind(upload_id).bind(now_ms);
        self.write(noted.bind(self.server.to_string())).await?;
        Ok(())
    }

    /// Notes that an upload was aborted.
    pub async fn upload_gone(&self, key: &str) -> Result<(), StoreError> {
        let gone = Statement::new("forget an upload", "DELETE FROM upload WHERE key = $1");
        self.write(gone.bind(key)).await?;
        Ok(())
    }

    /// Uploads that have not become a job and whose server lives no more. SQLite has one server, which asks at its
    /// start: nothing of an earlier one lives.
    pub async fn uploads_left(&self, now_ms: i64) -> Result<Vec<PendingUpload>, StoreError> {
        let now_ms = match self.backend {
            Backend::Sqlite => i64::MAX,
            Backend::Postgres => now_ms,
        };
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT key, upload_id FROM upload WHERE COALESCE(server, '') <> $1 AND NOT EXISTS (
                 SELECT 1 FROM lease WHERE name = 'server:' || upload.server AND until_ms > $2)",
        )
        .bind(self.server.to_string())
        .bind(now_ms)
        .fetch_all(&self.read)
        .await
        .during("find pending uploads")?;
        Ok(rows
            .into_iter()
            .map(|(key, upload_id)| PendingUpload { key, upload_id })
            .collect())
    }
}
