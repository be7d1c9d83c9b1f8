//! Versions of state machines, and what a qualified ARN leads to.
//!
//! A version is a number for a revision. A deleted version keeps its row, so that its number is never given
//! again and executions that run it go on.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-version.html>

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::arn::Qualifier;
use super::constraint::Constraints;
use super::execution::page_size;
use super::machine::{Machine, SELECT, deleting, find, no_such_machine};
use super::revision::{ARN_MAX, DESCRIPTION_MAX};
use super::{Sfn, alias, arn, token};
use crate::store::has_more;
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// Most versions of a state machine.
const VERSIONS_MAX: i64 = 1000;

/// A published version.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// Its qualified ARN.
    pub arn: String,
    pub number: i64,
    pub description: Option<String>,
    pub created_at_ms: i64,
}

#[derive(FromRow)]
struct Row {
    number: i64,
    revision: i64,
    description: Option<String>,
    created_at_ms: i64,
}

impl Row {
    fn version(self, machine_arn: &str) -> Version {
        Version {
            arn: format!("{machine_arn}:{}", self.number),
            number: self.number,
            description: self.description,
            created_at_ms: self.created_at_ms,
        }
    }
}

/// What an ARN of a state machine leads to.
#[derive(Debug)]
pub(super) struct Target {
    /// The machine, with the revision that the ARN means.
    pub machine: Machine,
    pub version: Option<Version>,
    /// The qualified ARN of the alias.
    pub alias: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Publish {
    state_machine_arn: String,
    revision_id: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListVersions {
    state_machine_arn: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfVersion {
    state_machine_version_arn: String,
}

/// Publishes the current revision; the version there is already, if it was published before.
pub(super) async fn publish(
    connection: &mut SqliteConnection,
    machine: &Machine,
    description: Option<String>,
) -> Result<Version, AwsError> {
    let published: Option<Row> = sqlx::query_as(
        "SELECT number, revision, description, created_at_ms FROM sfn_versions
         WHERE machine = ? AND revision = ? AND NOT deleted ORDER BY number DESC LIMIT 1",
    )
    .bind(machine.id)
    .bind(machine.revision.id)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = published {
        return Ok(row.version(&machine.arn));
    }
    let (last, count): (i64, i64) = sqlx::query_as(
        "SELECT COALESCE(MAX(number), 0), COALESCE(SUM(NOT deleted), 0) FROM sfn_versions WHERE machine = ?",
    )
    .bind(machine.id)
    .fetch_one(&mut *connection)
    .await?;
    if count >= VERSIONS_MAX {
        return Err(AwsError::bad_request(
            "ServiceQuotaExceededException",
            format!(
                "A state machine has at most {VERSIONS_MAX} versions; delete some that are not in use."
            ),
        ));
    }
    let row = Row {
        number: last + 1,
        revision: machine.revision.id,
        description: description.filter(|text| !text.is_empty()),
        created_at_ms: now_ms(),
    };
    sqlx::query(
        "INSERT INTO sfn_versions (machine, number, revision, description, created_at_ms)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(machine.id)
    .bind(row.number)
    .bind(row.revision)
    .bind(&row.description)
    .bind(row.created_at_ms)
    .execute(connection)
    .await?;
    Ok(row.version(&machine.arn))
}

impl Sfn {
    pub(super) async fn publish_state_machine_version(
        &self,
        ask: Publish,
    ) -> Result<Value, AwsError> {
        let mut constraints = Constraints::default();
        constraints.length("stateMachineArn", Some(&ask.state_machine_arn), 1, ARN_MAX);
        let description = ask.description.as_deref();
        constraints.secret_length("description", description, 0, DESCRIPTION_MAX);
        constraints.check()?;
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let mut transaction = self.store.begin().await?;
        let machine = find(&mut transaction, &ask.state_machine_arn)
            .await?
            .ok_or_else(|| no_such_machine(&ask.state_machine_arn))?;
        if machine.deleting {
            return Err(deleting(&machine.arn));
        }
        let current = machine.revision.revision_id.as_deref().unwrap_or("INITIAL");
        if let Some(wanted) = ask.revision_id.filter(|wanted| wanted != current) {
            return Err(AwsError::bad_request(
                "ConflictException",
                format!(
                    "Failed to publish the State Machine version for revision {wanted}. The current State Machine revision is {current}."
                ),
            ));
        }
        let version = publish(&mut transaction, &machine, ask.description).await?;
        transaction.commit().await?;
        Ok(json!({
            "stateMachineVersionArn": version.arn,
            "creationDate": epoch_seconds(version.created_at_ms),
        }))
    }

    /// The newest version comes first.
    pub(super) async fn list_state_machine_versions(
        &self,
        ask: ListVersions,
    ) -> Result<Value, AwsError> {
        let limit = page_size(ask.max_results)?;
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let before: i64 = ask
            .next_token
            .as_deref()
            .map_or(Ok(i64::MAX), token::read)?;
        let machine = self.machine(&ask.state_machine_arn).await?;
        let mut rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT number, created_at_ms FROM sfn_versions
             WHERE machine = ? AND number < ? AND NOT deleted ORDER BY number DESC LIMIT ?",
        )
        .bind(machine.id)
        .bind(before)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?;
        let mut answer = json!({});
        if has_more(&mut rows, limit) {
            answer["nextToken"] = json!(rows.last().map(|(number, _)| token::write(number)));
        }
        answer["stateMachineVersions"] = rows
            .iter()
            .map(|(number, created_at_ms)| {
                json!({
                    "stateMachineVersionArn": format!("{}:{number}", machine.arn),
                    "creationDate": epoch_seconds(*created_at_ms),
                })
            })
            .collect();
        Ok(answer)
    }

    /// A version that is not there is deleted already.
    pub(super) async fn delete_state_machine_version(
        &self,
        ask: OfVersion,
    ) -> Result<Value, AwsError> {
        let version_arn = &ask.state_machine_version_arn;
        arn::check(version_arn, "stateMachine")?;
        let (machine_arn, Some(Qualifier::Version(number))) = arn::qualified(version_arn) else {
            return Err(AwsError::validation(format!(
                "The ARN does not name a version of a state machine: {version_arn}"
            )));
        };
        let mut transaction = self.store.begin().await?;
        let Some(machine) = find(&mut transaction, machine_arn).await? else {
            return Ok(json!({}));
        };
        let users = alias::routing_to(&mut transaction, machine.id, number).await?;
        if !users.is_empty() {
            return Err(AwsError::bad_request(
                "ConflictException",
                format!(
                    "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [{}]",
                    users.join(", ")
                ),
            ));
        }
        sqlx::query("UPDATE sfn_versions SET deleted = 1 WHERE machine = ? AND number = ?")
            .bind(machine.id)
            .bind(number)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(json!({}))
    }

    /// What an ARN of a state machine leads to, versions and aliases included. An alias leads on only where a
    /// seed chooses among its versions: the same seed chooses the same one. Errors with
    /// `StateMachineDoesNotExist`.
    pub(super) async fn target(
        &self,
        machine_arn: &str,
        seed: Option<u64>,
    ) -> Result<Target, AwsError> {
        let (unqualified, qualifier) = arn::qualified(machine_arn);
        let mut connection = self.store.db.acquire().await?;
        let Some(mut machine) = find(&mut connection, unqualified).await? else {
            return Err(no_such_machine(machine_arn));
        };
        let (number, alias) = match (qualifier, seed) {
            (None, _) => {
                return Ok(Target {
                    machine,
                    version: None,
                    alias: None,
                });
            }
            (Some(Qualifier::Version(number)), _) => (Some(number), None),
            (Some(Qualifier::Alias(name)), Some(seed)) => {
                let number = alias::choose(&mut connection, machine.id, name, seed).await?;
                (number, Some(machine_arn.to_owned()))
            }
            (Some(Qualifier::Alias(_)), None) => (None, None),
        };
        let Some(version) = self.version(&machine, number).await? else {
            return Err(no_such_machine(machine_arn));
        };
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push_bind(version.revision);
        query.push(" WHERE m.id = ").push_bind(machine.id);
        machine = query.build_query_as().fetch_one(&mut *connection).await?;
        Ok(Target {
            version: Some(version.version(&machine.arn)),
            machine,
            alias,
        })
    }

    async fn version(
        &self,
        machine: &Machine,
        number: Option<i64>,
    ) -> Result<Option<Row>, AwsError> {
        let row = sqlx::query_as(
            "SELECT number, revision, description, created_at_ms FROM sfn_versions
             WHERE machine = ? AND number = ? AND NOT deleted",
        )
        .bind(machine.id)
        .bind(number)
        .fetch_optional(&self.store.db)
        .await?;
        Ok(row)
    }
}
