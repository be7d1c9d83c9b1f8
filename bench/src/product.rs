//! The server and `local` as processes over one folder, killed and started again. Owns what the server is told and a
//! state machine of its pipeline's name that is over at once, but for what the worker does where there is one.

mod worker;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

/// How long a program may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STATE_MACHINE: &str = "gantry-media";
const BUCKET: &str = "gantry-media";
/// The telemetry stream.
pub const STREAM: &str = "gantry-telemetry";
const QUEUE: &str = "gantry-status";
/// So much that no call of the server waits: it is the faults that are to be met.
const RATES: &str = "StartExecution=9000/9000,RedriveExecution=9000/9000,StopExecution=9000/9000,\
    DescribeExecution=9000/9000,GetExecutionHistory=9000/9000,DescribeStateMachineForExecution=9000/9000";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Server,
    Local,
}

/// Where everything is.
pub struct Place {
    /// The folder with the two programs.
    pub programs: PathBuf,
    pub data: PathBuf,
    /// The server's `DATABASE_URL`.
    pub database: String,
    /// Where the server finds AWS.
    pub aws: SocketAddr,
    /// Where `local` listens: the same, or what a proxy passes calls on to.
    pub local: SocketAddr,
    /// The worker, where one is wanted.
    pub worker: Option<PathBuf>,
    /// What the server logs.
    pub log: &'static str,
}

/// Both, running as far as they were begun and not killed.
pub struct Product {
    place: Place,
    server_at: SocketAddr,
    queue_url: String,
    machine: String,
    server: Option<Child>,
    local: Option<Child>,
    client: reqwest::Client,
}

impl Product {
    /// Nothing runs yet.
    pub fn new(place: Place) -> anyhow::Result<Product> {
        Ok(Product {
            server_at: free_address()?,
            queue_url: format!("http://{}/000000000000/{QUEUE}", place.aws),
            machine: "arn:aws:states:us-east-1:000000000000:stateMachine:gantry-media".to_owned(),
            place,
            server: None,
            local: None,
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// Starts `local`, makes what the server needs there, and starts the server.
    pub async fn start(place: Place) -> anyhow::Result<Product> {
        let mut product = Product::new(place)?;
        product.begin(Program::Local).await?;
        // S3 alone asks for signatures, and its buckets are folders.
        std::fs::create_dir_all(product.place.data.join("aws/s3").join(BUCKET))?;
        product.deploy().await?;
        product.begin(Program::Server).await?;
        Ok(product)
    }

    /// Makes what the server needs at an endpoint that is not `local`.
    pub async fn deploy_on_other(&mut self) -> anyhow::Result<()> {
        let bucket = format!("http://{}/{BUCKET}", self.place.local);
        let made = self.client.put(bucket).send().await?;
        ensure!(made.status().is_success(), "no bucket: {}", made.status());
        self.deploy().await
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        self.server_at
    }

    /// The process of a program that runs.
    pub fn pid(&self, program: Program) -> Option<u32> {
        let child = match program {
            Program::Server => &self.server,
            Program::Local => &self.local,
        };
        child.as_ref().map(Child::id)
    }

    /// Calls Step Functions, past any proxy.
    pub async fn states(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        self.aws(&format!("AWSStepFunctions.{operation}"), input)
            .await
    }

    /// The state machine's ARN.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Ends a program at once, as a power cut or the kernel's memory manager would.
    pub fn kill(&mut self, program: Program) -> anyhow::Result<()> {
        let child = match program {
            Program::Server => &mut self.server,
            Program::Local => &mut self.local,
        };
        let mut child = child
            .take()
            .with_context(|| format!("{program:?} does not run"))?;
        if let Some(status) = child.try_wait()? {
            bail!("{program:?} ended by itself: {status}");
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts a program and waits until it answers.
    pub async fn begin(&mut self, program: Program) -> anyhow::Result<()> {
        let (name, mut command, probe) = match program {
            Program::Server => {
                let probe = format!("http://{}/healthz", self.server_at);
                ("server", self.server_command(), probe)
            }
            Program::Local => {
                let mut command = Command::new(self.place.programs.join("local"));
                command
                    .args(["--port", &self.place.local.port().to_string(), "--data"])
                    .arg(self.place.data.join("aws"));
                let probe = format!("http://{}/_gantry/health", self.place.local);
                ("local", command, probe)
            }
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.place.data.join(format!("{name}.log")))?;
        let mut child = command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        let until = Instant::now() + READY_WITHIN;
        loop {
            let answer = self.client.get(&probe).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended by itself: {status}");
            }
            if Instant::now() > until {
                child.kill()?;
                bail!("{name} does not answer");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match program {
            Program::Server => self.server = Some(child),
            Program::Local => self.local = Some(child),
        }
        Ok(())
    }

    fn server_command(&self) -> Command {
        let mut command = Command::new(self.place.programs.join("server"));
        command
            .env("GANTRY_LISTEN", self.server_at.to_string())
            .env("DATABASE_URL", &self.place.database)
            .env("GANTRY_BUCKET", BUCKET)
            .env("GANTRY_STATUS_QUEUE_URL", &self.queue_url)
            .env("GANTRY_TELEMETRY_STREAM", STREAM)
            .env("GANTRY_REPOSITORY", "gantry")
            .env("GANTRY_MEDIA_STATE_MACHINE_ARN", &self.machine)
            .env("GANTRY_SITE_ROOT", &self.place.data)
            .env("GANTRY_S3_PATH_STYLE", "true")
            .env("GANTRY_AWS_RATES", RATES)
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.place.aws))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("RUST_LOG", self.place.log);
        command
    }

    async fn deploy(&mut self) -> anyhow::Result<()> {
        if let Some(worker) = &self.place.worker {
            self.deploy_worker(worker).await?;
        }
        let stream = json!({ "StreamName": STREAM, "ShardCount": 1 });
        self.aws("Kinesis_20131202.CreateStream", &stream).await?;
        if self.place.worker.is_some() {
            self.subscribe().await?;
        }
        // Short, so that what a lost answer carried away comes again soon.
        let queue = json!({ "QueueName": QUEUE, "Attributes": { "VisibilityTimeout": "2" } });
        let made = self.aws("AmazonSQS.CreateQueue", &queue).await?;
        self.queue_url = text(&made["QueueUrl"]);
        let machine = json!({
            "name": STATE_MACHINE,
            "definition": definition(self.place.worker.is_some()).to_string(),
            "roleArn": "arn:aws:iam::000000000000:role/bench",
        });
        let made = self.states("CreateStateMachine", &machine).await?;
        self.machine = text(&made["stateMachineArn"]);
        let pattern = json!({
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": { "stateMachineArn": [self.machine] },
        });
        let rule =
            json!({ "Name": QUEUE, "EventPattern": pattern.to_string(), "State": "ENABLED" });
        self.aws("AWSEvents.PutRule", &rule).await?;
        let target =
            json!({ "Id": "queue", "Arn": format!("arn:aws:sqs:us-east-1:000000000000:{QUEUE}") });
        self.aws(
            "AWSEvents.PutTargets",
            &json!({ "Rule": QUEUE, "Targets": [target] }),
        )
        .await?;
        Ok(())
    }

    async fn aws(&self, target: &str, input: &Value) -> anyhow::Result<Value> {
        let answer = self
            .client
            .post(format!("http://{}/", self.place.local))
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", authorization(target))
            .body(input.to_string())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{target} answered {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.local].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A scope for a signature that nobody checks: from it a fake reads which service is meant.
pub fn authorization(target: &str) -> String {
    let service = match target
        .split_once('.')
        .map_or(target, |(service, _)| service)
    {
        "AWSStepFunctions" => "states",
        "Kinesis_20131202" => "kinesis",
        "Logs_20140328" => "logs",
        "AmazonSQS" => "sqs",
        "AWSEvents" => "events",
        _ => "ecr",
    };
    format!(
        "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// By its title a job succeeds, fails in a Fail state, waits a second or an hour, has a worker look at its source, or meets an
/// error that a redrive meets again.
fn definition(with_worker: bool) -> Value {
    let titled = |pattern: &str, next: &str| json!({ "Variable": "$.title", "StringMatches": pattern, "Next": next });
    let works = match with_worker {
        true => worker::state("Done"),
        false => json!({ "Type": "Pass", "Next": "Done" }),
    };
    json!({
        "StartAt": "Route",
        "States": {
            "Route": {
                "Type": "Choice",
                "Choices": [titled("ok-*", "Done"), titled("fails-*", "Fails"), titled("waits-*", "Waits"), titled("works-*", "Works"), titled("sleeps-*", "Sleeps")],
            },
            "Works": works,
            "Sleeps": { "Type": "Wait", "Seconds": 3600, "Next": "Done" },
            "Waits": { "Type": "Wait", "Seconds": 1, "Next": "Done" },
            "Fails": { "Type": "Fail", "Error": "Bench.Failed", "Cause": "It was told to." },
            "Done": { "Type": "Succeed" },
        },
    })
}

/// An address that nobody listens at. Free when it is asked for; nothing else here takes ports.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
