//! The index of what Gantry knows, in SQLite: one file per resource, one method per question.
//! Owns connections, migrations and what a database's refusal means. Decides nothing about jobs:
//! what may happen to one is [`crate::control`]'s business. AWS stays the record; see `ARCHITECTURE.md`.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

mod artifact;
mod execution;
mod health;
mod history;
mod invocation;
mod job;
mod outbox;
mod progress;
mod telemetry;
mod upload;

pub use execution::{Applied, ExecutionRecord, NewExecution, StatusChange};
pub use health::Backlog;
pub use invocation::{ColdStart, Invocation, InvocationCount};
pub use job::{JobRecord, NewJob};
pub use outbox::{Command, OutboxRow, RerunMode, StopOutcome};
pub use progress::ProgressRow;
pub use upload::PendingUpload;

/// Connections for reading at one time; SQLite in WAL mode lets readers run beside the writer.
const READERS_MAX: u32 = 4;
/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or brought up to date.
    #[error("cannot open the database {url}")]
    Open {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk with the database is full or read-only.
    #[error("the disk with the database takes no more data, in {operation}")]
    Full {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("the database failed in {operation}")]
    Query {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A stored value is not what Gantry writes.
    #[error("the database holds an unreadable {what}: {text}")]
    Unreadable { what: &'static str, text: String },
}

/// SQLite's primary result codes that say the disk takes nothing more.
/// <https://www.sqlite.org/rescode.html>
const SQLITE_READONLY: i32 = 8;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;

/// Names the operation a statement belongs to, in its error.
trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| {
            let primary = source
                .as_database_error()
                .and_then(|error| error.code())
                .and_then(|code| code.parse::<i32>().ok())
                .map(|code| code & 0xff);
            match primary {
                Some(SQLITE_FULL | SQLITE_READONLY | SQLITE_IOERR) => {
                    StoreError::Full { operation, source }
                }
                _ => StoreError::Query { operation, source },
            }
        })
    }
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    read: SqlitePool,
    /// One connection: SQLite has one writer, and waiting here is cheaper than SQLITE_BUSY.
    write: SqlitePool,
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH`), makes it when it is missing, and migrates it.
    /// A database left by a killed process is recovered by SQLite from its write-ahead log.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
            url: url.to_owned(),
            source,
        };
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| failed(error.into()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer 202 is a promise: it must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone())
            .await
            .map_err(|error| failed(error.into()))?;
        sqlx::migrate!("../migrations")
            .run(&write)
            .await
            .map_err(|error| failed(error.into()))?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(Store { read, write })
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.read)
            .await
            .during("check")
            .map(|_| ())
    }

    /// Closes every connection after its current statement.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// A transaction that holds SQLite's write lock from its start, so that it never fails half way for want of it.
    async fn begin(
        &self,
        operation: &'static str,
    ) -> Result<Transaction<'static, Sqlite>, StoreError> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        match self.write.begin_with(BEGIN).await {
            // When the disk is full SQLite rolls back by itself, and the driver takes the connection to be
            // in a transaction for ever: a new one takes its place.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let broken = self.write.acquire().await.during(operation)?;
                broken.close().await.during(operation)?;
                self.write.begin_with(BEGIN).await.during(operation)
            }
            begun => begun.during(operation),
        }
    }
}

/// A count from SQLite's signed integer; a negative one cannot have been written.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
pub(crate) use outbox::testing::submit as testing_submit;

#[cfg(test)]
pub(crate) mod testing {
    //! A store of one's own in a temporary folder, for tests.

    use super::Store;

    /// The folder must be kept for as long as the store is used.
    pub(crate) async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("gantry.db").display());
        let store = Store::open(&url).await.expect("a new database");
        (folder, store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_opens_again_with_what_was_written() {
        let (folder, store) = testing::store().await;
        store.upload_begun("uploads/a", "1", 5).await.unwrap();
        // No close: as after a kill, the write-ahead log is all there is.
        let url = format!("sqlite:{}", folder.path().join("gantry.db").display());
        let again = Store::open(&url).await.unwrap();
        assert_eq!(again.uploads_pending().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_is_over_when_there_is_room() {
        let (_folder, store) = testing::store().await;
        // SQLite's own limit of one connection stands in for the disk's.
        sqlx::query("PRAGMA max_page_count = 1")
            .execute(&store.write)
            .await
            .unwrap();
        let large = "k".repeat(100_000);
        let fill = async || store.add_telemetry(("s", "shard", &large), &[], &[]).await;
        let error = fill().await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        // The connection that failed was given up, and the limit with it.
        fill().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gantry.db");
        std::fs::write(&path, "not a database, but long enough to have a header").unwrap();
        let error = Store::open(&format!("sqlite:{}", path.display()))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("gantry.db"), "{error}");
    }
}
