//! State machines: creating, updating, describing, listing, deleting. Each definition is a revision that its
//! executions keep.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::execution::{OfExecution, page_size};
use super::tags::{Tag, to_map};
use super::{Sfn, arn, definition, token};
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// What is selected for a [`Machine`].
const SELECT: &str = "SELECT m.id, m.arn, m.name, m.created_at_ms, m.deleting, m.revision,
        r.revision_id, r.definition, r.role_arn, r.logging, r.tracing, r.updated_at_ms
    FROM sfn_machines m JOIN sfn_revisions r ON r.id = ";

/// A state machine with one of its revisions.
#[derive(Debug, FromRow)]
pub(super) struct Machine {
    pub id: i64,
    pub arn: String,
    pub name: String,
    pub created_at_ms: i64,
    pub deleting: bool,
    #[sqlx(flatten)]
    pub revision: Revision,
}

/// A definition with what belongs to it.
#[derive(Debug, FromRow)]
pub(super) struct Revision {
    /// Its row.
    #[sqlx(rename = "revision")]
    pub id: i64,
    /// AWS's id of it; the first one has none.
    pub revision_id: Option<String>,
    pub definition: String,
    pub role_arn: String,
    /// JSON.
    pub logging: String,
    /// JSON.
    pub tracing: String,
    pub updated_at_ms: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateStateMachine {
    name: String,
    definition: String,
    role_arn: String,
    r#type: Option<String>,
    logging_configuration: Option<Value>,
    tracing_configuration: Option<Value>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    publish: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateStateMachine {
    state_machine_arn: String,
    definition: Option<String>,
    role_arn: Option<String>,
    logging_configuration: Option<Value>,
    tracing_configuration: Option<Value>,
    #[serde(default)]
    publish: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfMachine {
    state_machine_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListStateMachines {
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Sfn {
    pub(super) async fn create_state_machine(
        &self,
        ask: CreateStateMachine,
    ) -> Result<Value, AwsError> {
        arn::check_name(&ask.name)?;
        check_arn(&ask.role_arn)?;
        if ask.r#type.as_deref().is_some_and(|kind| kind != "STANDARD") {
            return Err(AwsError::bad_request(
                "StateMachineTypeNotSupported",
                "local runs STANDARD state machines; use AWS itself for EXPRESS ones.",
            ));
        }
        check_publish(ask.publish)?;
        definition::parse(&ask.definition)?;
        let logging = logging(ask.logging_configuration);
        let tracing = tracing(ask.tracing_configuration);
        let machine_arn = arn::of_machine(&ask.name);
        let mut transaction = self.store.begin().await?;
        if let Some(machine) = find(&mut transaction, &machine_arn).await? {
            let revision = &machine.revision;
            let same = revision.definition == ask.definition
                && revision.logging == logging
                && revision.tracing == tracing;
            if machine.deleting {
                return Err(AwsError::bad_request(
                    "StateMachineDeleting",
                    format!("State Machine Deleting: '{machine_arn}'"),
                ));
            }
            if !same {
                return Err(AwsError::bad_request(
                    "StateMachineAlreadyExists",
                    format!("State Machine Already Exists: '{machine_arn}'"),
                ));
            }
            return Ok(created(&machine.arn, machine.created_at_ms));
        }
        let now_ms = now_ms();
        let machine: i64 = sqlx::query_scalar(
            "INSERT INTO sfn_machines (arn, name, revision, tags, created_at_ms)
             VALUES (?, ?, 0, ?, ?) RETURNING id",
        )
        .bind(&machine_arn)
        .bind(&ask.name)
        .bind(Value::Object(to_map(&ask.tags)).to_string())
        .bind(now_ms)
        .fetch_one(&mut *transaction)
        .await?;
        let revision = Revision {
            id: 0,
            revision_id: None,
            definition: ask.definition,
            role_arn: ask.role_arn,
            logging,
            tracing,
            updated_at_ms: now_ms,
        };
        revision.make_current(&mut transaction, machine).await?;
        transaction.commit().await?;
        Ok(created(&machine_arn, now_ms))
    }

    pub(super) async fn update_state_machine(
        &self,
        ask: UpdateStateMachine,
    ) -> Result<Value, AwsError> {
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        check_publish(ask.publish)?;
        let nothing = ask.definition.is_none()
            && ask.role_arn.is_none()
            && ask.logging_configuration.is_none()
            && ask.tracing_configuration.is_none();
        if nothing {
            return Err(AwsError::bad_request(
                "MissingRequiredParameter",
                "Either the definition, the role ARN, the LoggingConfiguration, the TracingConfiguration or the EncryptionConfiguration must be specified",
            ));
        }
        if let Some(definition) = &ask.definition {
            definition::parse(definition)?;
        }
        if let Some(role_arn) = &ask.role_arn {
            check_arn(role_arn)?;
        }
        let mut transaction = self.store.begin().await?;
        let machine = find(&mut transaction, &ask.state_machine_arn)
            .await?
            .ok_or_else(|| no_such_machine(&ask.state_machine_arn))?;
        if machine.deleting {
            return Err(AwsError::bad_request(
                "StateMachineDeleting",
                format!("State Machine Deleting: '{}'", machine.arn),
            ));
        }
        let before = machine.revision;
        if ask.changes_nothing(&before) {
            let mut answer = json!({"updateDate": epoch_seconds(now_ms())});
            if let Some(id) = before.revision_id {
                answer["revisionId"] = json!(id);
            }
            return Ok(answer);
        }
        let revision = Revision {
            id: 0,
            revision_id: Some(Uuid::new_v4().to_string()),
            definition: ask.definition.unwrap_or(before.definition),
            role_arn: ask.role_arn.unwrap_or(before.role_arn),
            logging: ask
                .logging_configuration
                .map_or(before.logging, |given| logging(Some(given))),
            tracing: ask
                .tracing_configuration
                .map_or(before.tracing, |given| tracing(Some(given))),
            updated_at_ms: now_ms(),
        };
        revision.make_current(&mut transaction, machine.id).await?;
        transaction.commit().await?;
        Ok(json!({
            "updateDate": epoch_seconds(revision.updated_at_ms), "revisionId": revision.revision_id,
        }))
    }

    pub(super) async fn describe_state_machine(&self, ask: OfMachine) -> Result<Value, AwsError> {
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let machine = self.machine(&ask.state_machine_arn).await?;
        let mut answer = machine.describe();
        answer["status"] = json!(if machine.deleting {
            "DELETING"
        } else {
            "ACTIVE"
        });
        answer["type"] = json!("STANDARD");
        answer["creationDate"] = epoch_seconds(machine.created_at_ms);
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
        let mut answer = machine.describe();
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
        let mut rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT name, arn, created_at_ms FROM sfn_machines WHERE name > ? ORDER BY name LIMIT ?",
        )
        .bind(after)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?;
        let mut answer = json!({});
        if i64::try_from(rows.len()).is_ok_and(|count| count > limit) {
            rows.pop();
            answer["nextToken"] = json!(rows.last().map(|(name, ..)| token::write(name)));
        }
        answer["stateMachines"] = rows
            .iter()
            .map(|(name, arn, created_at_ms)| {
                json!({
                    "stateMachineArn": arn, "name": name, "type": "STANDARD",
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

impl UpdateStateMachine {
    /// Whether the machine is so already: then AWS makes no new revision.
    fn changes_nothing(&self, now: &Revision) -> bool {
        let logging_same = || match &self.logging_configuration {
            Some(given) => logging(Some(given.clone())) == now.logging,
            None => true,
        };
        let tracing_same = || match &self.tracing_configuration {
            Some(given) => tracing(Some(given.clone())) == now.tracing,
            None => true,
        };
        self.definition
            .as_ref()
            .is_none_or(|given| *given == now.definition)
            && self
                .role_arn
                .as_ref()
                .is_none_or(|given| *given == now.role_arn)
            && logging_same()
            && tracing_same()
    }
}

impl Revision {
    /// Writes the revision and makes it the machine's current one.
    async fn make_current(
        &self,
        connection: &mut SqliteConnection,
        machine: i64,
    ) -> Result<(), AwsError> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO sfn_revisions (machine, revision_id, definition, role_arn, logging, tracing, updated_at_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(machine)
        .bind(&self.revision_id)
        .bind(&self.definition)
        .bind(&self.role_arn)
        .bind(&self.logging)
        .bind(&self.tracing)
        .bind(self.updated_at_ms)
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query("UPDATE sfn_machines SET revision = ? WHERE id = ?")
            .bind(id)
            .bind(machine)
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Machine {
    /// What both Describe operations answer.
    fn describe(&self) -> Value {
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
        answer
    }
}

async fn find(
    connection: &mut SqliteConnection,
    machine_arn: &str,
) -> Result<Option<Machine>, AwsError> {
    let mut query = QueryBuilder::<Sqlite>::new(SELECT);
    query
        .push("m.revision WHERE m.arn = ")
        .push_bind(machine_arn);
    Ok(query.build_query_as().fetch_optional(connection).await?)
}

pub(super) fn no_such_machine(machine_arn: &str) -> AwsError {
    AwsError::bad_request(
        "StateMachineDoesNotExist",
        format!("State Machine Does Not Exist: '{machine_arn}'"),
    )
}

fn created(machine_arn: &str, created_at_ms: i64) -> Value {
    json!({"stateMachineArn": machine_arn, "creationDate": epoch_seconds(created_at_ms)})
}

fn check_arn(role_arn: &str) -> Result<(), AwsError> {
    if role_arn.starts_with("arn:") {
        return Ok(());
    }
    Err(AwsError::bad_request(
        "InvalidArn",
        format!("Invalid Arn: 'Invalid ARN prefix: {role_arn}'"),
    ))
}

fn check_publish(publish: bool) -> Result<(), AwsError> {
    if !publish {
        return Ok(());
    }
    Err(AwsError::validation(
        "local has no versions of state machines; leave publish out, or use AWS itself.",
    ))
}

/// The logging configuration as AWS completes it.
fn logging(given: Option<Value>) -> String {
    let mut logging = given.unwrap_or_else(|| json!({}));
    if logging.get("level").is_none() {
        logging["level"] = json!("OFF");
    }
    if logging.get("includeExecutionData").is_none() {
        logging["includeExecutionData"] = json!(false);
    }
    logging.to_string()
}

fn tracing(given: Option<Value>) -> String {
    given
        .unwrap_or_else(|| json!({"enabled": false}))
        .to_string()
}
