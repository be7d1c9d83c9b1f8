//! The list of jobs by any filter, a page at a time and newest first. Every filter has an index that begins where
//! the page does, so that a page costs the same wherever it is. Searching for a text is [`super::search`]'s.

use std::collections::HashMap;

use model::{JobFilter, JobId, JobStatus, JobSummary, TimestampMs};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow, any::AnyRow, query::QueryAs as Query};

use super::JobRecord;
use crate::store::{Backend, During, ExecutionRecord, Store, StoreError};

/// A job of a list.
pub(super) trait Listed: Send + Sized {
    /// What is read of it: each column of each row costs.
    const COLUMNS: &str;

    /// The jobs that a statement gives, newest first.
    fn fetch(
        listing: Listing,
        connection: &mut AnyConnection,
        text: String,
    ) -> impl Future<Output = Result<Vec<Self>, StoreError>> + Send;

    fn summary(&self) -> &JobSummary;

    fn id(&self) -> JobId {
        self.summary().id
    }
}

/// A summary's columns, in the order of its fields.
type SummaryColumns = (
    JobId,
    String,
    String,
    String,
    JobStatus,
    TimestampMs,
    Option<TimestampMs>,
    Option<TimestampMs>,
    Option<String>,
    Option<String>,
    u32,
    u8,
);

impl Listed for JobSummary {
    const COLUMNS: &str = "job.id, job.pipeline, job.title, job.source, job.status, job.submitted_at_ms, \
         job.started_at_ms, job.ended_at_ms, job.error, job.failed_state, job.rerun_count, job.adopted";

    async fn fetch(
        listing: Listing,
        connection: &mut AnyConnection,
        text: String,
    ) -> Result<Vec<JobSummary>, StoreError> {
        let rows = listing.fetch_together::<SummaryColumns>(connection, Self::COLUMNS, &text);
        let summaries = rows.await?.into_iter().map(|row| JobSummary {
            id: row.0,
            pipeline: row.1,
            title: row.2,
            source: row.3,
            status: row.4,
            submitted_at_ms: row.5,
            started_at_ms: row.6,
            ended_at_ms: row.7,
            error: row.8,
            failed_state: row.9,
            rerun_count: row.10,
            adopted: row.11 != 0,
        });
        let mut summaries: Vec<JobSummary> = summaries.collect();
        // An aggregate gives its rows in no order that is promised.
        summaries.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
        Ok(summaries)
    }

    fn summary(&self) -> &JobSummary {
        self
    }
}

impl Listed for JobRecord {
    const COLUMNS: &str = "job.*";

    async fn fetch(
        listing: Listing,
        connection: &mut AnyConnection,
        text: String,
    ) -> Result<Vec<JobRecord>, StoreError> {
        listing.fetch(connection, text).await
    }

    fn summary(&self) -> &JobSummary {
        &self.summary
    }
}

/// Whether a filter leaves out jobs of a time that it admits.
fn is_narrowed(filter: &JobFilter) -> bool {
    filter.status.is_some()
        || filter.pipeline.is_some()
        || filter.error.is_some()
        || filter.failed_state.is_some()
}

impl Store {
    /// At most `limit` jobs, newest first, that the filter admits.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobSummary>, StoreError> {
        self.listed(filter, limit).await
    }

    /// The same with all that is known of each.
    pub async fn jobs_by(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobRecord>, StoreError> {
        self.listed(filter, limit).await
    }

    async fn listed<T: Listed>(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<T>, StoreError> {
        if let Some(wanted) = &filter.text {
            return self.found(filter, wanted, limit).await;
        }
        let listing = Listing::of(filter);
        let text = listing.text(&format!("SELECT {} FROM job", T::COLUMNS), &by_id(limit));
        let mut connection = self.read.acquire().await.during("list jobs")?;
        T::fetch(listing, &mut connection, text).await
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

/// A statement's conditions: what comes from outside is bound, and never part of the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    conditions: Vec<String>,
    values: Vec<String>,
    /// Whether a plan for one value is none for another: PostgreSQL's for any status walks every job to find that
    /// there is none of one of them. So each is planned for itself.
    is_skewed: bool,
}

impl Listing {
    /// All that a filter says, but for the text to search for.
    pub(super) fn of(filter: &JobFilter) -> Listing {
        let mut listing = Listing {
            is_skewed: is_narrowed(filter),
            ..Listing::default()
        };
        let status = filter.status.map(|status| status.as_str().to_owned());
        for (condition, value) in [
            ("job.id < ", filter.before.map(|id| id.to_string())),
            ("job.pipeline = ", filter.pipeline.clone()),
            ("job.status = ", status),
            ("job.error = ", filter.error.clone()),
            ("job.failed_state = ", filter.failed_state.clone()),
            ("job.id >= ", filter.since_ms.map(first_id)),
            ("job.id < ", filter.until_ms.map(first_id)),
        ] {
            if let Some(value) = value {
                listing.and(condition, value, "");
            }
        }
        listing
    }

    /// Adds a condition with one value in it.
    pub(super) fn and(&mut self, before: &str, value: String, after: &str) {
        let parameter = self.bind(value);
        self.conditions.push(format!("{before}{parameter}{after}"));
    }

    /// Only jobs with these ids: each is looked up, whatever else is asked for.
    pub(super) fn among(&mut self, backend: Backend, ids: impl Iterator<Item = String>) {
        let ids: Vec<String> = ids.collect();
        let ids = self.bind(json!(ids).to_string());
        self.require(backend.is_text_of("job.id", &ids));
        self.is_skewed = false;
    }

    /// Adds a condition.
    pub(super) fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// Binds a value; gives the name of its parameter.
    pub(super) fn bind(&mut self, value: String) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// The statement's text: its conditions between its beginning and its end.
    pub(super) fn text(&self, start: &str, end: &str) -> String {
        match self.conditions.is_empty() {
            true => format!("{start}{end}"),
            false => format!("{start} WHERE {}{end}", self.conditions.join(" AND ")),
        }
    }

    /// Runs a statement with these values and reads these columns of its rows, all rows as one.
    pub(super) async fn fetch_together<T: DeserializeOwned>(
        self,
        connection: &mut AnyConnection,
        columns: &str,
        text: &str,
    ) -> Result<Vec<T>, StoreError> {
        let rows = Backend::of(connection).rows_as_json(columns);
        let text = format!("SELECT {rows} FROM ({text}) AS job");
        let rows: Vec<(String,)> = self.fetch(connection, text).await?;
        let rows = rows.first().map_or("[]", |(rows,)| rows);
        serde_json::from_str(rows).map_err(|error| StoreError::Unreadable {
            what: "list of jobs",
            text: error.to_string(),
        })
    }

    /// Runs a statement with these values.
    pub(super) async fn fetch<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin>(
        self,
        connection: &mut AnyConnection,
        text: String,
    ) -> Result<Vec<T>, StoreError> {
        let query = sqlx::query_as(AssertSqlSafe(text)).persistent(!self.is_skewed);
        self.values
            .into_iter()
            .fold(query, Query::bind)
            .fetch_all(connection)
            .await
            .during("list jobs")
    }
}

/// The end of a statement whose rows come newest first.
pub(super) fn by_id(limit: u32) -> String {
    format!(" ORDER BY job.id DESC LIMIT {limit}")
}

/// The first id that a job submitted at a moment can have: a UUID version 7 begins with its milliseconds
/// (RFC 9562, section 5.7).
pub(super) fn first_job_id(at_ms: i64) -> JobId {
    let millis = at_ms.clamp(0, (1 << 48) - 1).unsigned_abs();
    JobId(uuid::Uuid::from_u128(u128::from(millis) << 80))
}

/// The same as it is stored.
pub(super) fn first_id(at_ms: i64) -> String {
    first_job_id(at_ms).to_string()
}
