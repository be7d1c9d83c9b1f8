//! What a bulk operation takes for eligible, and how a canary goes on.

use model::{BulkJobs, JobStatus, RerunChoice};
use serde_json::json;

use super::*;
use crate::{
    control::testing::control,
    store::{self, NewExecution, StatusChange, testing::on_each_database},
    tracker,
};

on_each_database!(
    a_preview_tells_who_is_eligible_and_exactly_why_not,
    a_submission_is_previewed_row_by_row,
    a_canary_pauses_when_the_same_failure_comes_again,
    a_request_that_cannot_be_meant_is_refused,
);

fn rerun(mode: RerunChoice, edit: Option<serde_json::Value>) -> CreateBulk {
    CreateBulk {
        what: BulkWhat::Rerun(BulkRerun {
            jobs: None,
            filter: Some(JobFilter::default()),
            mode,
            edit,
            input: None,
        }),
        reason: "the bucket is back".to_owned(),
        canary: true,
        pace_per_minute: None,
        start: false,
    }
}

/// A job that has failed in Inspect, so long ago.
async fn failed(control: &Control, second: u64, ago_ms: i64) -> JobId {
    let job = store::testing_submit(&control.store, second).await;
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{job}");
    end(control, job, &arn, ago_ms).await;
    job
}

/// Lets a job's start be acknowledged and its execution fail.
async fn end(control: &Control, job: JobId, arn: &str, ago_ms: i64) {
    let now_ms = clock::now().0;
    let rows = control.store.outbox_take(now_ms + 1, 0, 99).await.unwrap();
    let row = rows.iter().find(|row| row.job == job).unwrap();
    let execution = NewExecution::new(job, arn, 1, now_ms - ago_ms);
    control
        .store
        .started(Some(row.id), &execution, now_ms)
        .await
        .unwrap();
    let change = StatusChange {
        error: Some("Source.NotMedia".to_owned()),
        ended_at_ms: Some(now_ms - ago_ms),
        redrive_status: Some("REDRIVABLE".to_owned()),
        ..StatusChange::new(arn, model::ExecutionStatus::Failed, now_ms)
    };
    control.store.status_changed(&change).await.unwrap();
    control
        .store
        .keep_resumption(arn, None, Some("Inspect"))
        .await
        .unwrap();
    control
        .store
        .keep_failed_state(arn, "Inspect")
        .await
        .unwrap();
    control
        .store
        .history_read(arn, 0, true, now_ms)
        .await
        .unwrap();
}

async fn a_preview_tells_who_is_eligible_and_exactly_why_not() {
    let (_folder, control) = control().await;
    const FIFTEEN_DAYS: i64 = 15 * 86_400_000;
    failed(&control, 1, 0).await;
    failed(&control, 2, FIFTEEN_DAYS).await;
    store::testing_submit(&control.store, 3).await;
    let bulk = control
        .create_bulk(rerun(RerunChoice::Redrive, None), "ada")
        .await
        .unwrap();
    assert_eq!(bulk.state, BulkState::Draft);
    let view = control.bulk_view(bulk.id, None, 0).await.unwrap();
    let told: Vec<_> = view
        .items
        .iter()
        .map(|item| {
            (
                item.action.as_str(),
                item.state,
                item.reason.as_deref().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(told[0].1, BulkItemState::Refused);
    assert!(told[0].2.contains("waits for its start"), "{told:?}");
    assert!(told[1].2.contains("more than 14 days ago"), "{told:?}");
    assert_eq!(told[2], ("redrive", BulkItemState::Waiting, ""));
    // Where a redrive is not possible a new execution is, and only that can have another input.
    let edit = Some(json!({"max_height": 720}));
    let bulk = control
        .create_bulk(rerun(RerunChoice::Auto, edit), "ada")
        .await
        .unwrap();
    let view = control
        .bulk_view(bulk.id, Some(BulkItemState::Waiting), 0)
        .await
        .unwrap();
    let actions: Vec<_> = view.items.iter().map(|item| item.action.as_str()).collect();
    assert_eq!(actions, ["restart", "restart"]);
    let change = view.items[0]
        .changes
        .iter()
        .find(|change| change.pointer == "/max_height");
    assert_eq!(
        change.and_then(|change| change.after.clone()),
        Some(json!(720))
    );
    let edit = Some(json!({"max_height": 721}));
    let bulk = control
        .create_bulk(rerun(RerunChoice::Auto, edit), "ada")
        .await
        .unwrap();
    assert_eq!(bulk.counts.eligible(), 0, "an invalid input begins nothing");
}

async fn a_submission_is_previewed_row_by_row() {
    let (_folder, control) = control().await;
    let request = CreateBulk {
        what: BulkWhat::Submit(BulkSubmit {
            pipeline: "media".to_owned(),
            csv: Some(
                "source,max_height\nhttps://x.example/a.mp4,720\nftp://x.example/b.mp4,720\n"
                    .to_owned(),
            ),
            fields: Some(json!({"title": "Harbour"})),
            priority: Some(9),
            ..BulkSubmit::default()
        }),
        reason: String::new(),
        canary: false,
        pace_per_minute: None,
        start: true,
    };
    let bulk = control.create_bulk(request, "ada").await.unwrap();
    assert_eq!((bulk.counts.waiting, bulk.counts.refused), (1, 1));
    assert_eq!(bulk.state, BulkState::Running);
    tracker::bulk::round(&control).await.unwrap();
    tracker::bulk::round(&control).await.unwrap();
    let jobs = control.jobs(JobFilter::default()).await.unwrap().jobs;
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        (jobs[0].title.as_str(), jobs[0].source.as_str()),
        ("Harbour", "https://x.example/a.mp4")
    );
    let view = control.job(jobs[0].id).await.unwrap();
    assert_eq!(view.input["max_height"], 720);
    assert_eq!(view.lineage[0].bulk, Some(bulk.id));
}

async fn a_canary_pauses_when_the_same_failure_comes_again() {
    let (_folder, control) = control().await;
    for second in 1..=3 {
        failed(&control, second, 0).await;
    }
    let bulk = control
        .create_bulk(rerun(RerunChoice::Restart, None), "ada")
        .await
        .unwrap();
    assert_eq!(bulk.counts.eligible(), 3);
    control.start_bulk(bulk.id).await.unwrap();
    tracker::bulk::round(&control).await.unwrap();
    let queued = JobFilter {
        status: Some(JobStatus::Queued),
        ..JobFilter::default()
    };
    let begun = control.store.jobs(&queued, 9).await.unwrap();
    assert_eq!(begun.len(), 1, "the canary is one");
    let job = begun[0].id;
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{job}-2");
    let now_ms = clock::now().0;
    let row = control
        .store
        .outbox_take(now_ms + 1, 0, 9)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let execution = NewExecution::new(job, &arn, 2, now_ms);
    control
        .store
        .started(Some(row.id), &execution, now_ms)
        .await
        .unwrap();
    let change = StatusChange {
        error: Some("Source.NotMedia".to_owned()),
        ended_at_ms: Some(now_ms),
        ..StatusChange::new(&arn, model::ExecutionStatus::Failed, now_ms)
    };
    control.store.status_changed(&change).await.unwrap();
    control
        .store
        .keep_failed_state(&arn, "Inspect")
        .await
        .unwrap();
    tracker::bulk::round(&control).await.unwrap();
    let view = control.bulk_view(bulk.id, None, 0).await.unwrap();
    assert_eq!(view.bulk.state, BulkState::Paused);
    let note = view.bulk.note.unwrap_or_default();
    assert!(
        note.contains("failed again with Source.NotMedia in Inspect"),
        "{note}"
    );
    assert_eq!((view.bulk.counts.waiting, view.bulk.counts.failed), (2, 1));
    // A person who has mended the cause goes on with the next step.
    control.start_bulk(bulk.id).await.unwrap();
    tracker::bulk::round(&control).await.unwrap();
    assert_eq!(control.store.jobs(&queued, 9).await.unwrap().len(), 2);
}

async fn a_request_that_cannot_be_meant_is_refused() {
    let (_folder, control) = control().await;
    let both = CreateBulk {
        what: BulkWhat::Stop(BulkJobs::default()),
        ..rerun(RerunChoice::Auto, None)
    };
    let edited = rerun(RerunChoice::Redrive, Some(json!({"title": "x"})));
    let none = rerun(RerunChoice::Auto, None);
    let submit = |submit| CreateBulk {
        what: BulkWhat::Submit(submit),
        ..rerun(RerunChoice::Auto, None)
    };
    let pipeline = || "media".to_owned();
    for (request, says) in [
        (both, "exactly one of `jobs` and `filter`"),
        (edited, "mode `restart`"),
        (none, "No job is meant"),
        (
            submit(BulkSubmit {
                pipeline: pipeline(),
                ..BulkSubmit::default()
            }),
            "exactly one of",
        ),
        (
            submit(BulkSubmit {
                pipeline: pipeline(),
                inputs: Some(Vec::new()),
                ..BulkSubmit::default()
            }),
            "nothing to submit",
        ),
        (
            submit(BulkSubmit {
                pipeline: pipeline(),
                prefix: Some("bucket/x".to_owned()),
                ..BulkSubmit::default()
            }),
            "s3://bucket/prefix/",
        ),
    ] {
        let error = control
            .create_bulk(request, "ada")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_canary_is_one_then_ten_then_the_rest() {
    let counts = |begun, failed, succeeded| BulkCounts {
        waiting: 100,
        begun,
        failed,
        succeeded,
        ..BulkCounts::default()
    };
    for (counts, allowed) in [
        (counts(0, 0, 0), 1),
        (counts(1, 0, 0), 0),
        (counts(0, 0, 1), 10),
        (counts(3, 0, 1), 7),
        (counts(10, 0, 1), 0),
        (counts(1, 1, 9), 0),
        (counts(0, 1, 10), u64::MAX),
        (counts(40, 1, 10), u64::MAX),
    ] {
        assert_eq!(canary_allows(&counts), allowed, "{counts:?}");
    }
}
