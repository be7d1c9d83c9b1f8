//! `cargo xtask local`: the AWS stand-in alone, for boto3, the AWS CLI and the curious.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::arguments::Arguments;
use crate::wasm::Profile;
use crate::{CommandResult, build, children, install, project};

const USAGE: &str = "
Usage: cargo xtask local [--port PORT] [--data DIR]

Builds and starts the local AWS alone; Ctrl-C ends it.

  --port PORT  the port on 127.0.0.1 (4566)
  --data DIR   where everything is kept (.gantry/aws in the checkout, which demo uses too)";

/// The command.
pub fn run_command(mut arguments: Arguments) -> CommandResult {
    if arguments.help(USAGE) {
        return Ok(ExitCode::SUCCESS);
    }
    let port: u16 = arguments.value("--port")?.unwrap_or(4566);
    let data = match arguments.value::<PathBuf>("--data")? {
        Some(data) => std::path::absolute(data)?,
        None => project::root().join(".gantry/aws"),
    };
    arguments.finish()?;
    children::free_port(port, "--port")?;
    std::fs::create_dir_all(&data)?;
    children::free_space(&data, 1 << 28, "the local AWS")?;
    install::ensure(&[&install::FFMPEG])?;
    // Built apart from the server, its dependencies have other features: each would be compiled a second time.
    let parts: &[&str] = if project::program("server").exists() {
        &["server", "local"]
    } else {
        &["local"]
    };
    build::build(parts, Profile::Development)?;
    let status = children::status(
        Command::new(project::program("local"))
            .args(["--port", &port.to_string(), "--data"])
            .arg(&data),
    )?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}
