//! Status events that come twice, late, out of order and in batches.

use model::JobId;

use super::*;
use crate::store::{
    NewExecution,
    outbox::testing::submit,
    testing::{on_each_database, store},
};

on_each_database!(
    an_event_twice_or_late_changes_nothing,
    a_redrive_moves_on_and_its_past_does_not_come_back,
    an_event_that_does_not_name_its_redrive_asks_for_reconciliation,
    an_older_executions_event_leaves_the_job_alone,
    an_event_of_nobodys_execution_is_unknown,
);

const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:gantry-media:x";

fn ended(status: ExecutionStatus, redrive_count: u32) -> StatusChange {
    StatusChange {
        redrive_count: Some(redrive_count),
        ended_at_ms: Some(9_000),
        ..StatusChange::new(ARN, status, 9_000)
    }
}

async fn running() -> (tempfile::TempDir, Store, JobId) {
    let (folder, store) = store().await;
    let job = submit(&store, 1).await;
    let execution = NewExecution::new(job, ARN, 1, 2_000);
    store.started(None, &execution, 2_000).await.unwrap();
    (folder, store, job)
}

async fn status(store: &Store, job: JobId) -> JobStatus {
    store.job(job).await.unwrap().unwrap().summary.status
}

async fn an_event_twice_or_late_changes_nothing() {
    let (_folder, store, job) = running().await;
    let failed = ended(ExecutionStatus::Failed, 0);
    assert_eq!(
        store.status_changed(&failed).await.unwrap(),
        Applied::Changed
    );
    assert_eq!(store.status_changed(&failed).await.unwrap(), Applied::Stale);
    let late = StatusChange {
        redrive_count: Some(0),
        ..StatusChange::new(ARN, ExecutionStatus::Running, 9_500)
    };
    assert_eq!(store.status_changed(&late).await.unwrap(), Applied::Stale);
    assert_eq!(status(&store, job).await, JobStatus::Failed);
}

async fn a_redrive_moves_on_and_its_past_does_not_come_back() {
    let (_folder, store, job) = running().await;
    for (change, expected) in [
        (ended(ExecutionStatus::Failed, 0), JobStatus::Failed),
        (ended(ExecutionStatus::Running, 1), JobStatus::Running),
        (ended(ExecutionStatus::Failed, 0), JobStatus::Running),
        (ended(ExecutionStatus::Succeeded, 1), JobStatus::Succeeded),
        (ended(ExecutionStatus::Running, 1), JobStatus::Succeeded),
    ] {
        store.status_changed(&change).await.unwrap();
        assert_eq!(status(&store, job).await, expected, "{change:?}");
    }
}

async fn an_event_that_does_not_name_its_redrive_asks_for_reconciliation() {
    let (_folder, store, _job) = running().await;
    store
        .status_changed(&ended(ExecutionStatus::Running, 1))
        .await
        .unwrap();
    let unclear = StatusChange::new(ARN, ExecutionStatus::Failed, 9_900);
    assert_eq!(
        store.status_changed(&unclear).await.unwrap(),
        Applied::Stale
    );
    assert_eq!(store.executions_silent(1, 9).await.unwrap(), [ARN]);
}

async fn an_older_executions_event_leaves_the_job_alone() {
    let (_folder, store, job) = running().await;
    store
        .status_changed(&ended(ExecutionStatus::Failed, 0))
        .await
        .unwrap();
    let second = NewExecution::new(job, &format!("{ARN}-2"), 2, 10_000);
    store.started(None, &second, 10_000).await.unwrap();
    store
        .status_changed(&ended(ExecutionStatus::Succeeded, 1))
        .await
        .unwrap();
    assert_eq!(status(&store, job).await, JobStatus::Running);
}

async fn an_event_of_nobodys_execution_is_unknown() {
    let (_folder, store) = store().await;
    let change = ended(ExecutionStatus::Failed, 0);
    assert_eq!(
        store.status_changed(&change).await.unwrap(),
        Applied::Unknown
    );
}
