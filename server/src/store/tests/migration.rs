//! Databases of earlier versions, with data in them, brought up to date: nothing is lost, nothing reads differently.

use std::{borrow::Cow, str::FromStr};

use model::{ExecutionStatus, JobFilter, JobId, JobStatus};
use sqlx::{AnyConnection, Connection, Executor, any::install_default_drivers, migrate::Migrator};

use crate::store::{
    Backend, Store,
    testing::{address, backend, on_each_database},
};

on_each_database!(every_earlier_version_is_brought_up_to_date);

const FAILED: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const SUCCEEDED: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

/// What the first version of both databases kept, in the words that both know.
const JOBS: &str = "
    INSERT INTO job (id, pipeline, title, source, input, status, submitted_at_ms, error, execution_arn) VALUES
        ('01890a5d-ac96-774b-bcce-b302099a8057', 'media', 'one', 's3://b/one', '{}', 'failed', 1, 'E', 'arn:1'),
        ('01890a5d-ac96-774b-bcce-b302099a8058', 'media', 'two', 's3://b/two', '{}', 'succeeded', 2, NULL, 'arn:2');
    INSERT INTO outbox (job_id, command, target, due_at_ms) VALUES ('01890a5d-ac96-774b-bcce-b302099a8057', 'stop', 'arn:1', 7);
    INSERT INTO execution (arn, job_id, name, number, status, started_at_ms, heard_at_ms) VALUES
        ('arn:1', '01890a5d-ac96-774b-bcce-b302099a8057', '1', 1, 'FAILED', 3, 4),
        ('arn:2', '01890a5d-ac96-774b-bcce-b302099a8058', '2', 1, 'SUCCEEDED', 3, 4);
    INSERT INTO history_event (execution_arn, id, event) VALUES ('arn:1', 1, '{\"id\": 1}')";

/// The flags as each database's first version has them.
fn flags(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "UPDATE execution SET history_complete = TRUE, artifacts_read = TRUE WHERE arn = 'arn:2'"
        }
        Backend::Postgres => {
            "UPDATE execution SET history_complete = 1, artifacts_read = 1 WHERE arn = 'arn:2'"
        }
    }
}

async fn every_earlier_version_is_brought_up_to_date() {
    install_default_drivers();
    let migrations = &backend().migrator().migrations;
    for count in 1..=migrations.len() {
        let (_folder, url) = address(false).await;
        let url = match backend() {
            Backend::Sqlite => url + "?mode=rwc",
            Backend::Postgres => url,
        };
        let earlier = Migrator {
            migrations: Cow::Owned(migrations[..count].to_vec()),
            ..Migrator::DEFAULT
        };
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        earlier.run(&mut connection).await.unwrap();
        connection.execute(JOBS).await.unwrap();
        connection.execute(flags(backend())).await.unwrap();
        connection.close().await.unwrap();
        all_is_there(&Store::open(&url).await.unwrap()).await;
    }
}

async fn all_is_there(store: &Store) {
    let jobs = store.jobs(&JobFilter::default(), 9).await.unwrap();
    let titles: Vec<&str> = jobs.iter().map(|job| job.title.as_str()).collect();
    assert_eq!(titles, ["two", "one"]);
    let counts = store.job_counts().await.unwrap();
    assert_eq!((counts.failed, counts.succeeded, counts.total()), (1, 1, 2));
    let failed = JobId::from_str(FAILED).unwrap();
    let record = store.job(failed).await.unwrap().unwrap();
    assert_eq!(record.summary.status, JobStatus::Failed);
    assert_eq!(record.execution_arn.as_deref(), Some("arn:1"));
    assert_eq!(store.outbox_next_due().await.unwrap(), Some(7));
    let unread = store.execution("arn:1").await.unwrap().unwrap();
    assert_eq!(unread.status, ExecutionStatus::Failed);
    assert!(!unread.history_complete);
    let read = store.execution("arn:2").await.unwrap().unwrap();
    assert_eq!(read.job, JobId::from_str(SUCCEEDED).unwrap());
    assert!(read.history_complete);
    assert_eq!(store.histories_unread(9, 9, 9).await.unwrap(), ["arn:1"]);
    assert!(store.manifests_unread(9).await.unwrap().is_empty());
    assert_eq!(store.history_last_id("arn:1").await.unwrap(), 1);
}
