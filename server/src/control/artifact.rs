//! Artifacts: which object of the bucket a path under a job may be, and the object itself as a stream.

use model::{JobId, Manifest};

use super::{Control, Failure};
use crate::aws::{FetchRequest, Fetched};

/// A manifest lists some dozens of files and repeats the job's tags; what is larger is not one.
const MANIFEST_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// An object on its way, and what kind of file it is.
pub struct ArtifactContent {
    pub fetched: Fetched,
    /// RFC 9110 media type.
    pub content_type: String,
    /// What to call it when it is saved.
    pub file_name: String,
}

impl Control {
    /// Fetches the object that `name` is under the job's prefix. Only what the job's manifest lists is
    /// served, and the manifest itself: the bucket holds other things too.
    pub async fn artifact(
        &self,
        job: JobId,
        name: &str,
        request: FetchRequest,
    ) -> Result<ArtifactContent, Failure> {
        let missing = || Failure::not_found(format!("This job made no file “{name}”."));
        let key = format!("{}{name}", prefix(job));
        let artifacts = self.store.artifacts(job).await?;
        let content_type = match artifacts.iter().find(|artifact| artifact.key == key) {
            Some(artifact) => artifact.content_type.clone(),
            None if name == MANIFEST && !artifacts.is_empty() => "application/json".to_owned(),
            None => return Err(missing()),
        };
        let fetched = self.aws.bucket.fetch(&key, request).await?;
        if matches!(fetched, Fetched::Missing) {
            return Err(missing());
        }
        Ok(ArtifactContent {
            fetched,
            content_type,
            file_name: name.rsplit('/').next().unwrap_or(name).to_owned(),
        })
    }

    /// Reads the manifest of an execution that succeeded and keeps what it lists.
    /// False when there is none, as of a pipeline that publishes nothing.
    pub(crate) async fn learn_artifacts(&self, arn: &str, job: JobId) -> Result<bool, Failure> {
        let key = format!("{}{MANIFEST}", prefix(job));
        let Some(text) = self.aws.bucket.read(&key, MANIFEST_BYTES_MAX).await? else {
            tracing::info!(%job, "the execution made no manifest");
            self.store.no_artifacts(arn).await?;
            return Ok(false);
        };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else {
            tracing::warn!(%job, "the manifest is not one");
            self.store.no_artifacts(arn).await?;
            return Ok(false);
        };
        // A manifest comes out of the bucket, so it is not trusted to name keys of other jobs.
        let mut artifacts = manifest.artifacts;
        artifacts.retain(|artifact| artifact.key.starts_with(&prefix(job)));
        self.store.keep_artifacts(arn, job, &artifacts).await?;
        Ok(true)
    }
}

/// What the manifest is called under a job's prefix.
const MANIFEST: &str = "manifest.json";

/// Where everything that a job makes is kept.
pub(crate) fn prefix(job: JobId) -> String {
    format!("jobs/{job}/")
}
