//! The worker as a function of `local`'s, from an image with nothing else in it, and its processes.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, ensure};
use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BUCKET, Product, STREAM};

const REPOSITORY: &str = "gantry";
const FUNCTION: &str = "gantry-inspect";
/// What it looks at: no more of a video than its first bytes (ISO/IEC 14496-12, section 4.3).
const CLIP: &[u8] = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";

/// The state in which the worker works: what kills a worker is retried, as in the product's pipelines.
pub(super) fn state(next: &str) -> Value {
    json!({
        "Type": "Task",
        "Resource": format!("arn:aws:lambda:us-east-1:000000000000:function:{FUNCTION}"),
        "TimeoutSeconds": 60,
        "Parameters": {
            "job.$": "$.job",
            "input.$": "$",
            "task": {
                "execution.$": "$$.Execution.Id",
                "state.$": "$$.State.Name",
                "entered.$": "$$.State.EnteredTime",
                "retry.$": "$$.State.RetryCount",
            },
        },
        "Retry": [{
            "ErrorEquals": ["Runtime.ExitError", "Lambda.Unknown", "Lambda.ServiceException"],
            "IntervalSeconds": 1,
            "MaxAttempts": 20,
            "BackoffRate": 1,
        }],
        "Next": next,
    })
}

impl Product {
    /// Pushes the worker's image and makes a function of it.
    pub(super) async fn deploy_worker(&self, worker: &Path) -> anyhow::Result<()> {
        std::fs::write(
            self.place.data.join("aws/s3").join(BUCKET).join("clip.mp4"),
            CLIP,
        )?;
        let repository = json!({ "repositoryName": REPOSITORY });
        let create = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
        self.aws(create, &repository).await?;
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": { "Entrypoint": ["/worker"] },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let config = serde_json::to_vec(&config)?;
        let layer = layer(worker)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob("application/vnd.oci.image.config.v1+json", config).await?,
            "layers": [self.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer).await?],
        });
        let path = format!("/v2/{REPOSITORY}/manifests/1");
        self.send(Method::PUT, &path, serde_json::to_vec(&manifest)?)
            .await?;
        let function = json!({
            "FunctionName": FUNCTION,
            "PackageType": "Image",
            "Code": { "ImageUri": format!("{}/{REPOSITORY}:1", self.place.local) },
            "Role": "arn:aws:iam::000000000000:role/bench",
            "Timeout": 30,
            "ImageConfig": { "Command": ["inspect"] },
        });
        let function = serde_json::to_vec(&function)?;
        self.send(Method::POST, "/2015-03-31/functions", function)
            .await?;
        Ok(())
    }

    /// Lets what the server reads of the worker's log be put onto the stream. The log group is there with the function.
    pub(super) async fn subscribe(&self) -> anyhow::Result<()> {
        let group = format!("/aws/lambda/{FUNCTION}");
        let filter = json!({
            "logGroupName": group,
            "filterName": "telemetry",
            "filterPattern": "{ $.type = \"progress\" || $.type = \"invocation\" || $.type = \"platform.*\" }",
            "destinationArn": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"),
            "roleArn": "arn:aws:iam::000000000000:role/bench",
        });
        self.aws("Logs_20140328.PutSubscriptionFilter", &filter)
            .await?;
        Ok(())
    }

    /// Ends the worker processes that `local` has right now, at once; answers how many there were.
    pub fn kill_workers(&self) -> anyhow::Result<usize> {
        let folder = self.place.data.canonicalize()?;
        let mut killed = 0;
        for process in std::fs::read_dir("/proc")? {
            let process = process?;
            let Some(pid) = process
                .file_name()
                .to_str()
                .and_then(|pid| pid.parse().ok())
            else {
                continue;
            };
            // Whatever is gone by now needs no killing.
            let is_worker = std::fs::read_link(process.path().join("exe"))
                .is_ok_and(|program| program.starts_with(&folder));
            if let Some(pid) = Pid::from_raw(pid)
                && is_worker
                && kill_process(pid, Signal::KILL).is_ok()
            {
                killed += 1;
            }
        }
        Ok(killed)
    }

    async fn blob(&self, media_type: &str, blob: Vec<u8>) -> anyhow::Result<Value> {
        let digest: String = Sha256::digest(&blob)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{digest}"),
            "size": blob.len(),
        });
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/?digest=sha256:{digest}");
        self.send(Method::POST, &path, blob).await?;
        Ok(descriptor)
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let url = format!("http://{}{path}", self.place.local);
        let answer = self.client.request(method, url).body(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path} answered {status}: {text}");
        Ok(())
    }
}

/// A layer with the worker alone.
fn layer(worker: &Path) -> anyhow::Result<Vec<u8>> {
    let binary =
        std::fs::read(worker).with_context(|| format!("{} cannot be read", worker.display()))?;
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(binary.len() as u64);
    tar.append_data(&mut header, "worker", binary.as_slice())?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar.into_inner()?)?;
    Ok(gzip.finish()?)
}
