//! Inspect: looks at the source, judges it, plans its parts, and last of all opens the upload, so that every
//! refusal leaves nothing behind. A repeated Inspect closes what an interrupted one left open.

use serde::{Deserialize, Serialize};

use crate::{
    Failure, Invocation, Job, Kind,
    asked::{Asked, Settings},
    plan::{self, Part},
    source::{self, Looks, Origin},
    uploads::Upload,
};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    /// The execution's whole input.
    #[serde(default)]
    pub input: Option<Asked>,
    /// What of it an earlier version of the definition passes by itself: its executions are redriven with it.
    #[serde(flatten)]
    pub passed: Asked,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub bytes: Option<u64>,
    /// What the first bytes say it is, else what its server says.
    pub content_type: String,
    pub from: Origin,
    pub upload: Upload,
    pub parts: Vec<Part>,
    pub settings: Settings,
}

/// Fails with every `Source.*` verdict but `Source.Dropped`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let progress = invocation.start("sources", Some(1), None);
    let asked = input.input.unwrap_or(input.passed);
    let asked = asked.whole(invocation).await?;
    let (Some(address), Some(part_mib)) = (asked.source, asked.part_mib) else {
        let message = "the job's input has no `source` or no `part_mib`: submit it again";
        return Err(Failure::new(Kind::WorkerInput, message));
    };
    let survey = source::survey(invocation.clients, &address).await?;
    let origin = survey.origin;
    if survey.head.is_empty() {
        let message = format!(
            "the source {} is empty (0 bytes): check that it was written completely",
            origin.shown()
        );
        return Err(Failure::new(Kind::SourceEmpty, message));
    }
    let content_type = match source::looks(&survey.head, survey.content_type.as_deref()) {
        Looks::Media(content_type) => content_type,
        Looks::Other(what) => {
            let message = format!(
                "the source {} is {what}: submit the address of an audio or video file",
                origin.shown()
            );
            return Err(Failure::new(Kind::SourceNotMedia, message));
        }
    };
    let parts = plan::parts(origin.bytes, origin.ranges, part_mib)?;

    let bucket = invocation.bucket(&input.job)?;
    let key = input.job.key("source");
    match bucket.uploads_of(invocation.clients, &key).await {
        Ok(left) => {
            for upload in left {
                bucket.abort_upload(&upload).await?;
            }
        }
        Err(why) => invocation.reports.log(
            "WARN",
            &format!("uploads that an interrupted run left open were not looked for: {why}"),
            None,
        ),
    }
    let upload = bucket
        .open_upload(invocation.clients, &key, &content_type)
        .await?;
    progress.finish();
    Ok(Output {
        bytes: origin.bytes,
        content_type,
        from: origin,
        upload,
        parts,
        settings: Settings {
            source: address,
            max_height: asked.max_height,
            segment_seconds: asked.segment_seconds,
        },
    })
}
