//! Where things lie in the project, and how its own cargo is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in a folder of the checkout")
}

/// The folder of everything built; ignored by git.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The folder of static files that the server serves.
pub fn site() -> PathBuf {
    target().join("site")
}

/// A program built by [`crate::build`]: `server` and `local` in the development profile, `worker` in its own.
pub fn program(name: &str) -> PathBuf {
    let profile = if name == "worker" { "worker" } else { "debug" };
    target().join(profile).join(name)
}

/// The cargo that started xtask, on the product's target folder.
pub fn cargo(subcommand: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = cargo_through(Path::new(&program));
    command.arg(subcommand);
    command
}

/// A program that calls cargo, such as nextest, on the product's target folder.
pub fn cargo_through(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    forget_outer_cargo(&mut command);
    command.env("CARGO_TARGET_DIR", target());
    command
}

/// Removes what `cargo run` put into the environment for xtask: build scripts would take it for their own.
pub fn forget_outer_cargo(command: &mut Command) {
    let outer = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || ["OUT_DIR", "LD_LIBRARY_PATH"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(outer) {
            command.env_remove(name);
        }
    }
}
