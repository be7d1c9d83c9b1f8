//! Revisions of state machines: what CreateStateMachine and UpdateStateMachine make.
//!
//! Owns the checks that both operations make and when nothing new is made. Refuses versions and their numbers,
//! which are [`super::version`]'s.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::constraint::Constraints;
use super::machine::{Machine, deleting, find, no_such_machine};
use super::tags::{self, Tag, to_map};
use super::{Sfn, arn, definition, version};
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// Most bytes of a definition: 1 MiB.
pub(super) const DEFINITION_MAX: usize = 1_048_576;
/// What a version may be described with, in characters.
pub(super) const DESCRIPTION_MAX: usize = 256;
/// Most characters of an ARN.
pub(super) const ARN_MAX: usize = 256;

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
    /// JSON; `None`: AWS's own key, which nobody asked for.
    pub encryption: Option<String>,
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
    encryption_configuration: Option<Value>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    publish: bool,
    version_description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateStateMachine {
    state_machine_arn: String,
    definition: Option<String>,
    role_arn: Option<String>,
    logging_configuration: Option<Value>,
    tracing_configuration: Option<Value>,
    encryption_configuration: Option<Value>,
    #[serde(default)]
    publish: bool,
    version_description: Option<String>,
}

impl Sfn {
    pub(super) async fn create_state_machine(
        &self,
        ask: CreateStateMachine,
    ) -> Result<Value, AwsError> {
        ask.check()?;
        let kind = ask.r#type.as_deref().unwrap_or("STANDARD");
        definition::of_kind(&ask.definition, kind)?;
        self.check_log_group(ask.logging_configuration.as_ref())
            .await?;
        let logging = logging(ask.logging_configuration);
        let tracing = tracing(ask.tracing_configuration);
        let encryption = ask.encryption_configuration.map(|given| given.to_string());
        let machine_arn = arn::of_machine(&ask.name);
        let mut transaction = self.store.begin().await?;
        if let Some(machine) = find(&mut transaction, &machine_arn).await? {
            let revision = &machine.revision;
            if machine.deleting {
                return Err(deleting(&machine_arn));
            }
            let same = revision.definition == ask.definition
                && revision.logging == logging
                && revision.tracing == tracing
                && revision.encryption == encryption
                && machine.kind == kind;
            if !same {
                return Err(AwsError::bad_request(
                    "StateMachineAlreadyExists",
                    format!("State Machine Already Exists: '{machine_arn}'"),
                ));
            }
            let mut answer = created(&machine.arn, machine.created_at_ms);
            if ask.publish {
                let published =
                    version::publish(&mut transaction, &machine, ask.version_description).await?;
                answer["stateMachineVersionArn"] = json!(published.arn);
                transaction.commit().await?;
            }
            return Ok(answer);
        }
        let now_ms = now_ms();
        let machine: i64 = sqlx::query_scalar(
            "INSERT INTO sfn_machines (arn, name, revision, tags, kind, created_at_ms)
             VALUES (?, ?, 0, ?, ?, ?) RETURNING id",
        )
        .bind(&machine_arn)
        .bind(&ask.name)
        .bind(Value::Object(to_map(&ask.tags)).to_string())
        .bind(kind)
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
            encryption,
            updated_at_ms: now_ms,
        };
        let machine = Machine {
            id: machine,
            arn: machine_arn,
            name: ask.name,
            kind: kind.to_owned(),
            created_at_ms: now_ms,
            deleting: false,
            revision: revision.make_current(&mut transaction, machine).await?,
        };
        let mut answer = created(&machine.arn, now_ms);
        if ask.publish {
            let published =
                version::publish(&mut transaction, &machine, ask.version_description).await?;
            answer["stateMachineVersionArn"] = json!(published.arn);
        }
        transaction.commit().await?;
        self.subscribe_log(&machine.revision.logging).await;
        Ok(answer)
    }

    pub(super) async fn update_state_machine(
        &self,
        ask: UpdateStateMachine,
    ) -> Result<Value, AwsError> {
        ask.check()?;
        self.check_log_group(ask.logging_configuration.as_ref())
            .await?;
        let mut transaction = self.store.begin().await?;
        let mut machine = find(&mut transaction, &ask.state_machine_arn)
            .await?
            .ok_or_else(|| no_such_machine(&ask.state_machine_arn))?;
        if machine.deleting {
            return Err(deleting(&machine.arn));
        }
        if let Some(definition) = &ask.definition {
            definition::of_kind(definition, &machine.kind)?;
        }
        let mut answer = json!({"updateDate": epoch_seconds(now_ms())});
        if !ask.changes_nothing(&machine.revision) {
            let before = machine.revision;
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
                encryption: ask
                    .encryption_configuration
                    .map_or(before.encryption, |given| Some(given.to_string())),
                updated_at_ms: now_ms(),
            };
            machine.revision = revision.make_current(&mut transaction, machine.id).await?;
            answer["updateDate"] = epoch_seconds(machine.revision.updated_at_ms);
        }
        if let Some(id) = &machine.revision.revision_id {
            answer["revisionId"] = json!(id);
        }
        if ask.publish {
            let published =
                version::publish(&mut transaction, &machine, ask.version_description).await?;
            answer["stateMachineVersionArn"] = json!(published.arn);
        }
        transaction.commit().await?;
        Ok(answer)
    }
}

impl CreateStateMachine {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.length("roleArn", Some(&self.role_arn), 1, ARN_MAX);
        constraints.bytes("definition", Some(&self.definition), DEFINITION_MAX);
        let kinds = ["STANDARD", "EXPRESS"];
        constraints.one_of("type", self.r#type.as_deref(), &kinds);
        let description = self.version_description.as_deref();
        constraints.secret_length("versionDescription", description, 0, DESCRIPTION_MAX);
        constraints.check()?;
        arn::check_name(&self.name)?;
        tags::check(&self.tags)?;
        tags::check_count(&arn::of_machine(&self.name), to_map(&self.tags).len())?;
        check_role(&self.role_arn)?;
        check_description(self.publish, description)?;
        check_logging(self.logging_configuration.as_ref())?;
        check_encryption(self.encryption_configuration.as_ref())
    }
}

impl UpdateStateMachine {
    fn check(&self) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.length("stateMachineArn", Some(&self.state_machine_arn), 1, ARN_MAX);
        constraints.length("roleArn", self.role_arn.as_deref(), 1, ARN_MAX);
        constraints.bytes("definition", self.definition.as_deref(), DEFINITION_MAX);
        let description = self.version_description.as_deref();
        constraints.secret_length("versionDescription", description, 0, DESCRIPTION_MAX);
        constraints.check()?;
        arn::check(&self.state_machine_arn, "stateMachine")?;
        let nothing = self.definition.is_none()
            && self.role_arn.is_none()
            && self.logging_configuration.is_none()
            && self.tracing_configuration.is_none()
            && self.encryption_configuration.is_none();
        if nothing {
            return Err(AwsError::bad_request(
                "MissingRequiredParameter",
                "Either the definition, the role ARN, the LoggingConfiguration, the TracingConfiguration or the EncryptionConfiguration must be specified",
            ));
        }
        if let Some(role_arn) = &self.role_arn {
            check_role(role_arn)?;
        }
        check_description(self.publish, description)?;
        check_logging(self.logging_configuration.as_ref())?;
        check_encryption(self.encryption_configuration.as_ref())
    }

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
        let encryption_same = || match &self.encryption_configuration {
            Some(given) => Some(given.to_string()) == now.encryption,
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
            && encryption_same()
    }
}

impl Revision {
    /// Writes the revision and makes it the machine's current one; gives it back with its row.
    async fn make_current(
        self,
        connection: &mut SqliteConnection,
        machine: i64,
    ) -> Result<Revision, AwsError> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO sfn_revisions
                (machine, revision_id, definition, role_arn, logging, tracing, encryption, updated_at_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(machine)
        .bind(&self.revision_id)
        .bind(&self.definition)
        .bind(&self.role_arn)
        .bind(&self.logging)
        .bind(&self.tracing)
        .bind(&self.encryption)
        .bind(self.updated_at_ms)
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query("UPDATE sfn_machines SET revision = ? WHERE id = ?")
            .bind(id)
            .bind(machine)
            .execute(connection)
            .await?;
        Ok(Revision { id, ..self })
    }
}

fn created(machine_arn: &str, created_at_ms: i64) -> Value {
    json!({"stateMachineArn": machine_arn, "creationDate": epoch_seconds(created_at_ms)})
}

fn check_role(role_arn: &str) -> Result<(), AwsError> {
    if role_arn.starts_with("arn:") {
        return Ok(());
    }
    Err(AwsError::bad_request(
        "InvalidArn",
        format!("Invalid Arn: 'Invalid ARN prefix: {role_arn}'"),
    ))
}

fn check_description(publish: bool, description: Option<&str>) -> Result<(), AwsError> {
    if publish || description.is_none_or(str::is_empty) {
        return Ok(());
    }
    Err(AwsError::validation(
        "Version description can only be set when publish is true",
    ))
}

/// The level and the number of destinations.
fn check_logging(given: Option<&Value>) -> Result<(), AwsError> {
    let Some(given) = given else { return Ok(()) };
    let mut constraints = Constraints::default();
    let level = given["level"].as_str();
    let levels = ["ALL", "ERROR", "FATAL", "OFF"];
    constraints.one_of("loggingConfiguration.level", level, &levels);
    constraints.check()?;
    let destinations = given["destinations"].as_array().map_or(0, Vec::len);
    if destinations > 1 || (destinations == 0 && level.is_some_and(|level| level != "OFF")) {
        return Err(AwsError::bad_request(
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Must specify exactly one Log Destination.",
        ));
    }
    Ok(())
}

/// Keys are only kept and shown again: what is at rest here is not encrypted.
fn check_encryption(given: Option<&Value>) -> Result<(), AwsError> {
    let Some(given) = given else { return Ok(()) };
    let invalid = |reason: &str| {
        Err(AwsError::bad_request(
            "InvalidEncryptionConfiguration",
            format!("Invalid Encryption Configuration: {reason}"),
        ))
    };
    let key = given["kmsKeyId"].as_str();
    let mut constraints = Constraints::default();
    let kinds = ["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"];
    constraints.one_of(
        "encryptionConfiguration.type",
        given["type"].as_str(),
        &kinds,
    );
    let reuse = given["kmsDataKeyReusePeriodSeconds"].as_i64();
    let member = "encryptionConfiguration.kmsDataKeyReusePeriodSeconds";
    constraints.range(member, reuse, 60, 900);
    constraints.check()?;
    match (given["type"].as_str(), key) {
        (Some("AWS_OWNED_KEY"), Some(_)) => {
            invalid("kmsKeyId must not be specified with the type AWS_OWNED_KEY")
        }
        (Some("CUSTOMER_MANAGED_KMS_KEY"), None) => {
            invalid("kmsKeyId must be specified with the type CUSTOMER_MANAGED_KMS_KEY")
        }
        _ => Ok(()),
    }
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
