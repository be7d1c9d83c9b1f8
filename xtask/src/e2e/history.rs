//! Another AWS client, boto3, reads the same execution history as Gantry's own API shows.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::aws;
use crate::jobs::{self, Jobs, Source};
use crate::product::Product;
use crate::step::run;
use crate::{install, project};

/// Runs a job and compares its history, event by event.
pub fn check(product: &Product, clip: &Path) -> anyhow::Result<()> {
    let jobs = Jobs::new(product.address());
    let id = match jobs.submit(&Source::File(clip.to_owned()))? {
        Ok(id) => id,
        Err(refusal) => bail!("the clip was refused: {}", refusal.0),
    };
    let view = loop {
        let view = jobs.view(&id)?;
        if jobs::has_ended(&view) {
            break view;
        }
        product.children.pause(Duration::from_millis(300))?;
    };
    let arn = view
        .pointer("/execution/arn")
        .and_then(|arn| arn.as_str())
        .context("the job has no execution")?;
    let python = install::python(&project::target().join("python"), &["boto3==1.40.74"])?;
    run(Command::new(python)
        .arg(project::root().join("e2e/history.py"))
        .arg(arn)
        .arg(format!("{}/api/v1/jobs/{id}", product.address()))
        .env("AWS_ENDPOINT_URL", product.endpoint())
        .env("AWS_DEFAULT_REGION", aws::REGION)
        .env("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", aws::SECRET_ACCESS_KEY))
}
