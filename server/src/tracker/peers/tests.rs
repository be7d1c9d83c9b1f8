//! Two servers over one database: nothing is dispatched twice, each tracks, and who watches one sees the other's work.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{
    aws::{Message, testing::FakeAws},
    config,
    live::{Topic, Watcher},
    store::{self, Backend, Store, testing::address},
    tracker::{dispatch, status::Intake},
};

const JOBS: u64 = 24;

#[test]
fn two_servers_on_one_postgres_share_the_work_and_what_they_see() {
    store::testing::run(Backend::Postgres, share());
}

fn ended(control: &Control, name: &str) -> Message {
    let detail = json!({
        "executionArn": control.aws.states.execution_arn(name), "status": "SUCCEEDED",
        "startDate": 1_000_000, "stopDate": 1_002_000, "redriveCount": 0, "input": "{}",
    });
    Message {
        body: json!({"detail-type": "Step Functions Execution Status Change", "detail": detail})
            .to_string(),
        receipt: "r".to_owned(),
    }
}

/// Waits for an event that says this.
async fn sees(watcher: &mut Watcher, what: &str) {
    loop {
        let (event, _) = watcher.next().await.expect("the server goes on");
        if String::from_utf8_lossy(&event).contains(what) {
            return;
        }
    }
}

async fn share() {
    let fake = FakeAws::start().await;
    let (_folder, url) = address(true).await;
    let config = config::testing::config();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let store = Store::open(&url).await.unwrap();
        let control = Control::new(store, fake.clients(&config).await, config.clone());
        tokio::spawn(tell(control.clone()));
        tokio::spawn(listen(control.clone()));
        servers.push(control);
    }
    let [one, other] = servers.as_slice() else {
        panic!("two servers")
    };
    let first = store::testing_submit(&one.store, 1).await;
    let seat = other.live.seat().expect("a seat");
    let mut watcher = Watcher::new(other, &[Topic::Job(first)], None, seat);
    sees(&mut watcher, "\"status\":\"queued\"").await;
    let mut names = BTreeSet::from([first.to_string()]);
    for second in 2..=JOBS {
        let job = store::testing_submit(&one.store, second).await;
        names.insert(job.to_string());
    }
    for control in [one, other] {
        tokio::spawn(dispatch::run(control.clone()));
    }
    fake.succeeded(JOBS as u32).await;
    sees(&mut watcher, "\"status\":\"running\"").await;
    let started = fake.calls("StartExecution");
    assert_eq!(started.len(), JOBS as usize, "each once");
    let started: BTreeSet<_> = started
        .iter()
        .map(|request| request["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(started, names);

    // Events come to either, some to both.
    let (here, there) = (Intake::new(one.clone()), Intake::new(other.clone()));
    for (number, name) in names.iter().enumerate() {
        if number % 3 < 2 {
            here.take(vec![ended(one, name)]).await.unwrap();
        }
        if number % 3 > 0 {
            there.take(vec![ended(other, name)]).await.unwrap();
        }
    }
    here.settled().await;
    there.settled().await;
    sees(&mut watcher, "\"status\":\"succeeded\"").await;
    for control in [one, other] {
        let counts = control.store.job_counts().await.unwrap();
        assert_eq!(counts.succeeded, JOBS);
        control.ending.cancel();
    }
}
