//! Loops against an AWS on a bad day: nothing is lost, the Health page tells it, and it passes.

use std::collections::BTreeSet;

use model::{ApiState, HealthLevel, JobStatus};
use serde_json::json;

use super::{dispatch, status};
use crate::{
    aws::{
        Caller, Message,
        testing::{Answer, FakeAws},
    },
    config,
    control::Control,
    metrics::CALLS_PER_JOB_MAX,
    store,
};

async fn control(fake: &FakeAws) -> (tempfile::TempDir, Control) {
    let (folder, store) = store::testing::store().await;
    let config = config::testing::config();
    let aws = fake.clients(&config).await;
    (folder, Control::new(store, aws, config))
}

/// The Health page's row of an operation.
async fn state(control: &Control, operation: &str) -> ApiState {
    let health = control.health().await;
    let mut apis = health.apis.into_iter();
    let api = apis.find(|api| api.operation == operation).unwrap();
    api.state
}

#[tokio::test]
async fn no_start_is_lost_to_throttling_faults_silence_or_expired_credentials() {
    let fake = FakeAws::start().await;
    let (_folder, mut control) = control(&fake).await;
    control.aws = fake.clients_impatient(&control.config).await;
    let mut jobs = BTreeSet::new();
    for at in 1..=4 {
        jobs.insert(store::testing_submit(&control.store, at).await.to_string());
    }
    let mut script = vec![Answer::Error(400, "ExpiredTokenException"); 3];
    script.extend([Answer::Silence, Answer::Error(500, "InternalFailure")]);
    script.extend(vec![Answer::Error(400, "ThrottlingException"); 4]);
    fake.script("StartExecution", &script);
    let dispatcher = tokio::spawn(dispatch::run(control.speaking_as(Caller::Dispatcher)));
    fake.succeeded(4).await;
    control.ending.cancel();
    dispatcher.await.unwrap();

    let asked: BTreeSet<_> = fake
        .calls("StartExecution")
        .iter()
        .map(|request| request["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(asked, jobs);
    let health = control.health().await;
    assert_eq!((health.outbox.rows, health.executions_running), (0, 4));
    let counts = control.store.job_counts().await.unwrap();
    assert_eq!(counts.of(JobStatus::Running), 4);
    // Every attempt had a token: the endpoint saw no call that the bucket did not.
    let start = &health.apis[0];
    assert_eq!(start.operation, "StartExecution");
    assert_eq!(start.calls, fake.count() as u64);
    // The last thing that AWS did was what it was asked; the rate still recovers.
    assert_eq!(start.state, ApiState::Throttled);
    assert_eq!(health.verdict.level, HealthLevel::Waiting);
}

#[tokio::test]
async fn health_tells_denied_credentials_and_that_it_is_over() {
    let fake = FakeAws::start().await;
    let (_folder, control) = control(&fake).await;
    fake.script("GetQueueAttributes", &[Answer::Error(403, "ExpiredToken")]);
    assert!(control.aws.queue.depth().await.is_err());
    assert_eq!(
        state(&control, "GetQueueAttributes").await,
        ApiState::Denied
    );
    let verdict = control.verdict();
    assert_eq!(verdict.level, HealthLevel::Broken);
    assert!(verdict.sentence.contains("expired"), "{verdict:?}");
    control.aws.queue.depth().await.unwrap();
    assert_eq!(state(&control, "GetQueueAttributes").await, ApiState::Good);
    assert_eq!(control.verdict().level, HealthLevel::Good);
}

#[tokio::test]
async fn a_job_costs_no_more_calls_than_its_bound() {
    let fake = FakeAws::start().await;
    let (_folder, control) = control(&fake).await;
    let job = store::testing_submit(&control.store, 1).await;
    let dispatcher = tokio::spawn(dispatch::run(control.speaking_as(Caller::Dispatcher)));
    fake.succeeded(1).await;
    control.ending.cancel();
    dispatcher.await.unwrap();
    let detail = json!({
        "executionArn": control.aws.states.execution_arn(&job.to_string()),
        "name": job.to_string(), "status": "SUCCEEDED", "startDate": 1_000_000, "stopDate": 1_002_000,
        "redriveCount": 0,
    });
    let event = json!({"detail-type": "Step Functions Execution Status Change", "detail": detail});
    let message = |body: String| Message {
        body,
        receipt: "r".to_owned(),
    };
    let told = message(event.to_string());
    let intake = status::Intake::new(control.clone());
    for message in [told.clone(), told, message("garbage".to_owned())] {
        intake.take(vec![message]).await.unwrap();
        intake.settled().await;
    }

    let summary = control.store.job(job).await.unwrap().unwrap().summary;
    assert_eq!(summary.status, JobStatus::Succeeded);
    let calls = fake.count();
    assert!(calls as f64 <= CALLS_PER_JOB_MAX, "{calls} calls");
    let text = control.metrics_text().await.unwrap();
    for line in [
        format!("gantry_aws_calls_per_job {calls}"),
        "gantry_jobs_ended_total 1".to_owned(),
        "gantry_status_events_total{result=\"applied\"} 1".to_owned(),
        "gantry_status_events_total{result=\"stale\"} 1".to_owned(),
        "gantry_status_events_total{result=\"malformed\"} 1".to_owned(),
        "gantry_outbox_rows 0".to_owned(),
        "gantry_store_up 1".to_owned(),
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}
