//! Artifacts of jobs, as their manifests list them.

use model::{Artifact, JobId};
use sqlx::AnyConnection;

use super::{During, Statement, Store, StoreError, Write, plain};

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
        self.write(KeepArtifacts {
            arn: arn.to_owned(),
            job,
            artifacts: artifacts.to_vec(),
        })
        .await
    }

    /// Executions that succeeded and whose manifest was not read yet, with their jobs.
    pub async fn manifests_unread(&self, limit: u32) -> Result<Vec<(String, String)>, StoreError> {
        sqlx::query_as(
            "SELECT execution.arn, execution.job_id FROM execution WHERE artifacts_read = 0 AND status = 'SUCCEEDED' LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find unread manifests")
    }

    /// Notes that an execution made no manifest, so that it is not looked for again.
    pub async fn no_artifacts(&self, arn: &str) -> Result<(), StoreError> {
        let noted = Statement::new(
            "note a missing manifest",
            "UPDATE execution SET artifacts_read = 1 WHERE arn = $1",
        );
        self.write(noted.bind(arn)).await?;
        Ok(())
    }
}

/// What an execution's manifest lists.
struct KeepArtifacts {
    arn: String,
    job: JobId,
    artifacts: Vec<Artifact>,
}

impl Write for KeepArtifacts {
    type Output = ();

    fn operation(&self) -> &'static str {
        "keep artifacts"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM artifact WHERE job_id = $1")
            .bind(self.job.to_string())
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
        for (position, artifact) in self.artifacts.iter().enumerate() {
            let text = serde_json::to_string(artifact).map_err(|_| StoreError::Unreadable {
                what: "artifact",
                text: artifact.key.clone(),
            })?;
            sqlx::query(
                "INSERT INTO artifact (job_id, position, key, artifact) VALUES ($1, $2, $3, $4)",
            )
            .bind(self.job.to_string())
            .bind(position as i64)
            .bind(&*plain(&artifact.key))
            .bind(text)
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
        }
        sqlx::query("UPDATE execution SET artifacts_read = 1 WHERE arn = $1")
            .bind(&self.arn)
            .execute(connection)
            .await
            .during(self.operation())?;
        Ok(())
    }
}
