//! Status events duplicated, reordered and a third of them lost: after one sweep the store equals AWS, for few calls.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::join_all;
use model::{JobFilter, JobStatus};
use serde_json::{Value, json};

use super::*;
use crate::{
    aws::{Message, testing::FakeAws},
    config,
    store::{self, NewExecution, testing::on_each_database},
    tracker::{
        reconcile::{explain, read_inputs},
        status::Intake,
    },
};

on_each_database!(the_store_equals_the_truth_after_one_sweep);

const PAGE: usize = 1_000;
const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:gantry-media";
/// When the first execution started; each next one a second later.
const BEGIN_MS: i64 = 1_700_000_000_123;

/// How many executions; about twice as many events come.
fn executions_count() -> usize {
    std::env::var("GANTRY_TEST_EXECUTIONS")
        .map_or(1_200, |text| text.parse().expect("a number of executions"))
}

/// Numbers that are the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// An execution as Step Functions has it.
#[derive(Debug, Clone, Default)]
struct Truth {
    name: String,
    status: &'static str,
    redrive_count: u32,
    started_at_ms: i64,
    ended_at_ms: Option<i64>,
}

impl Truth {
    fn arn(&self) -> String {
        format!(
            "{}:{}",
            MACHINE.replacen(":stateMachine:", ":execution:", 1),
            self.name
        )
    }

    fn is_failure(&self) -> bool {
        ["FAILED", "ABORTED"].contains(&self.status)
    }

    /// As ListExecutions and DescribeExecution tell it, which differ in what they leave out.
    fn wire(&self) -> Value {
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        json!({
            "executionArn": self.arn(), "stateMachineArn": MACHINE, "name": self.name, "status": self.status,
            "startDate": seconds(self.started_at_ms), "stopDate": self.ended_at_ms.map(seconds),
            "redriveCount": self.redrive_count,
        })
    }

    fn described(&self) -> Value {
        let mut told = self.wire();
        told["input"] = json!(json!({"source": format!("s3://in/{}", self.name)}).to_string());
        if self.is_failure() {
            told["error"] = json!("Source.Empty");
            told["redriveStatus"] = json!("REDRIVABLE");
        }
        told
    }

    fn event(&self) -> Message {
        let mut detail = self.described();
        detail["startDate"] = json!(self.started_at_ms);
        detail["stopDate"] = json!(self.ended_at_ms);
        Message {
            body:
                json!({"detail-type": "Step Functions Execution Status Change", "detail": detail})
                    .to_string(),
            receipt: "r".to_owned(),
        }
    }
}

/// An execution with its redrives: what it came to, and every event on the way.
fn lived(chance: &mut Chance, number: usize, name: String) -> (Truth, Vec<Message>) {
    let mut truth = Truth {
        name,
        started_at_ms: BEGIN_MS + 1_000 * number as i64,
        ..Truth::default()
    };
    let mut events = Vec::new();
    loop {
        truth.status = "RUNNING";
        truth.ended_at_ms = None;
        events.push(truth.event());
        if chance.percent(10) {
            return (truth, events);
        }
        truth.status = match chance.next() % 10 {
            0 => "FAILED",
            1 => "ABORTED",
            _ => "SUCCEEDED",
        };
        truth.ended_at_ms = Some(truth.started_at_ms + 500 + i64::from(truth.redrive_count));
        events.push(truth.event());
        if !truth.is_failure() || chance.percent(60) {
            return (truth, events);
        }
        truth.redrive_count += 1;
    }
}

/// Every execution, and where each is by its ARN.
#[derive(Debug, Clone, Default)]
struct Truths {
    all: Vec<Truth>,
    places: HashMap<String, usize>,
}

impl Truths {
    fn push(&mut self, truth: Truth) {
        self.places.insert(truth.arn(), self.all.len());
        self.all.push(truth);
    }
}

type Executions = Arc<Mutex<Truths>>;

/// Step Functions over these executions.
fn answer(executions: &Executions, operation: &str, request: &Value) -> Option<Value> {
    let executions = executions.lock().unwrap_or_else(PoisonError::into_inner);
    match operation {
        "ListExecutions" => {
            let is_wanted = |one: &&Truth| {
                request["statusFilter"]
                    .as_str()
                    .is_none_or(|status| status == one.status)
            };
            let mut wanted: Vec<_> = executions.all.iter().filter(is_wanted).collect();
            wanted.sort_by_key(|one| -one.started_at_ms);
            let from: usize = request["nextToken"]
                .as_str()
                .map_or(0, |token| token.parse().unwrap());
            let page: Vec<_> = wanted
                .iter()
                .skip(from)
                .take(PAGE)
                .map(|one| one.wire())
                .collect();
            let next = from + page.len();
            let token = (next < wanted.len()).then(|| next.to_string());
            Some(json!({"executions": page, "nextToken": token}))
        }
        "DescribeExecution" => {
            let place = executions.places.get(request["executionArn"].as_str()?);
            Some(executions.all[*place.unwrap()].described())
        }
        _ => None,
    }
}

/// In how many executions the store differs from the truth.
async fn differences(control: &Control, executions: &Executions) -> usize {
    let executions = executions.lock().unwrap().all.clone();
    let arns: Vec<_> = executions.iter().map(Truth::arn).collect();
    let arns: Vec<_> = arns.iter().map(String::as_str).collect();
    let known = control.store.executions_known(&arns).await.unwrap();
    let ids: Vec<_> = known.values().map(|known| known.job).collect();
    let jobs = control.store.job_records(&ids).await.unwrap();
    let jobs: HashMap<_, _> = jobs
        .into_iter()
        .map(|job| (job.summary.id, job.summary))
        .collect();
    let differs = |one: &&Truth| {
        known.get(&one.arn()).is_none_or(|known| {
            let job = &jobs[&known.job];
            json!(known.status) != json!(one.status)
                || json!(job.status).as_str() != Some(&one.status.to_lowercase())
                || known.redrive_count != one.redrive_count
                || known.started_at.0 != one.started_at_ms
                || job.ended_at_ms.map(|at| at.0) != one.ended_at_ms
        })
    };
    executions.iter().filter(differs).count()
}

async fn the_store_equals_the_truth_after_one_sweep() {
    let count = executions_count();
    let fake = FakeAws::start().await;
    let (_folder, store) = store::testing::store().await;
    let config = config::testing::config();
    let control = Control::new(store, fake.clients(&config).await, config);
    let executions = Executions::default();
    fake.answer_with({
        let executions = executions.clone();
        move |operation, request| answer(&executions, operation, request)
    });
    let mut chance = Chance(7);
    let mut events = Vec::new();
    // What only a description tells: words of ends that were lost, inputs of what no event was left of.
    let mut descriptions_max = 0;
    let own = (0..count / 2).map(|second| store::testing_submit(&control.store, second as u64));
    let own = join_all(own).await;
    let mut started = Vec::new();
    for number in 0..count {
        let job = own.get(number / 2).filter(|_| number % 2 == 0);
        let name = job.map_or_else(|| format!("nightly-{number}"), ToString::to_string);
        let (truth, told) = lived(&mut chance, number, name);
        if let Some(job) = job.filter(|_| number % 4 == 0) {
            started.push(NewExecution::new(
                *job,
                &truth.arn(),
                1,
                truth.started_at_ms,
            ));
        }
        let last = told.len() - 1;
        let mut left = 0;
        for (place, event) in told.into_iter().enumerate() {
            if chance.percent(30) {
                descriptions_max += usize::from(place == last && truth.is_failure());
                continue;
            }
            left += 1;
            for _ in 0..1 + usize::from(chance.percent(40)) {
                events.push((chance.next(), event.clone()));
            }
        }
        descriptions_max += usize::from(left == 0 && number % 2 == 1);
        executions.lock().unwrap().push(truth);
    }
    events.sort_by_key(|(place, _)| *place);
    println!("{count} executions, {} events came", events.len());
    for some in started.chunks(500) {
        let learnt = control.store.learn(some.to_vec(), Vec::new(), 1_000);
        learnt.await.unwrap();
    }
    let intake = Intake::new(control.clone());
    for some in events.chunks(500) {
        let some = some.iter().map(|(_, event)| event.clone()).collect();
        intake.take(some).await.unwrap();
    }
    intake.settled().await;
    assert!(differences(&control, &executions).await > count / 10);

    let described_before = fake.calls("DescribeExecution").len();
    let swept = sweep(&control, i64::MIN, "sweep").await.unwrap();
    assert_eq!(differences(&control, &executions).await, 0);
    assert!(swept.corrected > 0 && swept.adopted > 0, "{swept:?}");
    assert_eq!(swept.told, count as u64);
    let counts = control.store.job_counts().await.unwrap();
    assert_eq!(counts.total(), count as u64);
    // A call for each thousand, and none for a single one.
    assert_eq!(fake.calls("ListExecutions").len(), count.div_ceil(PAGE));
    assert_eq!(fake.calls("DescribeExecution").len(), described_before);

    // Words of ends and inputs come afterwards, as the budget has it.
    while !control
        .store
        .executions_unexplained(1)
        .await
        .unwrap()
        .is_empty()
    {
        explain(&control).await.unwrap();
    }
    while !control.store.inputs_unread(1).await.unwrap().is_empty() {
        read_inputs(&control).await.unwrap();
    }
    let descriptions = fake.calls("DescribeExecution").len() - described_before;
    assert!(
        descriptions <= descriptions_max,
        "{descriptions} of {descriptions_max}"
    );
    let filter = JobFilter::default();
    let jobs = control.store.jobs(&filter, count as u32).await.unwrap();
    assert_eq!(jobs.len(), count);
    for job in jobs {
        let is_failure = [JobStatus::Failed, JobStatus::Aborted].contains(&job.status);
        let error = is_failure.then_some("Source.Empty");
        assert_eq!(job.error.as_deref(), error, "{job:?}");
        if job.adopted {
            assert_eq!(job.source, format!("s3://in/{}", job.title));
        }
    }

    // The next sweep reads what is new, and asks about what ended in silence long after it began.
    let later_ms = BEGIN_MS + 1_000 * count as i64;
    let (ended, running) = {
        let mut executions = executions.lock().unwrap();
        let running = executions
            .all
            .iter_mut()
            .find(|one| one.status == "RUNNING");
        let running = running.unwrap();
        running.status = "SUCCEEDED";
        running.ended_at_ms = Some(later_ms + 9_000_000);
        let arn = running.arn();
        executions.push(Truth {
            name: "late".to_owned(),
            status: "SUCCEEDED",
            started_at_ms: later_ms + 8_000_000,
            ended_at_ms: Some(later_ms + 8_001_000),
            ..Truth::default()
        });
        let running = executions.all.iter();
        let running = running.filter(|one| one.status == "RUNNING").count();
        (arn, running)
    };
    let (listed, described) = (
        fake.calls("ListExecutions").len(),
        fake.calls("DescribeExecution").len(),
    );
    sweep(&control, later_ms + 5_000_000, "sweep")
        .await
        .unwrap();
    assert_eq!(differences(&control, &executions).await, 0);
    let pages = 1 + running.div_ceil(PAGE);
    assert_eq!(fake.calls("ListExecutions").len() - listed, pages);
    let asked: HashSet<_> = fake
        .calls("DescribeExecution")
        .into_iter()
        .skip(described)
        .map(|request| request["executionArn"].clone())
        .collect();
    assert_eq!(asked, HashSet::from([json!(ended)]));
}
