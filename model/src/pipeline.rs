//! What people have set for a pipeline.

use serde::{Deserialize, Serialize};

/// What holds for a pipeline: `GET` and `POST /api/v1/pipelines/{name}/settings`. What is left away is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PipelineSettings {
    /// Executions that run at once, 1 or more; none: as many as AWS allows.
    #[serde(default)]
    pub concurrency_max: Option<u32>,
    /// Days after which an ended execution's history goes to S3, where it stays readable; none: never.
    #[serde(default)]
    pub retain_days: Option<u32>,
}
