//! ECR: the repository's images, their manifests and configurations.
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html>
//! Manifests and configurations follow the OCI image specification:
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md>

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ecr::{Client, types::ImageIdentifier};
use model::Layer;
use serde_json::Value;

use super::{Api, AwsError, call::Calls, moment_ms};

/// Images a page shows at most; a repository with more wants a lifecycle policy.
const IMAGES_MAX: usize = 1_000;
/// A configuration is some kilobytes; what is larger is not read.
const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;
const CONFIG_TIMEOUT: Duration = Duration::from_secs(10);

/// The image repository.
#[derive(Debug, Clone)]
pub struct Registry {
    client: Client,
    pub(super) calls: Calls,
    /// For the presigned addresses that GetDownloadUrlForLayer answers.
    http: reqwest::Client,
    repository: String,
}

/// An image as ECR tells it, without who runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryImage {
    pub digest: String,
    pub tags: Vec<String>,
    pub pushed_at_ms: Option<i64>,
    pub bytes: u64,
}

impl Registry {
    pub(super) fn new(shared: &SdkConfig, calls: Calls, repository: &str) -> Registry {
        Registry {
            client: Client::new(shared),
            calls,
            http: reqwest::Client::builder()
                .timeout(CONFIG_TIMEOUT)
                .build()
                // Building fails only without a TLS backend, which is compiled in.
                .unwrap_or_default(),
            repository: repository.to_owned(),
        }
    }

    /// The repository's name.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Every image, in ECR's order.
    pub async fn images(&self) -> Result<Vec<RegistryImage>, AwsError> {
        let mut images = Vec::new();
        let mut next = None;
        loop {
            let request = self
                .client
                .describe_images()
                .repository_name(&self.repository)
                .set_next_token(next);
            let answer = self
                .calls
                .sdk(Api::DescribeImages, || request.clone().send())
                .await?;
            images.extend(
                answer
                    .image_details
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|image| {
                        Some(RegistryImage {
                            digest: image.image_digest?,
                            tags: image.image_tags.unwrap_or_default(),
                            pushed_at_ms: image.image_pushed_at.as_ref().map(moment_ms),
                            bytes: image
                                .image_size_in_bytes
                                .and_then(|bytes| u64::try_from(bytes).ok())
                                .unwrap_or(0),
                        })
                    }),
            );
            next = answer.next_token.filter(|token| !token.is_empty());
            if next.is_none() || images.len() >= IMAGES_MAX {
                images.truncate(IMAGES_MAX);
                return Ok(images);
            }
        }
    }

    /// The layers and labels of an image, which its digest fixes for good.
    pub async fn contents(
        &self,
        digest: &str,
    ) -> Result<(Vec<Layer>, Vec<(String, String)>), AwsError> {
        let request = self
            .client
            .batch_get_image()
            .repository_name(&self.repository)
            .image_ids(ImageIdentifier::builder().image_digest(digest).build())
            .accepted_media_types("application/vnd.oci.image.manifest.v1+json")
            .accepted_media_types("application/vnd.docker.distribution.manifest.v2+json");
        let answer = self
            .calls
            .sdk(Api::BatchGetImage, || request.clone().send())
            .await?;
        let manifest = answer
            .images
            .unwrap_or_default()
            .into_iter()
            .find_map(|image| image.image_manifest)
            .ok_or_else(|| {
                AwsError::unreadable(Api::BatchGetImage, format!("no manifest for {digest}"))
            })?;
        let manifest: Value = serde_json::from_str(&manifest)
            .map_err(|error| AwsError::unreadable(Api::BatchGetImage, error))?;
        let config = match manifest["config"]["digest"].as_str() {
            Some(config) => self.config(config).await?,
            None => Value::Null,
        };
        Ok((layers(&manifest, &config), labels(&manifest, &config)))
    }

    /// An image's configuration.
    async fn config(&self, digest: &str) -> Result<Value, AwsError> {
        const DOING: Api = Api::GetDownloadUrlForLayer;
        let request = self
            .client
            .get_download_url_for_layer()
            .repository_name(&self.repository)
            .layer_digest(digest);
        let answer = self.calls.sdk(DOING, || request.clone().send()).await?;
        let url = answer
            .download_url
            .ok_or_else(|| AwsError::unreadable(DOING, "no downloadUrl"))?;
        // The address is presigned, so it is kept out of the error.
        let unreachable = |error: reqwest::Error| AwsError::unreachable(DOING, error.without_url());
        let mut response = self
            .http
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(unreachable)?;
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if text.len() + chunk.len() > CONFIG_BYTES_MAX {
                return Err(AwsError::unreadable(
                    DOING,
                    "an image configuration larger than 4 MiB",
                ));
            }
            text.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&text).map_err(|error| AwsError::unreadable(DOING, error))
    }
}

/// Layers, base first, each with the command that made it: history has an entry for each layer, and others
/// that are marked as having made none.
fn layers(manifest: &Value, config: &Value) -> Vec<Layer> {
    let mut commands = config["history"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["empty_layer"].as_bool() != Some(true))
        .map(|entry| {
            entry["created_by"]
                .as_str()
                .filter(|command| !command.is_empty())
        });
    manifest["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|layer| Layer {
            digest: layer["digest"].as_str().unwrap_or_default().to_owned(),
            bytes: layer["size"].as_u64().unwrap_or(0),
            created_by: commands.next().flatten().map(str::to_owned),
        })
        .collect()
}

/// The configuration's labels and the manifest's annotations, by name; an annotation wins.
fn labels(manifest: &Value, config: &Value) -> Vec<(String, String)> {
    let mut labels = std::collections::BTreeMap::new();
    for source in [&config["config"]["Labels"], &manifest["annotations"]] {
        for (name, value) in source.as_object().into_iter().flatten() {
            if let Some(value) = value.as_str() {
                labels.insert(name.clone(), value.to_owned());
            }
        }
    }
    labels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_layer_goes_with_the_command_that_made_it() {
        let manifest = json!({
            "layers": [{"digest": "sha256:a", "size": 5}, {"digest": "sha256:b", "size": 7}],
            "annotations": {"org.opencontainers.image.revision": "new"},
        });
        let config = json!({
            "config": {"Labels": {"org.opencontainers.image.revision": "old", "team": "video"}},
            "history": [
                {"created_by": "ADD rootfs"},
                {"created_by": "ENV A=1", "empty_layer": true},
                {"created_by": "COPY worker"},
            ],
        });
        let commands: Vec<_> = layers(&manifest, &config)
            .into_iter()
            .map(|layer| (layer.bytes, layer.created_by.unwrap()))
            .collect();
        assert_eq!(
            commands,
            [(5, "ADD rootfs".to_owned()), (7, "COPY worker".to_owned())]
        );
        assert_eq!(
            labels(&manifest, &config),
            [
                (
                    "org.opencontainers.image.revision".to_owned(),
                    "new".to_owned()
                ),
                ("team".to_owned(), "video".to_owned())
            ]
        );
    }
}
