//! Histories on their way to S3 and back, over the real clients.

use model::ExecutionStatus;
use serde_json::{Value, json};

use super::round;
use crate::{
    aws::testing::{Answer, FakeAws},
    config,
    control::Control,
    store::{self, NewExecution, StatusChange, Telemetry, testing::on_each_database},
};

on_each_database!(
    an_old_history_goes_to_s3_and_reads_as_before,
    a_failure_leaves_everything_where_it_is,
    a_redriven_history_is_moved_again_whole,
);

const DAY_MS: i64 = 86_400_000;
const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:gantry-media:run";
const KEY: &str = "history/gantry-media/run.json.gz";
const PROGRESS_KEY: &str = "history/gantry-media/run.progress.json.gz";

fn event(id: i64, kind: &str, details: Value) -> (i64, Value) {
    let mut event =
        json!({"id": id, "previousEventId": id - 1, "timestamp": id as f64, "type": kind});
    for (name, value) in details.as_object().unwrap() {
        event[name] = value.clone();
    }
    (id, event)
}

/// The history of an execution whose Inspect failed.
fn events() -> Vec<(i64, Value)> {
    vec![
        event(
            1,
            "ExecutionStarted",
            json!({"executionStartedEventDetails": {"input": "{}"}}),
        ),
        event(
            2,
            "TaskStateEntered",
            json!({"stateEnteredEventDetails": {"name": "Inspect", "input": "{}"}}),
        ),
        event(
            3,
            "ExecutionFailed",
            json!({"executionFailedEventDetails": {"error": "Source.NotFound"}}),
        ),
    ]
}

fn progress(done: u64) -> Telemetry {
    let line = json!({"type": "progress", "timestamp": "", "requestId": "r", "execution": ARN, "state": "Inspect",
        "entered": "1970-01-01T00:00:02Z", "unit": "sources", "done": done, "total": 1});
    Telemetry {
        lines: vec![(serde_json::from_value(line).unwrap(), 2_000)],
        ..Telemetry::default()
    }
}

struct Case {
    _folder: tempfile::TempDir,
    fake: FakeAws,
    control: Control,
    job: model::JobId,
}

/// A failed execution that ended at 4,000 ms, with its whole history and progress in the store.
async fn case() -> Case {
    let fake = FakeAws::start().await;
    let (folder, store) = store::testing::store().await;
    let config = config::testing::config();
    let aws = fake.clients(&config).await;
    let control = Control::new(store, aws, config);
    let store = &control.store;
    let job = store::testing_submit(store, 1).await;
    let execution = NewExecution::new(job, ARN, 1, 1_000);
    store.started(None, &execution, 1_000).await.unwrap();
    let case = Case {
        _folder: folder,
        fake,
        control,
        job,
    };
    case.ended(0).await;
    case.control
        .store
        .add_history(ARN, &events())
        .await
        .unwrap();
    case.control
        .store
        .add_telemetry(("s", "0", "1"), progress(1))
        .await
        .unwrap();
    case.control
        .store
        .history_read(ARN, 0, true, 5_000)
        .await
        .unwrap();
    case
}

impl Case {
    async fn ended(&self, redrive_count: u32) {
        let change = StatusChange {
            redrive_count: Some(redrive_count),
            ended_at_ms: Some(4_000),
            error: Some("Source.NotFound".to_owned()),
            ..StatusChange::new(ARN, ExecutionStatus::Failed, 4_000)
        };
        self.control.store.status_changed(&change).await.unwrap();
    }

    async fn kept(&self) -> usize {
        let store = &self.control.store;
        let events = store.history_after(ARN, 0, 99).await.unwrap();
        events.len() + store.progress(ARN).await.unwrap().len()
    }

    /// What pages show, by a process that has nothing in memory.
    async fn shown(&self) -> (Value, Value) {
        let mut control = self.control.clone();
        control.folds = std::sync::Arc::default();
        let view = control.job(self.job).await.unwrap();
        let detail = control
            .state_detail(self.job, "Inspect", None)
            .await
            .unwrap();
        (json!(view.execution.unwrap()), json!(detail))
    }
}

async fn an_old_history_goes_to_s3_and_reads_as_before() {
    let case = case().await;
    let store = &case.control.store;
    let before = case.shown().await;
    assert_eq!(before.0["states"][0]["progress"]["done"], 1);
    // Without a policy everything stays, as it does for as long as a policy says.
    round(&case.control, 1_000 * DAY_MS).await.unwrap();
    store.set_pipeline("media", None, Some(2)).await.unwrap();
    round(&case.control, 2 * DAY_MS + 4_000).await.unwrap();
    assert_eq!((case.kept().await, case.fake.keys().len()), (4, 0));

    round(&case.control, 2 * DAY_MS + 4_001).await.unwrap();
    assert_eq!(case.kept().await, 0);
    assert_eq!(case.fake.keys(), [KEY, PROGRESS_KEY]);
    let execution = store.execution(ARN).await.unwrap().unwrap();
    assert!(execution.archived && execution.history_complete);
    assert_eq!(execution.history_key.as_deref(), Some(KEY));
    assert_eq!(case.shown().await, before);
    // It is not moved twice.
    let calls = case.fake.calls("PutObject").len();
    round(&case.control, 3 * DAY_MS).await.unwrap();
    assert_eq!(case.fake.calls("PutObject").len(), calls);
}

async fn a_failure_leaves_everything_where_it_is() {
    let case = case().await;
    case.control
        .store
        .set_pipeline("media", None, Some(1))
        .await
        .unwrap();
    for operation in ["PutObject", "GetObject"] {
        case.fake
            .script(operation, &[Answer::Error(403, "AccessDenied")]);
        assert!(
            round(&case.control, 9 * DAY_MS).await.is_err(),
            "{operation}"
        );
        assert_eq!(case.kept().await, 4, "{operation}");
    }
    // A redrive that was heard of meanwhile keeps the history here.
    let moved = case
        .control
        .store
        .history_archived(ARN, 1, KEY)
        .await
        .unwrap();
    assert!(!moved);
    assert_eq!(case.kept().await, 4);
    round(&case.control, 9 * DAY_MS).await.unwrap();
    assert_eq!(case.kept().await, 0);
}

async fn a_redriven_history_is_moved_again_whole() {
    let case = case().await;
    let store = &case.control.store;
    store.set_pipeline("media", None, Some(1)).await.unwrap();
    round(&case.control, 9 * DAY_MS).await.unwrap();
    case.ended(1).await;
    assert!(!store.execution(ARN).await.unwrap().unwrap().archived);
    // Step Functions still has the whole history; the progress of before is in S3 alone.
    let mut events = events();
    events.push(event(
        4,
        "ExecutionRedriven",
        json!({"executionRedrivenEventDetails": {"redriveCount": 1}}),
    ));
    events.push(event(
        5,
        "ExecutionFailed",
        json!({"executionFailedEventDetails": {"error": "Source.NotFound"}}),
    ));
    store.add_history(ARN, &events).await.unwrap();
    store.history_read(ARN, 1, true, 6_000).await.unwrap();
    let before = case.shown().await;
    assert_eq!(before.0["states"][0]["progress"]["done"], 1);
    assert_eq!(before.0["event_count"], 5);
    round(&case.control, 9 * DAY_MS).await.unwrap();
    assert_eq!(case.kept().await, 0);
    assert_eq!(case.shown().await, before);
}
