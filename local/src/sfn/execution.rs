//! Executions: starting, stopping, describing.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::constraint::Constraints;
use super::journal::NewExecution;
use super::machine::deleting;
use super::{Sfn, arn, restore};
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// Most bytes of an execution's input.
const INPUT_BYTES_MAX: usize = 262_144;
/// Most characters of what StopExecution says, and of X-Ray's header.
const ERROR_MAX: usize = 256;
const CAUSE_MAX: usize = 32_768;
const TRACE_HEADER_MAX: usize = 256;
/// How long ended executions are kept: 90 days.
const KEPT_MS: i64 = 90 * 24 * 3_600_000;
/// Most executions in one answer, and unless asked for more or fewer.
const LIST_MAX: i64 = 1000;
const LIST_DEFAULT: i64 = 100;

/// What is selected for an [`ExecutionRow`].
const SELECT: &str = "SELECT e.id, e.revision, e.version, e.alias, e.arn, e.name, e.seed, e.status, e.input, e.output,
        e.error, e.cause, e.trace_header, e.started_at_ms, e.stopped_at_ms, e.redrive_refusal,
        e.redrive_count, e.redriven_at_ms, e.redrive_token,
        m.arn || COALESCE('/' || mr.label, '') AS machine_arn,
        m.name || COALESCE('/' || mr.label, '') AS machine_name, m.deleting, r.role_arn,
        c.map_run, c.number AS map_number, mr.state AS map_state, mr.arn AS map_run_arn
    FROM sfn_executions e
    JOIN sfn_machines m ON m.id = e.machine
    JOIN sfn_revisions r ON r.id = e.revision
    LEFT JOIN sfn_map_children c ON c.execution = e.id
    LEFT JOIN sfn_map_runs mr ON mr.id = c.map_run";

/// An execution as the store has it.
#[derive(Debug, FromRow)]
pub struct ExecutionRow {
    pub id: i64,
    pub revision: i64,
    /// The number of the version it runs, if it was started through one.
    pub version: Option<i64>,
    /// The name of the alias it was started through.
    pub alias: Option<String>,
    pub arn: String,
    pub name: String,
    pub seed: i64,
    pub status: String,
    pub input: String,
    pub output: Option<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub trace_header: Option<String>,
    pub started_at_ms: i64,
    pub stopped_at_ms: Option<i64>,
    pub redrive_refusal: Option<String>,
    pub redrive_count: i64,
    pub redriven_at_ms: Option<i64>,
    pub redrive_token: Option<String>,
    pub machine_arn: String,
    pub machine_name: String,
    pub deleting: bool,
    pub role_arn: String,
    /// The Map Run that it is a child of, which child, of which state, and the Map Run's ARN.
    pub map_run: Option<i64>,
    pub map_number: Option<i64>,
    pub map_state: Option<String>,
    pub map_run_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartExecution {
    state_machine_arn: String,
    name: Option<String>,
    input: Option<String>,
    trace_header: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfExecution {
    execution_arn: String,
    error: Option<String>,
    cause: Option<String>,
    included_data: Option<String>,
}

impl OfExecution {
    /// The ARN asked for.
    pub(super) fn arn(&self) -> &str {
        &self.execution_arn
    }

    /// Whether data is asked for beside what is said about it.
    pub(super) fn includes_data(&self) -> bool {
        self.included_data.as_deref() != Some("METADATA_ONLY")
    }
}

impl Sfn {
    pub(super) async fn start_execution(&self, ask: StartExecution) -> Result<Value, AwsError> {
        let mut constraints = Constraints::default();
        let header = ask.trace_header.as_deref();
        constraints.length("traceHeader", header, 0, TRACE_HEADER_MAX);
        constraints.check()?;
        arn::check(&ask.state_machine_arn, "stateMachine")?;
        let name = ask.name.unwrap_or_else(|| Uuid::new_v4().to_string());
        arn::check_name(&name)?;
        let input_text = ask.input.unwrap_or_else(|| "{}".to_owned());
        check_input(&input_text)?;
        let seed = Uuid::new_v4().as_u128() as u64;
        let target = self.target(&ask.state_machine_arn, Some(seed)).await?;
        let machine = target.machine;
        if machine.deleting {
            return Err(deleting(&machine.arn));
        }
        if machine.kind == "EXPRESS" {
            return self.start_express(&machine, &name, input_text).await;
        }
        let version = target.version.map(|version| version.number);
        let alias = target.alias.and_then(|arn| {
            let name = arn.rsplit(':').next();
            name.map(str::to_owned)
        });
        let execution_arn = arn::of_execution(&machine.name, &name);
        let id = self.new_execution_id();
        let seed = seed.cast_signed();
        let started_at_ms = now_ms();
        let row = ExecutionRow {
            id,
            revision: machine.revision.id,
            version,
            alias: alias.clone(),
            arn: execution_arn.clone(),
            name: name.clone(),
            seed,
            status: "RUNNING".into(),
            input: input_text.clone(),
            output: None,
            error: None,
            cause: None,
            trace_header: ask.trace_header.clone(),
            started_at_ms,
            stopped_at_ms: None,
            redrive_refusal: None,
            redrive_count: 0,
            redriven_at_ms: None,
            redrive_token: None,
            machine_arn: machine.arn.clone(),
            machine_name: machine.name.clone(),
            deleting: false,
            role_arn: machine.revision.role_arn.clone(),
            map_run: None,
            map_number: None,
            map_state: None,
            map_run_arn: None,
        };
        let parsed = self.parsed(machine.revision.id).await?;
        let new = NewExecution {
            id,
            machine: machine.id,
            revision: machine.revision.id,
            version,
            alias,
            arn: execution_arn.clone(),
            name,
            seed,
            input: input_text.clone(),
            trace_header: ask.trace_header,
            started_at_ms,
            child: None,
            log: parsed.log,
            ended: None,
        };
        let started = self.driver.start(new, parsed.machine, restore::start(&row));
        if started.await.unwrap_or(false) {
            return Ok(started_answer(&execution_arn, started_at_ms));
        }
        // It was started before, or the machine has been deleted meanwhile.
        match self.started_already(&execution_arn, &input_text).await? {
            Some(answer) => answer,
            None => Err(super::machine::no_such_machine(&machine.arn)),
        }
    }

    /// The number of the next execution.
    pub(super) fn new_execution_id(&self) -> i64 {
        self.next_execution
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// What StartExecution answers when there is an execution of that ARN: the same again while it runs with the
    /// same input, else a refusal.
    async fn started_already(
        &self,
        execution_arn: &str,
        input: &str,
    ) -> Result<Option<Result<Value, AwsError>>, AwsError> {
        let found: Option<(String, String, i64)> =
            sqlx::query_as("SELECT status, input, started_at_ms FROM sfn_executions WHERE arn = ?")
                .bind(execution_arn)
                .fetch_optional(&self.store.db)
                .await?;
        Ok(found.map(|(status, first_input, started_at_ms)| {
            if status == "RUNNING" && first_input == input {
                Ok(started_answer(execution_arn, started_at_ms))
            } else {
                Err(AwsError::bad_request(
                    "ExecutionAlreadyExists",
                    format!("Execution Already Exists: '{execution_arn}'"),
                ))
            }
        }))
    }

    pub(super) async fn stop_execution(&self, ask: OfExecution) -> Result<Value, AwsError> {
        let mut constraints = Constraints::default();
        constraints.secret_length("error", ask.error.as_deref(), 0, ERROR_MAX);
        constraints.secret_length("cause", ask.cause.as_deref(), 0, CAUSE_MAX);
        constraints.check()?;
        let row = self.execution(&ask.execution_arn).await?;
        if row.status == "RUNNING" {
            self.driver.stop(row.id, ask.error, ask.cause).await;
        }
        let row = self.execution(&ask.execution_arn).await?;
        let stopped_at_ms = row.stopped_at_ms.unwrap_or_else(now_ms);
        Ok(json!({"stopDate": epoch_seconds(stopped_at_ms)}))
    }

    pub(super) async fn describe_execution(&self, ask: OfExecution) -> Result<Value, AwsError> {
        let row = self.execution(&ask.execution_arn).await?;
        let included = ask.includes_data();
        let mut answer = json!({
            "executionArn": row.arn,
            "stateMachineArn": row.machine_arn,
            "name": row.name,
            "status": row.status,
            "startDate": epoch_seconds(row.started_at_ms),
        });
        add_qualified(
            &mut answer,
            &row.machine_arn,
            row.version,
            row.alias.as_deref(),
        );
        if let Some(at_ms) = row.stopped_at_ms {
            answer["stopDate"] = epoch_seconds(at_ms);
        }
        if let Some(map_run_arn) = &row.map_run_arn {
            answer["mapRunArn"] = json!(map_run_arn);
        }
        if included {
            answer["input"] = json!(row.input);
        }
        answer["inputDetails"] = json!({"included": included});
        if let Some(output) = &row.output {
            if included {
                answer["output"] = json!(output);
            }
            answer["outputDetails"] = json!({"included": included});
        }
        for (member, value) in [
            ("traceHeader", &row.trace_header),
            ("error", &row.error),
            ("cause", &row.cause),
        ] {
            if let Some(value) = value
                .as_ref()
                .filter(|_| included || member == "traceHeader")
            {
                answer[member] = json!(value);
            }
        }
        answer["redriveCount"] = json!(row.redrive_count);
        if let Some(at_ms) = row.redriven_at_ms {
            answer["redriveDate"] = epoch_seconds(at_ms);
        }
        match row.refusal(now_ms()) {
            Some(reason) => {
                answer["redriveStatus"] = json!("NOT_REDRIVABLE");
                answer["redriveStatusReason"] = json!(reason);
            }
            None if row.map_run.is_some() => {
                answer["redriveStatus"] = json!("REDRIVABLE_BY_MAP_RUN");
            }
            None => answer["redriveStatus"] = json!("REDRIVABLE"),
        }
        Ok(answer)
    }

    /// The execution of that ARN; errors with `InvalidArn` or `ExecutionDoesNotExist`.
    pub(super) async fn execution(&self, execution_arn: &str) -> Result<ExecutionRow, AwsError> {
        arn::check(execution_arn, "execution")?;
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" WHERE e.arn = ").push_bind(execution_arn);
        let row: Option<SqliteRow> = query.build().fetch_optional(&self.store.db).await?;
        match row {
            Some(row) => Ok(ExecutionRow::from_row(&row)?),
            None => Err(AwsError::bad_request(
                "ExecutionDoesNotExist",
                format!("Execution Does Not Exist: '{execution_arn}'"),
            )),
        }
    }

    /// Removes executions that ended longer ago than AWS keeps them.
    pub(super) async fn forget_old(&self) -> Result<(), AwsError> {
        let before_ms = now_ms() - KEPT_MS;
        let mut transaction = self.store.begin().await?;
        sqlx::query(
            "DELETE FROM sfn_steps WHERE execution IN
                (SELECT id FROM sfn_executions WHERE stopped_at_ms < ?)",
        )
        .bind(before_ms)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM sfn_executions WHERE stopped_at_ms < ?")
            .bind(before_ms)
            .execute(&mut *transaction)
            .await?;
        for statement in [
            "DELETE FROM sfn_map_runs WHERE execution NOT IN (SELECT id FROM sfn_executions)",
            "DELETE FROM sfn_map_children WHERE map_run NOT IN (SELECT id FROM sfn_map_runs)",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The execution of that number, which must exist.
    pub(super) async fn execution_by_id(&self, id: i64) -> Result<ExecutionRow, AwsError> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" WHERE e.id = ").push_bind(id);
        let row = query.build().fetch_one(&self.store.db).await?;
        Ok(ExecutionRow::from_row(&row)?)
    }
}

/// Errors unless an execution can be started with the input.
pub(super) fn check_input(input: &str) -> Result<(), AwsError> {
    let mut constraints = Constraints::default();
    constraints.bytes("input", Some(input), INPUT_BYTES_MAX);
    constraints.check()?;
    match serde_json::from_str::<serde::de::IgnoredAny>(input) {
        Ok(_) => Ok(()),
        Err(error) => Err(AwsError::bad_request(
            "InvalidExecutionInput",
            format!("Invalid State Machine Execution Input: '{error}'"),
        )),
    }
}

/// Adds the version and the alias that an execution was started through.
pub(super) fn add_qualified(
    answer: &mut Value,
    machine_arn: &str,
    version: Option<i64>,
    alias: Option<&str>,
) {
    if let Some(version) = version {
        answer["stateMachineVersionArn"] = json!(format!("{machine_arn}:{version}"));
    }
    if let Some(alias) = alias {
        answer["stateMachineAliasArn"] = json!(format!("{machine_arn}:{alias}"));
    }
}

/// How many items a page may have: 0 or nothing means the default.
pub(super) fn page_size(asked: Option<i64>) -> Result<i64, AwsError> {
    let mut constraints = Constraints::default();
    constraints.range("maxResults", asked, 0, LIST_MAX);
    constraints.check()?;
    Ok(asked.filter(|asked| *asked > 0).unwrap_or(LIST_DEFAULT))
}

fn started_answer(execution_arn: &str, started_at_ms: i64) -> Value {
    json!({"executionArn": execution_arn, "startDate": epoch_seconds(started_at_ms)})
}
