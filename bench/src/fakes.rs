//! `fakes`: the server over AWS as others play it, ministack and moto: jobs are submitted, followed to their ends, run
//! again and stopped, and the telemetry stream is resharded. A check, no measurement: neither was written by who wrote
//! the server, so neither shares its misunderstandings. What a fake itself does not have is told, and no failure.

mod telemetry;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::product::{Place, Product, Program};
use crate::stream::Stream;

/// Neither tells the status queue of ends, so that the server has to find out by itself.
const END_WITHIN: Duration = Duration::from_secs(240);
/// A history is read as soon as its execution has ended.
const HISTORY_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// The command.
pub fn check(peers: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    for fake in [Endpoint::ministack(peers)?, Endpoint::moto(peers)?] {
        let data = std::env::temp_dir().join(format!("gantry-fakes-{}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        let over = over(fake.socket()?, &data);
        let told = runtime
            .block_on(over)
            .with_context(|| format!("over {}; the data is in {}", fake.name, data.display()))?;
        std::fs::remove_dir_all(&data)?;
        for line in told {
            println!("{}: {line}", fake.name);
        }
    }
    Ok(())
}

/// All flows over one fake; answers what was seen.
async fn over(aws: SocketAddr, data: &Path) -> anyhow::Result<Vec<String>> {
    let program = std::env::current_exe()?;
    let place = Place {
        programs: program.parent().context("this program is nowhere")?.into(),
        data: data.into(),
        database: format!("sqlite:{}", data.join("gantry.db").display()),
        aws,
        local: aws,
        worker: None,
        log: "info,server=debug,sqlx=warn,aws=warn,hyper=warn",
    };
    let mut product = Product::new(place)?;
    product.deploy_on_other().await?;
    product.begin(Program::Server).await?;
    let flows = Flows {
        client: Client::builder().no_proxy().build()?,
        base: format!("http://{}", product.address()),
        told: Vec::new(),
    };
    flows.run(&product, &Stream::new(aws)?).await
}

struct Flows {
    client: Client,
    base: String,
    told: Vec<String>,
}

impl Flows {
    async fn run(mut self, product: &Product, stream: &Stream) -> anyhow::Result<Vec<String>> {
        let began = Instant::now();
        let ends = [
            ("ok-1", "succeeded"),
            ("waits-1", "succeeded"),
            ("fails-1", "failed"),
            ("stuck-1", "failed"),
        ];
        let mut ids = Vec::new();
        for (title, _) in ends {
            ids.push(self.submit(title).await?);
        }
        let (one, other) = (self.submit("ok-1").await?, ids[0].clone());
        ensure!(one == other, "one key made two jobs: {one} and {other}");
        for (id, (title, end)) in ids.iter().zip(ends) {
            self.ends(id, title, end).await?;
        }
        self.tell(format!(
            "submitted once each and followed to the end in {:.0} s",
            began.elapsed().as_secs_f64()
        ));
        self.rerun(&ids[3]).await?;
        self.stop().await?;
        self.adopted(product).await?;
        self.history(&ids[2]).await?;
        self.telemetry(stream).await?;
        for path in ["/healthz", "/readyz", "/metrics", "/api/v1/health"] {
            let (status, text) = self.ask(Method::GET, path, None).await?;
            ensure!(status == 200, "{path} answered {status}: {text}");
        }
        Ok(self.told)
    }

    /// A redrive where the fake has it; then a new execution.
    async fn rerun(&mut self, id: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/jobs/{id}/rerun");
        let redrive = json!({ "mode": "redrive", "reason": "again" });
        let (status, answer) = self.ask_again(&path, redrive).await?;
        match status {
            202 => {
                let view = self.ends(id, "stuck-1", "failed").await?;
                match view["execution"]["redrive_count"].as_u64() {
                    Some(1) => self.tell("redriven once".to_owned()),
                    _ => self.tell(format!(
                        "it took no redrive, and the job is failed as before: {}",
                        view["execution"]["redrive"]
                    )),
                }
            }
            409 => self.tell(format!("a redrive is not offered: {answer}")),
            _ => bail!("a redrive was answered with {status}: {answer}"),
        }
        let restart = json!({ "mode": "restart", "reason": "anew" });
        let (status, answer) = self.ask_again(&path, restart).await?;
        ensure!(
            status == 202,
            "a restart was answered with {status}: {answer}"
        );
        let until = Instant::now() + END_WITHIN;
        loop {
            let view = self.ends(id, "stuck-1", "failed").await?;
            if view["execution"]["name"]
                .as_str()
                .is_some_and(|name| name.ends_with("-2"))
            {
                break;
            }
            ensure!(Instant::now() < until, "the restart never came: {view}");
            tokio::time::sleep(PAUSE).await;
        }
        self.tell("restarted as a second execution".to_owned());
        Ok(())
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        let id = self.submit("sleeps-1").await?;
        self.ends(&id, "sleeps-1", "running").await?;
        let path = format!("/api/v1/jobs/{id}/stop?reason=enough");
        let (status, answer) = self.ask(Method::POST, &path, None).await?;
        ensure!(status == 202, "a stop was answered with {status}: {answer}");
        self.ends(&id, "sleeps-1", "aborted").await?;
        self.tell("stopped".to_owned());
        Ok(())
    }

    /// What somebody else starts appears.
    async fn adopted(&mut self, product: &Product) -> anyhow::Result<()> {
        let start = json!({
            "stateMachineArn": product.machine(),
            "name": "by-hand",
            "input": json!({ "source": "s3://gantry-media/by-hand.mp4", "title": "ok-by-hand" }).to_string(),
        });
        product.states("StartExecution", &start).await?;
        let until = Instant::now() + END_WITHIN;
        loop {
            let list = self.get("/api/v1/jobs").await?;
            let jobs = list["jobs"].as_array().into_iter().flatten();
            let mut adopted = jobs.filter(|job| job["adopted"] == true);
            if adopted.any(|job| job["status"] == "succeeded") {
                break;
            }
            ensure!(
                Instant::now() < until,
                "an execution that was started by hand does not appear: {list}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        self.tell("an execution that was started by hand appeared".to_owned());
        Ok(())
    }

    /// What failed says with which error, and where, if the fake's history says which event follows which.
    async fn history(&mut self, id: &str) -> anyhow::Result<()> {
        let until = Instant::now() + HISTORY_WITHIN;
        loop {
            let view = self.get(&format!("/api/v1/jobs/{id}")).await?;
            let job = &view["job"];
            match job["failed_state"].as_str() {
                Some("Fails") if job["error"] == "Bench.Failed" => {
                    self.tell("a failure says its error and its state".to_owned());
                    return Ok(());
                }
                None if job["error"] == "Bench.Failed" && Instant::now() > until => {
                    self.tell("a failure says its error, and no state".to_owned());
                    return Ok(());
                }
                _ => ensure!(Instant::now() < until, "a failure says {job}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn tell(&mut self, line: String) {
        eprintln!("{line}");
        self.told.push(line);
    }

    async fn submit(&self, title: &str) -> anyhow::Result<String> {
        let job = json!({
            "pipeline": "media",
            "input": { "source": "s3://gantry-media/clip.mp4", "title": title },
        });
        let (status, answer) = self.ask(Method::POST, "/api/v1/jobs", Some(job)).await?;
        ensure!(
            status == 202,
            "{title} was answered with {status}: {answer}"
        );
        let answer: Value = serde_json::from_str(&answer)?;
        Ok(answer["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a job has a status, and gives it.
    async fn ends(&self, id: &str, title: &str, status: &str) -> anyhow::Result<Value> {
        let until = Instant::now() + END_WITHIN;
        loop {
            let view = self.get(&format!("/api/v1/jobs/{id}")).await?;
            if view["job"]["status"] == status {
                return Ok(view);
            }
            ensure!(
                Instant::now() < until,
                "{title} is not {status}: {}",
                view["job"]
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, text) = self.ask(Method::GET, path, None).await?;
        ensure!(status == 200, "{path} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// POST, again while the server says that it will know in a moment.
    async fn ask_again(&self, path: &str, body: Value) -> anyhow::Result<(u16, String)> {
        let until = Instant::now() + HISTORY_WITHIN;
        loop {
            let (status, answer) = self.ask(Method::POST, path, Some(body.clone())).await?;
            if status != 409 || !answer.contains("in a moment") || Instant::now() > until {
                return Ok((status, answer));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, String)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            // Of jobs that are submitted; for the others it means nothing.
            let key = body["input"]["title"].as_str().unwrap_or_default();
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
