//! Submitting: jobs accepted durably at a steady rate, and the synchronous way, in which a caller waits until
//! StartExecution was acknowledged, through the same server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::load::{client, quantiles_ms};
use crate::cpu;
use crate::product::{Product, Program};
use crate::report::Report;

/// Callers at one time.
const CALLERS: u32 = 64;
/// Jobs a second, and for how long.
const RATE: u32 = 2_000;
const SECONDS: u32 = 5;
/// How often a caller who waits asks whether the execution was started.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long a start may take.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// Accepting alone: AWS does not answer.
pub async fn accepted(product: &Product) -> anyhow::Result<()> {
    run(product, "submit, 2,000 a second", Some(RATE), false).await?;
    run(product, "submit, as fast as it goes", None, false).await?;
    Ok(())
}

/// Both ways with AWS beside them, and their ratio.
pub async fn compare(product: &Product) -> anyhow::Result<Report> {
    let synchronous = run(product, "submit and wait for the start", None, true).await?;
    let asynchronous = run(product, "submit", None, false).await?;
    Ok(Report {
        name: "submit",
        value: 1e3 / asynchronous,
        unit: "answers per second to one caller, the median",
        peer: Some((
            "waiting for StartExecution".to_owned(),
            synchronous / asynchronous,
        )),
        goal: 1.0,
    })
}

/// Callers who submit, at a rate or one job after the other; gives the median in ms.
async fn run(product: &Product, name: &str, rate: Option<u32>, waits: bool) -> anyhow::Result<f64> {
    let pid = product.pid(Program::Server).context("no server runs")?;
    let cpu_before = cpu::process_s(pid)?;
    let client = client()?;
    let url = format!("http://{}/api/v1/jobs", product.address());
    let times = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, url, times) = (client.clone(), url.clone(), times.clone());
        callers.spawn(async move {
            let mut own = Vec::new();
            for turn in 0.. {
                if let Some(rate) = rate {
                    let due = began + Duration::from_secs(1) * (turn * CALLERS + caller) / rate;
                    tokio::time::sleep_until(due.into()).await;
                }
                if began.elapsed() > Duration::from_secs(SECONDS.into()) {
                    break;
                }
                let asked = Instant::now();
                let id = submit(&client, &url).await?;
                if waits {
                    started(&client, &format!("{url}/{id}")).await?;
                }
                own.push(asked.elapsed());
            }
            times.lock().await.extend(own);
            anyhow::Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let wall = began.elapsed().as_secs_f64();
    let times = std::mem::take(&mut *times.lock().await);
    let reached = times.len() as f64 / wall;
    let cpu_s = cpu::process_s(pid)? - cpu_before;
    let [p50, p99, max] = quantiles_ms(times);
    println!("{name:<28} {p50:>9.2} {p99:>9.2} {max:>9.2} {reached:>7.0} {cpu_s:>6.2}");
    Ok(p50)
}

async fn submit(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let job = json!({
        "pipeline": "media",
        "input": { "source": "https://media.example/new/clip.mp4", "title": "ok-new" },
    });
    let request = client.post(url).header("content-type", "application/json");
    let answer = request.body(job.to_string()).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status == 202, "{url} answered {status}: {text}");
    let answer: Value = serde_json::from_str(&text)?;
    Ok(answer["id"]
        .as_str()
        .context("a job without id")?
        .to_owned())
}

async fn started(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let until = Instant::now() + STARTED_WITHIN;
    while Instant::now() < until {
        let text = client.get(url).send().await?.text().await?;
        let view: Value = serde_json::from_str(&text)?;
        if !view["execution"].is_null() {
            return Ok(());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    bail!("{url} was not started");
}
