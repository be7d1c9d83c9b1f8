//! The product as a laptop runs it: `local` and `server` as child processes over one data folder, with a
//! deployment between them. Owns the order of starting and the wiring, which is environment variables only.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

use crate::aws::{self, Aws};
use crate::children::{self, Children};
use crate::deploy::{self, Deployment};
use crate::image::{Image, Origin};
use crate::step::{output, run, say, step};
use crate::{build, install, project};

/// Data that a job of ordinary size leaves: the source, its parts while they are assembled, the renditions.
const DATA_BYTES_MIN: u64 = 1 << 30;

/// Below this, jobs come to a stand: nothing more can be written down about them.
const DATA_BYTES_LEFT_MIN: u64 = 32 << 20;

/// How long a program may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Where and on which ports.
#[derive(Debug, Clone)]
pub struct Place {
    pub data: PathBuf,
    pub port: u16,
    pub local_port: u16,
}

/// The running product.
pub struct Product {
    pub children: Children,
    place: Place,
    deployment: Option<Deployment>,
    /// Held while this demo uses the folder.
    _lock: File,
}

impl Place {
    /// Refuses what cannot work before anything is installed or built.
    pub fn check(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.data)
            .with_context(|| format!("{} cannot be made", self.data.display()))?;
        children::free_space(&self.data, DATA_BYTES_MIN, "a demo's data")?;
        if self.port == self.local_port {
            bail!(
                "--port and --local-port are both {}; they must differ",
                self.port
            );
        }
        children::free_port(self.port, "--port")?;
        children::free_port(self.local_port, "--local-port")
    }

    fn lock(&self) -> anyhow::Result<File> {
        let path = self.data.join("lock");
        let file =
            File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(_) => bail!(
                "another demo uses {}; end it or choose another folder with --data",
                self.data.display()
            ),
        }
    }
}

/// Bytes that a build from nothing takes in target/.
const BUILD_BYTES: u64 = 6 << 30;

/// Installs what is missing and builds everything.
pub fn prepare() -> anyhow::Result<()> {
    if !project::program("server").exists() {
        children::free_space(project::root(), BUILD_BYTES, "the first build")?;
    }
    install::ensure(&[&install::FFMPEG, &install::STRIP])?;
    build::all()
}

impl Product {
    /// Starts everything and waits until it answers.
    pub fn start(place: Place) -> anyhow::Result<Product> {
        let lock = place.lock()?;
        let children = Children::new(place.data.join("logs"))?;
        let mut product = Product {
            children,
            place,
            deployment: None,
            _lock: lock,
        };
        let started = product.start_all();
        product.children.explain(started)?;
        Ok(product)
    }

    /// The server's address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.port)
    }

    /// The folder that everything is kept in.
    pub fn data(&self) -> &Path {
        &self.place.data
    }

    /// The address of the AWS endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.local_port)
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        self.start_local()?;
        self.deployment = Some(step("deploy", || self.deploy())?);
        self.start_server()
    }

    /// Starts `local` and waits until it answers.
    pub fn start_local(&self) -> anyhow::Result<()> {
        say(format!(
            "starting local, the AWS endpoint, at {}",
            self.endpoint()
        ));
        let mut command = Command::new(project::program("local"));
        command
            .args(["--port", &self.place.local_port.to_string(), "--data"])
            .arg(self.place.data.join("aws"));
        self.children.start("local", &mut command)?;
        self.answers(&format!("{}/_gantry/health", self.endpoint()))
    }

    /// Starts the server against the endpoint and waits until it answers.
    pub fn start_server(&self) -> anyhow::Result<()> {
        let deployment = self
            .deployment
            .as_ref()
            .context("the server needs a deployment")?;
        say(format!("starting the server at {}", self.address()));
        let mut command = Command::new(project::program("server"));
        command
            .env("GANTRY_LISTEN", format!("127.0.0.1:{}", self.place.port))
            .env(
                "DATABASE_URL",
                format!("sqlite:{}", self.place.data.join("gantry.db").display()),
            )
            .env("GANTRY_BUCKET", deploy::BUCKET)
            .env("GANTRY_STATUS_QUEUE_URL", &deployment.queue_url)
            .env("GANTRY_TELEMETRY_STREAM", deploy::STREAM)
            .env("GANTRY_REPOSITORY", deploy::REPOSITORY)
            .env(
                "GANTRY_MEDIA_STATE_MACHINE_ARN",
                &deployment.state_machine_arn,
            )
            .env("GANTRY_SITE_ROOT", project::site())
            .env("GANTRY_S3_PATH_STYLE", "true")
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_REGION", aws::REGION)
            .env("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", aws::SECRET_ACCESS_KEY);
        self.children.start("server", &mut command)?;
        self.answers(&format!("{}/api/v1/jobs", self.address()))
    }

    /// Refuses to wait for jobs that a full disk has brought to a stand.
    pub fn check_space(&self) -> anyhow::Result<()> {
        children::free_space(&self.place.data, DATA_BYTES_LEFT_MIN, "a running job").context(
            "the disk is full, so that the jobs cannot go on; with space and the same folder they do",
        )
    }

    /// Waits until an address answers with success.
    fn answers(&self, address: &str) -> anyhow::Result<()> {
        let agent = aws::agent();
        let until = Instant::now() + READY_WITHIN;
        loop {
            match agent.get(address).call() {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) if Instant::now() > until => {
                    bail!(
                        "{address} answers {} and not with success",
                        response.status()
                    )
                }
                Err(error) if Instant::now() > until => bail!("{address} does not answer: {error}"),
                Ok(_) | Err(_) => self.children.pause(Duration::from_millis(50))?,
            }
        }
    }

    /// Deploys two images, so that there is something to compare: the worker as built, then without symbols.
    fn deploy(&self) -> anyhow::Result<Deployment> {
        let aws = Aws::new(self.endpoint());
        let worker = project::program("worker");
        let stripped = stripped(&worker)?;
        let definition = project::root().join("pipelines/media.asl.json");
        let deployment = deploy::resources(&aws, &definition)?;
        let first = Image::with_worker(&worker, &origin("1"))?;
        let second = Image::with_worker(&stripped, &origin("2"))?;
        if deploy::is_live(&aws, &second)? {
            say("   the functions run the newest image already");
        } else {
            deploy::image(&aws, &first, "1")?;
            deploy::image(&aws, &second, "2")?;
        }
        Ok(deployment)
    }
}

/// A copy of the worker without symbols; made anew only when the worker is newer.
fn stripped(worker: &Path) -> anyhow::Result<PathBuf> {
    let stripped = worker.with_extension("stripped");
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let fresh =
        matches!((changed(&stripped), changed(worker)), (Ok(copy), Ok(built)) if copy > built);
    if !fresh {
        run(Command::new("strip").arg("-o").arg(&stripped).arg(worker))?;
    }
    Ok(stripped)
}

/// The last commit that changed what is in the image.
fn origin(tag: &str) -> Origin {
    let contents = ["--", "worker", "model", "Cargo.toml", "Cargo.lock"];
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(project::root())
            .args(words)
            .args(contents);
        output(&mut command).map(|text| text.trim().to_owned())
    };
    let dirty = git(&["status", "--porcelain"]).is_ok_and(|changes| !changes.is_empty());
    let revision = git(&["log", "-1", "--format=%H"]).unwrap_or_default();
    let created = git(&["log", "-1", "--format=%cI"]).unwrap_or_default();
    let known = |text: String, otherwise: &str| {
        if text.is_empty() {
            otherwise.to_owned()
        } else {
            text
        }
    };
    Origin {
        version: format!("{}-{tag}", env!("CARGO_PKG_VERSION")),
        revision: known(revision, "unknown") + if dirty { "-dirty" } else { "" },
        created: known(created, "1970-01-01T00:00:00Z"),
    }
}
