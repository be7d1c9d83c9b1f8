//! What a job asks for: the execution's input itself, or, of one that is too large for Step Functions, the object in
//! S3 that the input names. Owns the reading of both.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#avoid-exec-failures>

use std::collections::BTreeMap;

use model::InputReference;
use serde::{Deserialize, Serialize};

use crate::{Failure, Invocation, Kind};

/// An input read from S3 at most: more than the API takes.
const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The input of the media pipeline, as far as steps read it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Asked {
    /// `https://…`, `http://…` or `s3://bucket/key`.
    #[serde(default)]
    pub source: Option<String>,
    /// The part size wished for, in MiB.
    #[serde(default)]
    pub part_mib: Option<u64>,
    #[serde(default)]
    pub max_height: Option<u32>,
    #[serde(default)]
    pub segment_seconds: Option<u32>,
    /// What the submitter wants to read in the manifest again.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Where all of this is, when it is too large to be here.
    #[serde(default)]
    pub input_s3: Option<InputReference>,
}

/// What later states are told of it by Inspect: none of it is large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub source: String,
    pub max_height: Option<u32>,
    pub segment_seconds: Option<u32>,
}

impl Asked {
    /// The input itself, fetched where it is only named. Fails with `Storage.*`, and with `Worker.Input` when what is
    /// named is no input.
    pub async fn whole(self, invocation: &Invocation<'_>) -> Result<Asked, Failure> {
        let Some(at) = self.input_s3 else {
            return Ok(self);
        };
        let named = format!("the input s3://{}/{}", at.bucket, at.key);
        let mut text = Vec::new();
        invocation
            .clients
            .bucket(&at.bucket)?
            .read_whole(&at.key, |chunk| {
                if text.len() <= INPUT_BYTES_MAX {
                    text.extend_from_slice(chunk);
                }
            })
            .await?;
        if text.len() > INPUT_BYTES_MAX {
            let message =
                format!("{named} has more than {INPUT_BYTES_MAX} bytes: submit a smaller one");
            return Err(Failure::new(Kind::WorkerInput, message));
        }
        let asked: Asked = serde_json::from_slice(&text).map_err(|error| {
            Failure::new(Kind::WorkerInput, format!("{named} is not one: {error}"))
        })?;
        Ok(Asked {
            input_s3: None,
            ..asked
        })
    }
}
