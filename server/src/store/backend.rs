//! The two databases and where they differ: how a connection is set up, how a transaction begins, how rows
//! are locked, what is migrated. Every query of the store is one text for both.

use std::time::Duration;

use sqlx::{
    AnyConnection, AnyPool, Connection, Executor,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::Migrator,
};

use super::error::StoreError;

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

/// The oldest PostgreSQL whose makers still mend it.
const POSTGRES_VERSION_MIN: i32 = 14;
/// How long opening a database may take before it counts as not there.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a connection may have been idle that is not asked first whether it still is one.
const IDLE_UNTESTED_MAX: Duration = Duration::from_secs(1);

/// What each SQLite connection is told first. An answer 202 is a promise that must survive a power cut: hence
/// `synchronous`. Another process's write is waited for.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON;";
const SQLITE_SETUP_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA query_only = ON; PRAGMA cache_size = -4000;";

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Reading,
    Writing,
}

impl Backend {
    /// By an address; none when it is neither's.
    pub fn of_url(url: &str) -> Option<Backend> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Backend::Sqlite),
            "postgres" | "postgresql" => Some(Backend::Postgres),
            _ => None,
        }
    }

    pub(super) fn of(connection: &AnyConnection) -> Backend {
        match connection.backend_name() {
            "PostgreSQL" => Backend::Postgres,
            _ => Backend::Sqlite,
        }
    }

    /// How a transaction that writes begins: on SQLite with the write lock, so that it never fails half way for
    /// want of it.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        }
    }

    /// Connections for one purpose. SQLite has one writer, beside which its readers go on in WAL mode.
    fn connections(self, purpose: Purpose) -> u32 {
        match (self, purpose) {
            (Backend::Sqlite, Purpose::Writing) => 1,
            (Backend::Sqlite, Purpose::Reading) => 4,
            (Backend::Postgres, Purpose::Writing) => 2,
            (Backend::Postgres, Purpose::Reading) => 8,
        }
    }

    /// What is said to a new connection.
    fn setup(self, purpose: Purpose) -> &'static str {
        match (self, purpose) {
            (Backend::Sqlite, Purpose::Writing) => SQLITE_SETUP,
            (Backend::Sqlite, Purpose::Reading) => SQLITE_SETUP_READER,
            // The store's transactions are written for this level, which an administrator may have changed. What
            // writes finds its rows by their keys; of a new table the planner would keep thinking that it is small.
            (Backend::Postgres, Purpose::Writing) => {
                "SET default_transaction_isolation = 'read committed'; SET enable_seqscan = off"
            }
            (Backend::Postgres, Purpose::Reading) => "SET default_transaction_read_only = on",
        }
    }

    pub(super) fn migrator(self) -> &'static Migrator {
        match self {
            Backend::Sqlite => &SQLITE,
            Backend::Postgres => &POSTGRES,
        }
    }

    /// Brings the database up to date over a connection of its own, made as if it were a writer's. The first
    /// connection also tells why there can be none: a pool would try again until it only knew that time ran out.
    pub(super) async fn prepare(self, url: &str) -> Result<(), StoreError> {
        let options = self.options(url)?;
        let connecting = AnyConnection::connect_with(&options);
        let mut connection = match tokio::time::timeout(CONNECT_MAX, connecting).await {
            Ok(connected) => connected.map_err(|error| StoreError::open(url, error))?,
            Err(_) => {
                let late = std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no answer within {} s", CONNECT_MAX.as_secs()),
                );
                return Err(StoreError::open(url, sqlx::Error::Io(late)));
            }
        };
        self.migrate(&mut connection)
            .await
            .map_err(|error| StoreError::open(url, error))?;
        connection
            .close()
            .await
            .map_err(|error| StoreError::open(url, error))
    }

    async fn migrate(
        self,
        connection: &mut AnyConnection,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        connection.execute(self.setup(Purpose::Writing)).await?;
        if self == Backend::Postgres {
            let (version,): (i32,) =
                sqlx::query_as("SELECT CAST(current_setting('server_version_num') AS INTEGER)")
                    .fetch_one(&mut *connection)
                    .await?;
            new_enough(version)?;
        }
        self.migrator().run(&mut *connection).await?;
        if self == Backend::Postgres {
            // Connections that have ended count no more: what they counted is added to this one's. A row that
            // somebody writes right now stays for the next time.
            connection
                .execute(
                    "WITH folded AS (
                         DELETE FROM job_count WHERE (pipeline, status, backend) IN
                             (SELECT pipeline, status, backend FROM job_count FOR UPDATE SKIP LOCKED)
                         RETURNING pipeline, status, count)
                     INSERT INTO job_count (pipeline, status, backend, count)
                         SELECT pipeline, status, pg_backend_pid(), SUM(count) FROM folded GROUP BY pipeline, status",
                )
                .await?;
        }
        Ok(())
    }

    /// Connections that are made when they are needed.
    pub(super) fn pool(self, url: &str, purpose: Purpose) -> Result<AnyPool, StoreError> {
        let setup = self.setup(purpose);
        Ok(AnyPoolOptions::new()
            .max_connections(self.connections(purpose))
            .acquire_timeout(CONNECT_MAX)
            // Each connection to PostgreSQL has its rows in job_count: few of them, and for long.
            .idle_timeout(None)
            .max_lifetime(None)
            // SQLite is always there, and PostgreSQL was a moment ago: asking each time costs what a small query does.
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                Box::pin(async move {
                    if self == Backend::Postgres && known.idle_for > IDLE_UNTESTED_MAX {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move { connection.execute(setup).await.map(|_| ()) })
            })
            .connect_lazy_with(self.options(url)?))
    }

    fn options(self, url: &str) -> Result<AnyConnectOptions, StoreError> {
        sqlx::any::install_default_drivers();
        let mut url_to_parse = url.to_owned();
        if self == Backend::Sqlite && !url.contains("mode=") {
            url_to_parse += if url.contains('?') { "&" } else { "?" };
            url_to_parse += "mode=rwc";
        }
        url_to_parse
            .parse()
            .map_err(|error: sqlx::Error| StoreError::open(url, error))
    }
}

/// Refuses a PostgreSQL by its `server_version_num`, such as 150004 for 15.4.
fn new_enough(version: i32) -> Result<(), String> {
    let major = version / 10_000;
    if major < POSTGRES_VERSION_MIN {
        return Err(format!(
            "it is PostgreSQL {major}, and Gantry needs {POSTGRES_VERSION_MIN} or newer"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        assert!(new_enough(140_000).is_ok());
        let error = new_enough(130_016).unwrap_err();
        assert!(error.contains("PostgreSQL 13"), "{error}");
    }
}
