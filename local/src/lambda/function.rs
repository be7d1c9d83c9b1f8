//! What a function is: its configuration, its published versions and aliases, in the store.
//!
//! Owns the `lambda_*` tables and what a name or ARN with a qualifier resolves to. Refuses to run
//! anything. <https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use crate::store::Store;
use crate::wire::{ACCOUNT, AwsError, REGION, now_ms};

/// The unpublished version.
pub const LATEST: &str = "$LATEST";

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS lambda_functions (
  name TEXT PRIMARY KEY, config TEXT NOT NULL, versions INTEGER NOT NULL DEFAULT 0, created_at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS lambda_versions (
  function TEXT NOT NULL REFERENCES lambda_functions(name) ON DELETE CASCADE,
  version INTEGER NOT NULL, config TEXT NOT NULL, PRIMARY KEY (function, version));
CREATE TABLE IF NOT EXISTS lambda_aliases (
  function TEXT NOT NULL REFERENCES lambda_functions(name) ON DELETE CASCADE, name TEXT NOT NULL,
  version TEXT NOT NULL, description TEXT NOT NULL, weights TEXT NOT NULL, revision_id TEXT NOT NULL,
  PRIMARY KEY (function, name));
";

/// How a function runs; one for `$LATEST`, one frozen for each version.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct FunctionConfig {
    /// What people wrote about it.
    pub description: String,
    /// The role's ARN; nothing here checks permissions.
    pub role: String,
    /// How long an invocation may take, seconds.
    pub timeout_seconds: u64,
    /// Memory it may use, MB; reported, not enforced.
    pub memory_mb: u64,
    /// Space under its `TMPDIR`, MB; reported, not enforced.
    pub ephemeral_storage_mb: u64,
    /// Environment of its processes.
    pub environment: BTreeMap<String, String>,
    /// The image as it was asked for, e.g. `127.0.0.1:4566/gantry:1`.
    pub image_uri: String,
    /// The repository of the image.
    pub repository: String,
    /// The digest that the image resolved to when the code was set.
    pub digest: String,
    /// Overrides the image's entry point.
    pub entry_point: Option<Vec<String>>,
    /// Overrides the image's command.
    pub command: Option<Vec<String>>,
    /// Overrides the image's working directory.
    pub working_directory: Option<String>,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `JSON` or `Text`: how Lambda itself writes to the log.
    pub log_format: String,
    /// The log group.
    pub log_group: String,
    /// When it was last changed, milliseconds.
    pub modified_at_ms: i64,
    /// Changes with every change.
    pub revision_id: String,
}

impl FunctionConfig {
    /// Whether publishing the other would make the same version (AWS then makes none).
    fn publishes_like(&self, other: &FunctionConfig) -> bool {
        let ours = FunctionConfig {
            modified_at_ms: other.modified_at_ms,
            revision_id: other.revision_id.clone(),
            description: other.description.clone(),
            ..self.clone()
        };
        ours == *other
    }

    /// Marks a change: new revision, new time.
    pub fn touch(&mut self) {
        self.modified_at_ms = now_ms();
        self.revision_id = uuid::Uuid::new_v4().to_string();
    }
}

/// A function at one version.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Its configuration at that version.
    pub config: FunctionConfig,
}

impl Function {
    /// Its ARN, with the qualifier when one is given.
    pub fn arn(&self, qualifier: Option<&str>) -> String {
        arn(&self.name, qualifier)
    }
}

/// The ARN of a function, with the qualifier when one is given.
pub fn arn(name: &str, qualifier: Option<&str>) -> String {
    let qualifier = qualifier
        .map(|qualifier| format!(":{qualifier}"))
        .unwrap_or_default();
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}{qualifier}")
}

/// Reads a function's name and qualifier from a name, partial ARN or ARN.
pub fn parse_name(given: &str) -> Result<(String, Option<String>), AwsError> {
    let rest = match given.split_once("function:") {
        Some((_, rest)) => rest,
        None => given,
    };
    let (name, qualifier) = match rest.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
        None => (rest, None),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        return Err(AwsError::bad_request(
            "ValidationException",
            format!(
                "Value '{given}' at 'functionName' failed to satisfy constraint: [a-zA-Z0-9-_]+, at most 64"
            ),
        ));
    }
    Ok((name.to_owned(), qualifier))
}

/// The functions in the store.
#[derive(Debug, Clone)]
pub struct Functions {
    pub(super) store: Store,
}

impl Functions {
    /// Opens the tables.
    pub async fn open(store: Store) -> Result<Functions, AwsError> {
        sqlx::raw_sql(SCHEMA).execute(&store.db).await?;
        Ok(Functions { store })
    }

    /// Makes a function.
    pub async fn create(&self, name: &str, config: &FunctionConfig) -> Result<Function, AwsError> {
        let made = sqlx::query(
            "INSERT OR IGNORE INTO lambda_functions (name, config, created_at_ms) VALUES (?, ?, ?)",
        )
        .bind(name)
        .bind(text(config))
        .bind(now_ms())
        .execute(&self.store.db)
        .await?;
        if made.rows_affected() == 0 {
            return Err(conflict(format!("Function already exist: {name}")));
        }
        Ok(Function {
            name: name.to_owned(),
            version: LATEST.into(),
            config: config.clone(),
        })
    }

    /// Removes a function or one of its versions.
    pub async fn delete(&self, name: &str, version: Option<&str>) -> Result<(), AwsError> {
        let mut transaction = self.store.begin().await?;
        match version {
            None => {
                let gone = sqlx::query("DELETE FROM lambda_functions WHERE name = ?")
                    .bind(name)
                    .execute(&mut *transaction)
                    .await?;
                if gone.rows_affected() == 0 {
                    return Err(not_found(&arn(name, None)));
                }
            }
            Some(LATEST) => {
                return Err(invalid(
                    "$LATEST version cannot be deleted without deleting the function.",
                ));
            }
            Some(version) => {
                let users: Option<String> = sqlx::query_scalar(
                    "SELECT group_concat(name) FROM lambda_aliases WHERE function = ?1
                     AND (version = ?2 OR json_extract(weights, '$.\"' || ?2 || '\"') IS NOT NULL)",
                )
                .bind(name)
                .bind(version)
                .fetch_one(&mut *transaction)
                .await?;
                if let Some(users) = users {
                    return Err(conflict(format!("Version is referenced by alias {users}.")));
                }
                sqlx::query("DELETE FROM lambda_versions WHERE function = ? AND version = ?")
                    .bind(name)
                    .bind(version)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Functions after `after` by name, at `$LATEST`, at most `limit`.
    pub async fn list(&self, after: &str, limit: i64) -> Result<Vec<Function>, AwsError> {
        let rows = sqlx::query(
            "SELECT name, config FROM lambda_functions WHERE name > ? ORDER BY name LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.store.db)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Function {
                    name: row.get("name"),
                    version: LATEST.into(),
                    config: config_of(row)?,
                })
            })
            .collect()
    }

    /// A function's `$LATEST`.
    pub async fn latest(&self, name: &str) -> Result<Function, AwsError> {
        let row = sqlx::query("SELECT config FROM lambda_functions WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.store.db)
            .await?
            .ok_or_else(|| not_found(&arn(name, None)))?;
        Ok(Function {
            name: name.to_owned(),
            version: LATEST.into(),
            config: config_of(&row)?,
        })
    }

    /// What a qualifier (version, alias, or none for `$LATEST`) resolves to. For an alias with weights,
    /// `draw` (0 to 1) chooses the version.
    pub async fn resolve(
        &self,
        name: &str,
        qualifier: Option<&str>,
        draw: f64,
    ) -> Result<Function, AwsError> {
        let Some(qualifier) = qualifier.filter(|qualifier| *qualifier != LATEST) else {
            return self.latest(name).await;
        };
        let is_version = qualifier.bytes().all(|b| b.is_ascii_digit());
        let version = if is_version {
            qualifier.to_owned()
        } else {
            let alias = self.alias(name, qualifier).await.map_err(|error| {
                if error.status == 404 {
                    not_found(&arn(name, Some(qualifier)))
                } else {
                    error
                }
            })?;
            let mut share = 0.0;
            let other = alias.weights.iter().find(|(_, weight)| {
                share += **weight;
                draw < share
            });
            other.map_or(alias.version, |(version, _)| version.clone())
        };
        if version == LATEST {
            return self.latest(name).await;
        }
        let row =
            sqlx::query("SELECT config FROM lambda_versions WHERE function = ? AND version = ?")
                .bind(name)
                .bind(&version)
                .fetch_optional(&self.store.db)
                .await?
                .ok_or_else(|| not_found(&arn(name, Some(qualifier))))?;
        Ok(Function {
            name: name.to_owned(),
            version,
            config: config_of(&row)?,
        })
    }

    /// Changes `$LATEST`; the revision, if given, must be the standing one.
    pub async fn update(
        &self,
        name: &str,
        revision: Option<&str>,
        change: impl FnOnce(&mut FunctionConfig) -> Result<(), AwsError>,
    ) -> Result<Function, AwsError> {
        let mut transaction = self.store.begin().await?;
        let mut config = standing(&mut transaction, name, revision).await?;
        change(&mut config)?;
        config.touch();
        sqlx::query("UPDATE lambda_functions SET config = ? WHERE name = ?")
            .bind(text(&config))
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Function {
            name: name.to_owned(),
            version: LATEST.into(),
            config,
        })
    }

    /// Freezes `$LATEST` as the next version. When nothing changed since the last one, gives that.
    pub async fn publish(
        &self,
        name: &str,
        revision: Option<&str>,
        code_sha256: Option<&str>,
        description: Option<&str>,
    ) -> Result<Function, AwsError> {
        let mut transaction = self.store.begin().await?;
        let mut config = standing(&mut transaction, name, revision).await?;
        let standing_sha = config.digest.trim_start_matches("sha256:");
        if code_sha256.is_some_and(|given| given != standing_sha) {
            return Err(invalid(format!(
                "CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({standing_sha}). Please try again with the CodeSHA256 in $LATEST.",
                code_sha256.unwrap_or_default()
            )));
        }
        let last = sqlx::query("SELECT version, config FROM lambda_versions WHERE function = ? ORDER BY version DESC LIMIT 1")
            .bind(name)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(last) = last {
            let frozen = config_of(&last)?;
            if config.publishes_like(&frozen) {
                let version = last.get::<i64, _>("version").to_string();
                return Ok(Function {
                    name: name.to_owned(),
                    version,
                    config: frozen,
                });
            }
        }
        if let Some(description) = description {
            config.description = description.to_owned();
        }
        config.revision_id = uuid::Uuid::new_v4().to_string();
        let version: i64 = sqlx::query_scalar(
            "UPDATE lambda_functions SET versions = versions + 1 WHERE name = ? RETURNING versions",
        )
        .bind(name)
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO lambda_versions VALUES (?, ?, ?)")
            .bind(name)
            .bind(version)
            .bind(text(&config))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Function {
            name: name.to_owned(),
            version: version.to_string(),
            config,
        })
    }

    /// Published versions after `after`, at most `limit`.
    pub async fn versions(
        &self,
        name: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Function>, AwsError> {
        let rows = sqlx::query(
            "SELECT version, config FROM lambda_versions WHERE function = ? AND version > ? ORDER BY version LIMIT ?",
        )
        .bind(name)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.store.db)
        .await?;
        rows.iter()
            .map(|row| {
                let version = row.get::<i64, _>("version").to_string();
                Ok(Function {
                    name: name.to_owned(),
                    version,
                    config: config_of(row)?,
                })
            })
            .collect()
    }
}

async fn standing(
    transaction: &mut Transaction<'_, Sqlite>,
    name: &str,
    revision: Option<&str>,
) -> Result<FunctionConfig, AwsError> {
    let row = sqlx::query("SELECT config FROM lambda_functions WHERE name = ?")
        .bind(name)
        .fetch_optional(&mut **transaction)
        .await?
        .ok_or_else(|| not_found(&arn(name, None)))?;
    let config = config_of(&row)?;
    check_revision(revision, &config.revision_id)?;
    Ok(config)
}

pub(super) fn check_revision(given: Option<&str>, standing: &str) -> Result<(), AwsError> {
    match given.filter(|given| *given != standing) {
        Some(_) => Err(AwsError::new(
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
        .with("Type", "User")),
        None => Ok(()),
    }
}

fn text(config: &FunctionConfig) -> String {
    serde_json::to_string(config).expect("a configuration has only text keys and is always JSON")
}

fn config_of(row: &SqliteRow) -> Result<FunctionConfig, AwsError> {
    serde_json::from_str(row.get("config")).map_err(|error| {
        tracing::error!(%error, "a function's configuration in the store cannot be read");
        AwsError::new(
            500,
            "ServiceException",
            "A stored configuration cannot be read; see the log of local.",
        )
    })
}

pub(super) fn not_found(arn: &str) -> AwsError {
    AwsError::new(
        404,
        "ResourceNotFoundException",
        format!("Function not found: {arn}"),
    )
    .with("Type", "User")
}

pub(super) fn conflict(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "ResourceConflictException", message).with("Type", "User")
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidParameterValueException", message).with("Type", "User")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_form_that_lambda_takes() {
        for given in [
            "f",
            "function:f",
            "000000000000:function:f",
            "arn:aws:lambda:us-east-1:000000000000:function:f",
        ] {
            assert_eq!(parse_name(given).unwrap(), ("f".into(), None), "{given}");
            assert_eq!(
                parse_name(&format!("{given}:live")).unwrap(),
                ("f".into(), Some("live".into()))
            );
        }
        assert!(parse_name("a b").is_err() && parse_name("").is_err());
    }
}
