//! `store`: a real server over a database with a million jobs. What the list of jobs costs by every filter, how fast
//! jobs are accepted, and what the server takes in memory. The peer of accepting is the synchronous way through the same
//! server: a caller who waits until StartExecution was acknowledged.

mod fill;
mod load;
mod submit;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;

use crate::database;
use crate::product::{Place, Product, Program, free_address};
use crate::report::Report;
use crate::words::Words;

/// Jobs by default.
const JOBS: u64 = 1_000_000;
/// The databases: with a million jobs, and with those only that are submitted.
const FILLED: &str = "gantry_bench_filled";
const EMPTY: &str = "gantry_bench_empty";
const USAGE: &str = "store [--jobs JOBS] [--database POSTGRES_URL] [--filled URL] [--data FOLDER] [--programs FOLDER] [--only lists|accepting|submit] [--list NAME]";

/// Measures, and tells the ratio of the two ways to submit.
pub fn measure(mut words: Words) -> anyhow::Result<Report> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program is nowhere")?;
    let jobs = words.number("--jobs")?.unwrap_or(JOBS);
    let server = words.value("--database")?;
    // A database of jobs that are there before and after.
    let filled = words.value("--filled")?;
    let kept = words.value("--data")?.map(PathBuf::from);
    let programs = words
        .value("--programs")?
        .map_or(folder.to_owned(), PathBuf::from);
    let only = words.value("--only")?;
    // Of the lists only those with this in their names.
    let list = words.value("--list")?.unwrap_or_default();
    words.finish(USAGE)?;
    let data = kept.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("gantry-store-{}", std::process::id()))
    });
    std::fs::create_dir_all(&data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let url = match &filled {
            Some(url) => url.clone(),
            None => database(&server, &data, FILLED).await?,
        };
        let other = database(&server, &data, EMPTY).await?;
        // Nobody answers there, so that lists are measured alone, and accepting without starting.
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let place = |url: &str, aws, local| Place {
            programs: programs.clone(),
            data: data.clone(),
            database: url.to_owned(),
            aws,
            local,
            worker: None,
            log: "warn",
        };
        let wants = |part: &str| only.as_deref().is_none_or(|only| only == part);
        if wants("lists") || wants("accepting") {
            let mut product = Product::new(place(&url, silent.local_addr()?, free_address()?))?;
            product.begin(Program::Server).await?;
            let began = Instant::now();
            fill::fill(&url, jobs).await?;
            eprintln!("{jobs} jobs in {:.0} s", began.elapsed().as_secs_f64());
            product.kill(Program::Server)?;
            product.begin(Program::Server).await?;
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            resident(&product, "idle")?;
            if wants("lists") {
                load::lists(&product, &list).await?;
                resident(&product, "after the lists")?;
            }
            if wants("accepting") {
                submit::accepted(&product).await?;
                resident(&product, "after submitting")?;
            }
        }
        // Of its own: what was accepted before would be started first.
        let aws = free_address()?;
        let product = Product::start(place(&other, aws, aws)).await?;
        let report = submit::compare(&product).await?;
        resident(&product, "after submitting with AWS")?;
        drop(product);
        if let Some(server) = &server {
            if filled.is_none() {
                database::remove(server, FILLED).await?;
            }
            database::remove(server, EMPTY).await?;
        }
        anyhow::Ok(report)
    })?;
    if kept.is_none() {
        std::fs::remove_dir_all(&data)?;
    }
    Ok(report)
}

/// An empty database of this name; on SQLite one that is there stays as it is.
async fn database(server: &Option<String>, data: &Path, name: &str) -> anyhow::Result<String> {
    match server {
        Some(server) => database::create(server, name).await,
        None => Ok(format!("sqlite:{}", data.join(name).display())),
    }
}

/// Says what memory the server holds (`man 5 proc`, statm).
fn resident(product: &Product, when: &str) -> anyhow::Result<()> {
    let pid = product.pid(Program::Server).context("no server runs")?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: f64 = text
        .split_whitespace()
        .nth(1)
        .context("no pages")?
        .parse()?;
    eprintln!("server, {when}: {:.1} MiB resident", pages / 256.0);
    Ok(())
}
