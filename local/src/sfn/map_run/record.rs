//! What the store knows of Map Runs and their children.
//!
//! A child is a row from the moment when its Map Run has read its items; it gets an execution when it is started.

use asl::{MapRun, Start, TaskId};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::super::journal::NewExecution;
use super::super::restore::{self, Parsed};
use super::super::{Sfn, arn};
use super::Begin;
use crate::sfn::integration::Fault;
use crate::wire::{AwsError, now_ms};

/// Most children whose rows are written in one statement.
const ROWS_MAX: usize = 1000;

pub(in super::super) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS sfn_map_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL UNIQUE,
        execution INTEGER NOT NULL,
        task INTEGER NOT NULL,
        state TEXT NOT NULL,
        label TEXT NOT NULL,
        plan TEXT NOT NULL,
        filled INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL,
        error TEXT,
        cause TEXT,
        max_concurrency INTEGER NOT NULL,
        tolerated_count INTEGER,
        tolerated_percentage REAL,
        started_at_ms INTEGER NOT NULL,
        stopped_at_ms INTEGER,
        redrive_count INTEGER NOT NULL DEFAULT 0,
        redriven_at_ms INTEGER)",
    "CREATE UNIQUE INDEX IF NOT EXISTS sfn_map_runs_task ON sfn_map_runs (execution, task)",
    "CREATE TABLE IF NOT EXISTS sfn_map_children (
        map_run INTEGER NOT NULL,
        number INTEGER NOT NULL,
        items INTEGER NOT NULL,
        input TEXT NOT NULL,
        execution INTEGER UNIQUE,
        redriven INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (map_run, number)) WITHOUT ROWID",
];

/// Of which Map Run an execution is a child, and which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildOf {
    /// The Map Run's row.
    pub map_run: i64,
    /// The child's number in it.
    pub number: i64,
}

/// A Map Run.
#[derive(Debug)]
pub(super) struct Row {
    pub id: i64,
    pub arn: String,
    pub execution: i64,
    pub label: String,
    pub plan: MapRun,
    pub filled: bool,
    pub status: String,
    pub error: Option<String>,
    pub cause: Option<String>,
    pub max_concurrency: i64,
    pub tolerated_count: Option<i64>,
    pub tolerated_percentage: Option<f64>,
    pub redrive_count: i64,
}

#[derive(FromRow)]
struct Raw {
    id: i64,
    arn: String,
    execution: i64,
    label: String,
    plan: String,
    filled: bool,
    status: String,
    error: Option<String>,
    cause: Option<String>,
    max_concurrency: i64,
    tolerated_count: Option<i64>,
    tolerated_percentage: Option<f64>,
    redrive_count: i64,
}

/// A child of a Map Run.
#[derive(Debug, FromRow)]
pub(super) struct Child {
    pub number: i64,
    pub items: i64,
    /// Its execution, once it was started.
    pub execution: Option<i64>,
    /// With which redrive it was started last.
    pub redriven: i64,
    /// Its execution's.
    pub status: Option<String>,
}

/// What the children of a Map Run have in common.
pub(super) struct Family {
    /// The state machine's row.
    machine: i64,
    /// The row of the definition.
    revision: i64,
    parsed: Parsed,
    /// Without what each child has of its own.
    start: Start,
}

impl Row {
    /// How many children may run at once.
    pub fn limit(&self) -> usize {
        let most = self.plan.max_concurrency;
        let asked = u64::try_from(self.max_concurrency).unwrap_or(0);
        let limit = if asked == 0 {
            most.max(10_000)
        } else {
            asked.min(10_000)
        };
        usize::try_from(limit).unwrap_or(1)
    }
}

impl Sfn {
    /// The Map Run of a task, which is made if there is none yet.
    pub(super) async fn open_map_run(
        &self,
        parent: i64,
        task: TaskId,
        begin: &Begin,
    ) -> Result<Row, AwsError> {
        let number = task.0.cast_signed();
        match begin {
            Begin::New(plan) => {
                let row = self.execution_by_id(parent).await?;
                let machine = arn::machine_of_execution(&row.arn);
                let map_run_arn =
                    arn::of_map_run(machine, &plan.label, &Uuid::new_v4().to_string());
                let text = serde_json::to_string(plan).map_err(|error| {
                    AwsError::new(500, "InternalServerError", error.to_string())
                })?;
                sqlx::query(
                    "INSERT INTO sfn_map_runs (arn, execution, task, state, label, plan, status,
                        max_concurrency, tolerated_count, tolerated_percentage, started_at_ms)
                     VALUES (?, ?, ?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?)
                     ON CONFLICT (execution, task) DO NOTHING",
                )
                .bind(map_run_arn)
                .bind(parent)
                .bind(number)
                .bind(&plan.state)
                .bind(&plan.label)
                .bind(text)
                .bind(plan.max_concurrency_given.cast_signed())
                .bind(plan.tolerated_count.map(u64::cast_signed))
                .bind(plan.tolerated_percentage)
                .bind(now_ms())
                .execute(&self.store.db)
                .await?;
            }
            Begin::Again(map_run_arn) => {
                sqlx::query(
                    "UPDATE sfn_map_runs SET task = ?, status = 'RUNNING', error = NULL,
                        cause = NULL, stopped_at_ms = NULL, redrive_count = redrive_count + 1,
                        redriven_at_ms = ?
                     WHERE arn = ? AND execution = ? AND task <> ?",
                )
                .bind(number)
                .bind(now_ms())
                .bind(map_run_arn)
                .bind(parent)
                .bind(number)
                .execute(&self.store.db)
                .await?;
            }
        }
        let raw: Raw =
            sqlx::query_as("SELECT * FROM sfn_map_runs WHERE execution = ? AND task = ?")
                .bind(parent)
                .bind(number)
                .fetch_one(&self.store.db)
                .await?;
        let plan = serde_json::from_str(&raw.plan)
            .map_err(|error| AwsError::new(500, "InternalServerError", error.to_string()))?;
        Ok(Row {
            id: raw.id,
            arn: raw.arn,
            execution: raw.execution,
            label: raw.label,
            plan,
            filled: raw.filled,
            status: raw.status,
            error: raw.error,
            cause: raw.cause,
            max_concurrency: raw.max_concurrency,
            tolerated_count: raw.tolerated_count,
            tolerated_percentage: raw.tolerated_percentage,
            redrive_count: raw.redrive_count,
        })
    }

    /// Reads again what UpdateMapRun may have changed.
    pub(super) async fn reload_map_run(&self, row: &mut Row) -> Result<(), AwsError> {
        (
            row.max_concurrency,
            row.tolerated_count,
            row.tolerated_percentage,
        ) = sqlx::query_as(
            "SELECT max_concurrency, tolerated_count, tolerated_percentage
             FROM sfn_map_runs WHERE id = ?",
        )
        .bind(row.id)
        .fetch_one(&self.store.db)
        .await?;
        Ok(())
    }

    /// Keeps what the children are given: each an input with how many items are in it.
    pub(super) async fn fill_map_run(
        &self,
        row: &Row,
        batches: &[(i64, String)],
    ) -> Result<(), AwsError> {
        let mut transaction = self.store.begin().await?;
        for (chunk, rows) in batches.chunks(ROWS_MAX).enumerate() {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO sfn_map_children (map_run, number, items, input) ",
            );
            let numbered = rows.iter().zip((chunk * ROWS_MAX) as i64..);
            query.push_values(numbered, |mut values, ((items, input), number)| {
                values.push_bind(row.id).push_bind(number);
                values.push_bind(items).push_bind(input);
            });
            query.build().execute(&mut *transaction).await?;
        }
        sqlx::query("UPDATE sfn_map_runs SET filled = 1 WHERE id = ?")
            .bind(row.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// All children, in their order.
    pub(super) async fn children_of(&self, map_run: i64) -> Result<Vec<Child>, AwsError> {
        Ok(sqlx::query_as(
            "SELECT c.number, c.items, c.execution, c.redriven, e.status
             FROM sfn_map_children c LEFT JOIN sfn_executions e ON e.id = c.execution
             WHERE c.map_run = ? ORDER BY c.number",
        )
        .bind(map_run)
        .fetch_all(&self.store.db)
        .await?)
    }

    /// The executions of children that run.
    pub(super) async fn running_children(&self, map_run: i64) -> Result<Vec<i64>, AwsError> {
        Ok(sqlx::query_scalar(
            "SELECT e.id FROM sfn_map_children c JOIN sfn_executions e ON e.id = c.execution
             WHERE c.map_run = ? AND e.status = 'RUNNING'",
        )
        .bind(map_run)
        .fetch_all(&self.store.db)
        .await?)
    }

    /// What the children of a Map Run have in common.
    pub(super) async fn family_of(&self, row: &Row) -> Result<Family, AwsError> {
        let parent = self.execution_by_id(row.execution).await?;
        let machine = sqlx::query_scalar("SELECT machine FROM sfn_executions WHERE id = ?")
            .bind(row.execution)
            .fetch_one(&self.store.db)
            .await?;
        let name = format!("{}/{}", arn::machine_of_execution(&parent.arn), row.label);
        Ok(Family {
            machine,
            revision: parent.revision,
            parsed: self.parsed(parent.revision).await?,
            start: Start {
                state_machine_arn: arn::of_machine(&name),
                state_machine_name: name,
                input: Value::Null,
                ..restore::start(&parent)
            },
        })
    }

    /// Starts or redrives a child; false if that cannot be.
    pub(super) async fn run_child(
        &self,
        row: &Row,
        family: &Family,
        child: &Child,
    ) -> Result<bool, AwsError> {
        if let Some(execution) = child.execution {
            if row.plan.express {
                // Express workflows are not taken up again: the child begins anew.
                self.forget_execution(row, execution).await?;
                return self.start_child(row, family, child).await;
            }
            let redriven = self.redrive_child(execution).await?;
            sqlx::query(
                "UPDATE sfn_map_children SET redriven = ? WHERE map_run = ? AND number = ?",
            )
            .bind(row.redrive_count)
            .bind(row.id)
            .bind(child.number)
            .execute(&self.store.db)
            .await?;
            return Ok(redriven);
        }
        self.start_child(row, family, child).await
    }

    async fn start_child(
        &self,
        row: &Row,
        family: &Family,
        child: &Child,
    ) -> Result<bool, AwsError> {
        let input: String = sqlx::query_scalar(
            "SELECT input FROM sfn_map_children WHERE map_run = ? AND number = ?",
        )
        .bind(row.id)
        .bind(child.number)
        .fetch_one(&self.store.db)
        .await?;
        let name = Uuid::new_v4().to_string();
        let machine = &family.start.state_machine_name;
        let new = NewExecution {
            id: self.new_execution_id(),
            machine: family.machine,
            revision: family.revision,
            version: None,
            alias: None,
            arn: if row.plan.express {
                arn::of_express(machine, &name, &Uuid::new_v4().to_string())
            } else {
                arn::of_execution(machine, &name)
            },
            name: name.clone(),
            seed: (Uuid::new_v4().as_u128() as u64).cast_signed(),
            input: input.clone(),
            trace_header: None,
            started_at_ms: now_ms(),
            child: Some(ChildOf {
                map_run: row.id,
                number: child.number,
            }),
            log: family.parsed.log.clone(),
            ended: None,
        };
        let start = Start {
            execution_arn: new.arn.clone(),
            execution_name: name,
            input: serde_json::from_str(&input).unwrap_or(Value::Null),
            input_text: Some(input),
            seed: new.seed.cast_unsigned(),
            ..family.start.clone()
        };
        // Its end is told to the Map Run, and so is a refusal.
        let machine = family.parsed.machine.clone();
        let state = Some(row.plan.state.as_str());
        let _started = self.driver.start_in(new, machine, state, start);
        Ok(true)
    }

    /// Removes what an Express child came to, so that it can be started anew.
    async fn forget_execution(&self, row: &Row, execution: i64) -> Result<(), AwsError> {
        let mut transaction = self.store.begin().await?;
        for statement in [
            "DELETE FROM sfn_steps WHERE execution = ?1",
            "DELETE FROM sfn_executions WHERE id = ?1",
            "UPDATE sfn_map_children SET execution = NULL, redriven = ?2 WHERE execution = ?1",
        ] {
            sqlx::query(statement)
                .bind(execution)
                .bind(row.redrive_count)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The Map Run ended.
    pub(super) async fn end_map_run(
        &self,
        row: &mut Row,
        failure: Option<Fault>,
    ) -> Result<(), AwsError> {
        row.status = if failure.is_some() {
            "FAILED"
        } else {
            "SUCCEEDED"
        }
        .to_owned();
        (row.error, row.cause) = failure.unzip();
        sqlx::query(
            "UPDATE sfn_map_runs SET status = ?, error = ?, cause = ?, stopped_at_ms = ?
             WHERE id = ? AND status = 'RUNNING'",
        )
        .bind(&row.status)
        .bind(&row.error)
        .bind(&row.cause)
        .bind(now_ms())
        .bind(row.id)
        .execute(&self.store.db)
        .await?;
        Ok(())
    }

    /// Nobody waits for the Map Run any more; gives its row if it was running.
    pub(super) async fn abort_map_run(
        &self,
        parent: i64,
        task: TaskId,
    ) -> Result<Option<i64>, AwsError> {
        Ok(sqlx::query_scalar(
            "UPDATE sfn_map_runs SET status = 'ABORTED', stopped_at_ms = ?
             WHERE execution = ? AND task = ? AND status = 'RUNNING' RETURNING id",
        )
        .bind(now_ms())
        .bind(parent)
        .bind(task.0.cast_signed())
        .fetch_optional(&self.store.db)
        .await?)
    }

    /// Stops the Map Runs whose executions are over, which a crash may have left running.
    pub(in super::super) async fn abort_orphans(&self) -> Result<(), AwsError> {
        let orphans: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT r.execution, r.task FROM sfn_map_runs r
             JOIN sfn_executions e ON e.id = r.execution
             WHERE r.status = 'RUNNING' AND e.status <> 'RUNNING'",
        )
        .fetch_all(&self.store.db)
        .await?;
        for (execution, task) in orphans {
            self.driver
                .abort_map_run(execution, TaskId(task.cast_unsigned()));
        }
        let children: Vec<i64> = sqlx::query_scalar(
            "SELECT e.id FROM sfn_map_children c JOIN sfn_map_runs r ON r.id = c.map_run
             JOIN sfn_executions e ON e.id = c.execution
             WHERE r.status <> 'RUNNING' AND e.status = 'RUNNING'",
        )
        .fetch_all(&self.store.db)
        .await?;
        for child in children {
            let (error, cause) = (None, None);
            self.driver.apply(child, asl::Input::Stop { error, cause });
        }
        Ok(())
    }
}
