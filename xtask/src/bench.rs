//! `cargo xtask bench NAME`: builds the benchmark, installs the peer it is compared with and runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use crate::arguments::Arguments;
use crate::step::{run, say};
use crate::{CommandResult, build, children, install, project};

const USAGE: &str = "
Usage: cargo xtask bench NAME [OPTION VALUE…]

Runs one benchmark; its last line is JSON: name, value, unit, peer, ratio, goal, met.

  transitions  state transitions of the engine in process, against npm's aws-local-stepfunctions
  executions   executions of the local AWS over HTTP, durable, against ministack and moto from PyPI
  store        lists, searches and submitting with a million jobs stored; --jobs 10000000, --database POSTGRES_URL
  faults       server, local and workers killed at random with faults between them: a check, not a measurement;
               --rounds 10000, --seed SEED, --database POSTGRES_URL
  fakes        the server over ministack and moto instead of AWS: a check, not a measurement
  live         10,000 clients that follow jobs, against plain axum with tokio's broadcast";

/// A benchmark and where those come from whom it is compared with.
struct Benchmark {
    name: &'static str,
    peers: Peers,
    /// The product's programs that it starts.
    programs: &'static [&'static str],
}

/// Packages of a registry, each with its version.
enum Peers {
    Npm(&'static [&'static str]),
    PyPi(&'static [&'static str]),
    /// The benchmark has it built in.
    Own,
    /// The product alone; what is said behind the name is the benchmark's to read.
    None,
}

/// AWS as others play it.
const FAKES: Peers = Peers::PyPi(&["ministack==1.5.33", "moto[server,stepfunctions]==5.2.5"]);

const BENCHMARKS: [Benchmark; 6] = [
    Benchmark {
        name: "transitions",
        peers: Peers::Npm(&["aws-local-stepfunctions@3.0.0"]),
        programs: &[],
    },
    Benchmark {
        name: "executions",
        peers: FAKES,
        programs: &["local"],
    },
    Benchmark {
        name: "live",
        peers: Peers::Own,
        programs: &["server"],
    },
    Benchmark {
        name: "store",
        peers: Peers::None,
        programs: &["server", "local"],
    },
    Benchmark {
        name: "fakes",
        peers: FAKES,
        programs: &["server"],
    },
    Benchmark {
        name: "faults",
        peers: Peers::None,
        programs: &["server", "local"],
    },
];

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let known = BENCHMARKS.map(|benchmark| benchmark.name).join(", ");
    let name = arguments
        .word()
        .with_context(|| format!("which benchmark? There are {known}"))?;
    let Some(benchmark) = BENCHMARKS.iter().find(|known| known.name == name) else {
        bail!("there is no benchmark {name:?}; there are {known}");
    };
    let options = match benchmark.peers {
        Peers::None => arguments.rest(),
        Peers::Npm(_) | Peers::PyPi(_) | Peers::Own => {
            arguments.finish()?;
            Vec::new()
        }
    };
    let mut build = project::cargo("build");
    build.args(["--release", "--package", "bench"]);
    for program in benchmark.programs {
        build.args(["--package", program]);
    }
    run(&mut build)?;
    let mut bench = Command::new(project::target().join("release/bench"));
    bench.arg(&name).args(options);
    if name == "faults" {
        build::worker()?;
        bench.arg("--worker").arg(project::program("worker"));
    }
    match benchmark.install() {
        Ok(_) if matches!(benchmark.peers, Peers::None) => {}
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

/// Installs the endpoints of others that `executions` is compared with; answers with their folder.
pub fn endpoints() -> anyhow::Result<PathBuf> {
    let executions = BENCHMARKS.iter().find(|known| known.name == "executions");
    executions.context("there is no such benchmark")?.install()
}

impl Benchmark {
    /// Installs the peers, once; answers with their folder.
    fn install(&self) -> anyhow::Result<PathBuf> {
        let folder = project::target().join("bench").join(self.name);
        match &self.peers {
            Peers::Npm(packages) => npm(&folder, packages)?,
            Peers::PyPi(packages) => {
                install::python(&folder, packages)?;
            }
            Peers::Own | Peers::None => {}
        }
        Ok(folder)
    }
}

/// Installs packages of npm into a folder, once for them.
fn npm(folder: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let stamp = folder.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    say(format!("installing {wanted}"));
    std::fs::create_dir_all(folder)?;
    install::ensure(&[&install::NODE])?;
    run(Command::new("npm")
        .current_dir(folder)
        .args(["install", "--no-save", "--no-audit", "--no-fund"])
        .args(["--prefix", "."])
        .args(packages))?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}
