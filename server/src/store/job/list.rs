//! The list of jobs by any filter, a page at a time and newest first. Every filter has an index that begins where
//! the page does, so that a page costs the same wherever it is.

use std::collections::HashMap;

use model::{JobFilter, JobSummary};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, FromRow, any::AnyRow, query::QueryAs as Query};

use super::{JobRecord, SummaryRow};
use crate::store::{Backend, During, ExecutionRecord, Store, StoreError};

impl Store {
    /// At most `limit` jobs, newest first, that the filter admits.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobSummary>, StoreError> {
        let rows: Vec<SummaryRow> = self.listed(filter, limit).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// The same with all that is known of each.
    pub async fn jobs_by(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobRecord>, StoreError> {
        self.listed(filter, limit).await
    }

    async fn listed<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin>(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<T>, StoreError> {
        let (mut text, values) = self.listing(filter);
        // The text is put together here; what comes from outside is bound.
        text.push_str(&format!(" LIMIT ${}", values.len() + 1));
        values
            .into_iter()
            .fold(sqlx::query_as(AssertSqlSafe(text)), Query::bind)
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .during("list jobs")
    }

    /// The statement without its limit, and the values of its parameters.
    fn listing(&self, filter: &JobFilter) -> (String, Vec<String>) {
        let mut text = "SELECT job.* FROM job".to_owned();
        let mut order = " ORDER BY job.id DESC";
        let mut conditions: Vec<(&'static str, String, &'static str)> = Vec::new();
        let before = filter.before.map(|id| id.to_string());
        match (&filter.text, self.backend) {
            (Some(wanted), Backend::Sqlite) => {
                text.push_str(" JOIN job_text ON job_text.rowid = job.place");
                // A string (https://www.sqlite.org/fts5.html#fts5_strings): nothing in it is an operator.
                let string = format!("\"{}\"", wanted.replace('"', "\"\""));
                conditions.push(("job_text MATCH ", string, ""));
                // In the order that the search itself has, so that it ends with the page.
                order = " ORDER BY job_text.rowid DESC";
                if let Some(before) = before {
                    let place = "job_text.rowid < (SELECT place FROM job WHERE id = ";
                    conditions.push((place, before, ")"));
                }
            }
            (wanted, _) => {
                if let Some(wanted) = wanted {
                    let escaped = wanted
                        .replace('\\', r"\\")
                        .replace('%', r"\%")
                        .replace('_', r"\_");
                    let within = "(job.title || ' ' || job.source) ILIKE ";
                    conditions.push((within, format!("%{escaped}%"), ""));
                }
                if let Some(before) = before {
                    conditions.push(("job.id < ", before, ""));
                }
            }
        }
        let status = filter.status.map(|status| status.as_str().to_owned());
        for (condition, value) in [
            ("job.pipeline = ", filter.pipeline.clone()),
            ("job.status = ", status),
            ("job.error = ", filter.error.clone()),
            ("job.failed_state = ", filter.failed_state.clone()),
            ("job.id >= ", filter.since_ms.map(first_id)),
            ("job.id < ", filter.until_ms.map(first_id)),
        ] {
            conditions.extend(value.map(|value| (condition, value, "")));
        }
        let mut values = Vec::with_capacity(conditions.len() + 1);
        for (condition, value, end) in conditions {
            text.push_str(if values.is_empty() {
                " WHERE "
            } else {
                " AND "
            });
            values.push(value);
            text.push_str(&format!("{condition}${}{end}", values.len()));
        }
        text.push_str(order);
        (text, values)
    }

    /// Jobs with their newest executions.
    pub async fn with_executions(
        &self,
        jobs: Vec<JobRecord>,
    ) -> Result<Vec<(JobRecord, Option<ExecutionRecord>)>, StoreError> {
        let arns: Vec<_> = jobs
            .iter()
            .filter_map(|job| job.execution_arn.as_ref())
            .map(|arn| json!({ "arn": arn }))
            .collect();
        let executions: Vec<ExecutionRecord> = sqlx::query_as(
            "SELECT * FROM execution WHERE arn IN (SELECT value ->> 'arn' FROM json_each($1))",
        )
        .bind(Value::from(arns).to_string())
        .fetch_all(&self.read)
        .await
        .during("read executions")?;
        let mut by_arn: HashMap<_, _> = executions
            .into_iter()
            .map(|execution| (execution.arn.clone(), execution))
            .collect();
        Ok(jobs
            .into_iter()
            .map(|job| {
                let arn = job.execution_arn.as_ref();
                let execution = arn.and_then(|arn| by_arn.remove(arn));
                (job, execution)
            })
            .collect())
    }
}

/// The first id that a job submitted at a moment can have: a UUID version 7 begins with its milliseconds
/// (RFC 9562, section 5.7).
fn first_id(at_ms: i64) -> String {
    let millis = at_ms.clamp(0, (1 << 48) - 1).unsigned_abs();
    uuid::Uuid::from_u128(u128::from(millis) << 80).to_string()
}
