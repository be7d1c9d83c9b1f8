//! A server in a process of its own, ours or the peer: starting and ending it, changing what is followed, and
//! weighing it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// After this long the dispatcher waits for AWS, and leaves the jobs of the run alone.
const DISPATCHED_WITHIN: Duration = Duration::from_secs(1);

/// A running server.
pub struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Views that a client is sent as soon as it follows.
    pub views_at_first: usize,
    process: Child,
    kind: Kind,
    /// By topic, how many changes were made.
    made: Vec<AtomicUsize>,
}

enum Kind {
    /// Topics are jobs, changed by stopping and rerunning. AWS is a port that nobody answers at, so that no
    /// execution is ever started.
    Ours {
        jobs: Vec<String>,
        _aws: TcpListener,
    },
    /// Topics are numbers; a change is one of these two texts.
    Peer { texts: [String; 2] },
}

impl Server {
    /// The product, with a store in the folder `data` and this many jobs.
    pub fn ours(program: &Path, data: &Path, topics: usize) -> anyhow::Result<Server> {
        let aws = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let endpoint = format!("http://{}", aws.local_addr()?);
        // Free when it is asked for; nothing else here takes ports.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let process = Command::new(program)
            .env("GANTRY_LISTEN", address.to_string())
            .env(
                "DATABASE_URL",
                format!("sqlite:{}", data.join("gantry.db").display()),
            )
            .env("GANTRY_BUCKET", "bench")
            .env(
                "GANTRY_STATUS_QUEUE_URL",
                format!("{endpoint}/000000000000/bench"),
            )
            .env("GANTRY_TELEMETRY_STREAM", "bench")
            .env("GANTRY_REPOSITORY", "bench")
            .env(
                "GANTRY_MEDIA_STATE_MACHINE_ARN",
                "arn:aws:states:us-east-1:000000000000:stateMachine:bench",
            )
            .env("GANTRY_SITE_ROOT", data)
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("RUST_LOG", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let mut server = Server {
            name: "gantry",
            address,
            views_at_first: 1,
            process,
            kind: Kind::Ours {
                jobs: Vec::new(),
                _aws: aws,
            },
            made: (0..topics).map(|_| AtomicUsize::new(0)).collect(),
        };
        let until = Instant::now() + READY_WITHIN;
        while let Err(error) = server.get("/healthz") {
            ensure!(
                Instant::now() < until,
                "the server does not answer: {error:#}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // The first one's start is called for, and the dispatcher waits for its answer.
        server.submit()?;
        std::thread::sleep(DISPATCHED_WITHIN);
        let submitted = (0..topics)
            .map(|_| server.submit())
            .collect::<Result<_, _>>()?;
        if let Kind::Ours { jobs, .. } = &mut server.kind {
            *jobs = submitted;
        }
        Ok(server)
    }

    /// The peer, which sends these two texts in turn.
    pub fn peer(program: &Path, topics: usize, texts: [String; 2]) -> anyhow::Result<Server> {
        let mut process = Command::new(program)
            .arg("live-peer")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the peer could not be started")?;
        let mut port = String::new();
        let output = process.stdout.take().context("the peer has no output")?;
        BufReader::new(output).read_line(&mut port)?;
        let port: u16 = port.trim().parse().context("the peer names no port")?;
        Ok(Server {
            name: "axum",
            address: (Ipv4Addr::LOCALHOST, port).into(),
            views_at_first: 0,
            process,
            kind: Kind::Peer { texts },
            made: (0..topics).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// Where a topic is followed.
    pub fn path(&self, topic: usize) -> String {
        match &self.kind {
            Kind::Ours { jobs, .. } => format!("/api/v1/live?topic=job:{}", jobs[topic]),
            Kind::Peer { .. } => format!("/live/{topic}"),
        }
    }

    /// Changes each of the first topics.
    pub fn change_all(&self, topics: usize) -> anyhow::Result<()> {
        (0..topics).try_for_each(|topic| self.change(topic))
    }

    /// Changes a topic's status; returns when the server has said that it is done.
    pub fn change(&self, topic: usize) -> anyhow::Result<()> {
        let odd = self.made[topic].fetch_add(1, Ordering::SeqCst) % 2;
        match &self.kind {
            Kind::Ours { jobs, .. } => {
                let action = ["stop", "rerun"][odd];
                let address = format!("/api/v1/jobs/{}/{action}", jobs[topic]);
                let answer = self.post(&address, "")?;
                ensure!(
                    answer.contains(["\"aborted\"", "\"queued\""][odd]),
                    "{action} did not: {answer}"
                );
            }
            Kind::Peer { texts } => {
                self.post(&format!("/change/{topic}"), &texts[odd])?;
            }
        }
        Ok(())
    }

    /// A job's view in its two statuses.
    pub fn texts(&self) -> anyhow::Result<[String; 2]> {
        let Kind::Ours { jobs, .. } = &self.kind else {
            bail!("the peer has no texts of its own");
        };
        let address = format!("/api/v1/jobs/{}", jobs[0]);
        let one = self.get(&address)?;
        self.change(0)?;
        Ok([one, self.get(&address)?])
    }

    /// Bytes of memory that it holds (`man 5 proc`, statm).
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id()))?;
        let pages = text.split_whitespace().nth(1);
        Ok(4096 * pages.context("no pages")?.parse::<u64>()?)
    }

    fn submit(&self) -> anyhow::Result<String> {
        let job =
            json!({ "pipeline": "media", "input": { "source": "https://example.org/clip.mp4" } });
        let answer: Value = serde_json::from_str(&self.post("/api/v1/jobs", &job.to_string())?)?;
        let id = answer["id"].as_str().context("a job without id")?;
        Ok(id.to_owned())
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        agent(|agent| text(path, agent.get(url).call()?))
    }

    fn post(&self, path: &str, body: &str) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        // The peer takes a text, ours nothing or JSON.
        let kind = match self.kind {
            Kind::Ours { .. } => "application/json",
            Kind::Peer { .. } => "text/plain; charset=utf-8",
        };
        agent(|agent| text(path, agent.post(url).content_type(kind).send(body)?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One connection pool a thread, as clients of their own would have.
fn agent<T>(call: impl FnOnce(&ureq::Agent) -> T) -> T {
    thread_local! {
        static AGENT: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
    }
    AGENT.with(call)
}

fn text(path: &str, mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<String> {
    let text = answer.body_mut().read_to_string()?;
    ensure!(
        answer.status().is_success(),
        "{path} answered {}: {text}",
        answer.status()
    );
    Ok(text)
}
