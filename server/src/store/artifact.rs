//! Artifacts of jobs, as their manifests list them.

use model::{Artifact, JobId};

use super::{During, Store, StoreError};

impl Store {
    /// What a job made, in the manifest's order.
    pub async fn artifacts(&self, job: JobId) -> Result<Vec<Artifact>, StoreError> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT artifact FROM artifact WHERE job_id = $1 ORDER BY position")
                .bind(job.to_string())
                .fetch_all(&self.read)
                .await
                .during("read artifacts")?;
        rows.into_iter()
            .map(|(text,)| {
                serde_json::from_str(&text).map_err(|_| StoreError::Unreadable {
                    what: "artifact",
                    text: job.to_string(),
                })
            })
            .collect()
    }

    /// Keeps what an execution's manifest lists, in place of what an earlier one listed.
    pub async fn keep_artifacts(
        &self,
        arn: &str,
        job: JobId,
        artifacts: &[Artifact],
    ) -> Result<(), StoreError> {
        const DOING: &str = "keep artifacts";
        let mut transaction = self.begin(DOING).await?;
        sqlx::query("DELETE FROM artifact WHERE job_id = $1")
            .bind(job.to_string())
            .execute(&mut *transaction)
            .await
            .during(DOING)?;
        for (position, artifact) in artifacts.iter().enumerate() {
            let text = serde_json::to_string(artifact).map_err(|_| StoreError::Unreadable {
                what: "artifact",
                text: artifact.key.clone(),
            })?;
            sqlx::query(
                "INSERT INTO artifact (job_id, position, key, artifact) VALUES ($1, $2, $3, $4)",
            )
            .bind(job.to_string())
            .bind(position as i64)
            .bind(&artifact.key)
            .bind(text)
            .execute(&mut *transaction)
            .await
            .during(DOING)?;
        }
        sqlx::query("UPDATE execution SET artifacts_read = TRUE WHERE arn = $1")
            .bind(arn)
            .execute(&mut *transaction)
            .await
            .during(DOING)?;
        transaction.commit().await.during(DOING)
    }

    /// Executions that succeeded and whose manifest was not read yet, with their jobs.
    pub async fn manifests_unread(&self, limit: u32) -> Result<Vec<(String, String)>, StoreError> {
        sqlx::query_as(
            "SELECT execution.arn, execution.job_id FROM execution WHERE NOT artifacts_read AND status = 'SUCCEEDED' LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.read)
        .await
        .during("find unread manifests")
    }

    /// Notes that an execution made no manifest, so that it is not looked for again.
    pub async fn no_artifacts(&self, arn: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE execution SET artifacts_read = TRUE WHERE arn = $1")
            .bind(arn)
            .execute(&self.write)
            .await
            .during("note a missing manifest")?;
        Ok(())
    }
}
