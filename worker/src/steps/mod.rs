//! The steps: names, dispatch, and what holds for all of them (the smoke check, the deadline, the log of a failure).
//! Each step is a module with `Input`, `Output` and `handle`; it may run twice for one state and does no harm by it.

pub mod abort;
pub mod assemble;
pub mod audio;
pub mod inspect;
pub mod ladder;
pub mod package;
pub mod poster;
pub mod probe;
pub mod publish;
pub mod rendition;
pub mod transfer;

use std::{path::Path, str::FromStr};

use model::{Artifact, ArtifactKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Clients, Failure, Invocation, Job, Kind, ffmpeg,
    object::Stored,
    progress::{Reports, Sink, Task},
};

/// One step of the pipeline; the image's `Command` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Inspect,
    Transfer,
    Assemble,
    Probe,
    Poster,
    Ladder,
    Rendition,
    Package,
    Audio,
    Publish,
    Abort,
}

impl Step {
    pub const ALL: [Step; 11] = [
        Step::Inspect,
        Step::Transfer,
        Step::Assemble,
        Step::Probe,
        Step::Poster,
        Step::Ladder,
        Step::Rendition,
        Step::Package,
        Step::Audio,
        Step::Publish,
        Step::Abort,
    ];

    /// The name on the command line and of the function `gantry-<name>`.
    pub fn name(self) -> &'static str {
        match self {
            Step::Inspect => "inspect",
            Step::Transfer => "transfer",
            Step::Assemble => "assemble",
            Step::Probe => "probe",
            Step::Poster => "poster",
            Step::Ladder => "ladder",
            Step::Rendition => "rendition",
            Step::Package => "package",
            Step::Audio => "audio",
            Step::Publish => "publish",
            Step::Abort => "abort",
        }
    }

    fn needs_ffmpeg(self) -> bool {
        matches!(
            self,
            Step::Probe | Step::Poster | Step::Ladder | Step::Rendition | Step::Audio
        )
    }
}

impl FromStr for Step {
    type Err = String;
    fn from_str(name: &str) -> Result<Step, String> {
        let found = Step::ALL.into_iter().find(|step| step.name() == name);
        found.ok_or_else(|| {
            let names = Step::ALL.map(Step::name).join(", ");
            format!("“{name}” is no step; use one of {names}")
        })
    }
}

/// Answers one event. The payload `{"check": true}` is answered with versions, and nothing is touched.
pub async fn answer(
    step: Step,
    clients: &Clients,
    request_id: &str,
    deadline: Instant,
    event: Value,
    sink: Sink,
) -> Result<Value, Failure> {
    if event["check"] == true {
        return check(step).await;
    }
    let task: Task = read(event["task"].clone())?;
    let invocation = Invocation {
        clients,
        reports: Reports::new(request_id.to_owned(), task, sink),
        deadline,
    };
    invocation.reports.begin();
    let answered = match tokio::time::timeout_at(deadline, dispatch(step, &invocation, event)).await
    {
        Ok(answered) => answered,
        Err(_) => Err(out_of_time(step)),
    };
    if let Err(failure) = &answered {
        let reports = &invocation.reports;
        reports.log("ERROR", failure.message(), Some(failure.kind.as_str()));
    }
    answered
}

async fn dispatch(step: Step, invocation: &Invocation<'_>, event: Value) -> Result<Value, Failure> {
    match step {
        Step::Inspect => written(inspect::handle(invocation, read(event)?).await?),
        Step::Transfer => written(transfer::handle(invocation, read(event)?).await?),
        Step::Assemble => written(assemble::handle(invocation, read(event)?).await?),
        Step::Probe => written(probe::handle(invocation, read(event)?).await?),
        Step::Poster => written(poster::handle(invocation, read(event)?).await?),
        Step::Ladder => written(ladder::handle(invocation, read(event)?).await?),
        Step::Rendition => written(rendition::handle(invocation, read(event)?).await?),
        Step::Package => written(package::handle(invocation, read(event)?).await?),
        Step::Audio => written(audio::handle(invocation, read(event)?).await?),
        Step::Publish => written(publish::handle(invocation, read(event)?).await?),
        Step::Abort => written(abort::handle(invocation, read(event)?).await?),
    }
}

async fn check(step: Step) -> Result<Value, Failure> {
    let mut answer = json!({"step": step.name(), "version": env!("CARGO_PKG_VERSION")});
    if step.needs_ffmpeg() {
        answer["ffmpeg"] = ffmpeg::version().await?.into();
    }
    Ok(answer)
}

fn out_of_time(step: Step) -> Failure {
    let kind = match step {
        Step::Inspect | Step::Transfer => Kind::SourceUnreachable,
        Step::Assemble | Step::Package | Step::Publish | Step::Abort => Kind::StorageUnavailable,
        _ => Kind::MediaTimedOut,
    };
    let message = format!(
        "{} did not finish within the function's time: raise the function's timeout (15 minutes at most), or submit a smaller source",
        step.name()
    );
    Failure::new(kind, message)
}

fn read<T: DeserializeOwned>(event: Value) -> Result<T, Failure> {
    serde_json::from_value(event).map_err(|error| {
        let message =
            format!("the state machine's definition passes this step what it cannot read: {error}");
        Failure::new(Kind::WorkerInput, message)
    })
}

fn written(output: impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(output).map_err(|error| {
        Failure::new(
            Kind::WorkerBroken,
            format!("the answer cannot be written: {error}"),
        )
    })
}

/// The assembled source, as Assemble answers it and as the branches of Process get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    pub key: String,
    pub bytes: u64,
    pub artifacts: Vec<Artifact>,
}

/// What a step made, or why it made nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    pub artifacts: Vec<Artifact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

impl Made {
    fn skipped(why: &str) -> Made {
        Made {
            artifacts: Vec::new(),
            skipped: Some(why.to_owned()),
        }
    }
}

/// A file that a step is about to store.
struct Product<'a> {
    kind: ArtifactKind,
    /// Under the job's prefix.
    name: &'a str,
    label: &'a str,
    content_type: &'a str,
    size: Option<(u32, u32)>,
}

impl Product<'_> {
    async fn put(
        self,
        invocation: &Invocation<'_>,
        job: &Job,
        content: Vec<u8>,
    ) -> Result<Artifact, Failure> {
        let bucket = invocation.bucket(job)?;
        let key = job.key(self.name);
        let stored = bucket.put(&key, content, self.content_type).await?;
        Ok(self.artifact(job, stored))
    }

    async fn put_file(
        self,
        invocation: &Invocation<'_>,
        job: &Job,
        file: &Path,
    ) -> Result<Artifact, Failure> {
        let bucket = invocation.bucket(job)?;
        let key = job.key(self.name);
        let stored = bucket.put_file(&key, file, self.content_type).await?;
        Ok(self.artifact(job, stored))
    }

    fn artifact(self, job: &Job, stored: Stored) -> Artifact {
        Artifact {
            kind: self.kind,
            key: job.key(self.name),
            label: self.label.to_owned(),
            content_type: self.content_type.to_owned(),
            bytes: stored.bytes,
            sha256: stored.sha256,
            width: self.size.map(|(width, _)| width),
            height: self.size.map(|(_, height)| height),
        }
    }
}

/// A folder for what ffmpeg writes; gone when dropped.
fn scratch() -> Result<tempfile::TempDir, Failure> {
    remove_orphans(&std::env::temp_dir());
    let prefix = format!("{SCRATCH}{}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir()
        .map_err(|error| {
            let message = format!("the function's disk takes no new folder: {error}");
            Failure::new(Kind::WorkerBroken, message)
        })
}

/// What folders of [`scratch`] are called, before the process's id.
const SCRATCH: &str = "gantry-worker-";

/// Removes folders of workers that were killed: Lambda keeps `/tmp` when it starts a timed-out function anew.
fn remove_orphans(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| {
            name.strip_prefix(SCRATCH)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        let gone = |process: u32| {
            Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{process}")).exists()
        };
        if process.is_some_and(gone) {
            // Another worker may be removing it too; what stays is tried again next time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Reads a file that ffmpeg should have written.
async fn product(file: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    tokio::fs::read(file).await.map_err(|error| {
        let message =
            format!("ffmpeg ended well but wrote no {what} ({error}): check that the source plays");
        Failure::new(Kind::MediaEncodeFailed, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_workers_go_and_of_living_ones_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = format!("{SCRATCH}{}-abc", std::process::id());
        // Above the kernel's largest process id (2^22).
        let dead = format!("{SCRATCH}4194305-abc");
        for name in [own.as_str(), dead.as_str(), "gantry-other"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        remove_orphans(folder.path());
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left(&own) && left("gantry-other"));
        assert!(!left(&dead));
    }

    #[test]
    fn every_step_is_found_by_its_name() {
        for step in Step::ALL {
            assert_eq!(step.name().parse(), Ok(step));
        }
        assert!(
            "nope"
                .parse::<Step>()
                .is_err_and(|words| words.contains("inspect, transfer"))
        );
    }
}
