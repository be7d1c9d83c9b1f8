//! Events of every kind into the store, on both databases.

use model::{JobFilter, JobStatus, LineageKind};
use serde_json::{Value, json};

use super::*;
use crate::{
    control::{job::Rerun, testing::control},
    store::{self, Command, testing::on_each_database},
};

on_each_database!(
    an_event_faster_than_the_starts_answer_is_not_lost,
    an_execution_started_elsewhere_makes_one_job,
    an_adopted_job_runs_again_if_its_pipeline_takes_its_input,
    events_of_others_and_other_messages_are_passed_over,
);

const MACHINE: &str = "gantry-media";

fn event(machine: &str, name: &str, status: &str, input: &Value) -> Message {
    let detail = json!({
        "executionArn": format!("arn:aws:states:us-east-1:000000000000:execution:{machine}:{name}"),
        "stateMachineArn": format!("arn:aws:states:us-east-1:000000000000:stateMachine:{machine}"),
        "name": name, "status": status, "startDate": 1_000, "stopDate": 2_000,
        "input": input.to_string(), "output": null, "error": "Source.Empty", "cause": "no bytes",
        "redriveCount": 0, "redriveDate": null, "redriveStatus": "REDRIVABLE", "redriveStatusReason": null,
    });
    Message {
        body: json!({"version": "0", "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change", "detail": detail})
        .to_string(),
        receipt: "r".to_owned(),
    }
}

async fn take(control: &Control, messages: Vec<Message>) {
    let intake = Intake::new(control.clone());
    intake.take(messages).await.unwrap();
    intake.settled().await;
}

async fn an_event_faster_than_the_starts_answer_is_not_lost() {
    let (_folder, control) = control().await;
    let job = store::testing_submit(&control.store, 1).await;
    take(
        &control,
        vec![event(MACHINE, &job.to_string(), "FAILED", &json!({}))],
    )
    .await;
    let summary = control.store.job(job).await.unwrap().unwrap().summary;
    assert_eq!(summary.status, JobStatus::Failed);
    assert!(!summary.adopted);
    assert_eq!(summary.error.as_deref(), Some("Source.Empty"));
    assert_eq!(summary.ended_at_ms.map(|at| at.0), Some(2_000));
    assert_eq!(control.store.job_counts().await.unwrap().total(), 1);
}

async fn an_execution_started_elsewhere_makes_one_job() {
    let (_folder, control) = control().await;
    let input = json!({"source": "s3://in/a.mp4?secret=1", "job": {"id": "x"}});
    // The last is the name of a job in another installation's database.
    let names = ["nightly", "01890a5d-ac96-774b-bcce-b302099a8057"];
    let told = |status| names.map(|name| event(MACHINE, name, status, &input));
    let events = [told("FAILED"), told("RUNNING"), told("FAILED")].concat();
    take(&control, events.clone()).await;
    take(&control, events).await;
    let jobs = control.store.jobs(&JobFilter::default(), 10).await.unwrap();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        assert!(
            job.adopted && names.contains(&job.title.as_str()),
            "{job:?}"
        );
        assert_eq!(job.status, JobStatus::Failed);
        assert_eq!(job.source, "s3://in/a.mp4");
        assert_eq!(job.submitted_at_ms.0, 1_000);
        let record = control.store.job(job.id).await.unwrap().unwrap();
        assert_eq!(record.input, json!({"source": "s3://in/a.mp4?secret=1"}));
        let lineage = control.store.lineage(job.id).await.unwrap();
        assert_eq!(lineage.len(), 1);
        assert_eq!(lineage[0].kind, LineageKind::Adopted);
        assert_eq!(lineage[0].execution_arn, record.execution_arn);
    }
}

async fn an_adopted_job_runs_again_if_its_pipeline_takes_its_input() {
    let (_folder, control) = control().await;
    let input = json!({"source": "s3://in/a.mp4"});
    let good = event(MACHINE, "good", "SUCCEEDED", &input);
    let bad = event(MACHINE, "bad", "SUCCEEDED", &json!("no object"));
    take(&control, vec![good, bad]).await;
    let jobs = control.store.jobs(&JobFilter::default(), 10).await.unwrap();
    for job in jobs {
        let rerun = control.rerun(job.id, Rerun::default(), "somebody").await;
        if job.title == "bad" {
            let error = rerun.unwrap_err().to_string();
            assert!(error.contains("started outside Gantry"), "{error}");
            continue;
        }
        assert_eq!(rerun.unwrap().status, JobStatus::Queued);
        let taken = control.store.outbox_take(i64::MAX / 2, 1, 9).await.unwrap();
        let name = format!("{}-2", job.id);
        assert_eq!(taken[0].command, Command::Start { name });
    }
}

async fn events_of_others_and_other_messages_are_passed_over() {
    let (_folder, control) = control().await;
    let garbage = Message {
        body: "garbage".to_owned(),
        receipt: String::new(),
    };
    let mut late = event(MACHINE, "late", "FAILED", &json!({}));
    late.body = late.body.replace("2000", &i64::MAX.to_string());
    let events = vec![
        event("someone-elses", "nightly", "FAILED", &json!({})),
        // A child of a Map Run.
        event("gantry-media/Transcode", "nightly", "FAILED", &json!({})),
        garbage,
        event(MACHINE, "nul\0", "FAILED", &json!({})),
        late,
    ];
    take(&control, events).await;
    assert_eq!(control.store.job_counts().await.unwrap().total(), 0);
    let text = control.metrics_text().await.unwrap();
    for line in [
        "gantry_status_events_total{result=\"unknown\"} 2",
        "gantry_status_events_total{result=\"malformed\"} 3",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}
