//! `cargo xtask bench NAME`: builds the benchmark, installs the peer it is compared with and runs it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use crate::arguments::Arguments;
use crate::step::{run, say};
use crate::{CommandResult, children, install, project};

const USAGE: &str = "
Usage: cargo xtask bench NAME

Runs one benchmark; its last line is JSON: name, value, unit, peer, ratio, goal, met.

  transitions  state transitions of the engine, against npm's aws-local-stepfunctions";

/// Benchmarks with the npm package they are compared with.
const BENCHMARKS: [(&str, &str); 1] = [("transitions", "aws-local-stepfunctions@3.0.0")];

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let name = arguments
        .word()
        .context("which benchmark? There is transitions")?;
    arguments.finish()?;
    let Some((_, package)) = BENCHMARKS.iter().find(|(known, _)| *known == name) else {
        bail!("there is no benchmark {name:?}; there is transitions");
    };
    run(project::cargo("build").args(["--package", "bench", "--release"]))?;
    let mut bench = Command::new(project::target().join("release/bench"));
    bench.arg(&name);
    match peer(&name, package) {
        Ok(folder) => {
            bench.arg(folder);
        }
        Err(error) => say(format!("without the peer: {error:#}")),
    }
    let status = children::status(&mut bench)?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The folder in which the peer is installed.
fn peer(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    install::ensure(&[&install::NODE])?;
    let folder = project::target().join("bench").join(name);
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == package) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    run(Command::new("npm").current_dir(&folder).args([
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
        ".",
        package,
    ]))?;
    std::fs::write(stamp, package)?;
    Ok(folder)
}
