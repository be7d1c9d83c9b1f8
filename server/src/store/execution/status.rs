//! The status of executions, and of jobs that follow their newest one. A status only ever moves forward: from
//! running to an end, and from an end only to a later redrive. So events may come twice, late and out of order.
//! A batch of events is folded here, in memory, and then written with a few statements, however
//! long it is.

use std::collections::HashMap;

use model::{ExecutionStatus, JobStatus};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{status_of, status_text};
use crate::store::{
    Backend, Store, StoreError,
    error::During,
    plain_option,
    rows::{self, Number},
    write::Write,
};

/// What a status event or DescribeExecution says.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusChange {
    pub arn: String,
    pub status: ExecutionStatus,
    /// How often it had been redriven by then; none when the event does not say.
    pub redrive_count: Option<u32>,
    pub started_at_ms: Option<i64>,
    pub ended_at_ms: Option<i64>,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// `REDRIVABLE`, `NOT_REDRIVABLE` or `REDRIVABLE_BY_MAP_RUN`.
    pub redrive_status: Option<String>,
    pub redrive_reason: Option<String>,
    /// When this was heard, by the server's clock.
    pub heard_at_ms: i64,
}

impl StatusChange {
    /// A bare status without details.
    pub fn new(arn: &str, status: ExecutionStatus, heard_at_ms: i64) -> Self {
        StatusChange {
            arn: arn.to_owned(),
            status,
            redrive_count: None,
            started_at_ms: None,
            ended_at_ms: None,
            error: None,
            cause: None,
            redrive_status: None,
            redrive_reason: None,
            heard_at_ms,
        }
    }
}

/// What became of a [`StatusChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The execution changed, and its job with it when it is the job's newest.
    Changed,
    /// It was known, or something newer was.
    Stale,
    /// No execution with this ARN is known.
    Unknown,
}

impl Store {
    /// Applies what AWS said about an execution.
    pub async fn status_changed(&self, change: &StatusChange) -> Result<Applied, StoreError> {
        let applied = self.statuses_changed(std::slice::from_ref(change)).await?;
        Ok(applied.first().copied().unwrap_or(Applied::Unknown))
    }

    /// Applies what AWS said about executions, as if one after the other; tells what became of each.
    pub async fn statuses_changed(
        &self,
        changes: &[StatusChange],
    ) -> Result<Vec<Applied>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.write(StatusesChanged(changes.to_vec())).await
    }
}

/// An execution while events are folded into it.
#[derive(Debug, Clone)]
struct Folded {
    job: String,
    status: ExecutionStatus,
    redrive_count: i64,
    redrive_status: Option<String>,
    redrive_reason: Option<String>,
    heard_at_ms: i64,
    error: Option<String>,
    cause: Option<String>,
    /// What is written when its status changed; else it was only heard of.
    change: Option<Change>,
    heard: bool,
    /// Whether its end was given words, without being news.
    explained: bool,
}

/// What the newest status says.
#[derive(Debug, Clone, Default)]
struct Change {
    /// The last that any of the events said.
    started_at_ms: Option<i64>,
    /// The first that any of the events said: a job began with it.
    job_started_at_ms: Option<i64>,
    ended_at_ms: Option<i64>,
    error: Option<String>,
    cause: Option<String>,
}

impl Folded {
    fn apply(&mut self, change: &StatusChange) -> Applied {
        let redrive_count = change.redrive_count.map_or(0, i64::from);
        let unfinished = job_status(self.status) == JobStatus::Running;
        let newer = redrive_count > self.redrive_count
            || (redrive_count == self.redrive_count && unfinished && change.status != self.status);
        let text = |text: &Option<String>| plain_option(text).map(String::from);
        self.heard = true;
        if !newer {
            // An event that does not say which redrive it speaks of cannot be placed: ask AWS soon.
            self.heard_at_ms = match change.redrive_count {
                None if self.redrive_count > 0 => 0,
                _ => self.heard_at_ms.max(change.heard_at_ms),
            };
            if redrive_count == self.redrive_count {
                self.redrive_status = text(&change.redrive_status).or(self.redrive_status.take());
                self.redrive_reason = text(&change.redrive_reason).or(self.redrive_reason.take());
                self.explain(change);
            }
            return Applied::Stale;
        }
        let before = self.change.take().unwrap_or_default();
        self.status = change.status;
        self.redrive_count = redrive_count;
        self.redrive_status = text(&change.redrive_status);
        self.redrive_reason = text(&change.redrive_reason);
        self.heard_at_ms = change.heard_at_ms;
        self.change = Some(Change {
            started_at_ms: change.started_at_ms.or(before.started_at_ms),
            job_started_at_ms: before.job_started_at_ms.or(change.started_at_ms),
            ended_at_ms: change.ended_at_ms,
            error: text(&change.error),
            cause: text(&change.cause),
        });
        Applied::Changed
    }
}

impl Folded {
    /// Takes the words of an end whose news came without them, as from a list.
    fn explain(&mut self, change: &StatusChange) {
        if change.status != self.status || job_status(self.status) == JobStatus::Running {
            return;
        }
        let text = |text: &Option<String>| plain_option(text).map(String::from);
        let words = match &mut self.change {
            // What this batch said of the end.
            Some(said) => (&mut said.error, &mut said.cause),
            None => (&mut self.error, &mut self.cause),
        };
        if words.0.is_none() && words.1.is_none() {
            *words.0 = text(&change.error);
            *words.1 = text(&change.cause);
            self.explained |= words.0.is_some() || words.1.is_some();
        }
    }
}

struct StatusesChanged(Vec<StatusChange>);

/// An execution's columns: ARN, job, status, redrive count, redrive status and its reason, when it was heard of, error
/// and cause.
type Columns = (
    String,
    String,
    String,
    Number<i64>,
    Option<String>,
    Option<String>,
    Number<i64>,
    Option<String>,
    Option<String>,
);

impl StatusesChanged {
    /// The executions that the events are about, as far as they are known. They are locked, in one order, so that
    /// servers wait for each other and never in a circle.
    async fn known(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<HashMap<String, Folded>, StoreError> {
        let arns: Vec<Value> = self.0.iter().map(|one| json!({"arn": one.arn})).collect();
        let backend = Backend::of(connection);
        let lock = match backend {
            Backend::Sqlite => "",
            Backend::Postgres => "ORDER BY arn FOR UPDATE",
        };
        let rows = backend.rows_as_json(&[
            "arn",
            "job_id",
            "status",
            "redrive_count",
            "redrive_status",
            "redrive_reason",
            "heard_at_ms",
            "error",
            "cause",
        ]);
        let text = format!(
            "SELECT {rows} FROM (SELECT * FROM execution WHERE arn IN (SELECT value ->> 'arn' FROM json_each($1)) {lock})
             AS known"
        );
        let (rows,): (String,) = sqlx::query_as(AssertSqlSafe(text))
            .bind(Value::from(arns).to_string())
            .fetch_one(connection)
            .await
            .during(self.operation())?;
        let rows: Vec<Columns> = rows::read(&rows, "list of executions")?;
        rows.into_iter()
            .map(
                |(
                    arn,
                    job,
                    status,
                    Number(redrive_count),
                    redrive_status,
                    redrive_reason,
                    Number(heard_at_ms),
                    error,
                    cause,
                )| {
                    let status = status_of(&status).ok_or(StoreError::Unreadable {
                        what: "execution status",
                        text: status,
                    })?;
                    let folded = Folded {
                        job,
                        status,
                        redrive_count,
                        redrive_status,
                        redrive_reason,
                        heard_at_ms,
                        error,
                        cause,
                        change: None,
                        heard: false,
                        explained: false,
                    };
                    Ok((arn, folded))
                },
            )
            .collect()
    }
}

impl Write for StatusesChanged {
    type Output = Vec<Applied>;

    fn operation(&self) -> &'static str {
        "apply executions' status"
    }

    async fn apply_all(
        writes: &[&StatusesChanged],
        connection: &mut AnyConnection,
    ) -> Result<Vec<Vec<Applied>>, StoreError> {
        let all: Vec<StatusChange> = writes.iter().flat_map(|write| write.0.clone()).collect();
        let mut applied = StatusesChanged(all).apply(connection).await?.into_iter();
        Ok(writes
            .iter()
            .map(|write| applied.by_ref().take(write.0.len()).collect())
            .collect())
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<Vec<Applied>, StoreError> {
        let mut known = self.known(&mut *connection).await?;
        let applied = self
            .0
            .iter()
            .map(|change| match known.get_mut(&change.arn) {
                Some(execution) => execution.apply(change),
                None => Applied::Unknown,
            })
            .collect();
        let mut folded: Vec<(String, Folded)> = known.into_iter().collect();
        // Jobs are locked in this order too.
        folded.sort_by(|(_, one), (_, other)| one.job.cmp(&other.job));
        let (mut changed, mut jobs, mut heard, mut explained) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (arn, execution) in &folded {
            if execution.change.is_none() && execution.explained {
                explained.push(json!({
                    "arn": arn, "job": execution.job, "error": execution.error, "cause": execution.cause,
                }));
            }
            match &execution.change {
                Some(change) => {
                    changed.push(json!({
                        "arn": arn, "status": status_text(execution.status), "redrive_count": execution.redrive_count,
                        "redrive_status": execution.redrive_status, "redrive_reason": execution.redrive_reason,
                        "heard_at_ms": execution.heard_at_ms, "started_at_ms": change.started_at_ms,
                        "ended_at_ms": change.ended_at_ms, "error": change.error, "cause": change.cause,
                    }));
                    jobs.push(json!({
                        "arn": arn, "job": execution.job, "status": job_status(execution.status).as_str(),
                        "started_at_ms": change.job_started_at_ms, "ended_at_ms": change.ended_at_ms,
                        "error": change.error,
                    }));
                }
                None if execution.heard => heard.push(json!({
                    "arn": arn, "heard_at_ms": execution.heard_at_ms,
                    "redrive_status": execution.redrive_status, "redrive_reason": execution.redrive_reason,
                })),
                None => {}
            }
        }
        for rows in [&mut changed, &mut jobs, &mut heard] {
            rows.iter_mut().for_each(drop_nulls);
        }
        for (rows, statements) in [
            (
                heard,
                &["UPDATE execution SET heard_at_ms = CAST(value ->> 'heard_at_ms' AS BIGINT),
                       redrive_status = value ->> 'redrive_status', redrive_reason = value ->> 'redrive_reason'
                   FROM json_each($1) AS heard WHERE execution.arn = value ->> 'arn'"][..],
            ),
            (
                explained,
                &[
                    "UPDATE execution SET error = value ->> 'error', cause = value ->> 'cause'
                     FROM json_each($1) AS explained WHERE execution.arn = value ->> 'arn'",
                    "UPDATE job SET error = value ->> 'error' FROM json_each($1) AS explained
                     WHERE job.id = value ->> 'job' AND job.execution_arn = value ->> 'arn' AND job.status <> 'queued'",
                ][..],
            ),
            (
                changed,
                &[
                    "UPDATE execution SET status = value ->> 'status',
                         redrive_count = CAST(value ->> 'redrive_count' AS BIGINT),
                         started_at_ms = COALESCE(CAST(value ->> 'started_at_ms' AS BIGINT), started_at_ms),
                         ended_at_ms = CAST(value ->> 'ended_at_ms' AS BIGINT),
                         error = value ->> 'error', cause = value ->> 'cause',
                         redrive_status = value ->> 'redrive_status', redrive_reason = value ->> 'redrive_reason',
                         heard_at_ms = CAST(value ->> 'heard_at_ms' AS BIGINT),
                         failed_state = NULL, history_complete = 0, artifacts_read = 0, archived = 0
                     FROM json_each($1) AS changed WHERE execution.arn = value ->> 'arn'",
                ][..],
            ),
            (
                jobs,
                &[
                    // A job follows its newest execution alone.
                    "UPDATE job SET status = value ->> 'status',
                         ended_at_ms = CAST(value ->> 'ended_at_ms' AS BIGINT),
                         error = value ->> 'error', failed_state = NULL,
                         started_at_ms = COALESCE(started_at_ms, CAST(value ->> 'started_at_ms' AS BIGINT))
                     FROM json_each($1) AS changed
                     WHERE job.id = value ->> 'job' AND job.execution_arn = value ->> 'arn'",
                ][..],
            ),
        ] {
            if rows.is_empty() {
                continue;
            }
            let rows = Value::from(rows).to_string();
            for statement in statements {
                sqlx::query(*statement)
                    .bind(&rows)
                    .execute(&mut *connection)
                    .await
                    .during(self.operation())?;
            }
        }
        Ok(applied)
    }
}

/// Leaves out what says nothing: a field that is not there reads as NULL too, and need not be parsed.
fn drop_nulls(row: &mut Value) {
    if let Value::Object(fields) = row {
        fields.retain(|_, value| !value.is_null());
    }
}

/// A job's status by that of its newest execution.
fn job_status(status: ExecutionStatus) -> JobStatus {
    match status {
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => JobStatus::Running,
        ExecutionStatus::Succeeded => JobStatus::Succeeded,
        ExecutionStatus::Failed => JobStatus::Failed,
        ExecutionStatus::TimedOut => JobStatus::TimedOut,
        ExecutionStatus::Aborted => JobStatus::Aborted,
    }
}

#[cfg(test)]
mod batches;
#[cfg(test)]
mod tests;
