//! `faults`: server, `local` and workers as processes that are killed at random moments, with a proxy between them that
//! throttles, delays, cuts, duplicates and reorders by a seeded schedule. A check, no measurement: once the faults have
//! ended, store and AWS must agree exactly, nothing acknowledged may be lost and nothing started twice. Meanwhile the
//! telemetry stream is resharded.
//!
//! Rounds come in blocks, each over data of its own, so that a failure is found again without what came before it.

mod book;
mod compare;
mod proxy;
mod schedule;
mod telemetry;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use crate::database;
use crate::product::{Place, Product, Program};
use crate::stream::Stream;
use crate::words::Words;
use book::Book;
use proxy::Proxy;
use schedule::Schedule;
use work::Client;

/// Rounds over the same data.
const BLOCK: u64 = 50;
/// How long store and AWS may take to agree once the faults have ended: a backoff of the tracker's and a silence that
/// its reconciler ends.
const QUIET_WITHIN: Duration = Duration::from_secs(90);
/// A kill comes at most so long after the requests of its round.
const KILL_WITHIN_MS: u64 = 150;
/// Of so many rounds one reshards the telemetry stream.
const RESHARD_EVERY: u64 = 5;

const USAGE: &str = "faults --worker PROGRAM --seed SEED --rounds ROUNDS [--from ROUND] [--database POSTGRES_URL] [--keep FOLDER]";

/// What to run.
struct Plan {
    seed: u64,
    /// The first round, a multiple of [`BLOCK`], and how many.
    from: u64,
    rounds: u64,
    /// A PostgreSQL server on which databases may be made; else SQLite.
    database: Option<String>,
    /// Where `server` and `local` are.
    programs: PathBuf,
    worker: PathBuf,
    /// Where data is left when something is wrong.
    data: PathBuf,
}

/// What a block came to.
#[derive(Default)]
struct Tally {
    rounds: u64,
    jobs: usize,
    executions: usize,
    kills: usize,
    workers: usize,
    faults: u64,
    asked: usize,
    splits: usize,
    merges: usize,
    invocations: usize,
    progress: usize,
    slowest_quiet: Duration,
}

/// The command.
pub fn check(mut words: Words) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program is nowhere")?;
    let plan = Plan {
        seed: words.number("--seed")?.unwrap_or(1),
        from: words.number("--from")?.unwrap_or(0) / BLOCK * BLOCK,
        rounds: words.number("--rounds")?.unwrap_or(BLOCK),
        database: words.value("--database")?,
        programs: words
            .value("--programs")?
            .map_or(folder.into(), PathBuf::from),
        worker: words
            .value("--worker")?
            .map(PathBuf::from)
            .context("--worker names the worker's program")?,
        data: words.value("--keep")?.map_or_else(
            || std::env::temp_dir().join(format!("gantry-faults-{}", std::process::id())),
            PathBuf::from,
        ),
    };
    words.finish(USAGE)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut at = plan.from;
    let end = plan.from + plan.rounds;
    while at < end {
        let rounds = BLOCK.min(end - at);
        let block = runtime.block_on(block(&plan, at, rounds, &mut tally));
        block.with_context(|| {
            format!(
                "again with: bench faults --seed {} --from {at} --rounds {rounds}; the data is in {}",
                plan.seed,
                plan.data.display()
            )
        })?;
        std::fs::remove_dir_all(&plan.data)?;
        at += rounds;
        tally.rounds += rounds;
        eprintln!("{tally} in {:.0} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Some rounds over new data, and the comparison at their end.
async fn block(plan: &Plan, from: u64, rounds: u64, tally: &mut Tally) -> anyhow::Result<()> {
    if plan.data.exists() {
        std::fs::remove_dir_all(&plan.data)?;
    }
    std::fs::create_dir_all(&plan.data)?;
    let name = format!("gantry_faults_{}_{from}", std::process::id());
    let database = match &plan.database {
        Some(server) => database::create(server, &name).await?,
        None => format!("sqlite:{}", plan.data.join("gantry.db").display()),
    };
    let schedule = Schedule::new(plan.seed, from);
    let proxy = Proxy::start(schedule.branch("proxy")).await?;
    let place = Place {
        programs: plan.programs.clone(),
        data: plan.data.clone(),
        database,
        aws: proxy.address,
        local: proxy.target,
        worker: Some(plan.worker.clone()),
        log: "info,server=debug,sqlx=warn,aws=warn,hyper=warn",
    };
    let mut product = Product::start(place).await?;
    let client = Client::new(product.address())?;
    let stream = Stream::new(proxy.target)?;
    let book = Arc::new(Book::default());
    proxy.storm(true);
    for round in from..from + rounds {
        let mut dice = schedule.branch(&format!("round {round}"));
        let mut asking = JoinSet::new();
        for _ in 0..dice.below(6) + 2 {
            let action = work::choose(&mut dice, &book);
            asking.spawn(work::act(client.clone(), book.clone(), action));
        }
        // Draws of its own: the other requests of a seed stay what they were.
        let mut draws = schedule.branch(&format!("shards {round}"));
        if draws.below(RESHARD_EVERY) == 0 {
            let (stream, drawn) = (stream.clone(), draws.next());
            asking.spawn(async move { stream.reshard(drawn).await });
        }
        tokio::time::sleep(Duration::from_millis(dice.below(KILL_WITHIN_MS))).await;
        let victims: &[Program] = match dice.below(10) {
            0..=4 => &[Program::Server],
            5..=7 => &[Program::Local],
            8 => &[Program::Server, Program::Local],
            _ => &[],
        };
        for victim in victims {
            product.kill(*victim)?;
        }
        if dice.below(3) == 0 {
            tally.workers += product.kill_workers()?;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(KILL_WITHIN_MS / 3))).await;
        for victim in victims {
            product.begin(*victim).await?;
        }
        tally.kills += victims.len();
        while let Some(asked) = asking.join_next().await {
            asked?.with_context(|| format!("in round {round}"))?;
        }
    }
    proxy.storm(false);
    let began = Instant::now();
    let found = loop {
        match compare::compare(&client, &product, &stream, &book).await {
            Ok(found) => break found,
            Err(difference) if began.elapsed() > QUIET_WITHIN => {
                bail!("store and AWS do not agree: {difference:#}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    };
    tally.slowest_quiet = tally.slowest_quiet.max(began.elapsed());
    tally.jobs += found.jobs;
    tally.executions += found.executions;
    tally.invocations += found.heard.invocations;
    tally.progress += found.heard.progress;
    tally.splits += found.reshardings.splits;
    tally.merges += found.reshardings.merges;
    tally.faults += proxy.faults();
    tally.asked += book.asked();
    drop(product);
    if let Some(server) = &plan.database {
        database::remove(server, &name).await?;
    }
    Ok(())
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} rounds: {} requests, {} jobs, {} executions, {} kills and {} of workers, {} faults in calls, {} splits and {} merges of shards, {} invocations and {} lines of progress; quiet after {:.1} s at most",
            self.rounds,
            self.asked,
            self.jobs,
            self.executions,
            self.kills,
            self.workers,
            self.faults,
            self.splits,
            self.merges,
            self.invocations,
            self.progress,
            self.slowest_quiet.as_secs_f64()
        )
    }
}
