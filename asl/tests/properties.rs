//! What holds for every execution: more than a thousand random machines under random faults and crashes, always the same.
//!
//! `ASL_MACHINES=100000 cargo test -p asl --test properties` runs more of them; `asl/examples/simulate.rs` runs
//! millions, tells what it came across, and makes small what breaks.

mod simulation;

use simulation::case::Case;
use simulation::coverage::Coverage;

/// How many machines are run unless told otherwise.
const MACHINES: u64 = 1200;
/// Such a machine goes on until its history is full: see [`a_full_history_ends_the_execution`].
const ENDLESS: u64 = 1_000_000;

#[test]
fn executions_are_consistent() {
    let machines = std::env::var("ASL_MACHINES")
        .ok()
        .and_then(|number| number.parse().ok());
    let mut coverage = Coverage::default();
    for seed in 1..=machines.unwrap_or(MACHINES) {
        match Case::new(seed).run() {
            Ok(seen) => coverage.add(&seen),
            Err(broken) => panic!(
                "{}\ncargo run --release -p asl --example simulate -- --machines 1 --seed {seed}",
                broken.message
            ),
        }
    }
    let missing = coverage.missing();
    let rare = ["history full", "task too large"];
    let missing: Vec<&str> = missing
        .into_iter()
        .filter(|what| !rare.contains(what))
        .collect();
    assert!(missing.is_empty(), "never came up: {missing:?}\n{coverage}");
}

/// Loops that do not end, around whatever the machine does.
#[test]
fn a_full_history_ends_the_execution() {
    let looping = (1..)
        .map(Case::new)
        .filter(|case| case.definition.to_string().contains("MathAdd($.n, -1)"));
    for mut case in looping.take(20) {
        case.faults.input["n"] = ENDLESS.into();
        case.faults.silent = 0;
        match case.run() {
            // Not all of them come to their loop.
            Ok(seen) if seen.missing().contains(&"history full") => {}
            Ok(_) => return,
            Err(broken) => panic!("{}\n{:#}", broken.message, case.definition),
        }
    }
    panic!("no history was filled");
}
