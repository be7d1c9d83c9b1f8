//! `cargo xtask conformance DIR`: the language and the engine against scenarios that were recorded from AWS, and
//! against public test suites. They are no part of the project: DIR holds them, with the harness that runs them.
//!
//! What is not passed is listed with its reason. The lists may only shrink: what fails and is not listed is an
//! error, and so is what is listed and passes.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::arguments::Arguments;
use crate::children::Children;
use crate::step::{run, say, step};
use crate::{CommandResult, build, children, install, project};

const USAGE: &str = "
Usage: cargo xtask conformance DIR

Runs the suites in DIR: scenarios recorded from AWS against the local AWS, over HTTP, and the suites of
JSONata, JSONPath and definitions against the language.";

/// How long `local` may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What the harness imports; an older boto3 does not know TestState's mocks.
const IMPORTS: [&str; 2] = ["boto3==1.44.8", "jsonpath-ng==1.7.0"];

/// Scenarios that are not passed, and those that are but for values which they leave out themselves.
const LISTS: [&str; 2] = ["scenarios.txt", "scenarios-strict.txt"];

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let folder = arguments
        .word()
        .context("which folder? Give the one that holds open/ and harness/")?;
    arguments.finish()?;
    let folder = std::path::absolute(folder)?;
    ensure!(
        folder.join("harness/aslconf.py").exists(),
        "{} holds no harness/aslconf.py",
        folder.display()
    );
    build::rooms_with_tests()?;
    step("scenarios recorded from AWS", || scenarios(&folder))?;
    step("suites of the language", || {
        run(Command::new(project::target().join("debug/examples/conformance")).arg(&folder))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the scenarios strictly, and those that fail once more as they want to be compared.
fn scenarios(folder: &Path) -> anyhow::Result<()> {
    let data = project::target().join("conformance");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(&data)?;
    let harness = Harness {
        python: install::python(&project::target().join("conformance-python"), &IMPORTS)?,
        folder,
        out: data.join("results.json"),
        port: children::any_free_port()?,
        lambda_port: children::any_free_port()?,
    };
    let children = Children::new(data.join("logs"))?;
    children.start(
        "local",
        Command::new(project::program("local"))
            .args(["--port", &harness.port.to_string(), "--data"])
            .arg(data.join("aws"))
            .arg("--lambda-endpoint")
            .arg(format!("http://127.0.0.1:{}", harness.lambda_port)),
    )?;
    let until = Instant::now() + READY_WITHIN;
    while std::net::TcpStream::connect(("127.0.0.1", harness.port)).is_err() {
        ensure!(Instant::now() < until, "local does not answer");
        children.pause(Duration::from_millis(50))?;
    }
    let strict = children.explain(harness.run(&["--strict".to_owned()]))?;
    let names: Vec<String> = failed(&strict).map(escaped).collect();
    let again = if names.is_empty() {
        Vec::new()
    } else {
        let these = format!("name=^({})$", names.join("|"));
        children.explain(harness.run(&["--select".to_owned(), these]))?
    };
    let lists = LISTS.map(list);
    let [not_passed, but_strictly] = lists;
    let (not_passed, but_strictly) = (not_passed?, but_strictly?);
    let failures: Vec<&str> = failed(&again).collect();
    let strict_only: Vec<&str> = failed(&strict)
        .filter(|name| !failures.contains(name))
        .collect();
    let mut wrong = compare(&again, &failures, &not_passed);
    wrong.extend(compare(&strict, &strict_only, &but_strictly));
    say(format!(
        "{} of {} scenarios pass, {} of them strictly",
        strict.len() - failures.len(),
        strict.len(),
        strict.len() - failures.len() - strict_only.len()
    ));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

/// How a scenario went: its name, and what was different.
struct Ran {
    name: String,
    difference: Option<String>,
}

fn failed(results: &[Ran]) -> impl Iterator<Item = &str> {
    let failures = results.iter().filter(|ran| ran.difference.is_some());
    failures.map(|ran| ran.name.as_str())
}

/// What failed and is not listed, and what is listed and did not fail.
fn compare(results: &[Ran], failures: &[&str], list: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for ran in results {
        let listed = list.iter().any(|pattern| covers(pattern, &ran.name));
        if failures.contains(&ran.name.as_str()) && !listed {
            let difference = ran.difference.as_deref().unwrap_or_default();
            wrong.push(format!("not passed: {}: {difference}", ran.name));
        }
    }
    for pattern in list.iter().filter(|pattern| !pattern.starts_with('?')) {
        if !failures.iter().any(|name| covers(pattern, name)) {
            wrong.push(format!("listed, and passed or not there: {pattern}"));
        }
    }
    wrong
}

fn covers(pattern: &str, name: &str) -> bool {
    let pattern = pattern.strip_prefix('?').unwrap_or(pattern);
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// The patterns of a list.
fn list(name: &str) -> anyhow::Result<Vec<String>> {
    let path = project::root().join("local/tests/not-passed").join(name);
    let text = std::fs::read_to_string(&path)?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (pattern, reason) = line.split_once('\t').unwrap_or((line, ""));
            ensure!(!reason.is_empty(), "{name}: {pattern} has no reason");
            Ok(pattern.to_owned())
        })
        .collect()
}

/// What runs the scenarios.
struct Harness<'a> {
    python: PathBuf,
    folder: &'a Path,
    out: PathBuf,
    port: u16,
    lambda_port: u16,
}

impl Harness<'_> {
    fn run(&self, more: &[String]) -> anyhow::Result<Vec<Ran>> {
        let mut command = Command::new(&self.python);
        command
            .arg(self.folder.join("harness/aslconf.py"))
            .arg("--endpoint")
            .arg(format!("http://127.0.0.1:{}", self.port))
            .arg("--corpus")
            .arg(self.folder.join("open"))
            .args(["--lambda-stub-port", &self.lambda_port.to_string()])
            .args(["--jobs", "8", "--quiet", "--out"])
            .arg(&self.out)
            .args(more)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(std::process::Stdio::null());
        let _ = std::fs::remove_file(&self.out);
        // Its exit code says no more than that not all passed.
        let status = children::status(&mut command)?;
        let text = std::fs::read_to_string(&self.out)
            .with_context(|| format!("the harness broke off ({status})"))?;
        let results: Vec<Value> = serde_json::from_str(&text)?;
        Ok(results
            .iter()
            .map(|ran| Ran {
                name: ran["name"].as_str().unwrap_or_default().to_owned(),
                difference: match ran["pass"].as_bool() {
                    Some(true) => None,
                    _ => Some(ran["diff"].as_str().unwrap_or_default().to_owned()),
                },
            })
            .collect())
    }
}

/// A name as a regular expression that only it fits.
fn escaped(name: &str) -> String {
    name.chars()
        .flat_map(|c| match c {
            c if c.is_ascii_punctuation() => vec!['\\', c],
            c => vec![c],
        })
        .collect()
}
