//! A container image with the worker in it, made without a daemon, and its way into a registry.
//! The same binary, tag and revision give the same digest. <https://github.com/opencontainers/image-spec>

use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ureq::http::Request;

use crate::aws::Aws;
use crate::site::hexadecimal;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What an image was made from, for its labels.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The version as people call it.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// When the commit was made, RFC 3339: an image of the same commit has the same digest.
    pub created: String,
}

/// An image in memory.
pub struct Image {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Image {
    /// An image with one layer, which holds the worker.
    pub fn with_worker(worker: &Path, origin: &Origin) -> anyhow::Result<Image> {
        let tar = layer(worker)?;
        let diff_id = digest(&tar);
        // No file name and no time in the header: nothing but the content decides the digest.
        let mut gzip = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::new(6));
        gzip.write_all(&tar)?;
        let layer = gzip.finish()?;
        let labels = json!({
            "org.opencontainers.image.title": "gantry-worker",
            "org.opencontainers.image.version": origin.version,
            "org.opencontainers.image.revision": origin.revision,
            "org.opencontainers.image.created": origin.created,
        });
        let config = json!({
            "created": origin.created,
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": ["/usr/local/bin/worker"],
                "Labels": labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created": origin.created, "created_by": "cargo xtask demo: worker" }],
        });
        let config = serde_json::to_vec(&config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, &config),
            "layers": [descriptor(LAYER_TYPE, &layer)],
            "annotations": labels,
        });
        Ok(Image {
            manifest: serde_json::to_vec(&manifest)?,
            config,
            layer,
        })
    }

    /// The manifest's digest, `sha256:…`.
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Compressed size of the layer in bytes.
    pub fn bytes(&self) -> usize {
        self.layer.len()
    }

    /// Uploads what the registry lacks, then the manifest under a tag.
    /// <https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push>
    pub fn push(&self, aws: &Aws, repository: &str, tag: &str) -> anyhow::Result<()> {
        let answer = aws.json(
            "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
            &json!({}),
        )?;
        let token = answer
            .pointer("/authorizationData/0/authorizationToken")
            .and_then(Value::as_str)
            .context("ECR gave no authorization token")?;
        let registry = Registry {
            aws,
            base: format!("{}/v2/{repository}", aws.endpoint()),
            authorization: format!("Basic {token}"),
        };
        registry.upload(&self.layer)?;
        registry.upload(&self.config)?;
        registry.put_manifest(tag, &self.manifest)
    }
}

/// One repository of a registry.
struct Registry<'a> {
    aws: &'a Aws,
    base: String,
    authorization: String,
}

impl Registry<'_> {
    fn upload(&self, blob: &[u8]) -> anyhow::Result<()> {
        let digest = digest(blob);
        let present = Request::head(format!("{}/blobs/{digest}", self.base));
        if self.send(present, &[])?.0 == 200 {
            return Ok(());
        }
        let open = Request::post(format!("{}/blobs/uploads/", self.base));
        let (status, location) = self.send(open, &[])?;
        ensure!(status == 202, "the registry refused an upload ({status})");
        let location = location.context("the registry opened an upload without a Location")?;
        let address = match location.starts_with("http") {
            true => location,
            false => format!("{}{location}", self.aws.endpoint()),
        };
        let separator = if address.contains('?') { '&' } else { '?' };
        let put = Request::put(format!("{address}{separator}digest={digest}"))
            .header("content-type", "application/octet-stream");
        let (status, _) = self.send(put, blob)?;
        ensure!(status == 201, "the registry refused a blob ({status})");
        Ok(())
    }

    fn put_manifest(&self, tag: &str, manifest: &[u8]) -> anyhow::Result<()> {
        let put = Request::put(format!("{}/manifests/{tag}", self.base))
            .header("content-type", MANIFEST_TYPE);
        let (status, _) = self.send(put, manifest)?;
        ensure!(
            status == 201,
            "the registry refused the manifest ({status})"
        );
        Ok(())
    }

    /// The answer's status and its `Location`.
    fn send(
        &self,
        request: ureq::http::request::Builder,
        body: &[u8],
    ) -> anyhow::Result<(u16, Option<String>)> {
        let request = request.header("authorization", &self.authorization);
        let response = match request.method_ref() {
            // A body, even an empty one, would be sent chunked with HEAD.
            Some(method) if method == "HEAD" => self.aws.send(request.body(())?)?,
            _ => self.aws.send(request.body(body)?)?,
        };
        let location = response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok());
        Ok((response.status().as_u16(), location.map(str::to_owned)))
    }
}

/// A tar of the worker alone, without times and owners.
fn layer(worker: &Path) -> anyhow::Result<Vec<u8>> {
    let binary =
        std::fs::read(worker).with_context(|| format!("{} cannot be read", worker.display()))?;
    let mut tar = tar::Builder::new(Vec::with_capacity(binary.len() + 8192));
    for folder in ["usr/", "usr/local/", "usr/local/bin/"] {
        let mut header = header(0o755, 0);
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, folder, std::io::empty())?;
    }
    let mut header = header(0o755, binary.len() as u64);
    tar.append_data(&mut header, "usr/local/bin/worker", binary.as_slice())?;
    Ok(tar.into_inner()?)
}

fn header(mode: u32, bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_worker_gives_the_same_digest_and_another_one_another() {
        let folder = std::env::temp_dir().join(format!("gantry-image-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let worker = folder.join("worker");
        let origin = Origin {
            version: "1".into(),
            revision: "abc".into(),
            created: "2026-01-01T00:00:00Z".into(),
        };
        let made = |content: &str| {
            std::fs::write(&worker, content).unwrap();
            Image::with_worker(&worker, &origin).unwrap().digest()
        };
        assert_eq!(made("a"), made("a"));
        assert_ne!(made("a"), made("b"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
