//! Telemetry: the Kinesis stream to which CloudWatch Logs sends the functions' log lines. Takes progress, the
//! beginnings of invocations and Lambda's platform reports out of it, checkpointed shard by shard.
//! Records: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>
//! Reports: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

use std::{collections::HashSet, ops::ControlFlow, time::Duration};

use super::{Pause, wait};
use crate::{
    clock,
    control::{Control, Failure},
};

mod record;
mod shards;

use shards::{End, Readers};

/// How often to look for new shards.
const SHARDS_PACE: Duration = Duration::from_secs(30);
/// Between two reads of a shard: Kinesis allows five a second to all readers together.
const BUSY_PACE: Duration = Duration::from_millis(300);
const IDLE_PACE: Duration = Duration::from_millis(700);
/// For how long a shard is one server's, and how often the others look whether it still is.
const LEASE_MS: i64 = 15_000;
const LEASE_PACE: Duration = Duration::from_secs(3);

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    let mut readers = Readers::default();
    loop {
        match control.aws.stream.shards().await {
            Ok(shards) => {
                pause.reset();
                for shard in readers.due(&shards) {
                    readers.start(shard.clone(), read_shard(control.clone(), shard));
                }
                let waited = tokio::select! {
                    waited = wait(&control, SHARDS_PACE) => waited,
                    // Its children may begin.
                    () = readers.read_one() => ControlFlow::Continue(()),
                };
                if waited.is_break() {
                    return;
                }
            }
            Err(error) => {
                if pause
                    .after_failure(&control, "list the telemetry stream's shards", &error)
                    .await
                    .is_break()
                {
                    return;
                }
            }
        }
    }
}

/// Reads a shard until it is closed and empty.
async fn read_shard(control: Control, shard: String) -> End {
    let mut pause = Pause::default();
    let mut iterator: Option<String> = None;
    let mut held_until_ms = 0;
    loop {
        match hold(&control, &shard, &mut held_until_ms).await {
            Ok(true) => {}
            Ok(false) => {
                iterator = None;
                control.signs.shard_ended(&shard);
                if wait(&control, LEASE_PACE).await.is_break() {
                    return End::Gone;
                }
                continue;
            }
            Err(failure) => {
                let waited = pause.after_failure(&control, "take a shard's lease", &failure);
                if waited.await.is_break() {
                    return End::Gone;
                }
                continue;
            }
        }
        let next_pause = match read_once(&control, &shard, &mut iterator).await {
            Ok(Step::Busy) => BUSY_PACE,
            Ok(Step::Idle) => IDLE_PACE,
            Ok(Step::Closed) => {
                tracing::info!(shard, "a shard is closed and read to its end");
                control.signs.shard_ended(&shard);
                return End::Read;
            }
            Ok(Step::Gone) => {
                tracing::warn!(shard, "a shard is not there any more");
                control.signs.shard_ended(&shard);
                return End::Gone;
            }
            Err(failure) => {
                // An iterator lives five minutes; whatever failed, a new one from the checkpoint is right.
                iterator = None;
                if pause
                    .after_failure(&control, "read the telemetry stream", &failure)
                    .await
                    .is_break()
                {
                    return End::Gone;
                }
                continue;
            }
        };
        pause.reset();
        if wait(&control, next_pause).await.is_break() {
            return End::Gone;
        }
    }
}

/// Whether this server reads the shard: one of those over a database does.
async fn hold(control: &Control, shard: &str, until_ms: &mut i64) -> Result<bool, Failure> {
    let now_ms = clock::now().0;
    if control.store.postgres_url().is_none() || *until_ms - now_ms > LEASE_MS / 2 {
        return Ok(true);
    }
    let name = format!("shard:{}/{shard}", control.aws.stream.name());
    let held = control
        .store
        .lease(&name, now_ms, now_ms + LEASE_MS)
        .await?;
    *until_ms = if held { now_ms + LEASE_MS } else { 0 };
    Ok(held)
}

enum Step {
    Busy,
    Idle,
    Closed,
    /// Kinesis knows no such shard: its records are past the stream's retention, or the stream was made anew.
    Gone,
}

async fn read_once(
    control: &Control,
    shard: &str,
    iterator: &mut Option<String>,
) -> Result<Step, Failure> {
    let stream = control.aws.stream.name().to_owned();
    let current = match iterator.take() {
        Some(current) => current,
        None => {
            let after = control.store.checkpoint(&stream, shard).await?;
            match control.aws.stream.iterator(shard, after.as_deref()).await {
                Ok(Some(first)) => first,
                Ok(None) => return Ok(Step::Closed),
                Err(error) if error.is("ResourceNotFoundException") => return Ok(Step::Gone),
                Err(error) if after.is_some() && error.is("InvalidArgumentException") => {
                    // The stream was made anew, or keeps less than the server was away for.
                    tracing::warn!(shard, "the checkpoint is not in the stream any more");
                    control.store.forget_checkpoint(&stream, shard).await?;
                    return Ok(Step::Busy);
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let records = control.aws.stream.records(&current).await?;
    if let Some(sequence) = &records.sequence {
        let told = record::told_by(&records.data);
        let mut jobs: HashSet<_> = record::jobs_of(&told);
        let reported = control
            .store
            .add_telemetry((&stream, shard, sequence), told)
            .await?;
        jobs.extend(reported.iter().filter_map(|arn| record::job_of(arn)));
        for job in jobs {
            control.live.touch(job);
        }
    }
    control.signs.shard_read(shard, records.behind_ms);
    let is_busy = !records.data.is_empty() || records.behind_ms > 0;
    *iterator = records.next;
    Ok(match (&iterator, is_busy) {
        (None, _) => Step::Closed,
        (_, true) => Step::Busy,
        (_, false) => Step::Idle,
    })
}
