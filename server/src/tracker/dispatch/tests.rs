//! What executions are told, and large inputs from their submission to Step Functions.

use model::SubmitJob;

use super::*;
use crate::{
    aws::{Caller, testing::FakeAws},
    config,
    control::job::Rerun,
    store::{self, StatusChange, testing::on_each_database},
};

on_each_database!(a_large_job_is_started_and_started_anew_by_reference);

#[test]
fn an_execution_is_told_where_its_jobs_files_go() {
    let job = JobId(uuid::Uuid::nil());
    let input = execution_input(json!({"source": "s3://in/a.mp4"}), job, "gantry-media");
    assert_eq!(
        input,
        json!({
            "source": "s3://in/a.mp4",
            "job": {
                "id": "00000000-0000-0000-0000-000000000000",
                "bucket": "gantry-media",
                "prefix": "jobs/00000000-0000-0000-0000-000000000000/",
            },
        })
    );
}

#[test]
fn an_input_that_is_too_large_is_named_instead() {
    let job = JobId(uuid::Uuid::nil());
    let padded =
        |bytes: usize| json!({"source": "s3://in/a.mp4", "tags": {"a": "x".repeat(bytes)}});
    let frame = told(padded(0), job, 1, "gantry-media").input.len();
    let most = INPUT_BYTES_MAX - frame;
    let inline = told(padded(most), job, 1, "gantry-media");
    assert_eq!(inline.input.len(), INPUT_BYTES_MAX);
    assert!(inline.object.is_none());

    let one_more = padded(most + 1);
    let named = told(one_more.clone(), job, 1, "gantry-media");
    let key = "jobs/00000000-0000-0000-0000-000000000000/input.json";
    let (stored_at, object) = named.object.unwrap();
    assert_eq!(stored_at, key);
    assert_eq!(serde_json::from_slice::<Value>(&object).unwrap(), one_more);
    let input: Value = serde_json::from_str(&named.input).unwrap();
    assert_eq!(
        input["input_s3"],
        json!({"bucket": "gantry-media", "key": key})
    );
    assert_eq!(input["job"]["bucket"], "gantry-media");
    assert_eq!(input.as_object().unwrap().len(), 2);

    let (anew, _) = told(one_more, job, 3, "gantry-media").object.unwrap();
    assert_eq!(
        anew,
        "jobs/00000000-0000-0000-0000-000000000000/input-3.json"
    );
}

#[test]
fn a_restarts_number_is_read_from_its_name() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(number_of(id), 1);
    assert_eq!(number_of(&format!("{id}-12")), 12);
}

/// Runs the dispatcher until so many calls that differ have succeeded.
async fn dispatched(control: &Control, fake: &FakeAws, calls: u32) {
    let mut control = control.speaking_as(Caller::Dispatcher);
    control.ending = control.ending.child_token();
    let dispatcher = tokio::spawn(run(control.clone()));
    fake.succeeded(calls).await;
    control.ending.cancel();
    dispatcher.await.unwrap();
}

async fn a_large_job_is_started_and_started_anew_by_reference() {
    let fake = FakeAws::start().await;
    let (_folder, store) = store::testing::store().await;
    let config = config::testing::config();
    let aws = fake.clients(&config).await;
    let control = Control::new(store, aws, config);
    let notes = "x".repeat(300 << 10);
    let request = SubmitJob {
        pipeline: "media".to_owned(),
        input: json!({"source": "s3://in/a.mp4", "tags": {"notes": notes}}),
        idempotency_key: None,
        once: false,
        priority: None,
    };
    let id = control.submit(request, "test").await.unwrap().id;
    let stored = control.store.job(id).await.unwrap().unwrap().input;
    assert_eq!(stored["tags"]["notes"], notes.as_str());
    // The object and the execution.
    dispatched(&control, &fake, 2).await;
    let first = format!("jobs/{id}/input.json");
    let kept: Value = serde_json::from_slice(&fake.object(&first).unwrap()).unwrap();
    assert_eq!(kept, stored);

    let arn = control.aws.states.execution_arn(&id.to_string());
    let failed = StatusChange {
        redrive_status: Some("NOT_REDRIVABLE".to_owned()),
        ended_at_ms: Some(2_000_000),
        ..StatusChange::new(&arn, model::ExecutionStatus::Failed, 2_000_000)
    };
    control.store.status_changed(&failed).await.unwrap();
    control.rerun(id, Rerun::default(), "test").await.unwrap();
    // The new execution; an object's write counts by its name, and the fake has none of it.
    dispatched(&control, &fake, 1).await;
    let second = format!("jobs/{id}/input-2.json");
    assert_eq!(fake.keys(), [second.clone(), first.clone()]);
    assert_eq!(fake.object(&first), fake.object(&second));
    let inputs: Vec<Value> = fake
        .calls("StartExecution")
        .iter()
        .map(|request| serde_json::from_str(request["input"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(inputs.len(), 2);
    for (input, key) in inputs.iter().zip([first, second]) {
        assert_eq!(input["input_s3"]["key"], key);
        assert_eq!(input["job"]["id"], id.to_string());
    }
}
