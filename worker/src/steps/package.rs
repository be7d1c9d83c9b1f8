//! Package: the HLS master playlist over all renditions (RFC 8216).

use model::{Artifact, ArtifactKind};
use serde::{Deserialize, Serialize};

use super::{Product, rendition};
use crate::{Failure, Invocation, Job, Kind, playlist};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    /// The results of the Renditions Map, in the ladder's order.
    pub renditions: Vec<rendition::Output>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The master playlist and everything that it leads to.
    pub artifacts: Vec<Artifact>,
}

/// Fails with `Storage.*`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    if input.renditions.is_empty() {
        let message = "there is no rendition to list in a master playlist";
        return Err(Failure::new(Kind::WorkerInput, message));
    }
    let progress = invocation.start("artifacts", Some(1), None);
    let variants: Vec<_> = input
        .renditions
        .iter()
        .map(|made| made.variant.clone())
        .collect();
    let product = Product {
        kind: ArtifactKind::MasterPlaylist,
        name: "hls/master.m3u8",
        label: "HLS master playlist",
        content_type: "application/vnd.apple.mpegurl",
        size: None,
    };
    let content = playlist::master(&variants).into_bytes();
    let master = product.put(invocation, &input.job, content).await?;
    progress.finish();
    let rest = input.renditions.into_iter().flat_map(|made| made.artifacts);
    Ok(Output {
        artifacts: std::iter::once(master).chain(rest).collect(),
    })
}
