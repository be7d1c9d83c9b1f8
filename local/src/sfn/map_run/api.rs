//! DescribeMapRun, ListMapRuns, UpdateMapRun, and the list of a Map Run's executions.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeMapRun.html>

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::super::execution::page_size;
use super::super::express::wrong_kind;
use super::super::{Sfn, arn, token};
use super::Told;
use crate::store::has_more;
use crate::wire::{AwsError, epoch_seconds};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct OfMapRun {
    map_run_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct UpdateMapRun {
    map_run_arn: String,
    max_concurrency: Option<i64>,
    tolerated_failure_count: Option<i64>,
    tolerated_failure_percentage: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ListMapRuns {
    execution_arn: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Where a page ended.
#[derive(Serialize, Deserialize)]
struct Place {
    at_ms: i64,
    id: i64,
}

#[derive(FromRow)]
struct Described {
    id: i64,
    arn: String,
    execution_arn: String,
    label: String,
    status: String,
    max_concurrency: i64,
    tolerated_count: Option<i64>,
    tolerated_percentage: Option<f64>,
    started_at_ms: i64,
    stopped_at_ms: Option<i64>,
    redrive_count: i64,
    redriven_at_ms: Option<i64>,
    express: Option<bool>,
}

const SELECT: &str = "SELECT r.id, r.arn, e.arn AS execution_arn, r.label, r.status,
        r.max_concurrency, r.tolerated_count, r.tolerated_percentage, r.started_at_ms,
        r.stopped_at_ms, r.redrive_count, r.redriven_at_ms,
        json_extract(r.plan, '$.express') AS express
    FROM sfn_map_runs r JOIN sfn_executions e ON e.id = r.execution";

/// A child in a list.
#[derive(FromRow)]
struct Listed {
    id: i64,
    arn: String,
    name: String,
    status: String,
    items: i64,
    started_at_ms: i64,
    stopped_at_ms: Option<i64>,
    redrive_count: i64,
    redriven_at_ms: Option<i64>,
    listed_at_ms: i64,
}

impl Described {
    fn machine(&self) -> String {
        let machine = arn::machine_of_execution(&self.execution_arn);
        arn::of_machine(&format!("{machine}/{}", self.label))
    }
}

impl Sfn {
    pub(in super::super) async fn describe_map_run(
        &self,
        ask: OfMapRun,
    ) -> Result<Value, AwsError> {
        let run = self.map_run(&ask.map_run_arn).await?;
        let counted: Vec<(Option<String>, bool, i64, i64)> = sqlx::query_as(
            "SELECT e.status, c.redriven < ?, COUNT(*), SUM(c.items)
             FROM sfn_map_children c LEFT JOIN sfn_executions e ON e.id = c.execution
             WHERE c.map_run = ? GROUP BY 1, 2",
        )
        .bind(run.redrive_count)
        .bind(run.id)
        .fetch_all(&self.store.db)
        .await?;
        let runs = run.status == "RUNNING";
        let count = |items: bool| {
            let of = |wanted: Option<&str>| -> i64 {
                let rows = counted
                    .iter()
                    .filter(|(status, ..)| status.as_deref() == wanted);
                rows.map(|(_, _, children, inside)| if items { *inside } else { *children })
                    .sum()
            };
            let pending_redrive: i64 = counted
                .iter()
                .filter(|(status, behind, ..)| {
                    let ended =
                        matches!(status.as_deref(), Some("FAILED" | "TIMED_OUT" | "ABORTED"));
                    runs && *behind && ended
                })
                .map(|(_, _, children, inside)| if items { *inside } else { *children })
                .sum();
            let statuses = [
                Some("ABORTED"),
                Some("FAILED"),
                Some("RUNNING"),
                Some("SUCCEEDED"),
                Some("TIMED_OUT"),
            ];
            let total: i64 = statuses.iter().map(|status| of(*status)).sum::<i64>() + of(None);
            let mut counts = json!({
                "aborted": of(Some("ABORTED")),
                "failed": of(Some("FAILED")),
                "pending": of(None),
                "resultsWritten": if runs { 0 } else { of(Some("SUCCEEDED")) },
                "running": of(Some("RUNNING")),
                "succeeded": of(Some("SUCCEEDED")),
                "timedOut": of(Some("TIMED_OUT")),
                "total": total,
            });
            if run.redrive_count > 0 {
                counts["pendingRedrive"] = json!(pending_redrive);
            }
            counts
        };
        let mut answer = json!({
            "mapRunArn": run.arn,
            "executionArn": run.execution_arn,
            "status": run.status,
            "startDate": epoch_seconds(run.started_at_ms),
            "maxConcurrency": run.max_concurrency,
            "toleratedFailurePercentage": run.tolerated_percentage.unwrap_or(0.0),
            "toleratedFailureCount": run.tolerated_count.unwrap_or(0),
            "itemCounts": count(true),
            "executionCounts": count(false),
        });
        if let Some(at_ms) = run.stopped_at_ms {
            answer["stopDate"] = epoch_seconds(at_ms);
        }
        if let Some(at_ms) = run.redriven_at_ms {
            answer["redriveCount"] = json!(run.redrive_count);
            answer["redriveDate"] = epoch_seconds(at_ms);
        }
        Ok(answer)
    }

    pub(in super::super) async fn list_map_runs(
        &self,
        ask: ListMapRuns,
    ) -> Result<Value, AwsError> {
        let limit = page_size(ask.max_results)?;
        let row = self.execution(&ask.execution_arn).await?;
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" WHERE r.execution = ").push_bind(row.id);
        if let Some(text) = &ask.next_token {
            let place: Place = token::read(text)?;
            query
                .push(" AND (r.started_at_ms, r.id) < (")
                .push_bind(place.at_ms);
            query.push(", ").push_bind(place.id).push(")");
        }
        query
            .push(" ORDER BY r.started_at_ms DESC, r.id DESC LIMIT ")
            .push_bind(limit + 1);
        let mut runs: Vec<Described> = query.build_query_as().fetch_all(&self.store.db).await?;
        let more = has_more(&mut runs, limit);
        let listed: Vec<Value> = runs
            .iter()
            .map(|run| {
                let mut item = json!({
                    "executionArn": run.execution_arn,
                    "mapRunArn": run.arn,
                    "stateMachineArn": run.machine(),
                    "startDate": epoch_seconds(run.started_at_ms),
                });
                if let Some(at_ms) = run.stopped_at_ms {
                    item["stopDate"] = epoch_seconds(at_ms);
                }
                item
            })
            .collect();
        let mut answer = json!({"mapRuns": listed});
        if let Some(last) = runs.last().filter(|_| more) {
            let (at_ms, id) = (last.started_at_ms, last.id);
            answer["nextToken"] = json!(token::write(&Place { at_ms, id }));
        }
        Ok(answer)
    }

    pub(in super::super) async fn update_map_run(
        &self,
        ask: UpdateMapRun,
    ) -> Result<Value, AwsError> {
        let run = self.map_run(&ask.map_run_arn).await?;
        if run.status != "RUNNING" {
            return Err(AwsError::validation("Map Run is not in RUNNING status"));
        }
        let least = |member: &str, low: bool| {
            Err::<(), _>(AwsError::validation(format!(
                "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have value {}",
                if low {
                    "greater than or equal to 0"
                } else {
                    "less than or equal to 100"
                }
            )))
        };
        if ask.max_concurrency.is_some_and(|most| most < 0) {
            least("maxConcurrency", true)?;
        }
        if ask.tolerated_failure_count.is_some_and(|most| most < 0) {
            least("toleratedFailureCount", true)?;
        }
        if let Some(most) = ask.tolerated_failure_percentage
            && !(0.0..=100.0).contains(&most)
        {
            least("toleratedFailurePercentage", most < 0.0)?;
        }
        sqlx::query(
            "UPDATE sfn_map_runs SET max_concurrency = COALESCE(?, max_concurrency),
                tolerated_count = COALESCE(?, tolerated_count),
                tolerated_percentage = COALESCE(?, tolerated_percentage)
             WHERE id = ?",
        )
        .bind(ask.max_concurrency)
        .bind(ask.tolerated_failure_count)
        .bind(ask.tolerated_failure_percentage)
        .bind(run.id)
        .execute(&self.store.db)
        .await?;
        self.driver.map_runs.tell(run.id, Told::Changed);
        Ok(json!({}))
    }

    /// The executions that a Map Run has started, the latest first.
    pub(in super::super) async fn list_children(
        &self,
        map_run_arn: &str,
        status: Option<&str>,
        redriven: Option<bool>,
        max_results: Option<i64>,
        next_token: Option<&str>,
    ) -> Result<Value, AwsError> {
        let limit = page_size(max_results)?;
        let run = self.map_run(map_run_arn).await?;
        if run.express == Some(true) {
            return Err(wrong_kind());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT e.id, e.arn, e.name, e.status, c.items, e.started_at_ms, e.stopped_at_ms,
                e.redrive_count, e.redriven_at_ms, e.listed_at_ms
             FROM sfn_map_children c JOIN sfn_executions e ON e.id = c.execution
             WHERE c.map_run = ",
        );
        query.push_bind(run.id);
        match status {
            Some("PENDING_REDRIVE") => {
                query.push(" AND e.status NOT IN ('RUNNING', 'SUCCEEDED') AND c.redriven < ");
                query.push_bind(if run.status == "RUNNING" {
                    run.redrive_count
                } else {
                    0
                });
            }
            Some(status) => {
                query.push(" AND e.status = ").push_bind(status.to_owned());
            }
            None => {}
        }
        match redriven {
            Some(true) => query.push(" AND e.redrive_count > 0"),
            Some(false) => query.push(" AND e.redrive_count = 0"),
            None => &mut query,
        };
        if let Some(text) = next_token {
            let place: Place = token::read(text)?;
            query
                .push(" AND (e.listed_at_ms, e.id) < (")
                .push_bind(place.at_ms);
            query.push(", ").push_bind(place.id).push(")");
        }
        query
            .push(" ORDER BY e.listed_at_ms DESC, e.id DESC LIMIT ")
            .push_bind(limit + 1);
        let mut rows: Vec<Listed> = query.build_query_as().fetch_all(&self.store.db).await?;
        let more = has_more(&mut rows, limit);
        let machine = run.machine();
        let executions: Vec<Value> = rows
            .iter()
            .map(|row| {
                let mut item = json!({
                    "executionArn": row.arn,
                    "stateMachineArn": machine,
                    "name": row.name,
                    "status": row.status,
                    "startDate": epoch_seconds(row.started_at_ms),
                    "mapRunArn": run.arn,
                    "itemCount": row.items,
                });
                if let Some(at_ms) = row.stopped_at_ms {
                    item["stopDate"] = epoch_seconds(at_ms);
                }
                if let Some(at_ms) = row.redriven_at_ms {
                    item["redriveCount"] = json!(row.redrive_count);
                    item["redriveDate"] = epoch_seconds(at_ms);
                }
                item
            })
            .collect();
        let mut answer = json!({"executions": executions});
        if let Some(last) = rows.last().filter(|_| more) {
            let (at_ms, id) = (last.listed_at_ms, last.id);
            answer["nextToken"] = json!(token::write(&Place { at_ms, id }));
        }
        Ok(answer)
    }

    /// Errors with `InvalidArn` or `ResourceNotFound`.
    async fn map_run(&self, map_run_arn: &str) -> Result<Described, AwsError> {
        arn::check(map_run_arn, "mapRun")?;
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" WHERE r.arn = ").push_bind(map_run_arn);
        let found = query
            .build_query_as()
            .fetch_optional(&self.store.db)
            .await?;
        found.ok_or_else(|| {
            AwsError::bad_request(
                "ResourceNotFound",
                format!("Resource not found: '{map_run_arn}'"),
            )
            .with("resourceName", map_run_arn)
        })
    }
}
