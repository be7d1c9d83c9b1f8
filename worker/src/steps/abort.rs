//! Abort: leaves no parts of an upload behind. Gets the whole state, because Inspect may have failed before it
//! answered; then the job's open uploads are looked up.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Failure, Invocation, Job, uploads::Upload};

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    /// The state machine's state when it failed; `inspect.upload` and `assembled` matter.
    pub state: Value,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Uploads that were open and are no more.
    pub aborted: u32,
    /// What was done, for people.
    pub said: String,
}

/// Fails with `Storage.*`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let bucket = invocation.bucket(&input.job)?;
    let progress = invocation.start("uploads", Some(1), None);
    let mut uploads: Vec<Upload> = Vec::new();
    let mut said = "no upload was open";
    if input.state.get("assembled").is_some() {
        said = "the upload was complete already; the source stays for a rerun";
    } else if let Ok(upload) = Upload::deserialize(&input.state["inspect"]["upload"]) {
        uploads.push(upload);
    }
    match bucket
        .uploads_of(invocation.clients, &input.job.key("source"))
        .await
    {
        Ok(found) => {
            let known = uploads.clone();
            uploads.extend(found.into_iter().filter(|upload| !known.contains(upload)));
        }
        Err(why) => {
            let message = format!("open uploads were not looked up: {why}");
            invocation.reports.log("WARN", &message, None);
        }
    }
    let mut aborted = 0;
    for upload in &uploads {
        if bucket.abort_upload(upload).await? {
            aborted += 1;
            said = "the upload was aborted; its parts are gone";
        }
    }
    progress.finish();
    Ok(Output {
        aborted,
        said: said.to_owned(),
    })
}
