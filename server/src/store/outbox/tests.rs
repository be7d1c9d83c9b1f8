//! What the outbox promises: nothing lost, nothing twice, nothing out of order.

use model::JobStatus;

use serde_json::json;

use super::{
    testing::{new_job, submit},
    *,
};
use crate::store::{
    Applied, Asked, NewExecution, StatusChange,
    testing::{on_each_database, store},
};

on_each_database!(
    a_row_is_taken_once_and_comes_back_when_its_taker_died,
    a_restarted_server_does_not_wait_for_its_own_lease,
    a_stop_waits_for_the_start_before_it,
    a_start_that_nobody_tried_is_withdrawn,
    only_an_ended_job_is_rerun_and_only_once,
    an_acknowledgement_does_not_undo_what_the_redriven_execution_said_first,
    a_refused_or_withdrawn_redrive_puts_the_job_back_where_it_was,
    restarts_are_numbered,
    higher_priorities_start_first_and_no_more_than_may_run_at_once,
    a_repeated_request_gives_the_first_job,
    what_was_asked_of_a_job_is_its_lineage,
    a_stop_beside_the_note_of_a_start_is_promised,
    a_stop_of_what_is_over_leaves_no_trace,
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
    assert_eq!(
        store.stop(job, &Asked::default(), 1_001).await.unwrap(),
        StopOutcome::Promised
    );
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
        store.stop(job, &Asked::default(), 2_000).await.unwrap(),
        StopOutcome::Withdrawn
    );
    assert_eq!(store.outbox_next_due().await.unwrap(), None);
    let status = store.job(job).await.unwrap().unwrap().summary.status;
    assert_eq!(status, JobStatus::Aborted);
    assert_eq!(
        store.stop(job, &Asked::default(), 2_001).await.unwrap(),
        StopOutcome::Over
    );
}

async fn only_an_ended_job_is_rerun_and_only_once() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    let mode = RerunMode::Redrive {
        arn: ARN.to_owned(),
        redrive_count: 0,
    };
    assert!(
        store
            .rerun(job, &mode, &Asked::default(), 4_000)
            .await
            .unwrap()
    );
    assert!(
        !store
            .rerun(job, &mode, &Asked::default(), 4_000)
            .await
            .unwrap()
    );
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
    store
        .rerun(job, &mode, &Asked::default(), 4_000)
        .await
        .unwrap();
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

async fn a_refused_or_withdrawn_redrive_puts_the_job_back_where_it_was() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    store.keep_failed_state(ARN, "Inspect").await.unwrap();
    let before = store.job(job).await.unwrap().unwrap().summary;
    let mode = RerunMode::Redrive {
        arn: ARN.to_owned(),
        redrive_count: 0,
    };
    let asked = Asked::default();
    for (rerun_count, is_refused) in [(1, true), (2, false)] {
        store.rerun(job, &mode, &asked, 4_000).await.unwrap();
        if is_refused {
            let row = store.outbox_take(4_000, 1, 9).await.unwrap().pop().unwrap();
            let refused = store.outbox_refused(&row, "ExecutionNotRedrivable", 4_100);
            refused.await.unwrap();
        } else {
            let stopped = store.stop(job, &asked, 4_100).await.unwrap();
            assert_eq!(stopped, StopOutcome::Withdrawn);
        }
        let after = store.job(job).await.unwrap().unwrap().summary;
        assert_eq!(after.failed_state.as_deref(), Some("Inspect"));
        let expected = model::JobSummary {
            rerun_count,
            ..before.clone()
        };
        assert_eq!(after, expected);
    }
}

async fn restarts_are_numbered() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    store
        .rerun(
            job,
            &RerunMode::Restart { input: None },
            &Asked::default(),
            4_000,
        )
        .await
        .unwrap();
    let row = store.outbox_take(4_000, 1, 9).await.unwrap().pop().unwrap();
    assert_eq!(
        row.command,
        Command::Start {
            name: format!("{job}-2")
        }
    );
}

async fn higher_priorities_start_first_and_no_more_than_may_run_at_once() {
    let (_folder, store) = store().await;
    let mut jobs = Vec::new();
    for (second, priority) in [(1, 5), (2, 9), (3, 0), (4, 9)] {
        let job = crate::store::NewJob {
            priority,
            ..new_job(second)
        };
        store.submit(&job, None, &Asked::default()).await.unwrap();
        jobs.push(job.id);
    }
    store.set_pipeline("media", Some(3), None).await.unwrap();
    // One runs already.
    let first = store.outbox_take(10_000, 1_000, 1).await.unwrap();
    assert_eq!(first[0].job, jobs[1]);
    let execution = NewExecution::new(jobs[1], ARN, 1, 10_000);
    store
        .started(Some(first[0].id), &execution, 10_000)
        .await
        .unwrap();
    let taken = store.outbox_take(10_000, 1_000, 9).await.unwrap();
    let taken: Vec<_> = taken.iter().map(|row| row.job).collect();
    assert_eq!(taken.len(), 2, "of three places one is taken");
    assert!(taken.contains(&jobs[3]) && taken.contains(&jobs[0]));
    assert!(
        store
            .outbox_take(10_001, 1_000, 9)
            .await
            .unwrap()
            .is_empty()
    );
    // A stop needs no place.
    store
        .stop(jobs[1], &Asked::default(), 10_002)
        .await
        .unwrap();
    let stops = store.outbox_take(10_003, 1_000, 9).await.unwrap();
    assert_eq!(stops.len(), 1);
    assert!(matches!(stops[0].command, Command::Stop { .. }));
    store.set_pipeline("media", None, None).await.unwrap();
    let rest = store.outbox_take(10_004, 1_000, 9).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].job, jobs[2]);
}

async fn a_repeated_request_gives_the_first_job() {
    let (_folder, store) = store().await;
    let with_key = |second, digest: &str| crate::store::NewJob {
        idempotency_key: Some("k".to_owned()),
        request_digest: Some(digest.to_owned()),
        ..new_job(second)
    };
    let first = with_key(1, "a");
    for (job, expected) in [
        (&first, Submitted::Made(first.id)),
        (&first, Submitted::Repeated(first.id)),
        (&with_key(2, "a"), Submitted::Repeated(first.id)),
    ] {
        let submitted = store.submit(job, None, &Asked::default()).await.unwrap();
        assert_eq!(submitted, expected);
    }
    let other = store
        .submit(&with_key(3, "b"), None, &Asked::default())
        .await
        .unwrap();
    assert_eq!(other, Submitted::KeyTaken(first.id));
    assert_eq!(store.job_counts().await.unwrap().total(), 1);
    assert_eq!(store.outbox_take(9_000, 1, 9).await.unwrap().len(), 1);
    // Those that come at once are one job, too.
    let jobs: Vec<_> = (10..30)
        .map(|second| crate::store::NewJob {
            idempotency_key: Some("at once".to_owned()),
            ..new_job(second)
        })
        .collect();
    let asked = Asked::default();
    let submitted =
        futures::future::join_all(jobs.iter().map(|job| store.submit(job, None, &asked))).await;
    let ids: std::collections::HashSet<_> = submitted
        .into_iter()
        .map(|result| match result.unwrap() {
            Submitted::Made(id) | Submitted::Repeated(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(store.job_counts().await.unwrap().total(), 2);
}

async fn what_was_asked_of_a_job_is_its_lineage() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    let asked = Asked {
        actor: "ada".to_owned(),
        reason: "the bucket was wrong".to_owned(),
        changes: vec![model::InputChange {
            pointer: "/max_height".to_owned(),
            before: Some(json!(1080)),
            after: Some(json!(720)),
        }],
        ..Asked::default()
    };
    let input = json!({"source": "s3://b/k", "max_height": 720});
    let mode = RerunMode::Restart {
        input: Some(input.clone()),
    };
    assert!(store.rerun(job, &mode, &asked, 5_000).await.unwrap());
    assert_eq!(store.job(job).await.unwrap().unwrap().input, input);
    let lineage = store.lineage(job).await.unwrap();
    assert_eq!(lineage.len(), 2);
    assert_eq!(lineage[0].execution_arn.as_deref(), Some(ARN));
    assert_eq!(lineage[0].status.as_deref(), Some("FAILED"));
    assert_eq!(
        (lineage[1].actor.as_str(), lineage[1].at_ms.0),
        ("ada", 5_000)
    );
    assert_eq!(lineage[1].kind, model::LineageKind::Restarted);
    assert_eq!(lineage[1].changes, asked.changes);
    assert_eq!(lineage[1].execution_arn, None, "it has not started yet");
}

async fn a_stop_beside_the_note_of_a_start_is_promised() {
    let (_folder, store) = store().await;
    let job = submit(&store, 1).await;
    let row = store.outbox_take(2_000, 1_000, 9).await.unwrap()[0].id;
    // The start is noted, and not yet committed.
    let mut noting = store.write.begin().await.unwrap();
    for text in [
        format!("DELETE FROM outbox WHERE id = {row}"),
        format!(
            "INSERT INTO execution (arn, job_id, name, number, status, started_at_ms, heard_at_ms)
             VALUES ('{ARN}', '{job}', 'x', 1, 'RUNNING', 2000, 2000)"
        ),
        format!("UPDATE job SET execution_arn = '{ARN}', status = 'running' WHERE id = '{job}'"),
    ] {
        let done = sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut *noting);
        done.await.unwrap();
    }
    let asked = Asked::default();
    let mut stop = std::pin::pin!(store.stop(job, &asked, 3_000));
    // Either the stop waits for it, or it has come to something too early.
    let early = tokio::select! {
        outcome = &mut stop => Some(outcome.unwrap()),
        () = somebody_waits(&store) => None,
    };
    noting.commit().await.unwrap();
    let outcome = match early {
        Some(outcome) => outcome,
        None => stop.await.unwrap(),
    };
    assert_eq!(outcome, StopOutcome::Promised);
    let taken = store.outbox_take(4_000, 1_000, 9).await.unwrap();
    assert_eq!(
        taken[0].command,
        Command::Stop {
            arn: ARN.to_owned()
        }
    );
}

/// Until a transaction waits for a lock; SQLite's one writer is known to.
async fn somebody_waits(store: &Store) {
    if store.backend == crate::store::Backend::Sqlite {
        return;
    }
    loop {
        let waits =
            "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_locks JOIN pg_stat_activity AS own USING (pid)
             WHERE NOT granted AND own.datname = current_database()";
        let (waiting,): (i64,) = sqlx::query_as(waits).fetch_one(&store.read).await.unwrap();
        if waiting > 0 {
            return;
        }
    }
}

async fn a_stop_of_what_is_over_leaves_no_trace() {
    let (_folder, store) = store().await;
    let job = failed(&store).await;
    let outcome = store.stop(job, &Asked::default(), 4_000).await.unwrap();
    assert_eq!(outcome, StopOutcome::Over);
    assert_eq!(store.lineage(job).await.unwrap().len(), 1);
}
