//! The store as a whole: opening it, again and from earlier versions, and what it says when it cannot.

use super::*;
use testing::{backend, on_each_database};

on_each_database!(
    a_database_opens_again_with_what_was_written,
    an_unreachable_or_unknown_database_is_said,
);

async fn a_database_opens_again_with_what_was_written() {
    let (_folder, url) = testing::address(false).await;
    let store = Store::open(&url).await.unwrap();
    store.upload_begun("uploads/a", "1", 5).await.unwrap();
    // No close: as after a kill, the write-ahead log is all there is.
    let again = Store::open(&url).await.unwrap();
    assert_eq!(again.uploads_left(i64::MAX).await.unwrap().len(), 1);
    assert_eq!(
        again.postgres_url().is_some(),
        backend() == Backend::Postgres
    );
}

async fn an_unreachable_or_unknown_database_is_said() {
    let refused = match backend() {
        Backend::Sqlite => vec![("sqlite:/nonexistent/gantry.db".to_owned(), "unable to open")],
        Backend::Postgres => vec![
            (testing::on_server("nobody_made_this"), "createdb"),
            (
                "postgres://gantry:hunter2@127.0.0.1:1/gantry".to_owned(),
                "is the server running",
            ),
            (guarded("hunter2"), "the password in DATABASE_URL"),
        ],
    };
    for (url, expected) in refused {
        let error = Store::open(&url).await.unwrap_err();
        let text = crate::control::causes(&error);
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// The server's address for a user whom it asks for a password.
fn guarded(password: &str) -> String {
    let mut url = url::Url::parse(&testing::server()).expect("an address");
    url.set_username("gantry_guarded").expect("a user");
    url.set_password(Some(password)).expect("a password");
    url.into()
}

#[tokio::test]
async fn an_address_of_neither_database_is_refused() {
    let error = Store::open("mysql://u:hunter2@h/d").await.unwrap_err();
    assert!(!crate::control::causes(&error).contains("hunter2"));
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
    let fill = async || {
        store
            .add_telemetry(("s", "shard", &large), Telemetry::default())
            .await
    };
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

mod migration;
