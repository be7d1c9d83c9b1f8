//! ECR's API over the registry.
//!
//! Owns the operations by which Gantry and deployments look at images. Refuses to scan: a scan's
//! findings are AWS's to make, so that asking for them answers `ScanNotFoundException` as ECR does for
//! an image that was never scanned.
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/>

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::registry::manifest::Manifest;
use crate::registry::{Registry, RegistryError, Repository};
use crate::wire::{ACCOUNT, AwsError, REGION, SECRET_ACCESS_KEY, epoch_seconds, now_ms};

const OPERATIONS: &[&str] = &[
    "CreateRepository",
    "DescribeRepositories",
    "DeleteRepository",
    "ListImages",
    "DescribeImages",
    "BatchGetImage",
    "PutImage",
    "BatchDeleteImage",
    "BatchCheckLayerAvailability",
    "GetDownloadUrlForLayer",
    "DescribeImageScanFindings",
    "GetAuthorizationToken",
];

/// ECR.
pub struct Ecr {
    registry: Arc<Registry>,
}

impl From<RegistryError> for AwsError {
    fn from(error: RegistryError) -> AwsError {
        let code = match &error {
            RegistryError::NameUnknown(_) => "RepositoryNotFoundException",
            RegistryError::ManifestUnknown(_) => "ImageNotFoundException",
            RegistryError::BlobUnknown(_) | RegistryError::ManifestBlobUnknown(_) => {
                "LayersNotFoundException"
            }
            RegistryError::UploadUnknown(_) => "UploadNotFoundException",
            RegistryError::TagImmutable(_) => "ImageTagAlreadyExistsException",
            RegistryError::DigestInvalid(_)
            | RegistryError::ManifestInvalid(_)
            | RegistryError::NameInvalid(_)
            | RegistryError::UploadInvalid { .. } => "InvalidParameterException",
            RegistryError::Store(_) | RegistryError::Files(_) => {
                tracing::error!(?error, "the registry failed");
                return AwsError::new(
                    500,
                    "ServerException",
                    "The local registry failed; see the log of local.",
                );
            }
        };
        AwsError::bad_request(code, error.to_string())
    }
}

impl Ecr {
    /// ECR over the given registry.
    pub fn new(registry: Arc<Registry>) -> Ecr {
        Ecr { registry }
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        match operation {
            "CreateRepository" => self.create_repository(&input).await,
            "DescribeRepositories" => self.describe_repositories(&input).await,
            "DeleteRepository" => self.delete_repository(&input).await,
            "ListImages" => self.list_images(&input).await,
            "DescribeImages" => self.describe_images(&input).await,
            "BatchGetImage" => self.batch_get_image(&input).await,
            "PutImage" => self.put_image(&input).await,
            "BatchDeleteImage" => self.batch_delete_image(&input).await,
            "BatchCheckLayerAvailability" => self.batch_check_layers(&input).await,
            "GetDownloadUrlForLayer" => self.download_url(&input).await,
            "DescribeImageScanFindings" => self.scan_findings(&input).await,
            "GetAuthorizationToken" => Ok(json!({"authorizationData": [{
                "authorizationToken": STANDARD.encode(format!("AWS:{SECRET_ACCESS_KEY}")),
                "expiresAt": epoch_seconds(now_ms() + 12 * 3_600_000),
                "proxyEndpoint": self.registry.endpoint(),
            }]})),
            _ => Err(AwsError::unknown_operation("ECR", operation, OPERATIONS)),
        }
    }

    async fn create_repository(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        let repository = Repository {
            name: name.to_owned(),
            created_at_ms: now_ms(),
            tag_mutability: input["imageTagMutability"]
                .as_str()
                .unwrap_or("MUTABLE")
                .to_owned(),
            scan_on_push: input["imageScanningConfiguration"]["scanOnPush"]
                .as_bool()
                .unwrap_or(false),
        };
        if !self.registry.create(&repository).await? {
            return Err(AwsError::bad_request(
                "RepositoryAlreadyExistsException",
                format!(
                    "The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'"
                ),
            ));
        }
        Ok(json!({"repository": self.repository(&repository)}))
    }

    async fn describe_repositories(&self, input: &Value) -> Result<Value, AwsError> {
        if let Some(names) = input["repositoryNames"].as_array() {
            let mut found = Vec::new();
            for name in names.iter().filter_map(Value::as_str) {
                found.push(self.repository(&self.registry.repository(name).await?));
            }
            return Ok(json!({"repositories": found}));
        }
        let limit = limit(input);
        let found = self
            .registry
            .repositories(input["nextToken"].as_str().unwrap_or(""), limit)
            .await?;
        let next = full(&found, limit).map(|last| last.name.clone());
        let found: Vec<Value> = found.iter().map(|one| self.repository(one)).collect();
        Ok(page(json!({"repositories": found}), next))
    }

    async fn delete_repository(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        let repository = self.registry.repository(name).await?;
        if !input["force"].as_bool().unwrap_or(false)
            && !self.registry.manifests(name, "", 1).await?.is_empty()
        {
            return Err(AwsError::bad_request(
                "RepositoryNotEmptyException",
                format!(
                    "The repository with name '{name}' in registry with id '{ACCOUNT}' cannot be deleted because it still contains images"
                ),
            ));
        }
        self.registry.delete(name).await?;
        Ok(json!({"repository": self.repository(&repository)}))
    }

    async fn list_images(&self, input: &Value) -> Result<Value, AwsError> {
        let limit = limit(input);
        let found = self
            .registry
            .manifests(
                name(input)?,
                input["nextToken"].as_str().unwrap_or(""),
                limit,
            )
            .await?;
        let next = full(&found, limit).map(|last| last.digest.clone());
        let status = input["filter"]["tagStatus"].as_str().unwrap_or("ANY");
        let mut ids = Vec::new();
        for image in &found {
            if image.tags.is_empty() && status != "TAGGED" {
                ids.push(json!({"imageDigest": image.digest}));
            }
            for tag in image.tags.iter().filter(|_| status != "UNTAGGED") {
                ids.push(json!({"imageDigest": image.digest, "imageTag": tag}));
            }
        }
        Ok(page(json!({"imageIds": ids}), next))
    }

    async fn describe_images(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        if let Some(ids) = input["imageIds"].as_array().filter(|ids| !ids.is_empty()) {
            let mut details = Vec::new();
            for id in ids {
                details.push(self.detail(name, &self.image(name, id).await?));
            }
            return Ok(json!({"imageDetails": details}));
        }
        let limit = limit(input);
        let found = self
            .registry
            .manifests(name, input["nextToken"].as_str().unwrap_or(""), limit)
            .await?;
        let next = full(&found, limit).map(|last| last.digest.clone());
        let status = input["filter"]["tagStatus"].as_str().unwrap_or("ANY");
        let details: Vec<Value> = found
            .iter()
            .filter(|image| match status {
                "TAGGED" => !image.tags.is_empty(),
                "UNTAGGED" => image.tags.is_empty(),
                _ => true,
            })
            .map(|image| self.detail(name, image))
            .collect();
        Ok(page(json!({"imageDetails": details}), next))
    }

    async fn batch_get_image(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        self.registry.repository(name).await?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in input["imageIds"].as_array().into_iter().flatten() {
            match self.image(name, id).await {
                Ok(image) => images.push(self.with_manifest(name, id, &image)),
                Err(error) if error.code == "ImageNotFoundException" => failures.push(json!({
                    "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found",
                })),
                Err(error) => return Err(error),
            }
        }
        Ok(json!({"images": images, "failures": failures}))
    }

    async fn put_image(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        let body = text(input, "imageManifest")?;
        let digest = crate::registry::digest_of(body.as_bytes());
        let reference = input["imageTag"]
            .as_str()
            .or_else(|| input["imageDigest"].as_str())
            .unwrap_or(&digest);
        let media_type = input["imageManifestMediaType"].as_str();
        self.registry
            .put_manifest(name, reference, media_type, body.as_bytes())
            .await?;
        let image = self.registry.manifest(name, &digest).await?;
        Ok(
            json!({"image": self.with_manifest(name, &json!({"imageTag": input["imageTag"]}), &image)}),
        )
    }

    async fn batch_delete_image(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        self.registry.repository(name).await?;
        let (mut gone, mut failures) = (Vec::new(), Vec::new());
        for id in input["imageIds"].as_array().into_iter().flatten() {
            let reference = id["imageTag"]
                .as_str()
                .or_else(|| id["imageDigest"].as_str())
                .unwrap_or_default();
            match self.registry.remove(name, reference).await {
                Ok(()) => gone.push(id.clone()),
                Err(RegistryError::ManifestUnknown(_)) => failures.push(json!({
                    "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found",
                })),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(json!({"imageIds": gone, "failures": failures}))
    }

    async fn batch_check_layers(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        self.registry.repository(name).await?;
        let (mut layers, mut failures) = (Vec::new(), Vec::new());
        for digest in input["layerDigests"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            match self.registry.blob_size(name, digest).await {
                Ok(size) => layers.push(json!({
                    "layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size,
                })),
                Err(RegistryError::BlobUnknown(_)) => failures.push(json!({
                    "layerDigest": digest, "failureCode": "MissingLayerDigest",
                    "failureReason": "Layer with the requested digest was not found",
                })),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(json!({"layers": layers, "failures": failures}))
    }

    async fn download_url(&self, input: &Value) -> Result<Value, AwsError> {
        let (name, digest) = (name(input)?, text(input, "layerDigest")?);
        self.registry.repository(name).await?;
        self.registry.blob_size(name, digest).await?;
        let url = format!("{}/v2/{name}/blobs/{digest}", self.registry.endpoint());
        Ok(json!({"downloadUrl": url, "layerDigest": digest}))
    }

    async fn scan_findings(&self, input: &Value) -> Result<Value, AwsError> {
        let name = name(input)?;
        let image = self.image(name, &input["imageId"]).await?;
        Err(AwsError::bad_request(
            "ScanNotFoundException",
            format!(
                "Image scan does not exist for the image with '{{imageDigest:'{}'}}' in the repository with name '{name}' in the registry with id '{ACCOUNT}'",
                image.digest
            ),
        ))
    }

    /// The image that an `imageId` names; a digest together with a tag must agree.
    async fn image(&self, name: &str, id: &Value) -> Result<Manifest, AwsError> {
        let (digest, tag) = (id["imageDigest"].as_str(), id["imageTag"].as_str());
        let Some(reference) = digest.or(tag) else {
            return Err(AwsError::bad_request(
                "InvalidParameterException",
                "imageId needs an imageDigest or imageTag",
            ));
        };
        let image = self.registry.manifest(name, reference).await?;
        match (digest, tag) {
            (Some(_), Some(tag)) if !image.tags.iter().any(|have| have == tag) => {
                Err(RegistryError::ManifestUnknown(tag.to_owned()).into())
            }
            _ => Ok(image),
        }
    }

    fn repository(&self, repository: &Repository) -> Value {
        json!({
            "repositoryArn": format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{}", repository.name),
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "repositoryUri": format!("{}/{}", self.registry.host(), repository.name),
            "createdAt": epoch_seconds(repository.created_at_ms),
            "imageTagMutability": repository.tag_mutability,
            "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        })
    }

    fn detail(&self, name: &str, image: &Manifest) -> Value {
        let manifest: Value = serde_json::from_slice(&image.body).unwrap_or_default();
        let mut detail = json!({
            "registryId": ACCOUNT,
            "repositoryName": name,
            "imageDigest": image.digest,
            "imageSizeInBytes": image.size_bytes,
            "imagePushedAt": epoch_seconds(image.pushed_at_ms),
            "imageManifestMediaType": image.media_type,
        });
        if !image.tags.is_empty() {
            detail["imageTags"] = json!(image.tags);
        }
        if let Some(artifact) = manifest["config"]["mediaType"].as_str() {
            detail["artifactMediaType"] = json!(artifact);
        }
        if let Some(at) = image.pulled_at_ms {
            detail["lastRecordedPullTime"] = epoch_seconds(at);
        }
        detail
    }

    fn with_manifest(&self, name: &str, id: &Value, image: &Manifest) -> Value {
        let mut found = json!({"imageDigest": image.digest});
        if let Some(tag) = id["imageTag"].as_str() {
            found["imageTag"] = json!(tag);
        }
        json!({
            "registryId": ACCOUNT,
            "repositoryName": name,
            "imageId": found,
            "imageManifest": String::from_utf8_lossy(&image.body),
            "imageManifestMediaType": image.media_type,
        })
    }
}

fn name(input: &Value) -> Result<&str, AwsError> {
    text(input, "repositoryName")
}

fn text<'a>(input: &'a Value, member: &str) -> Result<&'a str, AwsError> {
    input[member].as_str().ok_or_else(|| {
        AwsError::bad_request(
            "InvalidParameterException",
            format!("{member} must be given"),
        )
    })
}

fn limit(input: &Value) -> i64 {
    input["maxResults"].as_i64().unwrap_or(100).clamp(1, 1000)
}

/// The last row when the page is full, which is where the next page begins.
fn full<T>(rows: &[T], limit: i64) -> Option<&T> {
    rows.last()
        .filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count >= limit))
}

fn page(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}
