//! Step Functions: the API, and the driving of executions over the pure crate `asl`.
//!
//! Owns state machines, executions and their histories in the store, and everything `asl` refuses: the clock,
//! timers, tasks, durability. An execution is its start and its inputs: both are in the store before anything
//! is done about them ([`journal`]), and after `kill -9`, or a long wait ([`rest`]), they are replayed
//! ([`restore`]). Those of Express workflows live in memory ([`express`]), but for a Map Run's children. Refuses integrations with services that are not played here.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/Welcome.html>

mod activity;
mod alias;
mod arn;
mod callback;
mod change;
mod constraint;
mod definition;
mod driver;
mod errand;
mod execution;
mod express;
mod history;
mod input;
mod integration;
mod journal;
mod listing;
mod log;
mod machine;
mod map_run;
mod recorded;
mod redrive;
mod rest;
mod restore;
mod revision;
mod running;
mod tags;
mod test_state;
mod timer;
mod token;
mod version;

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::store::Store;
use crate::wire::{AwsError, input};

use driver::Driver;
pub use integration::Peers;
use journal::Journal;
use restore::Parsed;

/// What this module answers.
const OPERATIONS: &[&str] = &[
    "CreateActivity",
    "CreateStateMachine",
    "CreateStateMachineAlias",
    "DeleteActivity",
    "DeleteStateMachine",
    "DeleteStateMachineAlias",
    "DeleteStateMachineVersion",
    "DescribeActivity",
    "DescribeExecution",
    "DescribeMapRun",
    "DescribeStateMachine",
    "DescribeStateMachineAlias",
    "DescribeStateMachineForExecution",
    "GetActivityTask",
    "GetExecutionHistory",
    "ListActivities",
    "ListExecutions",
    "ListMapRuns",
    "ListStateMachineAliases",
    "ListStateMachineVersions",
    "ListStateMachines",
    "ListTagsForResource",
    "PublishStateMachineVersion",
    "RedriveExecution",
    "SendTaskFailure",
    "SendTaskHeartbeat",
    "SendTaskSuccess",
    "StartExecution",
    "StartSyncExecution",
    "StopExecution",
    "TagResource",
    "TestState",
    "UntagResource",
    "UpdateMapRun",
    "UpdateStateMachine",
    "UpdateStateMachineAlias",
    "ValidateStateMachineDefinition",
];

const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS sfn_machines (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        revision INTEGER NOT NULL,
        tags TEXT NOT NULL,
        kind TEXT NOT NULL DEFAULT 'STANDARD',
        created_at_ms INTEGER NOT NULL,
        deleting INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS sfn_revisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        machine INTEGER NOT NULL,
        revision_id TEXT,
        definition TEXT NOT NULL,
        role_arn TEXT NOT NULL,
        logging TEXT NOT NULL,
        tracing TEXT NOT NULL,
        encryption TEXT,
        updated_at_ms INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS sfn_revisions_machine ON sfn_revisions (machine)",
    "CREATE TABLE IF NOT EXISTS sfn_versions (
        machine INTEGER NOT NULL,
        number INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        description TEXT,
        created_at_ms INTEGER NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (machine, number))",
    "CREATE TABLE IF NOT EXISTS sfn_aliases (
        machine INTEGER NOT NULL,
        name TEXT NOT NULL,
        description TEXT,
        routing TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        updated_at_ms INTEGER NOT NULL,
        PRIMARY KEY (machine, name))",
    "CREATE TABLE IF NOT EXISTS sfn_executions (
        id INTEGER PRIMARY KEY,
        machine INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        version INTEGER,
        alias TEXT,
        arn TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        seed INTEGER NOT NULL,
        status TEXT NOT NULL,
        input TEXT NOT NULL,
        output TEXT,
        error TEXT,
        cause TEXT,
        trace_header TEXT,
        started_at_ms INTEGER NOT NULL,
        stopped_at_ms INTEGER,
        listed_at_ms INTEGER NOT NULL,
        redrive_refusal TEXT,
        redrive_count INTEGER NOT NULL DEFAULT 0,
        redriven_at_ms INTEGER,
        redrive_token TEXT)",
    "CREATE INDEX IF NOT EXISTS sfn_executions_listed
        ON sfn_executions (machine, listed_at_ms, id)",
    "CREATE INDEX IF NOT EXISTS sfn_executions_listed_by_status
        ON sfn_executions (machine, status, listed_at_ms, id)",
    "CREATE INDEX IF NOT EXISTS sfn_executions_running
        ON sfn_executions (id) WHERE status = 'RUNNING'",
    "CREATE TABLE IF NOT EXISTS sfn_steps (
        id INTEGER PRIMARY KEY,
        execution INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        input TEXT,
        events TEXT,
        last_event_id INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS sfn_steps_seq ON sfn_steps (execution, seq)",
    "CREATE INDEX IF NOT EXISTS sfn_steps_events
        ON sfn_steps (execution, last_event_id) WHERE events IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS sfn_activities (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        tags TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL)",
];

/// Columns that data directories made before them do not have: table, column, type.
const ADDED: &[(&str, &str, &str)] = &[
    ("sfn_machines", "kind", "TEXT NOT NULL DEFAULT 'STANDARD'"),
    ("sfn_revisions", "encryption", "TEXT"),
    ("sfn_executions", "version", "INTEGER"),
    ("sfn_executions", "alias", "TEXT"),
];

/// State machines and their executions.
pub struct Sfn {
    store: Store,
    driver: Arc<Driver>,
    /// The number of the next execution.
    next_execution: AtomicI64,
    /// Definitions that were parsed already, by the row of their revision.
    parsed: Mutex<HashMap<i64, Parsed>>,
    /// Held while an execution is taken up again, so that two redrives of one execution do not meet.
    redriving: tokio::sync::Mutex<()>,
}

impl Sfn {
    /// Opens the executions in the store and goes on with those that were running. What has nothing to do for the
    /// time `rest` is let go of by the memory.
    pub async fn open(store: Store, peers: Peers, rest: Duration) -> Result<Arc<Sfn>, AwsError> {
        for statement in TABLES.iter().chain(map_run::TABLES) {
            sqlx::query(*statement).execute(&store.db).await?;
        }
        for (table, column, kind) in ADDED {
            let there: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM pragma_table_info(?) WHERE name = ?")
                    .bind(table)
                    .bind(column)
                    .fetch_one(&store.db)
                    .await?;
            if there == 0 {
                let alter = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
                sqlx::query(sqlx::AssertSqlSafe(alter))
                    .execute(&store.db)
                    .await?;
            }
        }
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM sfn_executions")
            .fetch_one(&store.db)
            .await?;
        let journal = Journal::open(store.clone(), peers.events.clone());
        let sfn = Arc::new(Sfn {
            store,
            driver: Driver::new(peers, journal, rest),
            next_execution: AtomicI64::new(last.unwrap_or(0) + 1),
            parsed: Mutex::default(),
            redriving: tokio::sync::Mutex::default(),
        });
        sfn.driver.meet(&sfn);
        sfn.finish_deletions().await?;
        sfn.forget_old().await?;
        sfn.resume_all().await?;
        sfn.abort_orphans().await?;
        sfn.driver.ready();
        Ok(sfn)
    }

    /// Stops driving. Executions that run go on when the data directory is opened again.
    pub fn shutdown(&self) {
        self.driver.shutdown();
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        match operation {
            "CreateStateMachine" => self.create_state_machine(input(body)?).await,
            "UpdateStateMachine" => self.update_state_machine(input(body)?).await,
            "DeleteStateMachine" => self.delete_state_machine(input(body)?).await,
            "DescribeStateMachine" => self.describe_state_machine(input(body)?).await,
            "ListStateMachines" => self.list_state_machines(input(body)?).await,
            "PublishStateMachineVersion" => self.publish_state_machine_version(input(body)?).await,
            "ListStateMachineVersions" => self.list_state_machine_versions(input(body)?).await,
            "DeleteStateMachineVersion" => self.delete_state_machine_version(input(body)?).await,
            "CreateStateMachineAlias" => self.create_state_machine_alias(input(body)?).await,
            "UpdateStateMachineAlias" => self.update_state_machine_alias(input(body)?).await,
            "DescribeStateMachineAlias" => self.describe_state_machine_alias(input(body)?).await,
            "DeleteStateMachineAlias" => self.delete_state_machine_alias(input(body)?).await,
            "ListStateMachineAliases" => self.list_state_machine_aliases(input(body)?).await,
            "DescribeStateMachineForExecution" => {
                self.describe_state_machine_for_execution(input(body)?)
                    .await
            }
            "ValidateStateMachineDefinition" => definition::validate(input(body)?),
            "StartExecution" => self.start_execution(input(body)?).await,
            "StartSyncExecution" => self.start_sync_execution(input(body)?).await,
            "StopExecution" => self.stop_execution(input(body)?).await,
            "DescribeExecution" => self.describe_execution(input(body)?).await,
            "DescribeMapRun" => self.describe_map_run(input(body)?).await,
            "ListMapRuns" => self.list_map_runs(input(body)?).await,
            "UpdateMapRun" => self.update_map_run(input(body)?).await,
            "ListExecutions" => self.list_executions(input(body)?).await,
            "GetExecutionHistory" => self.get_execution_history(input(body)?).await,
            "RedriveExecution" => self.redrive_execution(input(body)?).await,
            "SendTaskSuccess" => self.send_task_success(input(body)?).await,
            "SendTaskFailure" => self.send_task_failure(input(body)?).await,
            "SendTaskHeartbeat" => self.send_task_heartbeat(input(body)?).await,
            "CreateActivity" => self.create_activity(input(body)?).await,
            "DescribeActivity" => self.describe_activity(input(body)?).await,
            "DeleteActivity" => self.delete_activity(input(body)?).await,
            "ListActivities" => self.list_activities(input(body)?).await,
            "GetActivityTask" => self.get_activity_task(input(body)?).await,
            "TestState" => Box::pin(self.test_state(input(body)?)).await,
            "TagResource" => self.tag_resource(input(body)?).await,
            "UntagResource" => self.untag_resource(input(body)?).await,
            "ListTagsForResource" => self.list_tags_for_resource(input(body)?).await,
            _ => Err(AwsError::unknown_operation(
                "Step Functions",
                operation,
                OPERATIONS,
            )),
        }
    }
}
