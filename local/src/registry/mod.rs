//! The OCI registry behind ECR: repositories, manifests and tags.
//!
//! Owns what is in the database (`ecr_*` tables); [`blob`] owns the files and [`http`] the distribution
//! protocol. A digest is checked before anything is kept under it. Refuses to know whose image runs where.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

pub mod blob;
pub mod http;
pub mod manifest;

use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::store::Store;
use crate::wire::AwsError;
use blob::Blobs;

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
}

fn repository_of(row: sqlx::sqlite::SqliteRow) -> Repository {
    Repository {
        name: row.get("name"),
        created_at_ms: row.get("created_at_ms"),
        tag_mutability: row.get("tag_mutability"),
        scan_on_push: row.get("scan_on_push"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        assert!(valid_name("gantry") && valid_name("team/gantry-2.0"));
        assert!(
            !valid_name("Gantry")
                && !valid_name("a//b")
                && !valid_name("../x")
                && !valid_name("-x")
        );
    }
}
