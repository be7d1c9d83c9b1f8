//! The browser half, compiled: finds a toolchain with the wasm target, or makes one, and gives `app.wasm`.
//! What a browser loads is made from it by [`crate::site`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::install::{self, RUST_WEB};
use crate::project;
use crate::step::{output, run, say};

const TARGET: &str = "wasm32-unknown-unknown";

/// What can compile for wasm here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toolchain {
    /// The project's own toolchain has the target's library.
    Project,
    /// Debian's `rustc-web`, which has the library as source.
    Debian,
}

/// What the module is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// To be seen soon after a change.
    Development,
    /// To be small: what an image carries and what the tests run.
    Release,
}

impl Profile {
    /// Its name in `Cargo.toml`.
    const fn name(self) -> &'static str {
        match self {
            Profile::Development => "wasm-dev",
            Profile::Release => "wasm-release",
        }
    }
}

/// Compiles `app` as the browser loads it; answers with the file. Does nothing when nothing changed.
pub fn build(profile: Profile) -> anyhow::Result<PathBuf> {
    let toolchain = toolchain()?;
    let mut command = match toolchain {
        Toolchain::Project => {
            let mut command = project::cargo("rustc");
            command
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS");
            command
        }
        Toolchain::Debian => debian_cargo()?,
    };
    let target_dir = project::target().join("wasm");
    command
        .args(["--package", "app", "--lib", "--crate-type", "cdylib"])
        .args(["--features", "hydrate", "--profile", profile.name()])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target_dir);
    run(&mut command)?;
    Ok(target_dir
        .join(TARGET)
        .join(profile.name())
        .join("app.wasm"))
}

/// The project's toolchain where it has the target or rustup may add it, else Debian's, installed if need be.
fn toolchain() -> anyhow::Result<Toolchain> {
    if project_has_target() {
        return Ok(Toolchain::Project);
    }
    // RUSTUP_AUTO_INSTALL=0 says that this machine's toolchains are not to be changed.
    let may_add = std::env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0");
    if may_add && !(RUST_WEB.found)() && install::on_path("rustup").is_some() {
        say(format!("adding the {TARGET} target with rustup"));
        let added = run(Command::new("rustup")
            .current_dir(project::root())
            .args(["target", "add", TARGET]));
        match added {
            Ok(()) if project_has_target() => return Ok(Toolchain::Project),
            Ok(()) => say("the target is still missing; taking Debian's toolchain"),
            Err(error) => say(format!("{error:#}; taking Debian's toolchain")),
        }
    }
    install::ensure(&[&RUST_WEB])?;
    Ok(Toolchain::Debian)
}

fn project_has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(folder) = output(Command::new(rustc).current_dir(project::root()).args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ])) else {
        return false;
    };
    std::fs::read_dir(folder.trim()).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

/// Debian's cargo and rustc, building the standard library too.
fn debian_cargo() -> anyhow::Result<Command> {
    let mut command = Command::new("/usr/bin/cargo");
    command.current_dir(project::root());
    project::forget_outer_cargo(&mut command);
    // The outer toolchain's: they would lead this cargo back to it, or change its fingerprints.
    for name in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_INCREMENTAL",
    ] {
        command.env_remove(name);
    }
    command
        .env("RUSTC", "/usr/bin/rustc")
        // -Zbuild-std is the one unstable option in use; Debian's release would refuse it otherwise.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?)
        .args(["rustc", "-Zbuild-std=std,panic_abort"]);
    Ok(command)
}

/// The wasm linker. It is part of every fingerprint: another answer than the last time rebuilds everything.
fn linker() -> anyhow::Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER") {
        return Ok(chosen.into());
    }
    let rustc = |what: &str| output(Command::new("/usr/bin/rustc").args(["--print", what]));
    let sysroot = rustc("sysroot")?;
    let host = rustc("host-tuple")?;
    let bundled = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host.trim())
        .join("bin/rust-lld");
    if bundled.exists() {
        return Ok(bundled);
    }
    install::on_path("wasm-ld-19").context("wasm-ld-19 is missing; install Debian's lld-19")
}
