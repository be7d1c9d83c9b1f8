//! Bulk operations in the store: items begin once, get their outcome from their jobs, and stop with their operation.

use model::{BulkCounts, JobStatus};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::store::{
    Asked, NewExecution, RerunMode, StatusChange,
    outbox::testing::{new_job, submit},
    testing::{on_each_database, store},
};

on_each_database!(
    an_item_begins_once_and_ends_with_its_job,
    what_waits_is_skipped_when_its_operation_is_cancelled,
    an_item_whose_job_is_in_no_state_for_it_is_refused,
    what_is_half_made_is_not_seen_and_forgotten,
    what_has_begun_gets_its_outcome_though_its_operation_pauses,
);

fn item(job: Option<JobId>, action: BulkAction, refusal: Option<&str>) -> NewBulkItem {
    NewBulkItem {
        job,
        title: "clip".to_owned(),
        action,
        refusal: refusal.map(str::to_owned),
        before: Some("Source.NotMedia in Inspect".to_owned()),
        input: None,
        changes: Vec::new(),
    }
}

async fn made(store: &Store, kind: BulkKind, items: &[NewBulkItem]) -> BulkId {
    let id = BulkId(Uuid::now_v7());
    let new = NewBulk {
        id,
        kind,
        title: "a test".to_owned(),
        actor: "ada".to_owned(),
        reason: "why not".to_owned(),
        canary: true,
        pace_per_minute: None,
        pipeline: Some("media".to_owned()),
        priority: None,
        created_at_ms: 1_000,
    };
    store.bulk_making(&new).await.unwrap();
    store.bulk_add(id, 1, items).await.unwrap();
    store.bulk_made(id).await.unwrap();
    id
}

async fn running(store: &Store, kind: BulkKind, items: &[NewBulkItem]) -> BulkId {
    let id = made(store, kind, items).await;
    let from: &[BulkState] = &[BulkState::Draft];
    assert!(
        store
            .bulk_move(id, from, BulkState::Running, None, 2_000)
            .await
            .unwrap()
    );
    id
}

async fn an_item_begins_once_and_ends_with_its_job() {
    let (_folder, store) = store().await;
    let items = [
        item(None, BulkAction::Submit, None),
        item(None, BulkAction::Submit, Some("/source: This is needed.")),
    ];
    let id = running(&store, BulkKind::Submit, &items).await;
    assert_eq!(store.bulks_due(2_000, 9_000).await.unwrap(), [id]);
    assert!(
        store.bulks_due(8_999, 9_999).await.unwrap().is_empty(),
        "it is somebody's"
    );
    let turns = store.bulk_turns(id, 9).await.unwrap();
    assert_eq!(turns.len(), 1);
    let job = new_job(7);
    let asked = Asked {
        bulk: Some(id),
        ..Asked::default()
    };
    let begin = async || {
        let promise = Promise::Submit(job.clone());
        store
            .bulk_begin(&turns[0], promise, &asked, 3_000)
            .await
            .unwrap()
    };
    assert!(begin().await);
    assert!(!begin().await, "it does not wait any more");
    assert_eq!(store.job_counts().await.unwrap().total(), 1);
    let settle = async |at_ms| store.bulk_settle(id, at_ms).await.unwrap();
    assert_eq!(settle(3_000).await, 0, "its job is queued");

    let row = store
        .outbox_take(4_000, 1_000, 9)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let execution = NewExecution::new(job.id, "arn:x:y", 1, 4_000);
    store
        .started(Some(row.id), &execution, 4_000)
        .await
        .unwrap();
    let change = StatusChange {
        error: Some("Source.NotMedia".to_owned()),
        ended_at_ms: Some(5_000),
        ..StatusChange::new("arn:x:y", model::ExecutionStatus::Failed, 5_000)
    };
    store.status_changed(&change).await.unwrap();
    assert_eq!(settle(6_000).await, 0, "nobody knows yet where it failed");
    store.keep_failed_state("arn:x:y", "Inspect").await.unwrap();
    assert_eq!(settle(6_000).await, 1);
    let unseen = store.bulk_unseen(id).await.unwrap();
    assert_eq!(unseen.len(), 1);
    assert_eq!(Some(&unseen[0].reason), unseen[0].before.as_ref());
    // Whoever asks sees it until it was taken into account, be it by another server.
    assert_eq!(store.bulk_unseen(id).await.unwrap(), unseen);
    store.bulk_seen(id, &unseen).await.unwrap();
    assert_eq!(store.bulk_unseen(id).await.unwrap(), []);
    let bulk = store.bulk(id).await.unwrap().unwrap().bulk;
    let counts = BulkCounts {
        failed: 1,
        refused: 1,
        ..BulkCounts::default()
    };
    assert_eq!(bulk.counts, counts);
    let reasons = store
        .bulk_reasons(id, BulkItemState::Refused, 9)
        .await
        .unwrap();
    assert_eq!(reasons[0].reason, "/source: This is needed.");
    let lineage = store.lineage(job.id).await.unwrap();
    assert_eq!(lineage[0].bulk, Some(id));
}

async fn what_waits_is_skipped_when_its_operation_is_cancelled() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    let id = running(
        &store,
        BulkKind::Stop,
        &[item(Some(job), BulkAction::Stop, None)],
    )
    .await;
    let turns = store.bulk_turns(id, 9).await.unwrap();
    let from: &[BulkState] = &[BulkState::Running];
    assert!(
        store
            .bulk_move(id, from, BulkState::Cancelled, None, 3_000)
            .await
            .unwrap()
    );
    assert!(
        !store
            .bulk_move(id, from, BulkState::Paused, None, 3_000)
            .await
            .unwrap()
    );
    let promise = Promise::Stop(job);
    let begun = store
        .bulk_begin(&turns[0], promise, &Asked::default(), 3_000)
        .await
        .unwrap();
    assert!(!begun, "a server that found it before begins nothing after");
    let summary = store.job(job).await.unwrap().unwrap().summary;
    assert_eq!(summary.status, JobStatus::Queued);
    let items = store.bulk_items(id, None, 0, 9).await.unwrap();
    assert_eq!(items[0].state, BulkItemState::Skipped);
}

async fn an_item_whose_job_is_in_no_state_for_it_is_refused() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    let id = running(
        &store,
        BulkKind::Rerun,
        &[item(Some(job), BulkAction::Restart, None)],
    )
    .await;
    let turns = store.bulk_turns(id, 9).await.unwrap();
    let promise = Promise::Rerun(
        job,
        RerunMode::Restart {
            input: Some(json!({})),
        },
    );
    let begun = store
        .bulk_begin(&turns[0], promise, &Asked::default(), 3_000)
        .await
        .unwrap();
    assert!(!begun);
    let items = store
        .bulk_items(id, Some(BulkItemState::Refused), 0, 9)
        .await
        .unwrap();
    assert_eq!(
        items[0].reason.as_deref(),
        Some("It is queued or running by now.")
    );
    assert_eq!(
        store.lineage(job).await.unwrap().len(),
        1,
        "nothing was asked of it"
    );
}

async fn what_has_begun_gets_its_outcome_though_its_operation_pauses() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    let items = [item(Some(job), BulkAction::Stop, None)];
    let id = running(&store, BulkKind::Stop, &items).await;
    let turns = store.bulk_turns(id, 9).await.unwrap();
    let (promise, asked) = (Promise::Stop(job), Asked::default());
    assert!(
        store
            .bulk_begin(&turns[0], promise, &asked, 3_000)
            .await
            .unwrap()
    );
    let from: &[BulkState] = &[BulkState::Running];
    let paused = store.bulk_move(id, from, BulkState::Paused, None, 3_000);
    assert!(paused.await.unwrap());
    assert_eq!(store.bulks_due(4_000, 5_000).await.unwrap(), [id]);
    assert_eq!(store.bulk_settle(id, 4_000).await.unwrap(), 1);
    assert_eq!(store.bulks_due(5_000, 6_000).await.unwrap(), []);
    let items = store.bulk_items(id, None, 0, 9).await.unwrap();
    assert_eq!(items[0].state, BulkItemState::Succeeded);
}

async fn what_is_half_made_is_not_seen_and_forgotten() {
    let (_folder, store) = store().await;
    let id = BulkId(Uuid::now_v7());
    let draft = made(
        &store,
        BulkKind::Submit,
        &[item(None, BulkAction::Submit, None)],
    )
    .await;
    let half = NewBulk {
        id,
        kind: BulkKind::Stop,
        title: String::new(),
        actor: String::new(),
        reason: String::new(),
        canary: false,
        pace_per_minute: None,
        pipeline: None,
        priority: None,
        created_at_ms: 1_000,
    };
    store.bulk_making(&half).await.unwrap();
    assert_eq!(store.bulk(id).await.unwrap(), None);
    assert_eq!(store.bulks_forget(1_001, 1_000).await.unwrap(), 1);
    assert!(store.bulk(draft).await.unwrap().is_some());
    assert_eq!(store.bulks_forget(1_001, 1_001).await.unwrap(), 1);
    assert_eq!(store.bulk_items(draft, None, 0, 9).await.unwrap(), []);
}
