//! `cargo xtask e2e`: the product in a real browser. Starts it over a folder of its own on free ports, runs
//! Playwright against it, and the checks that need to kill it or to ask it as another AWS client would.

mod faults;
mod history;
mod survival;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::bail;

use crate::arguments::Arguments;
use crate::product::{self, Place, Product};
use crate::step::{run, step};
use crate::{CommandResult, children, demo, install, project};

const USAGE: &str = "
Usage: cargo xtask e2e [--part PART] [FILTER…]

Installs what is missing, builds, starts everything over target/e2e and tests it.

  --part PART  only this part: faults, survival, history or pages
  FILTER       what Playwright is to run, such as tests/job.spec.ts";

/// What the parts need.
pub const TOOLS: [&install::Tool; 4] = [
    &install::CHROMIUM,
    &install::NODE,
    &install::PYTHON,
    &install::PS,
];

const PARTS: [&str; 4] = ["faults", "survival", "history", "pages"];

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let part: Option<String> = arguments.value("--part")?;
    let mut filters = Vec::new();
    while let Some(word) = arguments.word() {
        filters.push(word);
    }
    arguments.finish()?;
    if let Some(part) = &part
        && !PARTS.contains(&part.as_str())
    {
        bail!("there is no part {part:?}; there are {}", PARTS.join(", "));
    }
    product::prepare()?;
    let parts: Vec<&str> = PARTS
        .into_iter()
        .filter(|known| part.as_deref().is_none_or(|part| part == *known))
        .collect();
    if parts.contains(&"faults") {
        faults::build()?;
    }
    test(&parts, &filters)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything, on a product that is built already.
pub fn all() -> anyhow::Result<()> {
    test(&PARTS, &[])
}

fn test(parts: &[&str], filters: &[String]) -> anyhow::Result<()> {
    if parts.contains(&"faults") {
        step(
            "kill server, local and workers at random, between them faults",
            faults::check,
        )?;
    }
    if parts == ["faults"] {
        return Ok(());
    }
    install::ensure(&TOOLS)?;
    let data = project::target().join("e2e");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    let place = Place {
        data: data.clone(),
        port: children::any_free_port()?,
        local_port: children::any_free_port()?,
    };
    place.check()?;
    let clip = data.join("clip.mp4");
    demo::clip(&clip, "testsrc2=size=640x360:rate=25:duration=6", 6)?;
    let mut product = Product::start(place)?;
    if parts.contains(&"survival") {
        step(
            "kill worker, local and server mid-job; start them again",
            || survival::check(&mut product, &data),
        )?;
    }
    if parts.contains(&"history") {
        step("read a history with boto3", || {
            history::check(&product, &clip)
        })?;
    }
    if parts.contains(&"pages") {
        let result = step("pages in Chromium", || pages(&product, &clip, filters));
        product.children.explain(result)?;
    }
    Ok(())
}

fn pages(product: &Product, clip: &Path, filters: &[String]) -> anyhow::Result<()> {
    let folder = project::root().join("e2e");
    packages(&folder)?;
    run(Command::new("node")
        .current_dir(&folder)
        .args(["node_modules/@playwright/test/cli.js", "test"])
        .args(filters)
        .env("GANTRY_URL", product.address())
        .env("GANTRY_CLIP", clip)
        .env_remove("FORCE_COLOR")
        .env_remove("NO_COLOR"))
}

/// Installs Playwright and axe as the lock file says, unless that was done.
fn packages(folder: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let stamp: PathBuf = folder.join("node_modules/.gantry-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(Command::new("npm")
        .current_dir(folder)
        .args(["ci", "--no-audit", "--no-fund"])
        // The browser is Debian's.
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"))?;
    std::fs::write(stamp, lock)?;
    Ok(())
}
