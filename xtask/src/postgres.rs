//! A PostgreSQL of one's own for tests: made anew, reached through a socket in a folder that goes with it.
//! Owns the cluster's files and process; what is in its databases is the tests' business.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::children::Children;
use crate::install;
use crate::step::{output, run};

/// PostgreSQL's server and initdb.
pub const POSTGRES: install::Tool = install::Tool {
    purpose: "PostgreSQL, on which the store is tested too",
    found: || programs().is_some(),
    packages: &["postgresql"],
};

/// How long the server may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// Who owns the server when root runs this: PostgreSQL refuses to be root's.
const USER: &str = "postgres";

/// A running server; dropping it ends it and removes its files.
pub struct Postgres {
    folder: PathBuf,
    /// Taken when it is to end.
    children: Option<Children>,
}

impl Postgres {
    /// Makes a cluster and starts its server. It keeps nothing: what it writes is not waited for.
    pub fn start(logs: PathBuf) -> anyhow::Result<Postgres> {
        let programs = programs().context("PostgreSQL's initdb is not there")?;
        // Not below target/: a socket's path has 107 bytes at most, and the server's user must get there.
        let folder = std::env::temp_dir().join(format!("gantry-postgres-{}", std::process::id()));
        let mut make = Command::new("install");
        make.args(["-d", "-m", "700"]);
        if rustix::process::geteuid().is_root() {
            make.args(["-o", USER]);
        }
        run(make.arg(&folder))?;
        let mut postgres = Postgres {
            folder,
            children: None,
        };
        let data = postgres.folder.join("data");
        let said = output(
            as_user(&programs.join("initdb"))
                .current_dir("/")
                .arg("--pgdata")
                .arg(&data)
                .args(["--username", "gantry", "--auth", "trust", "--no-sync"])
                .args(["--encoding", "UTF8", "--locale", "C.UTF-8"]),
        );
        said.context("PostgreSQL's cluster could not be made")?;
        // One user who needs a password, so that a wrong one can be told.
        let rules = data.join("pg_hba.conf");
        let text = fs::read_to_string(&rules)?;
        fs::write(
            &rules,
            format!("local all gantry_guarded scram-sha-256\n{text}"),
        )?;
        let children = Children::new(logs)?;
        let settings = [
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", postgres.folder.display()),
            "max_connections=500".to_owned(),
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
        ];
        let mut server = as_user(&programs.join("postgres"));
        server.current_dir("/").arg("-D").arg(&data);
        for setting in settings {
            server.arg("-c").arg(setting);
        }
        children.start("postgres", &mut server)?;
        let since = Instant::now();
        while !ready(&programs, &postgres.folder) {
            if since.elapsed() > START_MAX {
                bail!(
                    "PostgreSQL does not answer {} s after its start",
                    START_MAX.as_secs()
                );
            }
            children.pause(Duration::from_millis(100))?;
        }
        postgres.children = Some(children);
        Ok(postgres)
    }

    /// The address of the server, as `GANTRY_TEST_POSTGRES_URL` wants it.
    pub fn url(&self) -> String {
        let host = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://gantry@localhost/postgres?host={host}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.children.take());
        // What stays in the folder for temporary files is the system's to remove.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder with the programs: Debian keeps them by version and not on the PATH; the newest one's.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version: u32 = folder.file_name()?.to_str()?.parse().ok()?;
            Some((version, folder.join("bin")))
        })
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .max();
    newest.map(|(_, programs)| programs).or_else(|| {
        let initdb = fs::canonicalize(install::on_path("initdb")?).ok()?;
        initdb.parent().map(Path::to_owned)
    })
}

/// A program as the user whom PostgreSQL accepts.
fn as_user(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--init-groups", "--"])
        .arg(program);
    command
}

fn ready(programs: &Path, folder: &Path) -> bool {
    let mut ask = Command::new(programs.join("pg_isready"));
    output(ask.arg("--quiet").arg("--host").arg(folder)).is_ok()
}
