//! Lists of executions: of a state machine, a version, an alias, a Map Run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::arn::Qualifier;
use super::execution::{add_qualified, page_size};
use super::{Sfn, arn, token};
use crate::store::has_more;
use crate::wire::{AwsError, epoch_seconds};

/// Every status by which a list may be filtered, in AWS's order.
const STATUSES: &str = "SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListExecutions {
    state_machine_arn: Option<String>,
    map_run_arn: Option<String>,
    status_filter: Option<String>,
    redrive_filter: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Where a page of executions ended.
#[derive(Serialize, Deserialize)]
struct Place {
    listed_at_ms: i64,
    id: i64,
}

#[derive(FromRow)]
struct Listed {
    id: i64,
    version: Option<i64>,
    alias: Option<String>,
    arn: String,
    name: String,
    status: String,
    started_at_ms: i64,
    stopped_at_ms: Option<i64>,
    redrive_count: i64,
    redriven_at_ms: Option<i64>,
    listed_at_ms: i64,
}

impl Sfn {
    pub(super) async fn list_executions(&self, ask: ListExecutions) -> Result<Value, AwsError> {
        let machine_arn = match (&ask.state_machine_arn, &ask.map_run_arn) {
            (Some(arn), None) => arn,
            (None, Some(map_run_arn)) => {
                check_status(ask.status_filter.as_deref())?;
                let redriven = match ask.redrive_filter.as_deref() {
                    None => None,
                    Some("REDRIVEN") => Some(true),
                    Some("NOT_REDRIVEN") => Some(false),
                    Some(other) => {
                        return Err(AwsError::validation(format!(
                            "1 validation error detected: Value '{other}' at 'redriveFilter' failed to satisfy constraint: Member must satisfy enum value set: [REDRIVEN, NOT_REDRIVEN]"
                        )));
                    }
                };
                let (status, next) = (ask.status_filter.as_deref(), ask.next_token.as_deref());
                return self
                    .list_children(map_run_arn, status, redriven, ask.max_results, next)
                    .await;
            }
            _ => {
                return Err(AwsError::validation(
                    "Exactly one of 'stateMachineArn' or 'mapRunArn' must be specified",
                ));
            }
        };
        check_status(ask.status_filter.as_deref())?;
        if ask.status_filter.as_deref() == Some("PENDING_REDRIVE") {
            return Err(AwsError::validation(
                "The PENDING_REDRIVE status filter needs a mapRunArn",
            ));
        }
        if ask.redrive_filter.is_some() {
            return Err(AwsError::validation(
                "The redriveFilter cannot be used with a stateMachineArn",
            ));
        }
        let limit = page_size(ask.max_results)?;
        arn::check(machine_arn, "stateMachine")?;
        let (unqualified, qualifier) = arn::qualified(machine_arn);
        let machine = match self.machine(unqualified).await {
            Err(error) if error.code == "StateMachineDoesNotExist" => {
                return Err(super::machine::no_such_machine(machine_arn));
            }
            machine => machine?,
        };
        if machine.kind == "EXPRESS" {
            return Err(super::express::wrong_kind());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT id, version, alias, arn, name, status, started_at_ms, stopped_at_ms, redrive_count,
                redriven_at_ms, listed_at_ms
             FROM sfn_executions WHERE machine = ",
        );
        query.push_bind(machine.id);
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM sfn_map_children c WHERE c.execution = sfn_executions.id)",
        );
        match qualifier {
            Some(Qualifier::Version(number)) => {
                query.push(" AND version = ").push_bind(number);
            }
            Some(Qualifier::Alias(name)) => {
                query.push(" AND alias = ").push_bind(name);
            }
            None => {}
        }
        if let Some(status) = &ask.status_filter {
            query.push(" AND status = ").push_bind(status);
        }
        if let Some(text) = &ask.next_token {
            let place: Place = token::read(text)?;
            query
                .push(" AND (listed_at_ms, id) < (")
                .push_bind(place.listed_at_ms);
            query.push(", ").push_bind(place.id).push(")");
        }
        query
            .push(" ORDER BY listed_at_ms DESC, id DESC LIMIT ")
            .push_bind(limit + 1);
        let mut rows: Vec<Listed> = query.build_query_as().fetch_all(&self.store.db).await?;
        let more = has_more(&mut rows, limit);
        let executions: Vec<Value> = rows.iter().map(|row| row.answer(&machine.arn)).collect();
        let mut answer = json!({"executions": executions});
        if let Some(last) = rows.last().filter(|_| more) {
            answer["nextToken"] = json!(token::write(&Place {
                listed_at_ms: last.listed_at_ms,
                id: last.id,
            }));
        }
        Ok(answer)
    }
}

impl Listed {
    fn answer(&self, machine_arn: &str) -> Value {
        let mut item = json!({
            "executionArn": self.arn,
            "stateMachineArn": machine_arn,
            "name": self.name,
            "status": self.status,
            "startDate": epoch_seconds(self.started_at_ms),
            "redriveCount": self.redrive_count,
        });
        add_qualified(&mut item, machine_arn, self.version, self.alias.as_deref());
        if let Some(at_ms) = self.stopped_at_ms {
            item["stopDate"] = epoch_seconds(at_ms);
        }
        if let Some(at_ms) = self.redriven_at_ms {
            item["redriveDate"] = epoch_seconds(at_ms);
        }
        item
    }
}

fn check_status(status: Option<&str>) -> Result<(), AwsError> {
    match status {
        Some(status) if !STATUSES.split(", ").any(|known| known == status) => {
            Err(AwsError::validation(format!(
                "1 validation error detected: Value '{status}' at 'statusFilter' failed to satisfy constraint: Member must satisfy enum value set: [{STATUSES}]"
            )))
        }
        _ => Ok(()),
    }
}
