//! Runs random machines under random faults, as many as one likes:
//! `cargo run --release -p asl --example simulate -- --machines 1000000 --seed 1`.
//!
//! Prints what was come across. The first case that breaks is made smaller and printed, with its seed.

use std::time::Instant;

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use simulation::case::Case;
use simulation::coverage::Coverage;
use simulation::shrink::shrink;

fn main() {
    let (mut machines, mut seed) = (100_000_u64, 1_u64);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse().ok());
        match (argument.as_str(), number) {
            ("--machines", Some(number)) => machines = number,
            ("--seed", Some(number)) => seed = number,
            _ => {
                eprintln!("usage: simulate [--machines NUMBER] [--seed NUMBER]");
                std::process::exit(2);
            }
        }
    }
    let begun = Instant::now();
    // What a case panics with is told with the case.
    std::panic::set_hook(Box::new(|_| {}));
    let mut coverage = Coverage::default();
    let first = seed;
    for seed in first..first.saturating_add(machines) {
        if (seed - first) % 10_000 == 9_999 {
            eprintln!("{} machines", seed - first + 1);
        }
        let case = Case::new(seed);
        match case.run() {
            Ok(seen) => coverage.add(&seen),
            Err(broken) => {
                eprintln!("seed {seed} broke: {}", broken.message);
                let (case, broken) = shrink(&case, broken);
                eprintln!(
                    "made smaller: {}\n{:#}\n{:#?}",
                    broken.message, case.definition, case.faults
                );
                eprintln!("inputs:\n{}", broken.inputs.join("\n"));
                eprintln!("history:\n{}", broken.history.join("\n"));
                std::process::exit(1);
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    print!("{coverage}");
    println!(
        "{machines} machines from seed {first}, {:.0} a second",
        machines as f64 / seconds
    );
    let missing = coverage.missing();
    if !missing.is_empty() {
        println!("never came up: {}", missing.join(", "));
        std::process::exit(1);
    }
}
