//! What a command is doing: one line when a step starts, one when it has ended. Everything goes to standard
//! error, so that standard output stays for results.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use crate::children;

/// Says one thing.
pub fn say(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// Runs a step and says how long it took.
pub fn step<T>(what: &str, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    say(format!("── {what}"));
    let started = Instant::now();
    let result = run();
    let seconds = started.elapsed().as_secs_f64();
    match &result {
        Ok(_) => say(format!("   {what}: {seconds:.1} s")),
        Err(_) => say(format!("   {what}: failed after {seconds:.1} s")),
    }
    result
}

/// Runs a program to its end, its output on standard error; a failure names the program and its exit.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = line(command);
    let status = children::status(command.stdin(Stdio::null()).stdout(std::io::stderr()))
        .with_context(|| format!("`{name}` could not be started"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs a program and gives its standard output as text.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = line(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("`{name}` could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program's name and its first words, for messages.
fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args().take(4) {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
