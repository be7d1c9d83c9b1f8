//! A batch of status events against the same events one after the other, over random ones: the same answers, the
//! same rows.

use model::JobId;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::*;
use crate::store::{
    ExecutionRecord, JobRecord, NewExecution,
    outbox::testing::submit,
    testing::{on_each_database, store},
};

on_each_database!(a_batch_is_its_events_one_after_the_other);

/// Batches that are tried; each is some statements on a real database.
const BATCHES: usize = 60;
/// Jobs of a case; the first one has two executions, the last execution is nobody's.
const JOBS: u64 = 3;

fn arn(run: &str, number: usize) -> String {
    format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{run}-{number}")
}

/// Few values of each kind, so that duplicates and ties are common.
fn event() -> impl Strategy<Value = (usize, StatusChange)> {
    let status = prop::sample::select(vec![
        ExecutionStatus::Running,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Aborted,
        ExecutionStatus::PendingRedrive,
    ]);
    let text = || {
        prop::option::of(prop::sample::select(vec![
            "",
            "Any 'quoted\" \u{1f3ac}",
            "nul\0",
        ]))
    };
    let moment = || prop::option::of(1_000_i64..1_004);
    (
        (0..JOBS as usize + 2, status, prop::option::of(0_u32..3)),
        (
            moment(),
            moment(),
            text(),
            text(),
            text(),
            text(),
            0_i64..4_000,
        ),
    )
        .prop_map(|((number, status, redrive_count), said)| {
            let (started_at_ms, ended_at_ms, error, cause, redrive_status, redrive_reason, heard) =
                said;
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let change = StatusChange {
                redrive_count,
                started_at_ms,
                ended_at_ms,
                error: owned(error),
                cause: owned(cause),
                redrive_status: owned(redrive_status),
                redrive_reason: owned(redrive_reason),
                ..StatusChange::new("", status, heard)
            };
            (number, change)
        })
}

/// Jobs with their executions under names of this run, in a state that depends on `second` alone.
async fn executions(store: &Store, run: &str, second: u64) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for number in 0..JOBS {
        let job = submit(store, second + number).await;
        let execution = NewExecution::new(job, &arn(run, number as usize), 1, 2_000);
        store.started(None, &execution, 2_000).await.unwrap();
        jobs.push(job);
    }
    let second = NewExecution::new(jobs[0], &arn(run, JOBS as usize), 2, 2_500);
    store.started(None, &second, 2_500).await.unwrap();
    jobs
}

/// Everything that events may change, without the names of the run.
async fn rows(store: &Store, run: &str, jobs: &[JobId]) -> Vec<String> {
    let mut rows = Vec::new();
    for job in jobs {
        let JobRecord { summary, .. } = store.job(*job).await.unwrap().unwrap();
        rows.push(format!(
            "{:?} {:?} {:?} {:?} {:?}",
            summary.status,
            summary.started_at_ms,
            summary.ended_at_ms,
            summary.error,
            summary.failed_state
        ));
    }
    for number in 0..=JOBS as usize {
        let record = store.execution(&arn(run, number)).await.unwrap().unwrap();
        let (heard,): (i64,) = sqlx::query_as("SELECT heard_at_ms FROM execution WHERE arn = $1")
            .bind(arn(run, number))
            .fetch_one(&store.read)
            .await
            .unwrap();
        let nobodys = ExecutionRecord {
            arn: String::new(),
            name: String::new(),
            job: jobs[0],
            ..record
        };
        let shown = format!("{nobodys:?} {heard}");
        rows.push(shown.replace(&jobs[0].to_string(), "job"));
    }
    rows
}

async fn a_batch_is_its_events_one_after_the_other() {
    let (_folder, store) = store().await;
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    for number in 0..BATCHES {
        let events = prop::collection::vec(event(), 1..24)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let named = |run: &str| -> Vec<StatusChange> {
            events
                .iter()
                .map(|(number, change)| StatusChange {
                    arn: arn(run, *number),
                    ..change.clone()
                })
                .collect()
        };
        let (batch, single) = (format!("batch-{number}"), format!("single-{number}"));
        let second = number as u64 * 100;
        let batch_jobs = executions(&store, &batch, second).await;
        let single_jobs = executions(&store, &single, second).await;
        let together = store.statuses_changed(&named(&batch)).await.unwrap();
        let mut one_by_one = Vec::new();
        for change in named(&single) {
            one_by_one.push(store.status_changed(&change).await.unwrap());
        }
        assert_eq!(together, one_by_one, "{events:#?}");
        assert_eq!(
            rows(&store, &batch, &batch_jobs).await,
            rows(&store, &single, &single_jobs).await,
            "{events:#?}"
        );
    }
}
