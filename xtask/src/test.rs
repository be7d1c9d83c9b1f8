//! `cargo xtask test`: everything that decides whether a change is right, in the order in which it fails cheapest.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::step::{run, say, step};
use crate::{CommandResult, build, children, e2e, install, postgres, project};

const USAGE: &str = "
Usage: cargo xtask test [--no-browser]

Installs what is missing, then: formatting, tidiness, clippy, the build with the browser half, unit and
integration tests, the store's on SQLite and on a PostgreSQL of their own, and the whole product in Chromium.

  --no-browser  leave out what needs the running product";

/// Bytes that a build from nothing takes in target/.
const TARGET_BYTES: u64 = 8 << 30;

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let browser = !arguments.switch("--no-browser");
    arguments.finish()?;
    let started = Instant::now();
    if !project::program("server").exists() {
        children::free_space(project::root(), TARGET_BYTES, "a build with its tests")?;
    }
    let tools: &[&install::Tool] = if browser { &e2e::TOOLS } else { &[] };
    let always = [&install::FFMPEG, &install::STRIP, &postgres::POSTGRES];
    install::ensure(&[&always, tools].concat())?;
    let nextest = install::nextest()?;
    let mut times = Vec::new();
    let mut timed = |what: &'static str, run: &dyn Fn() -> anyhow::Result<()>| {
        let started = Instant::now();
        let result = step(what, run);
        times.push((what, started.elapsed().as_secs_f64(), result.is_ok()));
        result
    };
    let mut all = || -> anyhow::Result<()> {
        timed("formatting", &|| {
            run(project::cargo("fmt").args(["--all", "--check"]))
        })?;
        timed("tidiness", &|| run(of_xtask(&mut nextest.command())))?;
        timed("clippy", &clippy)?;
        timed("build", &build::all_with_tests)?;
        timed("unit and integration tests", &|| {
            let postgres = postgres::Postgres::start(project::target().join("postgres"))?;
            run(nextest
                .command()
                .args(["--workspace", "--exclude", "xtask", "--locked"])
                .env("GANTRY_TEST_POSTGRES_URL", postgres.url())
                .env("CARGO_TARGET_DIR", project::target()))
        })?;
        if browser {
            timed("the whole product", &e2e::all)?;
        }
        Ok(())
    };
    let result = all();
    say("");
    for (what, seconds, well) in &times {
        say(format!(
            "{} {what}: {seconds:.0} s",
            if *well { "ok    " } else { "FAILED" }
        ));
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    result?;
    say(format!("all of it: {minutes:.1} min"));
    Ok(ExitCode::SUCCESS)
}

/// Lints with warnings denied. xtask has a target folder of its own, so that what runs is not rebuilt beneath itself.
fn clippy() -> anyhow::Result<()> {
    let deny = ["--locked", "--all-targets", "--", "-D", "warnings"];
    run(project::cargo("clippy")
        .args(["--workspace", "--exclude", "xtask"])
        .args(deny))?;
    run(of_xtask(&mut project::cargo("clippy")).args(deny))
}

fn of_xtask(command: &mut Command) -> &mut Command {
    command
        .args(["--package", "xtask"])
        .env("CARGO_TARGET_DIR", project::target().join("xtask"))
}
