//! `bench NAME`: measures something against a peer in the same run and ends with one JSON line. Never part of tests.
//!
//! Owns how a measurement is told; each benchmark is a module of its name. `cargo xtask bench NAME` builds this,
//! installs the peer and runs it.

mod cpu;
mod endpoint;
mod executions;
mod report;
mod transitions;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    // Where the peer is installed; without it only our own side is measured.
    let peer = words.next().map(PathBuf::from);
    let result = match name.as_str() {
        "transitions" => transitions::measure(peer.as_deref()),
        "executions" => std::env::current_exe()
            .map_err(Into::into)
            .and_then(|bench| executions::measure(&bench.with_file_name("local"), peer.as_deref())),
        _ => {
            eprintln!(
                "bench: there is no benchmark {name:?}; there are transitions and executions"
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
