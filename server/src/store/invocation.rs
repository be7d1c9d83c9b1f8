//! Invocations of Lambda functions: the visit each worked for as the worker's line tells it, what became of it as
//! `platform.report` does, whichever comes first, and the image digest each ran.

use model::{InvocationView, TimestampMs};
use sqlx::AnyConnection;

use super::{During, Statement, Store, StoreError, Write, count, plain};

/// One invocation that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    pub request_id: String,
    pub function: String,
    pub version: String,
    /// `success`, `error`, `failure` or `timeout`.
    pub status: String,
    /// `initDurationMs`: a cold start's time to get ready; none for a warm one.
    pub init_ms: Option<f64>,
    pub duration_ms: f64,
    pub max_memory_mib: Option<i64>,
    pub at_ms: i64,
}

/// One invocation that has begun, and the visit it works for.
#[derive(Debug, Clone, PartialEq)]
pub struct InvocationStart {
    pub request_id: String,
    pub function: String,
    pub version: String,
    pub execution_arn: String,
    pub state: String,
    /// When the visit's state was entered, as the context object has it.
    pub entered: String,
    /// The Map iteration, inside a Map.
    pub iteration: Option<u32>,
    /// Counted from 1; none when the definition does not tell.
    pub attempt: Option<u32>,
    pub at_ms: i64,
}

/// An invocation of a state's function, with when that state's visit was entered.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitInvocation {
    pub entered: String,
    pub invocation: InvocationView,
}

/// The columns as the database has them.
#[derive(sqlx::FromRow)]
struct Columns {
    request_id: String,
    function: String,
    version: String,
    digest: Option<String>,
    entered: String,
    attempt: Option<i64>,
    status: Option<String>,
    init_ms: Option<f64>,
    duration_ms: Option<f64>,
    max_memory_mib: Option<i64>,
    at_ms: i64,
}

/// One cold start.
#[derive(Debug, Clone, PartialEq)]
pub struct ColdStart {
    pub function: String,
    pub digest: String,
    pub init_ms: f64,
    pub at_ms: i64,
}

/// How many invocations, warm and cold, a function had on an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationCount {
    pub function: String,
    pub digest: String,
    pub count: u64,
}

impl Store {
    /// Every cold start whose image is known, at most `limit`. Digests begin with their algorithm's name;
    /// what does not is a note that nobody knows the image any more.
    pub async fn cold_starts(&self, limit: u32) -> Result<Vec<ColdStart>, StoreError> {
        let rows: Vec<(String, String, f64, i64)> = sqlx::query_as(
            "SELECT function, digest, init_ms, at_ms FROM invocation
             WHERE init_ms IS NOT NULL AND digest IS NOT NULL AND digest LIKE 'sha256:%' LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("read cold starts")?;
        Ok(rows
            .into_iter()
            .map(|(function, digest, init_ms, at_ms)| ColdStart {
                function,
                digest,
                init_ms,
                at_ms,
            })
            .collect())
    }

    /// Invocations that worked for a state of an execution in one Map iteration, or outside of a Map, the first of
    /// them first; of more than `limit` the last.
    pub async fn invocations_of(
        &self,
        arn: &str,
        state: &str,
        iteration: Option<u32>,
        limit: u32,
    ) -> Result<Vec<VisitInvocation>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT request_id, function, version, digest, entered, attempt, status, init_ms, duration_ms, max_memory_mib, at_ms
             FROM invocation WHERE execution_arn = $1 AND state = $2 AND iteration = $3
             ORDER BY at_ms DESC, request_id DESC LIMIT $4",
        )
        .bind(arn)
        .bind(state)
        .bind(stored(iteration))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("read a visit's invocations")?;
        Ok(rows
            .into_iter()
            .rev()
            .map(|row| VisitInvocation {
                entered: row.entered,
                invocation: InvocationView {
                    request_id: row.request_id,
                    function: row.function,
                    version: row.version,
                    digest: row.digest.filter(|digest| digest.starts_with("sha256:")),
                    attempt: row.attempt.and_then(|value| u32::try_from(value).ok()),
                    status: row.status,
                    init_ms: row.init_ms,
                    duration_ms: row.duration_ms,
                    max_memory_mib: row.max_memory_mib.map(count),
                    at_ms: TimestampMs(row.at_ms),
                },
            })
            .collect())
    }

    /// Invocations by function and image.
    pub async fn invocation_counts(&self) -> Result<Vec<InvocationCount>, StoreError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT function, digest, COUNT(*) FROM invocation
             WHERE digest IS NOT NULL AND status IS NOT NULL GROUP BY function, digest",
        )
        .fetch_all(&self.read)
        .await
        .during("count invocations")?;
        Ok(rows
            .into_iter()
            .map(|(function, digest, value)| InvocationCount {
                function,
                digest,
                count: count(value),
            })
            .collect())
    }

    /// Function versions with invocations whose image is not known yet.
    pub async fn versions_unresolved(
        &self,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        sqlx::query_as(
            "SELECT DISTINCT function, version FROM invocation WHERE digest IS NULL LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .during("find unresolved versions")
    }

    /// Notes which image a function version runs, for the invocations there are and those that come.
    pub async fn version_resolved(
        &self,
        function: &str,
        version: &str,
        digest: &str,
    ) -> Result<(), StoreError> {
        self.write(VersionResolved {
            function: function.to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
        })
        .await
    }

    /// Forgets invocations from before a moment, at most `limit` at a time. Returns how many.
    pub async fn forget_invocations(&self, before_ms: i64, limit: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::new(
            "forget old invocations",
            "DELETE FROM invocation WHERE request_id IN (SELECT request_id FROM invocation WHERE at_ms < $1 LIMIT $2)",
        );
        self.write(forgotten.bind(before_ms).bind(limit)).await
    }
}

/// Which image a function version runs.
struct VersionResolved {
    function: String,
    version: String,
    digest: String,
}

impl Write for VersionResolved {
    type Output = ();

    fn operation(&self) -> &'static str {
        "note a version's image"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        // $LATEST moves from image to image, so what it ran is known for those invocations only.
        if self.version != "$LATEST" {
            sqlx::query(
                "INSERT INTO function_version (function, version, digest) VALUES ($1, $2, $3)
                 ON CONFLICT (function, version) DO UPDATE SET digest = excluded.digest",
            )
            .bind(&self.function)
            .bind(&self.version)
            .bind(&self.digest)
            .execute(&mut *connection)
            .await
            .during(self.operation())?;
        }
        sqlx::query(
            "UPDATE invocation SET digest = $3 WHERE function = $1 AND version = $2 AND digest IS NULL",
        )
        .bind(&self.function)
        .bind(&self.version)
        .bind(&self.digest)
        .execute(connection)
        .await
        .during(self.operation())?;
        Ok(())
    }
}

/// A Map iteration as stored: -1 outside of a Map.
fn stored(iteration: Option<u32>) -> i64 {
    iteration.map_or(-1, i64::from)
}

/// Keeps, once, which visit an invocation works for: beside its report when that has come already.
pub(super) async fn begin(
    connection: &mut AnyConnection,
    start: &InvocationStart,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO invocation (request_id, function, version, digest, execution_arn, state, entered, iteration, attempt, at_ms)
         VALUES ($1, $2, $3, (SELECT digest FROM function_version WHERE function = $2 AND version = $3), $4, $5, $6, $7, $8, $9)
         ON CONFLICT (request_id) DO UPDATE SET execution_arn = excluded.execution_arn, state = excluded.state,
             entered = excluded.entered, iteration = excluded.iteration, attempt = excluded.attempt
         WHERE invocation.execution_arn IS NULL",
    )
    .bind(&*plain(&start.request_id))
    .bind(&*plain(&start.function))
    .bind(&*plain(&start.version))
    .bind(&*plain(&start.execution_arn))
    .bind(&*plain(&start.state))
    .bind(&*plain(&start.entered))
    .bind(stored(start.iteration))
    .bind(start.attempt.map(i64::from))
    .bind(start.at_ms)
    .execute(connection)
    .await
    .during("keep an invocation's beginning")?;
    Ok(())
}

/// Keeps an invocation's report once, by its request id. Answers the execution that it worked for, if that is known
/// and the report is news.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    invocation: &Invocation,
) -> Result<Option<String>, StoreError> {
    let row: Option<(Option<String>,)> = sqlx::query_as(
        "INSERT INTO invocation (request_id, function, version, digest, status, init_ms, duration_ms, max_memory_mib, at_ms)
         VALUES ($1, $2, $3, (SELECT digest FROM function_version WHERE function = $2 AND version = $3), $4, $5, $6, $7, $8)
         ON CONFLICT (request_id) DO UPDATE SET status = excluded.status, init_ms = excluded.init_ms,
             duration_ms = excluded.duration_ms, max_memory_mib = excluded.max_memory_mib, at_ms = excluded.at_ms
         WHERE invocation.status IS NULL
         RETURNING execution_arn",
    )
    .bind(&*plain(&invocation.request_id))
    .bind(&*plain(&invocation.function))
    .bind(&*plain(&invocation.version))
    .bind(&*plain(&invocation.status))
    .bind(invocation.init_ms)
    .bind(invocation.duration_ms)
    .bind(invocation.max_memory_mib)
    .bind(invocation.at_ms)
    .fetch_optional(connection)
    .await
    .during("keep an invocation")?;
    Ok(row.and_then(|(arn,)| arn))
}
