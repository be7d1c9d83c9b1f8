//! Probe: ffprobe's report of the source as `probe.json`, and its summary.

use model::{Artifact, ArtifactKind};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Media, Product};
use crate::{Failure, Invocation, Job, media};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub media: Media,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub summary: media::Summary,
    pub artifacts: Vec<Artifact>,
}

/// Fails with `Media.Unreadable`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let progress = invocation.start("artifacts", Some(1), None);
    let bucket = invocation.bucket(&input.job)?;
    let address = bucket.presigned(&input.media.key).await?;
    let probed = media::probe(&address, invocation.deadline).await?;
    let report = json!({"summary": probed.summary, "ffprobe": probed.report});
    let product = Product {
        kind: ArtifactKind::Probe,
        name: "probe.json",
        label: "ffprobe's report",
        content_type: "application/json",
        size: None,
    };
    let content = format!("{report:#}\n").into_bytes();
    let artifact = product.put(invocation, &input.job, content).await?;
    progress.finish();
    Ok(Output {
        summary: probed.summary,
        artifacts: vec![artifact],
    })
}
