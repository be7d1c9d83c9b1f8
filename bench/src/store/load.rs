//! Requests at a steady rate over connections that stay: every kind of list, and how long the server took for each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fill::{self, ABSENT, COMMON, ERROR, MIDDLING, RARE, SPAN_MS, STATE, WORDS};
use crate::cpu;
use crate::product::{Product, Program};

/// Requests a second.
const RATE: u32 = 500;
/// Requests of each kind.
const REQUESTS: u32 = 1_500;
/// Under way at one time at most; who comes then is late, and the rate is not reached.
const UNDER_WAY: usize = 64;
/// Later pages that are asked for.
const PAGES: u64 = 499;

/// Asks for every kind of list with a text in its name, and tells what each took.
pub async fn lists(product: &Product, named: &str) -> anyhow::Result<()> {
    let client = client()?;
    let base = format!("http://{}/api/v1/jobs", product.address());
    let first = get(&client, &base).await?;
    let counts = first["counts"].as_object().context("no counts")?;
    let jobs: u64 = counts.values().filter_map(Value::as_u64).sum();
    let middle = fill::moment(jobs / 2, jobs);
    let hour = 3_600_000;
    let measure = async |name: &str, url: &dyn Fn(u32) -> String| match name.contains(named) {
        true => measure(product, &client, name, url).await,
        false => Ok(()),
    };
    let kinds: [(&str, String); 21] = [
        ("first page", String::new()),
        ("status succeeded", "status=succeeded".into()),
        ("status failed", "status=failed".into()),
        ("status queued (none)", "status=queued".into()),
        ("pipeline", "pipeline=media".into()),
        (
            "pipeline and status",
            "pipeline=media&status=timed_out".into(),
        ),
        ("error", format!("error={ERROR}")),
        ("failed state", format!("failed_state={STATE}")),
        (
            "error and state (none)",
            format!("error={ERROR}&failed_state={STATE}"),
        ),
        (
            "error and status",
            format!("error={ERROR}&status=timed_out"),
        ),
        (
            "an hour",
            format!("since_ms={}&until_ms={}", middle, middle + hour),
        ),
        (
            "an hour of failures",
            format!(
                "since_ms={}&until_ms={}&status=failed",
                middle,
                middle + hour
            ),
        ),
        ("half of all", format!("until_ms={middle}")),
        ("text: in each", "text=clip".into()),
        ("text: common", format!("text={COMMON}")),
        (
            "text: middling",
            format!("text={}", MIDDLING.replace(' ', "+")),
        ),
        ("text: rare", format!("text={RARE}")),
        ("text: absent", format!("text={ABSENT}")),
        (
            "text: common, failed",
            format!("text={COMMON}&status=failed"),
        ),
        ("text: rare, failed", format!("text={RARE}&status=failed")),
        (
            "text: middling, failed",
            format!("text={}&status=failed", MIDDLING.replace(' ', "+")),
        ),
    ];
    println!(
        "{:<30} {:>9} {:>9} {:>9} {:>7} {:>6}",
        "list", "p50 ms", "p99 ms", "max ms", "a s", "CPU s"
    );
    for (name, query) in kinds {
        let url = |_| format!("{base}?{query}");
        measure(name, &url).await?;
    }
    let number = |at: u32| (u64::from(at) * 7_919 % PAGES + 1) * jobs / (PAGES + 2);
    // Each time another text, so that what is remembered of the last one helps little.
    let url = |at: u32| format!("{base}?text={}", number(at) + u64::from(at));
    measure("text: each time another number", &url).await?;
    let url = |at: u32| {
        let [first, second] = [at, at / 8].map(|word| WORDS[word as usize % WORDS.len()]);
        format!(
            "{base}?text={first}+{second}&before={}",
            fill::id(number(at), jobs)
        )
    };
    measure("later page, text: other words", &url).await?;
    for (name, query) in [
        ("later page", String::new()),
        ("later page, succeeded", "&status=succeeded".to_owned()),
        ("later page, text in each", "&text=clip".to_owned()),
        ("later page, text common", format!("&text={COMMON}")),
        (
            "later page, text middling",
            format!("&text={}", MIDDLING.replace(' ', "+")),
        ),
        ("later page, text rare", format!("&text={RARE}")),
    ] {
        let url = |at: u32| format!("{base}?before={}{query}", fill::id(number(at), jobs));
        measure(name, &url).await?;
    }
    ensure!(SPAN_MS > hour, "an hour is no part of all");
    Ok(())
}

async fn measure(
    product: &Product,
    client: &reqwest::Client,
    name: &str,
    url: impl Fn(u32) -> String,
) -> anyhow::Result<()> {
    let pid = product.pid(Program::Server).context("no server runs")?;
    let cpu_before = cpu::process_s(pid)?;
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut under_way = JoinSet::new();
    let began = Instant::now();
    for at in 0..REQUESTS {
        let due = began + Duration::from_secs(1) * at / RATE;
        tokio::time::sleep_until(due.into()).await;
        let place = places.clone().acquire_owned().await?;
        let (client, url) = (client.clone(), url(at));
        under_way.spawn(async move {
            let began = Instant::now();
            let answer = client.get(&url).send().await?;
            ensure!(
                answer.status().is_success(),
                "{url} answered {}",
                answer.status()
            );
            answer.bytes().await?;
            drop(place);
            Ok(began.elapsed())
        });
        // One that takes seconds is told of after fewer requests.
        if began.elapsed() > Duration::from_secs(20) {
            break;
        }
    }
    let mut times = Vec::new();
    while let Some(took) = under_way.join_next().await {
        times.push(took??);
    }
    let wall = began.elapsed().as_secs_f64();
    let rate = times.len() as f64 / wall;
    let cpu_s = cpu::process_s(pid)? - cpu_before;
    let [p50, p99, max] = quantiles_ms(times);
    println!("{name:<30} {p50:>9.2} {p99:>9.2} {max:>9.2} {rate:>7.0} {cpu_s:>6.2}");
    Ok(())
}

/// Median, 99th percentile and the longest, in ms.
pub fn quantiles_ms(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort_unstable();
    [0.5, 0.99, 1.0].map(|share| {
        let at = (times.len().saturating_sub(1) as f64 * share).round() as usize;
        times
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    })
}

/// Connections that stay.
pub fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(UNDER_WAY)
        .timeout(Duration::from_secs(60))
        .build()?)
}

async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<Value> {
    let text = client.get(url).send().await?.text().await?;
    serde_json::from_str(&text).with_context(|| format!("{url} answered {text}"))
}
