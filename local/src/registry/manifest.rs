//! Manifests and the tags that name them.
//!
//! Owns `ecr_manifests` and `ecr_tags`: a manifest is kept as the exact bytes that were pushed, after
//! everything that it names was found to be there.

use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Registry, RegistryError, digest_of};
use crate::wire::now_ms;

/// Largest manifest, bytes: what the distribution specification asks registries to take at least.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

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

impl Registry {
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

fn manifest_of(row: SqliteRow) -> Manifest {
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
    fn tags_follow_the_specification() {
        assert!(valid_tag("1.0_a-B") && !valid_tag(".x") && !valid_tag("a/b"));
    }
}
