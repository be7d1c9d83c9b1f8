//! `cargo xtask`: every developer command. Owns the table of commands; each command is a module of its name.
//! Refuses product logic: what a command does beyond starting programs belongs to the product.

mod arguments;
mod aws;
mod bench;
mod build;
mod children;
mod conformance;
mod demo;
mod deploy;
mod differential;
mod e2e;
mod image;
mod install;
mod jobs;
mod local;
mod postgres;
mod product;
mod project;
mod site;
mod step;
mod test;
mod wasm;

use std::process::ExitCode;

use arguments::Arguments;

/// What a command answers: the process's exit code, or the sentence that says why it could not.
pub type CommandResult = anyhow::Result<ExitCode>;

/// A command: its name, one line about it, and what runs it.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(Arguments) -> CommandResult,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        about: "Run the whole product on this machine and a video through it",
        run: demo::run_command,
    },
    Command {
        name: "run",
        about: "Run the whole product without submitting anything",
        run: demo::run_without_jobs,
    },
    Command {
        name: "local",
        about: "Run the local AWS alone",
        run: local::run_command,
    },
    Command {
        name: "test",
        about: "Check everything: formatting, lints, tests, the product in a browser",
        run: test::run_command,
    },
    Command {
        name: "e2e",
        about: "Test the running product only: pages, survival of kills, its history through boto3",
        run: e2e::run_command,
    },
    Command {
        name: "conformance",
        about: "Check the engine against recordings from AWS, where somebody has them",
        run: conformance::run_command,
    },
    Command {
        name: "bench",
        about: "Run one benchmark against its peer",
        run: bench::run_command,
    },
    Command {
        name: "differential",
        about: "Compare random state machines on the local AWS, ministack and moto",
        run: differential::run_command,
    },
    Command {
        name: "build",
        about: "Build the browser half, the server, the local AWS and the worker",
        run: build::run_command,
    },
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let asked_for_help = ["", "help", "--help", "-h"].contains(&name.as_str());
        if !asked_for_help {
            eprintln!("xtask: there is no command {name:?}.");
        }
        eprintln!("{}", overview());
        return if asked_for_help {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    };
    let arguments = Arguments::new(command.name, words);
    match children::end_on_signals().and_then(|()| (command.run)(arguments)) {
        Ok(code) => code,
        Err(error) => {
            // The whole chain in one sentence; a backtrace would help nobody who runs a command.
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn overview() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND [--help]\n\nCommands:\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<12} {}\n", command.name, command.about));
    }
    text
}
