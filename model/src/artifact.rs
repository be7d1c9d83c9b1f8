//! An artifact: a file that a job made, as its manifest lists it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an artifact is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// The source as assembled.
    Source,
    /// ffprobe's report, JSON.
    Probe,
    Poster,
    /// A sheet of thumbnails.
    Sprite,
    /// WebVTT (W3C) that maps times to thumbnails of the sheet.
    SpriteIndex,
    /// HLS master playlist (RFC 8216).
    MasterPlaylist,
    /// HLS media playlist (RFC 8216).
    Playlist,
    /// One rendition as fragmented MP4: its playlist addresses it by byte range, a browser plays it as it is.
    Rendition,
    Waveform,
    /// Loudness by EBU R 128, JSON.
    Loudness,
    Manifest,
}

/// A file in the bucket. The manifest is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Artifact {
    pub kind: ArtifactKind,
    /// The S3 object's key.
    pub key: String,
    /// What people call it: `720p`, `poster`.
    pub label: String,
    /// RFC 9110 media type.
    pub content_type: String,
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// `manifest.json`: everything one job made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The job's id.
    pub job: String,
    /// The source's address, without credentials or query.
    pub source: String,
    /// ffprobe's summary of the source.
    pub media: serde_json::Value,
    /// The job's `tags`, as submitted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    pub artifacts: Vec<Artifact>,
}
