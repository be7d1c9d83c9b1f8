//! What the machine must have: found, or installed from the system's packages, or named with the command that
//! installs it. Owns asking the system; each tool is listed once with its packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::project;
use crate::step::{output, run, say};

/// A thing from Debian's packages that some command needs.
pub struct Tool {
    /// What it is for, in words.
    pub purpose: &'static str,
    /// How to tell that it is there.
    pub found: fn() -> bool,
    /// Debian packages that bring it.
    pub packages: &'static [&'static str],
}

/// ffmpeg and ffprobe: the worker's tools on a laptop, and what makes the sample clip.
pub const FFMPEG: Tool = Tool {
    purpose: "ffmpeg and ffprobe, which process the media",
    found: || on_path("ffmpeg").is_some() && on_path("ffprobe").is_some(),
    packages: &["ffmpeg"],
};

/// strip: the second image that `demo` deploys carries a worker without symbols.
pub const STRIP: Tool = Tool {
    purpose: "strip, which makes the smaller image",
    found: || on_path("strip").is_some(),
    packages: &["binutils"],
};

/// Debian's Chromium, for the tests in a browser.
pub const CHROMIUM: Tool = Tool {
    purpose: "Chromium, in which the pages are tested",
    found: || Path::new("/usr/bin/chromium").exists(),
    packages: &["chromium"],
};

/// Node and npm, which run the tests in the browser.
pub const NODE: Tool = Tool {
    purpose: "Node and npm, which run the tests in a browser",
    found: || on_path("node").is_some() && on_path("npm").is_some(),
    packages: &["nodejs", "npm"],
};

/// Python with its virtual environments, in which boto3 is installed.
pub const PYTHON: Tool = Tool {
    purpose: "Python with venv, which reads a history as another AWS client",
    found: || {
        let imports = Command::new("python3")
            .args(["-c", "import ensurepip, venv"])
            .output();
        imports.is_ok_and(|output| output.status.success())
    },
    packages: &["python3", "python3-venv"],
};

/// ps, by which a test finds the worker to kill.
pub const PS: Tool = Tool {
    purpose: "ps, by which a test finds the worker to kill",
    found: || on_path("ps").is_some(),
    packages: &["procps"],
};

/// Debian's Rust for the web: has the library's sources, from which the wasm target is built.
pub const RUST_WEB: Tool = Tool {
    purpose: "a Rust toolchain that can build for wasm",
    found: || {
        ["rustc-web", "cargo-web", "rust-web-src", "lld-19"]
            .into_iter()
            .all(installed)
    },
    packages: &["rustc-web", "cargo-web", "rust-web-src", "lld-19"],
};

/// Installs what is missing of `tools`, or says which command does.
pub fn ensure(tools: &[&Tool]) -> anyhow::Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| !(tool.found)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|tool| tool.packages)
        .copied()
        .collect();
    let purposes: Vec<&str> = missing.iter().map(|tool| tool.purpose).collect();
    let command = format!(
        "apt-get update && apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    );
    let Some(prefix) = privilege() else {
        bail!(
            "{} missing, and this user may not install packages. Run as root: {command}",
            purposes.join("; ")
        );
    };
    if on_path("apt-get").is_none() {
        bail!(
            "{} missing, and there is no apt-get here. Install what Debian calls: {}",
            purposes.join("; "),
            packages.join(" ")
        );
    }
    for tool in &missing {
        say(format!(
            "installing {} ({})",
            tool.purpose,
            tool.packages.join(" ")
        ));
    }
    let apt = |words: &[&str]| {
        let mut line: Vec<&str> = prefix.to_vec();
        line.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
        line.extend(words);
        run(Command::new(line[0]).args(&line[1..]))
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    apt(&["update"])
        .and_then(|()| apt(&install))
        .with_context(|| {
            format!(
                "could not install {}; by hand: {command}",
                packages.join(" ")
            )
        })?;
    match missing.iter().find(|tool| !(tool.found)()) {
        None => Ok(()),
        Some(tool) => bail!(
            "{} still missing after installing {}",
            tool.purpose,
            tool.packages.join(" ")
        ),
    }
}

/// Where nextest is.
pub struct Nextest {
    program: PathBuf,
}

/// The version that is installed where there is none.
const NEXTEST_VERSION: &str = "0.9.143";

/// Finds nextest, or installs it from the registry under target/.
pub fn nextest() -> anyhow::Result<Nextest> {
    let own = project::target().join("tools");
    let program = own.join("bin/cargo-nextest");
    if let Some(program) =
        on_path("cargo-nextest").or_else(|| program.exists().then(|| program.clone()))
    {
        return Ok(Nextest { program });
    }
    say(format!(
        "installing cargo-nextest {NEXTEST_VERSION} into {} (some minutes)",
        own.display()
    ));
    run(project::cargo("install")
        .args([
            "cargo-nextest",
            "--locked",
            "--version",
            NEXTEST_VERSION,
            "--root",
        ])
        .arg(&own)
        .env("CARGO_TARGET_DIR", own.join("build")))?;
    Ok(Nextest { program })
}

/// A Python of our own in `folder` with just these packages, each with its version; made once for them.
pub fn python(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let python = folder.join("bin/python");
    let stamp = folder.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    ensure(&[&PYTHON])?;
    say(format!("installing {wanted}"));
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(folder))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(packages))?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

impl Nextest {
    /// `cargo nextest run`.
    pub fn command(&self) -> Command {
        let mut command = project::cargo_through(&self.program);
        // A failed assertion says what is wrong; the stack beneath it says how tests are called.
        command
            .args(["nextest", "run", "--no-fail-fast"])
            .env("RUST_BACKTRACE", "0");
        command
    }
}

/// The program's place on the PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Whether a Debian package is installed.
fn installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]))
        .is_ok_and(|status| status == "install ok installed")
}

/// The words before a command that make it run as root; none when this user may not.
fn privilege() -> Option<&'static [&'static str]> {
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    sudo.is_ok_and(|status| status.success())
        .then_some(&["sudo", "-n"])
}
