//! Rounds in which server, `local` and workers are killed behind a proxy that fails: some dozens of those of which the
//! benchmark has ten thousand.

use std::process::Command;

use crate::project;
use crate::step::run;

/// The seed is the same each time: what fails here fails again.
const SEED: &str = "1";
const ROUNDS: &str = "50";

/// Builds what runs them, together with what it starts: apart, dependencies that differ in a feature would be
/// compiled twice.
pub fn build() -> anyhow::Result<()> {
    run(project::cargo("build").args(["--package", "bench"]).args([
        "--package",
        "server",
        "--package",
        "local",
    ]))
}

/// Runs them, built; an error says with which words the failed ones run again.
pub fn check() -> anyhow::Result<()> {
    run(Command::new(project::program("bench"))
        .args(["faults", "--seed", SEED, "--rounds", ROUNDS, "--worker"])
        .arg(project::program("worker")))
}
