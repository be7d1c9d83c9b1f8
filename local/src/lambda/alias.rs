//! Aliases: names that point to versions, and may share their traffic between two.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_AliasConfiguration.html>

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::api::{full, limit, marker, missing, page};
use super::function::{Functions, arn, check_revision, conflict};
use super::{Lambda, describe};
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

/// ListAliases.
pub(super) async fn list(
    lambda: &Lambda,
    name: &str,
    query: &HashMap<String, String>,
) -> Result<Value, AwsError> {
    let limit = limit(query, 50);
    lambda.functions.latest(name).await?;
    let version = query.get("FunctionVersion").map(String::as_str);
    let found = lambda
        .functions
        .aliases(name, version, marker(query), limit)
        .await?;
    let next = full(&found, limit).map(|last| last.name.clone());
    Ok(page(
        "Aliases",
        found.iter().map(describe::alias).collect(),
        next,
    ))
}

/// CreateAlias, or UpdateAlias for an existing one.
pub(super) async fn put(
    lambda: &Lambda,
    function: &str,
    existing: Option<&str>,
    body: Value,
) -> Result<Value, AwsError> {
    lambda.functions.latest(function).await?;
    let standing = match existing {
        Some(name) => Some(lambda.functions.alias(function, name).await?),
        None => None,
    };
    let name = existing
        .or_else(|| body["Name"].as_str())
        .ok_or_else(|| missing("Name"))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty()
        || name.len() > 128
        || !name.chars().all(legal)
        || name.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(AwsError::validation(format!(
            "Value '{name}' at 'name' failed to satisfy constraint: an alias"
        )));
    }
    let version = match (body["FunctionVersion"].as_str(), &standing) {
        (Some(version), _) => version.to_owned(),
        (None, Some(standing)) => standing.version.clone(),
        (None, None) => return Err(missing("FunctionVersion")),
    };
    let weights = match body["RoutingConfig"]["AdditionalVersionWeights"].as_object() {
        Some(weights) => weights
            .iter()
            .filter_map(|(version, weight)| Some((version.clone(), weight.as_f64()?)))
            .collect(),
        None => standing
            .as_ref()
            .map(|standing| standing.weights.clone())
            .unwrap_or_default(),
    };
    let description = body["Description"].as_str().map(str::to_owned);
    let alias = Alias {
        function: function.to_owned(),
        name: name.to_owned(),
        version,
        description: description
            .or_else(|| standing.map(|standing| standing.description))
            .unwrap_or_default(),
        weights,
        revision_id: String::new(),
    };
    let put = lambda
        .functions
        .put_alias(&alias, existing.is_none(), body["RevisionId"].as_str())
        .await?;
    Ok(describe::alias(&put))
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
