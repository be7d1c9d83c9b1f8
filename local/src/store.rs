//! The data directory: its lock and its one SQLite file.
//!
//! Owns opening `DIR/local.db` so that what was answered survives `kill -9` (WAL, `synchronous=FULL`)
//! and that only one `local` works in a directory. Each module makes its own tables, with
//! `CREATE TABLE IF NOT EXISTS`, when it opens. Refuses to hold any module's queries.
//!
//! Transactions that read before they write must begin with [`Store::begin`]: SQLite refuses to turn a
//! reading transaction into a writing one when somebody else wrote in between.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use tokio_util::sync::CancellationToken;

/// Why the data directory cannot be used; each message is one sentence for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or written to.
    #[error("cannot write to the data directory {path}: {source}; give another one with --data", path = .path.display())]
    Unwritable {
        /// The directory asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another `local` works in it.
    #[error("another local is already using the data directory {path}; stop it or give another one with --data", path = .path.display())]
    Taken {
        /// The directory asked for.
        path: PathBuf,
    },
    /// SQLite refused the file.
    #[error("cannot open the database in the data directory {path}: {source}", path = .path.display())]
    Database {
        /// The directory asked for.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

/// What every module keeps its state in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// The pool of connections to `DIR/local.db`.
    pub db: SqlitePool,
    /// The data directory.
    pub data: Arc<Path>,
    /// Where this `local` is reached, e.g. `http://127.0.0.1:4566`; no slash at the end.
    pub endpoint: Arc<str>,
    /// Ends the tasks that work in the background: each waits for it beside what else it waits for.
    pub stopping: CancellationToken,
    lock: Arc<File>,
}

impl Store {
    /// Takes the directory's lock and opens its database, making both when they are not there.
    pub async fn open(data: &Path, endpoint: &str) -> Result<Store, StoreError> {
        let unwritable = |source| StoreError::Unwritable {
            path: data.to_owned(),
            source,
        };
        std::fs::create_dir_all(data).map_err(unwritable)?;
        let data = std::fs::canonicalize(data).map_err(unwritable)?;
        let lock = File::create(data.join("local.lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Taken { path: data }),
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(StoreError::Unwritable { path: data, source });
            }
        }
        let options = SqliteConnectOptions::new()
            .filename(data.join("local.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30));
        let db = SqlitePoolOptions::new()
            .max_connections(8)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Database {
                path: data.clone(),
                source,
            })?;
        Ok(Store {
            db,
            data: data.into(),
            endpoint: endpoint.into(),
            stopping: CancellationToken::new(),
            lock: Arc::new(lock),
        })
    }

    /// Ends background work, closes the database and lets go of the directory, whoever still holds a clone.
    pub async fn close(&self) {
        self.stopping.cancel();
        self.db.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the data directory's lock stays until this process ends");
        }
    }

    /// A transaction that holds the write lock from its start.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.db.begin_with("BEGIN IMMEDIATE").await
    }
}

/// Whether there is more than the `limit` of a page, for which one row more was asked; that row is dropped.
pub fn has_more<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let more = i64::try_from(rows.len()).is_ok_and(|count| count > limit);
    if more {
        rows.pop();
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_belongs_to_one_local_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Store::open(directory.path(), "http://127.0.0.1:1")
            .await
            .unwrap();
        let second = Store::open(directory.path(), "http://127.0.0.1:2").await;
        assert!(matches!(second, Err(StoreError::Taken { .. })));
        let held = first.clone();
        first.close().await;
        Store::open(directory.path(), "http://127.0.0.1:2")
            .await
            .unwrap();
        assert!(held.stopping.is_cancelled());
    }
}
