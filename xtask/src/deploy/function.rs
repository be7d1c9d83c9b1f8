//! The Lambda functions: all from one image, each with its own command, called through the alias `live`.

use std::sync::Barrier;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{REPOSITORY, role};
use crate::aws::{ACCOUNT, Aws, REGION, refused_as};

/// The steps of the pipeline, one function each; a step's name is the image's command.
pub const STEPS: [&str; 11] = [
    "inspect",
    "transfer",
    "assemble",
    "probe",
    "poster",
    "ladder",
    "rendition",
    "package",
    "audio",
    "publish",
    "abort",
];

const ALIAS: &str = "live";

/// Invocations of each function at once in a smoke check: as many sandboxes, so as many cold starts.
const CHECKS_AT_ONCE: usize = 3;

/// The function's name.
pub fn name(step: &str) -> String {
    format!("gantry-{step}")
}

/// The alias's ARN, which the state machine calls.
pub fn arn(step: &str) -> String {
    format!(
        "arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}:{ALIAS}",
        name(step)
    )
}

/// Creates the function or brings its code and settings up to date, publishes a version and points the alias to it.
pub fn put(aws: &Aws, step: &str, digest: &str) -> anyhow::Result<()> {
    let name = name(step);
    let path = format!("/2015-03-31/functions/{name}");
    let registry = aws.endpoint().trim_start_matches("http://");
    let uri = format!("{registry}/{REPOSITORY}@{digest}");
    let mut settings = settings(step);
    let standing = aws.rest("GET", &path, None);
    if refused_as(&standing, &["ResourceNotFoundException"]) {
        settings["FunctionName"] = json!(name);
        settings["PackageType"] = json!("Image");
        settings["Code"] = json!({ "ImageUri": uri });
        settings["Architectures"] = json!([if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x86_64"
        }]);
        aws.rest("POST", "/2015-03-31/functions", Some(&settings))?;
    } else {
        standing?;
        aws.rest("PUT", &format!("{path}/configuration"), Some(&settings))?;
        aws.rest(
            "PUT",
            &format!("{path}/code"),
            Some(&json!({ "ImageUri": uri })),
        )?;
    }
    let published = aws.rest("POST", &format!("{path}/versions"), Some(&json!({})))?;
    let version = published["Version"]
        .as_str()
        .context("Lambda published a version without a number")?;
    let alias = json!({ "Name": ALIAS, "FunctionVersion": version });
    let updated = aws.rest("PUT", &format!("{path}/aliases/{ALIAS}"), Some(&alias));
    if refused_as(&updated, &["ResourceNotFoundException"]) {
        aws.rest("POST", &format!("{path}/aliases"), Some(&alias))?;
    } else {
        updated?;
    }
    Ok(())
}

/// Whether the alias runs this image with the settings it would be given now.
pub fn is_live(aws: &Aws, step: &str, digest: &str) -> anyhow::Result<bool> {
    let path = format!("/2015-03-31/functions/{}?Qualifier={ALIAS}", name(step));
    let standing = aws.rest("GET", &path, None);
    if refused_as(&standing, &["ResourceNotFoundException"]) {
        return Ok(false);
    }
    let standing = standing?;
    let resolved = standing
        .pointer("/Code/ResolvedImageUri")
        .and_then(Value::as_str);
    let settings = settings(step);
    let same = |field: &str| standing["Configuration"][field] == settings[field];
    Ok(resolved.is_some_and(|uri| uri.ends_with(digest))
        && ["Timeout", "MemorySize"].into_iter().all(same))
}

/// Invokes every function with `{"check":true}`, several times at once, so that each of its sandboxes starts cold.
pub fn check(aws: &Aws) -> anyhow::Result<()> {
    for step in super::STEPS {
        let together = Barrier::new(CHECKS_AT_ONCE);
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..CHECKS_AT_ONCE)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        invoke_check(aws, step)
                    })
                })
                .collect();
            calls
                .into_iter()
                .try_for_each(|call| call.join().expect("a check does not panic"))
        })?;
    }
    Ok(())
}

fn invoke_check(aws: &Aws, step: &str) -> anyhow::Result<()> {
    let path = format!(
        "/2015-03-31/functions/{}/invocations?Qualifier={ALIAS}",
        name(step)
    );
    let answer = aws.rest("POST", &path, Some(&json!({ "check": true })))?;
    match answer["errorMessage"].as_str() {
        None => Ok(()),
        Some(message) => bail!("the function {} does not start: {message}", name(step)),
    }
}

/// Everything of a function but its image.
fn settings(step: &str) -> Value {
    // ffmpeg works in these; the others only move bytes.
    let heavy = ["poster", "rendition", "audio", "transfer", "probe"].contains(&step);
    json!({
        "Role": role("lambda"),
        "Timeout": 900,
        "MemorySize": if heavy { 3008 } else { 1024 },
        "ImageConfig": { "Command": [step] },
        "LoggingConfig": { "LogFormat": "JSON" },
    })
}
