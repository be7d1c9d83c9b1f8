//! `live`: 10,000 clients that follow jobs on one server at one event a second each, against plain axum with tokio's
//! broadcast in the same run: from the request that changes a job to the event in a client's hand, and the memory
//! that a client takes.
//!
//! Two loads: `spread` has 100 jobs of 100 clients, changed one after the other, so that every client has an event a
//! second; `burst` has one job that all clients follow, changed every second. Ours stores each change durably and
//! makes the job's view from the store; the peer passes on a text of the same length that it is given. Clients, server
//! and whoever makes the changes share the machine. The line at the end is of memory.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::report::Report;

mod clients;
pub mod peer;
mod scan;
mod server;

use clients::{Changes, Crowd};
use server::Server;

/// How many follow.
const CLIENTS: usize = 10_000;
/// Connected first and left connected, so that whatever a server keeps for good is there when it is weighed.
const WARM: usize = 500;
/// Jobs of the load `spread`.
const TOPICS: usize = 100;
/// Changes of each job, one a second.
const ROUNDS: usize = 20;
/// Threads that make changes: a durable change takes its time.
const MAKERS: usize = 4;
/// How long the last events may take.
const OVER_WITHIN: Duration = Duration::from_secs(10);
/// What a client may take in memory, in bytes.
const BYTES_MAX: f64 = 4096.0;
/// What plain axum was seen to take, in bytes: the ratio that is wanted.
const PEER_BYTES: f64 = 19_700.0;

/// Compares the two; `bench` is this program, beside which the server lies.
pub fn measure(bench: &Path) -> anyhow::Result<Report> {
    let data = std::env::temp_dir().join(format!("gantry-bench-{}", std::process::id()));
    std::fs::create_dir_all(&data)?;
    allow_open_files()?;
    let result = compare(bench, &data);
    let _ = std::fs::remove_dir_all(&data);
    result
}

/// Every connection is an open file, here and in the servers, which inherit the limit.
fn allow_open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if let Some(most) = limit.maximum {
        let needed = CLIENTS as u64 + 200;
        ensure!(
            most >= needed,
            "{needed} files must be open at a time, and {most} may be: raise `ulimit -Hn`"
        );
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    Ok(())
}

fn compare(bench: &Path, data: &Path) -> anyhow::Result<Report> {
    let program = bench.with_file_name("server");
    let ours = Server::ours(&program, data, TOPICS)?;
    let our_bytes = run(&ours)?;
    // A view of ours is what the peer sends.
    let texts = ours.texts()?;
    drop(ours);
    let theirs = Server::peer(bench, TOPICS, texts)?;
    let their_bytes = run(&theirs)?;
    Ok(Report {
        name: "live",
        value: f64::from(1 << 20) / our_bytes,
        unit: "clients per MiB of memory",
        peer: Some(("axum and broadcast".to_owned(), their_bytes / our_bytes)),
        goal: PEER_BYTES / BYTES_MAX,
    })
}

/// Both loads on one server; answers with the bytes of a client.
fn run(server: &Server) -> anyhow::Result<f64> {
    let mut bytes = 0.0;
    for (name, topics) in [("spread", TOPICS), ("burst", 1)] {
        let changes = Arc::new(Changes::new(topics, ROUNDS));
        let warm = Crowd::connect(server, WARM, topics, &changes)?;
        server.change_all(topics)?;
        warm.all_saw_a_change()?;
        let before = server.resident_bytes()?;
        let crowd = Crowd::connect(server, CLIENTS - WARM, topics, &changes)?;
        let connected = server.resident_bytes()?;
        server.change_all(topics)?;
        crowd.all_saw_a_change()?;
        warm.all_saw_a_change()?;
        // Longer than a server may keep news back.
        std::thread::sleep(Duration::from_secs(1));
        changes.begin();
        make_changes(server, topics, &changes)?;
        let until = Instant::now() + OVER_WITHIN;
        while crowd.seen() + warm.seen() < CLIENTS * ROUNDS && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let after = server.resident_bytes()?;
        let each = |now: u64| now.saturating_sub(before) as f64 / (CLIENTS - WARM) as f64;
        let mut latencies = crowd.end()?;
        latencies.extend(warm.end()?);
        latencies.sort_unstable();
        ensure!(!latencies.is_empty(), "no event came from {}", server.name);
        let at = |share: f64| {
            let ns = latencies[((latencies.len() - 1) as f64 * share) as usize];
            ns as f64 / 1e6
        };
        eprintln!(
            "{name:<7} {:<7} p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms; {} of {} events came; \
             {:.0} bytes a client when connected, {:.0} after the events",
            server.name,
            at(0.5),
            at(0.99),
            at(1.0),
            latencies.len(),
            CLIENTS * ROUNDS,
            each(connected),
            each(after),
        );
        if name == "spread" {
            bytes = each(after);
        }
    }
    Ok(bytes)
}

/// Changes every topic once a second, evenly.
fn make_changes(server: &Server, topics: usize, changes: &Changes) -> anyhow::Result<()> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS)
            .map(|maker| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        for topic in (maker..topics).step_by(MAKERS) {
                            let share = topic as f64 / topics as f64;
                            let due = begun + Duration::from_secs_f64(round as f64 + share);
                            std::thread::sleep(due.saturating_duration_since(Instant::now()));
                            changes.note(topic, round);
                            server.change(topic)?;
                        }
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for maker in makers {
            maker.join().ok().context("a maker of changes panicked")??;
        }
        Ok(())
    })
}
