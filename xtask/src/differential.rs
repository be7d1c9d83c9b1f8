//! `cargo xtask differential`: builds what it takes, installs the peers and runs random state machines on all of them.
//! What is generated and compared is in `bench/src/differential`.

use std::process::{Command, ExitCode};

use crate::arguments::Arguments;
use crate::step::run;
use crate::{CommandResult, bench, children, project};

const USAGE: &str = "
Usage: cargo xtask differential [--machines N] [--seed S] [--moto-every N]

Runs random state machines on the local AWS, ministack and moto (from PyPI) and compares their answers. Fails if one
differs from ours and no known fault of that peer explains it; prints the machine, its input and both answers.

  --machines N    how many; 1000 unless told
  --seed S        the first machine's; the next machine has the next seed. 1 unless told
  --moto-every N  of so many machines one runs on moto, which is slow; 20 unless told";

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let machines: u64 = arguments.value("--machines")?.unwrap_or(1000);
    let seed: u64 = arguments.value("--seed")?.unwrap_or(1);
    let moto_every: u64 = arguments.value("--moto-every")?.unwrap_or(20);
    arguments.finish()?;
    let mut build = project::cargo("build");
    build.args(["--package", "bench", "--package", "local"]);
    run(&mut build)?;
    let mut check = Command::new(project::program("bench"));
    check.arg("differential").arg(bench::endpoints()?);
    check.args([seed, machines, moto_every].map(|number| number.to_string()));
    let status = children::status(&mut check)?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
