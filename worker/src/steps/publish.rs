//! Publish: `manifest.json`, the list of everything the job made. Checks that each object is there with its size
//! first: a manifest promises nothing that is missing.

use futures::{StreamExt, TryStreamExt};
use model::{Artifact, Manifest};
use serde::{Deserialize, Serialize};

use super::{Made, Media, package, probe};
use crate::{
    Failure, Invocation, Job, Kind,
    asked::{Asked, Settings},
    redact,
};

/// Objects looked at side by side.
const LOOKS: usize = 8;

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    /// The state machine's whole state: what was asked for, and what the states before answered.
    #[serde(default)]
    pub state: Option<State>,
    /// What of it an earlier version of the definition passes by itself: its executions are redriven with it.
    #[serde(flatten)]
    pub passed: Option<Passed>,
}

/// The state machine's state, as far as it is read here.
#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(flatten)]
    pub asked: Asked,
    pub inspect: Inspected,
    pub assembled: Media,
    pub process: Process,
}

/// Of what Inspect answered.
#[derive(Debug, Deserialize)]
pub struct Inspected {
    pub settings: Settings,
}

/// What an earlier version of the definition passes.
#[derive(Debug, Deserialize)]
pub struct Passed {
    /// The address as submitted.
    pub source: String,
    pub media: Media,
    pub process: Process,
}

/// What the branches of Process answered.
#[derive(Debug, Deserialize)]
pub struct Process {
    pub probe: probe::Output,
    pub poster: Made,
    pub renditions: package::Output,
    pub audio: Made,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The manifest's key.
    pub manifest: String,
    /// How many artifacts it lists.
    pub artifacts: usize,
    /// Their bytes together.
    pub bytes: u64,
}

/// Fails with `Storage.Corrupt` when an artifact is not there as its step stored it.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let (passed, asked) = match (input.state, input.passed) {
        (Some(state), _) => {
            let passed = Passed {
                source: state.inspect.settings.source,
                media: state.assembled,
                process: state.process,
            };
            (passed, state.asked)
        }
        (None, Some(passed)) => (passed, Asked::default()),
        (None, None) => {
            let message =
                "the state machine's definition passes neither its state nor what was made";
            return Err(Failure::new(Kind::WorkerInput, message));
        }
    };
    let tags = asked.whole(invocation).await?.tags;
    let process = passed.process;
    let media = serde_json::to_value(&process.probe.summary).map_err(|error| {
        Failure::new(
            Kind::WorkerBroken,
            format!("the summary cannot be written: {error}"),
        )
    })?;
    let artifacts: Vec<Artifact> = passed
        .media
        .artifacts
        .into_iter()
        .chain(process.poster.artifacts)
        .chain(process.renditions.artifacts)
        .chain(process.audio.artifacts)
        .chain(process.probe.artifacts)
        .collect();
    let bucket = invocation.bucket(&input.job)?;
    let mut progress = invocation.start("artifacts", Some(artifacts.len() as u64), None);
    let mut looks = futures::stream::iter(&artifacts)
        .map(|artifact| {
            let bucket = &bucket;
            async move { Ok((artifact, bucket.head(&artifact.key).await?)) }
        })
        .buffer_unordered(LOOKS);
    while let Some((artifact, found)) = looks.try_next().await? {
        if found.is_none_or(|found| found.size != artifact.bytes) {
            let message = format!(
                "{} is not in the bucket as it was stored ({} bytes): run the job again",
                artifact.key, artifact.bytes
            );
            return Err(Failure::new(Kind::StorageCorrupt, message));
        }
        progress.add(1);
    }
    drop(looks);
    let output = Output {
        manifest: input.job.key("manifest.json"),
        artifacts: artifacts.len(),
        bytes: artifacts.iter().map(|artifact| artifact.bytes).sum(),
    };
    let manifest = Manifest {
        job: input.job.id,
        source: redact::address(&passed.source),
        media,
        tags,
        artifacts,
    };
    let content = serde_json::to_string_pretty(&manifest).map_err(|error| {
        Failure::new(
            Kind::WorkerBroken,
            format!("the manifest cannot be written: {error}"),
        )
    })?;
    bucket
        .put(
            &output.manifest,
            format!("{content}\n").into_bytes(),
            "application/json",
        )
        .await?;
    progress.finish();
    Ok(output)
}
