//! How many jobs and status events a second the store makes durable, through the same methods that the server
//! calls. Prints rates and times; judges none. `store_rate DATABASE_URL [JOBS]`, on a database that may be filled.

use std::{future::Future, time::Instant};

use futures::{StreamExt, stream};
use model::{ExecutionStatus, JobId, TimestampMs};
use serde_json::json;
use server::store::{Asked, NewExecution, NewJob, StatusChange, Store};

/// Callers at one time, as requests would be.
const CALLERS: usize = 256;
/// Jobs by default.
const JOBS: usize = 20_000;
/// Jobs that are submitted one at a time.
const ALONE: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let url = words.next().unwrap_or_else(|| "sqlite:rate.db".to_owned());
    let jobs: usize = words.next().map_or(Ok(JOBS), |word| word.parse())?;
    let store = Store::open(&url).await?;
    let ids: Vec<JobId> = (0..jobs).map(|_| JobId(uuid::Uuid::now_v7())).collect();

    let (alone, _) = ids.split_at(ids.len().min(ALONE));
    // One caller who waits for each answer.
    rate("submit, 1 caller", 1, alone, 1, |part| {
        let store = &store;
        async move { submit(store, part[0]).await }
    })
    .await?;
    rate(
        "submit, 256 callers",
        CALLERS,
        &ids[alone.len()..],
        1,
        |part| {
            let store = &store;
            async move { submit(store, part[0]).await }
        },
    )
    .await?;
    rate("started, 256 callers", CALLERS, &ids, 1, |part| {
        let store = &store;
        async move {
            let execution = NewExecution::new(part[0], &arn(part[0]), 1, 1_000);
            store
                .started(None, &execution, 1_000)
                .await
                .map_err(Into::into)
        }
    })
    .await?;
    // What Step Functions tells of an execution: its end, after a redrive again, each as one queue delivers them.
    for (what, size, callers, status, redrive_count) in [
        (
            "events by 1, 256 callers",
            1,
            CALLERS,
            ExecutionStatus::Failed,
            0,
        ),
        (
            "events by 10, 64 callers",
            10,
            64,
            ExecutionStatus::Running,
            1,
        ),
        (
            "events by 500, 4 callers",
            500,
            4,
            ExecutionStatus::Succeeded,
            1,
        ),
        (
            "the same events again",
            500,
            4,
            ExecutionStatus::Succeeded,
            1,
        ),
    ] {
        rate(what, callers, &ids, size, |part| {
            let store = &store;
            async move {
                let changes: Vec<StatusChange> = part
                    .iter()
                    .map(|id| StatusChange {
                        redrive_count: Some(redrive_count),
                        started_at_ms: Some(1_000),
                        ended_at_ms: Some(2_000),
                        ..StatusChange::new(&arn(*id), status, 2_000)
                    })
                    .collect();
                store.statuses_changed(&changes).await?;
                Ok(())
            }
        })
        .await?;
    }
    let counts = store.job_counts().await?;
    println!("{counts:?}");
    store.close().await;
    Ok(())
}

async fn rate<'a, F>(
    what: &str,
    callers: usize,
    ids: &'a [JobId],
    size: usize,
    call: impl Fn(&'a [JobId]) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let started = Instant::now();
    let timed = ids.chunks(size).map(|part| {
        let call = call(part);
        async move {
            let asked = Instant::now();
            call.await?;
            anyhow::Ok(asked.elapsed().as_secs_f64() * 1e3)
        }
    });
    let mut calls = stream::iter(timed).buffer_unordered(callers);
    let mut times_ms = Vec::new();
    while let Some(result) = calls.next().await {
        times_ms.push(result?);
    }
    let seconds = started.elapsed().as_secs_f64();
    times_ms.sort_by(f64::total_cmp);
    let quantile = |share: f64| times_ms[((times_ms.len() - 1) as f64 * share).round() as usize];
    println!(
        "{what:<26} {:>9.0} a second, a call p50 {:.1} ms, p99 {:.1} ms",
        ids.len() as f64 / seconds,
        quantile(0.5),
        quantile(0.99),
    );
    Ok(())
}

fn job(id: JobId) -> NewJob {
    NewJob {
        id,
        pipeline: "media".to_owned(),
        title: "clip.mp4".to_owned(),
        source: "s3://bucket/clip.mp4".to_owned(),
        input: json!({"source": "s3://bucket/clip.mp4", "renditions": [1080, 720, 480]}),
        submitted_at: TimestampMs(1_000),
        priority: 5,
        idempotency_key: None,
        request_digest: None,
    }
}

async fn submit(store: &Store, id: JobId) -> anyhow::Result<()> {
    store.submit(&job(id), None, &Asked::default()).await?;
    Ok(())
}

fn arn(job: JobId) -> String {
    format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{job}")
}
