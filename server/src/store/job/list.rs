//! The list of jobs by any filter, a page at a time and newest first. Every filter has an index that begins where
//! the page does, so that a page costs the same wherever it is. Searching for a text is [`super::search`]'s.

use std::collections::HashMap;

use model::{JobFilter, JobId, JobStatus, JobSummary, StatusCounts, TimestampMs};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow, any::AnyRow, query::QueryAs as Query};

use super::{JobRecord, counts};

use crate::store::{
    Backend, During, ExecutionRecord, Store, StoreError,
    rows::{self, Number},
};

/// A summary's columns, in the order of its fields.
pub(super) const COLUMNS: [&str; 12] = [
    "job.id",
    "job.pipeline",
    "job.title",
    "job.source",
    "job.status",
    "job.submitted_at_ms",
    "job.started_at_ms",
    "job.ended_at_ms",
    "job.error",
    "job.failed_state",
    "job.rerun_count",
    "job.adopted",
];

type Columns = (
    JobId,
    String,
    String,
    String,
    JobStatus,
    Number<i64>,
    Option<Number<i64>>,
    Option<Number<i64>>,
    Option<String>,
    Option<String>,
    Number<u32>,
    Number<u8>,
);

/// The summaries in rows of these columns as one value.
fn summaries(rows: &str) -> Result<impl Iterator<Item = JobSummary>, StoreError> {
    let rows: Vec<Columns> = rows::read(rows, "list of jobs")?;
    let moment = |Number(at)| TimestampMs(at);
    Ok(rows.into_iter().map(move |row| JobSummary {
        id: row.0,
        pipeline: row.1,
        title: row.2,
        source: row.3,
        status: row.4,
        submitted_at_ms: moment(row.5),
        started_at_ms: row.6.map(moment),
        ended_at_ms: row.7.map(moment),
        error: row.8,
        failed_state: row.9,
        rerun_count: row.10.0,
        adopted: row.11.0 != 0,
    }))
}

/// The same sorted: an aggregate gives its rows in no order that is promised.
fn newest_first(rows: &str) -> Result<Vec<JobSummary>, StoreError> {
    let mut jobs: Vec<JobSummary> = summaries(rows)?.collect();
    jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
    Ok(jobs)
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
        Ok(self.jobs_and_counts(filter, limit).await?.0)
    }

    /// The same, and how many jobs there are of each status, whatever the filter.
    pub async fn jobs_and_counts(
        &self,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<(Vec<JobSummary>, StatusCounts), StoreError> {
        if let Some(wanted) = &filter.text {
            return self.found(filter, wanted, limit).await;
        }
        let mut connection = self.read.acquire().await.during("list jobs")?;
        let listing = Listing::of(filter);
        let jobs = listing.jobs(&by_id(limit));
        let rows = self.backend.rows_as_json(&COLUMNS);
        let counts = counts::expression(self.backend);
        let text = format!("SELECT {rows}, {counts} FROM ({jobs}) AS job");
        let rows: Vec<(String, String)> = listing.fetch(&mut connection, text).await?;
        let (jobs, counts) = rows.into_iter().next().unwrap_or_default();
        Ok((newest_first(&jobs)?, counts::read(&counts)?))
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
pub(in crate::store) struct Listing {
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
        let ids = self.bind(backend.texts(ids));
        self.require(backend.is_text_of("job.id", &ids));
        self.is_skewed = false;
    }

    /// Adds a condition.
    pub(super) fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// Binds a value; gives the name of its parameter.
    pub(in crate::store) fn bind(&mut self, value: String) -> String {
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

    /// What lists show of the jobs that these conditions admit, newest first; `end` is the statement's.
    pub(super) async fn summaries(
        self,
        connection: &mut AnyConnection,
        end: &str,
    ) -> Result<Vec<JobSummary>, StoreError> {
        let jobs = self.jobs(end);
        self.summaries_of(connection, jobs).await
    }

    /// The statement of the jobs that these conditions admit.
    fn jobs(&self, end: &str) -> String {
        self.text(&format!("SELECT {} FROM job", COLUMNS.join(", ")), end)
    }

    /// The same of the jobs that a statement gives.
    pub(super) async fn summaries_of(
        self,
        connection: &mut AnyConnection,
        jobs: String,
    ) -> Result<Vec<JobSummary>, StoreError> {
        let rows = Backend::of(connection).rows_as_json(&COLUMNS);
        let text = format!("SELECT {rows} FROM ({jobs}) AS job");
        let rows: Vec<(String,)> = self.fetch(connection, text).await?;
        newest_first(rows.first().map_or("[]", |(rows,)| rows))
    }

    /// What a query gives in its first columns, and beside it, by id, those of the jobs that it gives in its column
    /// `id` which these conditions admit. All in one statement: each takes a way to the database and back.
    pub(in crate::store) async fn beside(
        mut self,
        connection: &mut AnyConnection,
        columns: &[&str],
        query: &str,
    ) -> Result<(String, HashMap<JobId, JobSummary>), StoreError> {
        self.is_skewed = false;
        let backend = Backend::of(connection);
        let found = backend.rows_as_json(columns);
        let jobs = backend.rows_as_json_where(&COLUMNS, "job.id IS NOT NULL");
        let start = format!(
            "SELECT {found}, {jobs} FROM ({query}) AS found LEFT JOIN job ON job.id = found.id"
        );
        let text = match self.conditions.is_empty() {
            true => start,
            false => format!("{start} AND {}", self.conditions.join(" AND ")),
        };
        let rows: Vec<(String, String)> = self.fetch(connection, text).await?;
        let (found, jobs) = rows.into_iter().next().unwrap_or_default();
        let jobs = summaries(&jobs)?.map(|job| (job.id, job));
        Ok((found, jobs.collect()))
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
