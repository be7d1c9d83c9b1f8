//! State machines: describing, listing, deleting. Each definition is a revision ([`super::revision`]) that its
//! executions keep.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::execution::{OfExecution, page_size};
use super::revision::Revision;
use super::{Sfn, arn, token};
use crate::store::has_more;
use crate::wire::{AwsError, epoch_seconds};

/// What is selected for a [`Machine`].
pub(super) const SELECT: &str =
    "SELECT m.id, m.arn, m.name, m.kind, m.created_at_ms, m.deleting, r.id AS revision,
        r.revision_id, r.definition, r.role_arn, r.logging, r.tracing,
        r.encryption, r.updated_at_ms
    FROM sfn_machines m JOIN sfn_revisions r ON r.id = ";

/// A state machine with one of its revisions.
#[derive(Debug, FromRow)]
pub(super) struct Machine {
    pub id: i64,
    pub arn: String,
    pub name: String,
    /// `STANDARD` or `EXPRESS`.
    pub kind: String,
    pub created_at_ms: i64,
    pub deleting: bool,
    #[sqlx(flatten)]
    pub revision: Revision,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfMachine {
    state_machine_arn: String,
    included_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListStateMachines {
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Sfn {
    pub(super) async fn describe_state_machine(&self, ask: OfMachine) -> Result<Value, AwsError> {
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let included = ask.included_data.as_deref() != Some("METADATA_ONLY");
        let target = self.target(&ask.state_machine_arn, None).await?;
        let machine = target.machine;
        let mut answer = machine.describe(included);
        answer["status"] = json!(if machine.deleting {
            "DELETING"
        } else {
            "ACTIVE"
        });
        answer["type"] = json!(machine.kind);
        answer["creationDate"] = epoch_seconds(machine.created_at_ms);
        if let Some(version) = target.version {
            answer["stateMachineArn"] = json!(version.arn);
            answer["creationDate"] = epoch_seconds(version.created_at_ms);
            if let Some(description) = version.description {
                answer["description"] = json!(description);
            }
        }
        Ok(answer)
    }

    pub(super) async fn describe_state_machine_for_execution(
        &self,
        ask: OfExecution,
    ) -> Result<Value, AwsError> {
        let execution = self.execution(ask.arn()).await?;
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push_bind(execution.revision);
        query
            .push(" WHERE m.arn = ")
            .push_bind(&execution.machine_arn);
        let machine: Machine = query.build_query_as().fetch_one(&self.store.db).await?;
        let mut answer = machine.describe(ask.includes_data());
        answer["updateDate"] = epoch_seconds(machine.revision.updated_at_ms);
        Ok(answer)
    }

    pub(super) async fn list_state_machines(
        &self,
        ask: ListStateMachines,
    ) -> Result<Value, AwsError> {
        let limit = page_size(ask.max_results)?;
        let after: String = ask
            .next_token
            .as_deref()
            .map_or(Ok(String::new()), token::read)?;
        let mut rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT name, arn, kind, created_at_ms FROM sfn_machines WHERE name > ? ORDER BY name LIMIT ?",
        )
        .bind(after)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?;
        let mut answer = json!({});
        if has_more(&mut rows, limit) {
            answer["nextToken"] = json!(rows.last().map(|(name, ..)| token::write(name)));
        }
        answer["stateMachines"] = rows
            .iter()
            .map(|(name, arn, kind, created_at_ms)| {
                json!({
                    "stateMachineArn": arn, "name": name, "type": kind,
                    "creationDate": epoch_seconds(*created_at_ms),
                })
            })
            .collect();
        Ok(answer)
    }

    /// Stops what runs and removes the machine with all its executions. A machine that is not there is deleted
    /// already, as with AWS.
    pub(super) async fn delete_state_machine(&self, ask: OfMachine) -> Result<Value, AwsError> {
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        if arn::qualified(&ask.state_machine_arn).1.is_some() {
            return Err(AwsError::validation(
                "The state machine ARN must not name a version or an alias",
            ));
        }
        let machine: Option<i64> =
            sqlx::query_scalar("UPDATE sfn_machines SET deleting = 1 WHERE arn = ? RETURNING id")
                .bind(&ask.state_machine_arn)
                .fetch_optional(&self.store.db)
                .await?;
        if let Some(machine) = machine {
            // No start is on its way to the store any more; from here on the journal refuses new ones.
            self.driver.written().await;
            let running: Vec<i64> = sqlx::query_scalar(
                "SELECT id FROM sfn_executions WHERE machine = ? AND status = 'RUNNING'",
            )
            .bind(machine)
            .fetch_all(&self.store.db)
            .await?;
            for execution in running {
                self.driver.stop(execution, None, None).await;
            }
            self.remove_machine(machine).await?;
        }
        Ok(json!({}))
    }

    /// Ends deletions that were cut off.
    pub(super) async fn finish_deletions(&self) -> Result<(), AwsError> {
        let machines: Vec<i64> = sqlx::query_scalar("SELECT id FROM sfn_machines WHERE deleting")
            .fetch_all(&self.store.db)
            .await?;
        for machine in machines {
            self.remove_machine(machine).await?;
        }
        Ok(())
    }

    async fn remove_machine(&self, machine: i64) -> Result<(), AwsError> {
        let mut transaction = self.store.begin().await?;
        for statement in [
            "DELETE FROM sfn_steps WHERE execution IN (SELECT id FROM sfn_executions WHERE machine = ?)",
            "DELETE FROM sfn_executions WHERE machine = ?",
            "DELETE FROM sfn_aliases WHERE machine = ?",
            "DELETE FROM sfn_versions WHERE machine = ?",
            "DELETE FROM sfn_revisions WHERE machine = ?",
            "DELETE FROM sfn_machines WHERE id = ?",
        ] {
            sqlx::query(statement)
                .bind(machine)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The state machine of that ARN with its current revision; errors with `StateMachineDoesNotExist`.
    pub(super) async fn machine(&self, machine_arn: &str) -> Result<Machine, AwsError> {
        let mut connection = self.store.db.acquire().await?;
        find(&mut connection, machine_arn)
            .await?
            .ok_or_else(|| no_such_machine(machine_arn))
    }
}

impl Machine {
    /// What both Describe operations answer.
    fn describe(&self, included: bool) -> Value {
        let revision = &self.revision;
        let json_of = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        let mut answer = json!({
            "stateMachineArn": self.arn,
            "name": self.name,
            "definition": revision.definition,
            "roleArn": revision.role_arn,
            "loggingConfiguration": json_of(&revision.logging),
            "tracingConfiguration": json_of(&revision.tracing),
        });
        if let Some(id) = &revision.revision_id {
            answer["revisionId"] = json!(id);
        }
        if let Some(encryption) = &revision.encryption {
            answer["encryptionConfiguration"] = json_of(encryption);
        }
        if included {
            let references = asl::variable_references(&revision.definition);
            if !references.is_empty() {
                answer["variableReferences"] = json!(references);
            }
        } else {
            answer["definition"] = json!("{}");
        }
        answer
    }
}

/// The state machine of an unqualified ARN with its current revision.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    machine_arn: &str,
) -> Result<Option<Machine>, AwsError> {
    let mut query = QueryBuilder::<Sqlite>::new(SELECT);
    query
        .push("m.revision WHERE m.arn = ")
        .push_bind(machine_arn);
    Ok(query.build_query_as().fetch_optional(connection).await?)
}

pub(super) fn deleting(machine_arn: &str) -> AwsError {
    AwsError::bad_request(
        "StateMachineDeleting",
        format!("State Machine Deleting: '{machine_arn}'"),
    )
}

pub(super) fn no_such_machine(machine_arn: &str) -> AwsError {
    AwsError::bad_request(
        "StateMachineDoesNotExist",
        format!("State Machine Does Not Exist: '{machine_arn}'"),
    )
}
