//! `cargo xtask build`: everything that the demo runs. Owns the order; cargo knows what is fresh.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::step::{run, step};
use crate::wasm::{self, Profile};
use crate::{CommandResult, project, site};

const USAGE: &str = "
Usage: cargo xtask build [--release] [PART…]

Builds what changed; PART is wasm (the browser half, into target/site), server, local or worker; none means all.

  --release  as an image carries it: the browser half small, the programs optimised; the worker always is";

/// The parts, in the order in which they are built.
const PARTS: [&str; 4] = ["wasm", "server", "local", "worker"];

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let profile = if arguments.switch("--release") {
        Profile::Release
    } else {
        Profile::Development
    };
    let mut parts = Vec::new();
    while let Some(part) = arguments.word() {
        if !PARTS.contains(&part.as_str()) {
            anyhow::bail!("there is no part {part:?}; there are {}", PARTS.join(", "));
        }
        parts.push(part);
    }
    arguments.finish()?;
    let wanted = |part: &&str| parts.is_empty() || parts.iter().any(|given| given == part);
    build(
        &PARTS.iter().copied().filter(wanted).collect::<Vec<_>>(),
        profile,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Builds everything that the demo runs.
pub fn all() -> anyhow::Result<()> {
    build(&PARTS, Profile::Development)
}

/// Builds the same with every test.
pub fn all_with_tests() -> anyhow::Result<()> {
    rooms_with_tests()?;
    build(&["wasm", "worker"], Profile::Release)
}

/// Builds every room with its tests and examples, in one call: built apart, dependencies that differ in a feature
/// would be compiled twice.
pub fn rooms_with_tests() -> anyhow::Result<()> {
    step("build every room with its tests", || {
        run(project::cargo("build").args([
            "--workspace",
            "--exclude",
            "xtask",
            "--all-targets",
            "--locked",
        ]))
    })
}

/// Builds the named parts.
pub fn build(parts: &[&str], profile: Profile) -> anyhow::Result<()> {
    // At one time: they have target folders of their own, and each keeps only one core busy for a good while.
    std::thread::scope(|scope| {
        let browser = scope.spawn(|| match parts.contains(&"wasm") {
            true => browser_half(profile),
            false => Ok(()),
        });
        let built = programs(parts, profile);
        let browser = browser
            .join()
            .expect("the builder of the browser half does not panic");
        built.and(browser)
    })?;
    if parts.contains(&"worker") {
        step("build the worker for its image", worker)?;
    }
    Ok(())
}

/// Builds the worker as an image carries it.
pub fn worker() -> anyhow::Result<()> {
    run(project::cargo("build").args(["--package", "worker", "--profile", "worker"]))
}

fn browser_half(profile: Profile) -> anyhow::Result<()> {
    step("build the browser half", || {
        let module = wasm::build(profile)?;
        site::bind(&module)?;
        site::style()
    })
}

/// One call for all: what they share is compiled once, with one set of features.
fn programs(parts: &[&str], profile: Profile) -> anyhow::Result<()> {
    let packages: Vec<&str> = ["server", "local"]
        .into_iter()
        .filter(|part| parts.contains(part))
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    step(&format!("build {}", packages.join(" and ")), || {
        let mut command = project::cargo("build");
        for package in &packages {
            command.args(["--package", package]);
        }
        if profile == Profile::Release {
            command.arg("--release");
        }
        run(&mut command)
    })
}
