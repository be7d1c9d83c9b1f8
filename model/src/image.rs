//! Images in ECR and which Lambda functions run them.

use serde::{Deserialize, Serialize};

use crate::TimestampMs;

/// A function version that runs an image, with the aliases that point to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FunctionUse {
    pub function: String,
    /// `$LATEST` or a published version's number.
    pub version: String,
    pub aliases: Vec<String>,
}

/// One image of a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Image {
    pub repository: String,
    /// `sha256:…` of the manifest.
    pub digest: String,
    pub tags: Vec<String>,
    pub pushed_at_ms: Option<TimestampMs>,
    /// Compressed size, as ECR counts it.
    pub bytes: u64,
    /// Layers with their compressed sizes, base first.
    pub layers: Vec<Layer>,
    /// OCI labels and annotations that say what it was built from.
    pub labels: Vec<(String, String)>,
    /// Function versions that run it now.
    pub uses: Vec<FunctionUse>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Layer {
    pub digest: String,
    pub bytes: u64,
    /// The command that made it, where the image's history says so.
    pub created_by: Option<String>,
}

/// The page of images, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageView {
    pub images: Vec<Image>,
    /// When this was read from AWS.
    pub as_of_ms: TimestampMs,
    /// AWS did not answer just now: what was read before is shown on.
    pub is_stale: bool,
}
