//! The OCI registry behind ECR: repositories, manifests and tags.
//!
//! Owns what is in the database (`ecr_*` tables); [`blob`] owns the files and [`http`] the distribution
//! protocol. A digest is checked before anything is kept under it. Refuses to know whose image runs where.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

pub mod blob;
pub mod http;

use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::store::Store;
use crate::wire::{AwsError, now_ms};
use blob::Blobs;

/// Largest manifest, bytes: what the distribution specification asks registries to take at least.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry refuses, by the distribution specification's codes.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No such repository.
    #[error("The repository with name '{0}' does not exist in the registry with id '000000000000'")]
    NameUnknown(String),
    /// The repository's name is against the rules.
    #[error("invalid repository name {0:?}")]
    NameInvalid(String),
    /// The content is not what its digest says, or the digest cannot be read.
    #[error("{0}")]
    DigestInvalid(String),
    /// No such blob.
    #[error("blob {0} is unknown to the repository")]
    BlobUnknown(String),
    /// No such upload.
    #[error("upload {0} is unknown to the registry")]
    UploadUnknown(String),
    /// A chunk does not go on where the last one ended.
    #[error("the chunk starts at byte {start} and the upload stands at {at}")]
    UploadInvalid {
        /// Where the chunk would start.
        start: u64,
        /// How many bytes are there.
        at: u64,
    },
    /// No such manifest.
    #[error("Requested image not found: {0}")]
    ManifestUnknown(String),
    /// It is no manifest that a registry can keep.
    #[error("{0}")]
    ManifestInvalid(String),
    /// A manifest names a blob that was not pushed.
    #[error("the manifest names {0}, which was not pushed")]
    ManifestBlobUnknown(String),
    /// The repository does not let tags move.
    #[error(
        "The image tag '{0}' already exists in the repository and cannot be overwritten because the repository is immutable."
    )]
    TagImmutable(String),
    /// The database failed.
    #[error("the store failed")]
    Store(#[from] sqlx::Error),
    /// The files failed.
    #[error("the registry's files failed")]
    Files(#[from] std::io::Error),
}

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its name, e.g. `gantry`.
    pub name: String,
    /// When it was made, milliseconds.
    pub created_at_ms: i64,
    /// `MUTABLE` or `IMMUTABLE`.
    pub tag_mutability: String,
    /// Whether a scan was asked for on push (nothing here scans).
    pub scan_on_push: bool,
}

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// `sha256:…` of the body.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// When it was last pushed, milliseconds.
    pub pushed_at_ms: i64,
    /// When it was last pulled, milliseconds.
    pub pulled_at_ms: Option<i64>,
    /// Sum of the sizes of configuration and layers, bytes.
    pub size_bytes: i64,
    /// The tags that name it, sorted.
    pub tags: Vec<String>,
}

/// Repositories, manifests, tags and blobs.
pub struct Registry {
    store: Store,
    /// The files.
    pub blobs: Blobs,
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS ecr_repositories (
  name TEXT PRIMARY KEY, created_at_ms INTEGER NOT NULL, tag_mutability TEXT NOT NULL, scan_on_push INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ecr_blobs (
  repository TEXT NOT NULL REFERENCES ecr_repositories(name) ON DELETE CASCADE,
  digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, PRIMARY KEY (repository, digest));
CREATE TABLE IF NOT EXISTS ecr_manifests (
  repository TEXT NOT NULL REFERENCES ecr_repositories(name) ON DELETE CASCADE,
  digest TEXT NOT NULL, media_type TEXT NOT NULL, body BLOB NOT NULL, size_bytes INTEGER NOT NULL,
  pushed_at_ms INTEGER NOT NULL, pulled_at_ms INTEGER, subject TEXT, PRIMARY KEY (repository, digest));
CREATE TABLE IF NOT EXISTS ecr_tags (
  repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, tag),
  FOREIGN KEY (repository, digest) REFERENCES ecr_manifests(repository, digest) ON DELETE CASCADE);
";

impl Registry {
    /// Opens the registry in the store.
    pub async fn open(store: Store) -> Result<Registry, AwsError> {
        sqlx::raw_sql(SCHEMA).execute(&store.db).await?;
        let blobs = Blobs::open(store.data.join("registry"))?;
        Ok(Registry { store, blobs })
    }

    /// `http://host:port` of this registry.
    pub fn endpoint(&self) -> &str {
        &self.store.endpoint
    }

    /// `host:port` of this registry, which image URIs begin with.
    pub fn host(&self) -> &str {
        self.store
            .endpoint
            .strip_prefix("http://")
            .unwrap_or(&self.store.endpoint)
    }

    /// Makes a repository; `false` when there was one of that name.
    pub async fn create(&self, repository: &Repository) -> Result<bool, RegistryError> {
        if !valid_name(&repository.name) {
            return Err(RegistryError::NameInvalid(repository.name.clone()));
        }
        let made = sqlx::query("INSERT OR IGNORE INTO ecr_repositories VALUES (?, ?, ?, ?)")
            .bind(&repository.name)
            .bind(repository.created_at_ms)
            .bind(&repository.tag_mutability)
            .bind(repository.scan_on_push)
            .execute(&self.store.db)
            .await?;
        Ok(made.rows_affected() == 1)
    }

    /// Removes a repository and what it holds. Blobs that no other repository holds stay on disk until
    /// another push reuses them: a laptop's registry is deleted with its directory.
    pub async fn delete(&self, name: &str) -> Result<(), RegistryError> {
        let gone = sqlx::query("DELETE FROM ecr_repositories WHERE name = ?")
            .bind(name)
            .execute(&self.store.db)
            .await?;
        if gone.rows_affected() == 0 {
            Err(RegistryError::NameUnknown(name.to_owned()))
        } else {
            Ok(())
        }
    }

    /// The repository of that name.
    pub async fn repository(&self, name: &str) -> Result<Repository, RegistryError> {
        let row = sqlx::query("SELECT * FROM ecr_repositories WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.store.db)
            .await?;
        row.map(repository_of)
            .ok_or_else(|| RegistryError::NameUnknown(name.to_owned()))
    }

    /// Repositories after `after` by name, at most `limit`.
    pub async fn repositories(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Repository>, RegistryError> {
        let rows =
            sqlx::query("SELECT * FROM ecr_repositories WHERE name > ? ORDER BY name LIMIT ?")
                .bind(after)
                .bind(limit)
                .fetch_all(&self.store.db)
                .await?;
        Ok(rows.into_iter().map(repository_of).collect())
    }

    /// Size of a blob that the repository holds.
    pub async fn blob_size(&self, repository: &str, digest: &str) -> Result<u64, RegistryError> {
        let size: Option<i64> = sqlx::query_scalar(
            "SELECT size_bytes FROM ecr_blobs WHERE repository = ? AND digest = ?",
        )
        .bind(repository)
        .bind(digest)
        .fetch_optional(&self.store.db)
        .await?;
        size.map(|size| size.unsigned_abs())
            .ok_or_else(|| RegistryError::BlobUnknown(digest.to_owned()))
    }

    /// Notes that the repository holds a blob whose file is already there.
    pub async fn hold_blob(
        &self,
        repository: &str,
        digest: &str,
        size: u64,
    ) -> Result<(), RegistryError> {
        sqlx::query("INSERT OR IGNORE INTO ecr_blobs VALUES (?, ?, ?)")
            .bind(repository)
            .bind(digest)
            .bind(i64::try_from(size).unwrap_or(i64::MAX))
            .execute(&self.store.db)
            .await?;
        Ok(())
    }

    /// Lets go of a blob; the file stays for other repositories.
    pub async fn drop_blob(&self, repository: &str, digest: &str) -> Result<(), RegistryError> {
        self.blob_size(repository, digest).await?;
        sqlx::query("DELETE FROM ecr_blobs WHERE repository = ? AND digest = ?")
            .bind(repository)
            .bind(digest)
            .execute(&self.store.db)
            .await?;
        Ok(())
    }

    /// Keeps a manifest, and moves the tag to it when `reference` is one. Gives the digest.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: Option<&str>,
        body: &[u8],
    ) -> Result<String, RegistryError> {
        let home = self.repository(repository).await?;
        let digest = digest_of(body);
        let is_digest = reference.contains(':');
        if is_digest && reference != digest {
            return Err(RegistryError::DigestInvalid(format!(
                "the manifest's digest is {digest}, not {reference}"
            )));
        }
        if !is_digest && !valid_tag(reference) {
            return Err(RegistryError::ManifestInvalid(format!(
                "invalid tag {reference:?}"
            )));
        }
        let parsed: Value = serde_json::from_slice(body).map_err(|error| {
            RegistryError::ManifestInvalid(format!("the manifest is not JSON: {error}"))
        })?;
        let media_type = media_type
            .or_else(|| parsed["mediaType"].as_str())
            .unwrap_or(if parsed["manifests"].is_array() {
                "application/vnd.oci.image.index.v1+json"
            } else if parsed["schemaVersion"] == 2
                && parsed["config"]["mediaType"]
                    .as_str()
                    .is_some_and(|t| t.contains("docker"))
            {
                DOCKER_MANIFEST
            } else {
                "application/vnd.oci.image.manifest.v1+json"
            })
            .to_owned();
        let size = self.check_references(repository, &parsed).await?;
        let mut transaction = self.store.begin().await?;
        if !is_digest && home.tag_mutability == "IMMUTABLE" {
            let standing: Option<String> =
                sqlx::query_scalar("SELECT digest FROM ecr_tags WHERE repository = ? AND tag = ?")
                    .bind(repository)
                    .bind(reference)
                    .fetch_optional(&mut *transaction)
                    .await?;
            if standing.is_some_and(|standing| standing != digest) {
                return Err(RegistryError::TagImmutable(reference.to_owned()));
            }
        }
        sqlx::query(
            "INSERT INTO ecr_manifests VALUES (?, ?, ?, ?, ?, ?, NULL, ?)
             ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type",
        )
        .bind(repository)
        .bind(&digest)
        .bind(&media_type)
        .bind(body)
        .bind(size)
        .bind(now_ms())
        .bind(parsed["subject"]["digest"].as_str())
        .execute(&mut *transaction)
        .await?;
        if !is_digest {
            sqlx::query("INSERT OR REPLACE INTO ecr_tags VALUES (?, ?, ?)")
                .bind(repository)
                .bind(reference)
                .bind(&digest)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(digest)
    }

    /// Everything a manifest names must be there; gives the sum of the sizes, bytes.
    async fn check_references(
        &self,
        repository: &str,
        manifest: &Value,
    ) -> Result<i64, RegistryError> {
        let mut size = 0;
        if let Some(children) = manifest["manifests"].as_array() {
            for child in children {
                let digest = child["digest"].as_str().unwrap_or_default();
                match self.manifest(repository, digest).await {
                    Ok(child) => size += child.size_bytes,
                    Err(RegistryError::ManifestUnknown(_)) => {
                        return Err(RegistryError::ManifestBlobUnknown(digest.to_owned()));
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(size);
        }
        let layers = manifest["layers"].as_array().map_or(&[][..], Vec::as_slice);
        if manifest["schemaVersion"] != 2 || !manifest["config"].is_object() {
            return Err(RegistryError::ManifestInvalid(
                "the manifest is neither an OCI nor a Docker schema 2 manifest or index".into(),
            ));
        }
        for descriptor in std::iter::once(&manifest["config"]).chain(layers) {
            let digest = descriptor["digest"].as_str().unwrap_or_default();
            match self.blob_size(repository, digest).await {
                Ok(bytes) => size += i64::try_from(bytes).unwrap_or(0),
                Err(RegistryError::BlobUnknown(digest)) => {
                    return Err(RegistryError::ManifestBlobUnknown(digest));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(size)
    }

    /// The manifest that a tag or digest names.
    pub async fn manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<Manifest, RegistryError> {
        self.repository(repository).await?;
        let row = sqlx::query(
            "SELECT m.*, (SELECT group_concat(tag, ' ') FROM (SELECT tag FROM ecr_tags t
                 WHERE t.repository = m.repository AND t.digest = m.digest ORDER BY tag)) AS tags
             FROM ecr_manifests m WHERE m.repository = ?1 AND m.digest =
               CASE WHEN instr(?2, ':') > 0 THEN ?2
                    ELSE (SELECT digest FROM ecr_tags WHERE repository = ?1 AND tag = ?2) END",
        )
        .bind(repository)
        .bind(reference)
        .fetch_optional(&self.store.db)
        .await?;
        row.map(manifest_of)
            .ok_or_else(|| RegistryError::ManifestUnknown(reference.to_owned()))
    }

    /// Manifests with a digest after `after`, at most `limit`, by digest.
    pub async fn manifests(
        &self,
        repository: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Manifest>, RegistryError> {
        self.repository(repository).await?;
        let rows = sqlx::query(
            "SELECT m.*, (SELECT group_concat(tag, ' ') FROM (SELECT tag FROM ecr_tags t
                 WHERE t.repository = m.repository AND t.digest = m.digest ORDER BY tag)) AS tags
             FROM ecr_manifests m WHERE repository = ? AND digest > ? ORDER BY digest LIMIT ?",
        )
        .bind(repository)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.store.db)
        .await?;
        Ok(rows.into_iter().map(manifest_of).collect())
    }

    /// Manifests whose `subject` is the given digest.
    pub async fn referrers(
        &self,
        repository: &str,
        digest: &str,
    ) -> Result<Vec<Manifest>, RegistryError> {
        self.repository(repository).await?;
        let rows = sqlx::query(
            "SELECT *, NULL AS tags FROM ecr_manifests WHERE repository = ? AND subject = ? ORDER BY digest",
        )
        .bind(repository)
        .bind(digest)
        .fetch_all(&self.store.db)
        .await?;
        Ok(rows.into_iter().map(manifest_of).collect())
    }

    /// Notes that somebody pulled a manifest.
    pub async fn pulled(&self, repository: &str, digest: &str) -> Result<(), RegistryError> {
        sqlx::query(
            "UPDATE ecr_manifests SET pulled_at_ms = ? WHERE repository = ? AND digest = ?",
        )
        .bind(now_ms())
        .bind(repository)
        .bind(digest)
        .execute(&self.store.db)
        .await?;
        Ok(())
    }

    /// Tags after `after`, at most `limit`, sorted.
    pub async fn tags(
        &self,
        repository: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<String>, RegistryError> {
        self.repository(repository).await?;
        Ok(sqlx::query_scalar(
            "SELECT tag FROM ecr_tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?",
        )
        .bind(repository)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.store.db)
        .await?)
    }

    /// Removes a tag (a tag as reference) or a manifest with all its tags (a digest).
    pub async fn remove(&self, repository: &str, reference: &str) -> Result<(), RegistryError> {
        self.repository(repository).await?;
        let sql = if reference.contains(':') {
            "DELETE FROM ecr_manifests WHERE repository = ? AND digest = ?"
        } else {
            "DELETE FROM ecr_tags WHERE repository = ? AND tag = ?"
        };
        let gone = sqlx::query(sql)
            .bind(repository)
            .bind(reference)
            .execute(&self.store.db)
            .await?;
        if gone.rows_affected() == 0 {
            return Err(RegistryError::ManifestUnknown(reference.to_owned()));
        }
        Ok(())
    }
}

fn repository_of(row: sqlx::sqlite::SqliteRow) -> Repository {
    Repository {
        name: row.get("name"),
        created_at_ms: row.get("created_at_ms"),
        tag_mutability: row.get("tag_mutability"),
        scan_on_push: row.get("scan_on_push"),
    }
}

fn manifest_of(row: sqlx::sqlite::SqliteRow) -> Manifest {
    let tags: Option<String> = row.get("tags");
    Manifest {
        digest: row.get("digest"),
        media_type: row.get("media_type"),
        body: row.get("body"),
        pushed_at_ms: row.get("pushed_at_ms"),
        pulled_at_ms: row.get("pulled_at_ms"),
        size_bytes: row.get("size_bytes"),
        tags: tags
            .map(|tags| tags.split(' ').map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}

/// `sha256:…` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// ECR's and the specification's rule for repository names.
fn valid_name(name: &str) -> bool {
    (2..=256).contains(&name.len())
        && name.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        })
}

fn valid_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_follow_the_specification() {
        assert!(valid_name("gantry") && valid_name("team/gantry-2.0"));
        assert!(
            !valid_name("Gantry")
                && !valid_name("a//b")
                && !valid_name("../x")
                && !valid_name("-x")
        );
        assert!(valid_tag("1.0_a-B") && !valid_tag(".x") && !valid_tag("a/b"));
    }
}
