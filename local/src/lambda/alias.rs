//! Aliases: names that point to versions, and may share their traffic between two.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_AliasConfiguration.html>

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::function::{Functions, arn, check_revision, conflict};
use crate::wire::AwsError;

/// An alias.
#[derive(Debug, Clone)]
pub struct Alias {
    /// The function's name.
    pub function: String,
    /// Its name.
    pub name: String,
    /// The version it points to.
    pub version: String,
    /// What people wrote about it.
    pub description: String,
    /// Other versions and the share of invocations each takes, between 0 and 1.
    pub weights: BTreeMap<String, f64>,
    /// Changes with every change.
    pub revision_id: String,
}

impl Functions {
    /// An alias.
    pub async fn alias(&self, function: &str, name: &str) -> Result<Alias, AwsError> {
        let row = sqlx::query("SELECT * FROM lambda_aliases WHERE function = ? AND name = ?")
            .bind(function)
            .bind(name)
            .fetch_optional(&self.store.db)
            .await?;
        row.as_ref().map(alias_of).transpose()?.ok_or_else(|| {
            AwsError::new(
                404,
                "ResourceNotFoundException",
                format!("Cannot find alias arn: {}", arn(function, Some(name))),
            )
            .with("Type", "User")
        })
    }

    /// Aliases of a function (of one version, if given) after `after`, at most `limit`.
    pub async fn aliases(
        &self,
        function: &str,
        version: Option<&str>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Alias>, AwsError> {
        let rows = sqlx::query(
            "SELECT * FROM lambda_aliases WHERE function = ?1 AND (?2 IS NULL OR version = ?2) AND name > ?3
             ORDER BY name LIMIT ?4",
        )
        .bind(function)
        .bind(version)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.store.db)
        .await?;
        rows.iter().map(alias_of).collect()
    }

    /// Makes an alias, or changes one.
    pub async fn put_alias(
        &self,
        alias: &Alias,
        new: bool,
        revision: Option<&str>,
    ) -> Result<Alias, AwsError> {
        let (function, name) = (&alias.function, &alias.name);
        for version in std::iter::once(&alias.version).chain(alias.weights.keys()) {
            self.resolve(function, Some(version), 1.0).await?;
        }
        let mut transaction = self.store.begin().await?;
        let standing: Option<String> = sqlx::query_scalar(
            "SELECT revision_id FROM lambda_aliases WHERE function = ? AND name = ?",
        )
        .bind(function)
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await?;
        if new && standing.is_some() {
            return Err(conflict(format!(
                "Alias already exists: {}",
                arn(function, Some(name))
            )));
        }
        check_revision(revision, standing.as_deref().unwrap_or_default())?;
        let alias = Alias {
            revision_id: uuid::Uuid::new_v4().to_string(),
            ..alias.clone()
        };
        sqlx::query("INSERT OR REPLACE INTO lambda_aliases VALUES (?, ?, ?, ?, ?, ?)")
            .bind(function)
            .bind(name)
            .bind(&alias.version)
            .bind(&alias.description)
            .bind(serde_json::json!(alias.weights).to_string())
            .bind(&alias.revision_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(alias)
    }

    /// Removes an alias; one that is not there is as good as removed, as on AWS.
    pub async fn delete_alias(&self, function: &str, name: &str) -> Result<(), AwsError> {
        sqlx::query("DELETE FROM lambda_aliases WHERE function = ? AND name = ?")
            .bind(function)
            .bind(name)
            .execute(&self.store.db)
            .await?;
        Ok(())
    }
}

fn alias_of(row: &SqliteRow) -> Result<Alias, AwsError> {
    Ok(Alias {
        function: row.get("function"),
        name: row.get("name"),
        version: row.get("version"),
        description: row.get("description"),
        weights: serde_json::from_str(row.get("weights")).unwrap_or_default(),
        revision_id: row.get("revision_id"),
    })
}
