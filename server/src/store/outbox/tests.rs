//! What the outbox promises: nothing lost, nothing twice, nothing out of order.

use model::JobStatus;

use super::{testing::submit, *};
use crate::store::{
    Applied, NewExecution, StatusChange,
    testing::{on_each_database, store},
};

on_each_database!(
    a_row_is_taken_once_and_comes_back_when_its_taker_died,
    a_restarted_server_does_not_wait_for_its_own_lease,
    a_stop_waits_for_the_start_before_it,
    a_start_that_nobody_tried_is_withdrawn,
    only_an_ended_job_is_rerun_and_only_once,
    an_acknowledgement_does_not_undo_what_the_redriven_execution_said_first,
    a_refused_redrive_puts_the_job_back_where_it_was,
    restarts_are_numbered,
);

const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:gantry-media:x";

/// A job whose first execution was started and has failed.
async fn failed(store: &Store) -> JobId {
    let job = submit(store, 1).await;
    let row = store
        .outbox_take(2_000, 1_000, 9)
        .await
        .unwrap()
        .pop()
        .unwrap();
    store
        .started(Some(row.id), &NewExecution::new(job, ARN, 1, 2_000), 2_000)
        .await
        .unwrap();
    let change = StatusChange {
        ended_at_ms: Some(3_000),
        error: Some("Source.NotMedia".to_owned()),
        ..StatusChange::new(ARN, ExecutionStatus::Failed, 3_000)
    };
    assert_eq!(
        store.status_changed(&change).await.unwrap(),
        Applied::Changed
    );
    job
}

async fn a_row_is_taken_once_and_comes_back_when_its_taker_died() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    let taken = store.outbox_take(1_000, 60_000, 9).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].job, taken[0].attempts), (job, 0));
    assert!(store.outbox_take(60_999, 1, 9).await.unwrap().is_empty());
    let again = store.outbox_take(61_000, 1, 9).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 1));
}

async fn a_restarted_server_does_not_wait_for_its_own_lease() {
    let (_folder, store) = store().await;
    submit(&store, 1).await;
    store.outbox_take(1_000, 240_000, 9).await.unwrap();
    store.outbox_release(1_500).await.unwrap();
    assert_eq!(store.outbox_take(1_500, 1, 9).await.unwrap().len(), 1);
}

async fn a_stop_waits_for_the_start_before_it() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    let start = store
        .outbox_take(1_000, 60_000, 9)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(store.stop(job, 1_001).await.unwrap(), StopOutcome::Promised);
    assert!(store.outbox_take(2_000, 1, 9).await.unwrap().is_empty());
    store
        .started(
            Some(start.id),
            &NewExecution::new(job, ARN, 1, 2_000),
            2_000,
        )
        .await
        .unwrap();
    let stop = store.outbox_take(2_000, 1, 9).await.unwrap();
    assert!(matches!(stop[0].command, Command::Stop { .. }));
}

async fn a_start_that_nobody_tried_is_withdrawn() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    assert_eq!(
        store.stop(job, 2_000).await.unwrap(),
        StopOutcome::Withdrawn
    );
    assert_eq!(store.outbox_next_due().await.unwrap(), None);
    let status = store.job(job).await.unwrap().unwrap().summary.status;
    assert_eq!(status, JobStatus::Aborted);
    assert_eq!(store.stop(job, 2_001).await.unwrap(), StopOutcome::Over);
}

async fn only_an_ended_job_is_rerun_and_only_once() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    let mode = RerunMode::Redrive {
        arn: ARN.to_owned(),
        redrive_count: 0,
    };
    assert!(store.rerun(job, &mode, 4_000).await.unwrap());
    assert!(!store.rerun(job, &mode, 4_000).await.unwrap());
    let row = store.outbox_take(4_000, 1, 9).await.unwrap().pop().unwrap();
    store.redriven(&row, 4_100).await.unwrap();
    let summary = store.job(job).await.unwrap().unwrap().summary;
    assert_eq!(
        (summary.status, summary.rerun_count, summary.error),
        (JobStatus::Running, 1, None)
    );
}

async fn an_acknowledgement_does_not_undo_what_the_redriven_execution_said_first() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    let mode = RerunMode::Redrive {
        arn: ARN.to_owned(),
        redrive_count: 0,
    };
    store.rerun(job, &mode, 4_000).await.unwrap();
    let row = store.outbox_take(4_000, 1, 9).await.unwrap().pop().unwrap();
    let ended = StatusChange {
        redrive_count: Some(1),
        ended_at_ms: Some(4_050),
        ..StatusChange::new(ARN, ExecutionStatus::Succeeded, 4_050)
    };
    assert_eq!(
        store.status_changed(&ended).await.unwrap(),
        Applied::Changed
    );
    store.redriven(&row, 4_100).await.unwrap();
    let summary = store.job(job).await.unwrap().unwrap().summary;
    assert_eq!(summary.status, JobStatus::Succeeded);
}

async fn a_refused_redrive_puts_the_job_back_where_it_was() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    let mode = RerunMode::Redrive {
        arn: ARN.to_owned(),
        redrive_count: 0,
    };
    store.rerun(job, &mode, 4_000).await.unwrap();
    let row = store.outbox_take(4_000, 1, 9).await.unwrap().pop().unwrap();
    store
        .outbox_refused(&row, "ExecutionNotRedrivable", 4_100)
        .await
        .unwrap();
    let summary = store.job(job).await.unwrap().unwrap().summary;
    assert_eq!(summary.status, JobStatus::Failed);
    assert_eq!(summary.error.as_deref(), Some("Source.NotMedia"));
    assert_eq!(summary.ended_at_ms.map(|at| at.0), Some(3_000));
}

async fn restarts_are_numbered() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    store.rerun(job, &RerunMode::Restart, 4_000).await.unwrap();
    let row = store.outbox_take(4_000, 1, 9).await.unwrap().pop().unwrap();
    assert_eq!(
        row.command,
        Command::Start {
            name: format!("{job}-2")
        }
    );
}
