//! Inspect: looks at the source, judges it, plans its parts, and last of all opens the upload, so that every
//! refusal leaves nothing behind. A repeated Inspect closes what an interrupted one left open.

use serde::{Deserialize, Serialize};

use crate::{
    Failure, Invocation, Job, Kind,
    plan::{self, Part},
    source::{self, Looks, Origin},
    uploads::Upload,
};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    /// `https://…`, `http://…` or `s3://bucket/key`.
    pub source: String,
    /// The part size wished for, in MiB.
    pub part_mib: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub bytes: Option<u64>,
    /// What the first bytes say it is, else what its server says.
    pub content_type: String,
    pub from: Origin,
    pub upload: Upload,
    pub parts: Vec<Part>,
}

/// Fails with every `Source.*` verdict but `Source.Dropped`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let progress = invocation.start("sources", Some(1), None);
    let survey = source::survey(invocation.clients, &input.source).await?;
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
    let parts = plan::parts(origin.bytes, origin.ranges, input.part_mib)?;

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
    })
}
