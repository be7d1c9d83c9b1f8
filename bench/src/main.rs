//! `bench NAME`: measures something against a peer in the same run and ends with one JSON line. Never part of tests.
//! `bench differential` measures nothing: it checks the answers of the same endpoints against each other.
//!
//! Owns how a measurement is told; each benchmark is a module of its name. `cargo xtask bench NAME` builds this,
//! installs the peer and runs it.

mod cpu;
mod database;
mod differential;
mod endpoint;
mod executions;
mod fakes;
mod faults;
mod live;
mod product;
mod report;
mod resting;
mod store;
mod stream;
mod transitions;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use words::Words;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    if name == "faults" {
        return checked(&name, faults::check(Words::new(words)));
    }
    if name == "store" {
        let measured = store::measure(Words::new(words));
        return checked(&name, measured.map(|report| println!("{}", report.line())));
    }
    // Where the peer is installed; without it only our own side is measured.
    let peer = words.next().map(PathBuf::from);
    if name == "differential" {
        return differential(peer, words);
    }
    if name == "live-peer" {
        return live_peer();
    }
    let result = match name.as_str() {
        "transitions" => transitions::measure(peer.as_deref()),
        "executions" => std::env::current_exe()
            .map_err(Into::into)
            .and_then(|bench| executions::measure(&bench.with_file_name("local"), peer.as_deref())),
        "fakes" => {
            let peers = peer.context("the folder with ministack and moto is missing");
            return checked(&name, peers.and_then(|peers| fakes::check(&peers)));
        }
        "live" => std::env::current_exe()
            .map_err(Into::into)
            .and_then(|bench| live::measure(&bench)),
        _ => {
            eprintln!(
                "bench: there is no benchmark {name:?}; there are transitions, executions, live, store, faults, fakes and differential"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(report) => {
            println!("{}", report.line());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a check came to.
fn checked(name: &str, result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `live-peer`: what `live` compares with, in a process of its own.
fn live_peer() -> ExitCode {
    match live::peer::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench live-peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `differential PEERS SEED MACHINES MOTO_EVERY`.
fn differential(peers: Option<PathBuf>, words: impl Iterator<Item = String>) -> ExitCode {
    let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let (Some(peers), &[seed, machines, moto_every]) = (peers, numbers.as_slice()) else {
        eprintln!("bench: differential PEERS SEED MACHINES MOTO_EVERY");
        return ExitCode::from(2);
    };
    let plan = differential::Plan {
        seed,
        machines,
        moto_every: moto_every.max(1),
    };
    let checked = std::env::current_exe()
        .map_err(Into::into)
        .and_then(|bench| differential::check(&bench.with_file_name("local"), &peers, &plan));
    match checked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench differential: {error:#}");
            ExitCode::FAILURE
        }
    }
}
