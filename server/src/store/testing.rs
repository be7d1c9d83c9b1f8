//! Stores of one's own for tests, and each test on each database: SQLite's half anywhere, PostgreSQL's where
//! `GANTRY_TEST_POSTGRES_URL` names a server that may make databases, as in `cargo xtask test`. Without one that half
//! fails and says so: a test that is passed over in silence proves nothing.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use url::Url;
use uuid::Uuid;

use super::{Backend, Store};

/// The server on which databases for tests are made.
const VARIABLE: &str = "GANTRY_TEST_POSTGRES_URL";
/// Who makes the template holds this lock.
const TEMPLATE_LOCK: i64 = 0x6761_6e74_7279;

thread_local! {
    static BACKEND: Cell<Backend> = const { Cell::new(Backend::Sqlite) };
    /// Databases that this test made.
    static MADE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Makes of each function a test on SQLite and one on PostgreSQL. The functions take what they need from
/// [`store`], which knows the database. One that is not listed is dead code, which the lints refuse.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                $crate::store::testing::run($crate::store::Backend::Sqlite, super::$test());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                $crate::store::testing::run($crate::store::Backend::Postgres, super::$test());
            })+
        }
    };
}
pub(crate) use on_each_database;

/// Runs a test whose stores are on this database, and removes what they left.
pub(crate) fn run(backend: Backend, test: impl Future<Output = ()>) {
    BACKEND.set(backend);
    let tested = catch_unwind(AssertUnwindSafe(|| block_on(test)));
    let made = MADE.take();
    if !made.is_empty() {
        block_on(async {
            let mut connection = AnyConnection::connect(&server()).await.expect("the server");
            for name in made {
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                connection
                    .execute(AssertSqlSafe(drop))
                    .await
                    .expect("a database goes");
            }
        });
    }
    if let Err(panic) = tested {
        resume_unwind(panic);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// The database that this test's stores are on.
pub(crate) fn backend() -> Backend {
    BACKEND.get()
}

/// The server's address.
pub(crate) fn server() -> String {
    sqlx::any::install_default_drivers();
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} names no PostgreSQL server; `cargo xtask test` starts one and sets it, `-E 'not test(postgres)'` leaves these tests out")
    })
}

/// The address of another database on the server.
pub(crate) fn on_server(database: &str) -> String {
    let mut url = Url::parse(&server()).expect("an address");
    url.set_path(database);
    url.into()
}

/// A new store. The folder must be kept for as long as it is used.
pub(crate) async fn store() -> (tempfile::TempDir, Store) {
    let (folder, url) = address(true).await;
    let store = Store::open(&url).await.expect("a new database");
    (folder, store)
}

/// The address of a database of one's own: `migrated` already, or empty.
pub(crate) async fn address(migrated: bool) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = match backend() {
        Backend::Sqlite => format!("sqlite:{}", folder.path().join("gantry.db").display()),
        Backend::Postgres => on_server(&made(migrated).await),
    };
    (folder, url)
}

/// Makes a database on the server; gives its name.
async fn made(migrated: bool) -> String {
    let template = match migrated {
        true => template().await,
        false => "template0".to_owned(),
    };
    // No process number: one that was killed before may have had it, and left its database.
    let name = format!("gantry_test_{}", Uuid::now_v7().simple());
    let mut connection = AnyConnection::connect(&server()).await.expect("the server");
    connection
        .execute(AssertSqlSafe(format!(
            "CREATE DATABASE {name} TEMPLATE {template}"
        )))
        .await
        .expect("a database");
    MADE.with_borrow_mut(|made| made.push(name.clone()));
    name
}

/// The name of a migrated database, made by the first test that needs it.
async fn template() -> String {
    let migrations = Backend::Postgres.migrator();
    let mark = migrations.iter().fold(0_u64, |mark, migration| {
        migration
            .checksum
            .iter()
            .fold(mark, |mark, byte| mark.rotate_left(5) ^ u64::from(*byte))
    });
    let name = format!("gantry_template_{mark:x}");
    let mut connection = AnyConnection::connect(&server()).await.expect("the server");
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut connection)
        .await
        .expect("a lock");
    let (there,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .expect("an answer");
    if there == 0 {
        let half = format!("{name}_half");
        for statement in [
            format!("DROP DATABASE IF EXISTS {half} WITH (FORCE)"),
            format!("CREATE DATABASE {half}"),
        ] {
            connection
                .execute(AssertSqlSafe(statement))
                .await
                .expect("a new template");
        }
        let mut inside = AnyConnection::connect(&on_server(&half))
            .await
            .expect("the new template");
        migrations.run(&mut inside).await.expect("migrations");
        inside.close().await.expect("an end");
        connection
            .execute(AssertSqlSafe(format!(
                "ALTER DATABASE {half} RENAME TO {name}"
            )))
            .await
            .expect("a finished template");
    }
    // The lock goes with the connection.
    connection.close().await.expect("an end");
    name
}
