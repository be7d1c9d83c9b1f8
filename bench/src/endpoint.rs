//! A Step Functions endpoint in a process of its own: ours, or another's that serves the same API. Owns starting
//! and ending it, calling it as an AWS client does, and reading what CPU time and memory it took.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Largest answer: a whole history of large inputs.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// A scope for the signature that no endpoint here checks; from it a fake reads region and account.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/states/aws4_request, \
     SignedHeaders=host, Signature=0";

/// A running server.
pub struct Endpoint {
    pub name: &'static str,
    address: String,
    process: Child,
}

impl Endpoint {
    /// Ours, durable, over the folder `data`.
    pub fn ours(program: &Path, data: &Path) -> anyhow::Result<Endpoint> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--data"])
            .arg(data);
        Endpoint::start("local", command, port)
    }

    /// ministack from the virtual environment `environment`; keeps everything in memory.
    pub fn ministack(environment: &Path) -> anyhow::Result<Endpoint> {
        let port = free_port()?;
        let mut command = Command::new(environment.join("bin/ministack"));
        command.env("GATEWAY_PORT", port.to_string());
        Endpoint::start("ministack", command, port)
    }

    /// moto from the virtual environment `environment`, set to execute; keeps everything in memory.
    pub fn moto(environment: &Path) -> anyhow::Result<Endpoint> {
        let port = free_port()?;
        let mut command = Command::new(environment.join("bin/moto_server"));
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        let moto = Endpoint::start("moto", command, port)?;
        ureq::post(format!("{}/moto-api/config", moto.address))
            .send_json(json!({ "stepfunctions": { "execute_state_machine": true } }))
            .context("moto cannot be told to execute")?;
        Ok(moto)
    }

    fn start(name: &'static str, mut command: Command, port: u16) -> anyhow::Result<Endpoint> {
        // A group of its own, so that what it starts is counted and ended with it.
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        let endpoint = Endpoint {
            name,
            address: format!("http://127.0.0.1:{port}"),
            process,
        };
        let until = Instant::now() + READY_WITHIN;
        while let Err(error) = endpoint.call("ListStateMachines", &json!({})) {
            if Instant::now() > until {
                return Err(error.context(format!("{name} does not answer")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(endpoint)
    }

    /// Where it listens.
    pub fn socket(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.address.trim_start_matches("http://").parse()?)
    }

    /// Calls an operation of Step Functions (AWS JSON 1.0).
    pub fn call(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        // One connection pool a thread, as clients of their own would have.
        thread_local! {
            static AGENT: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(Duration::from_secs(120)))
                .build()
                .new_agent();
        }
        let mut answer = AGENT.with(|agent| {
            agent
                .post(&self.address)
                .header("X-Amz-Target", format!("AWSStepFunctions.{operation}"))
                .header("Content-Type", "application/x-amz-json-1.0")
                .header("Authorization", AUTHORIZATION)
                .send(input.to_string())
        })?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()?;
        if !answer.status().is_success() {
            bail!("{operation} answered {}: {text}", answer.status());
        }
        serde_json::from_str(&text).with_context(|| format!("{operation} answered {text}"))
    }

    /// CPU seconds of the server and all it started.
    pub fn cpu_s(&self) -> anyhow::Result<f64> {
        let ticks: u64 =
            self.statistics(|fields| Some(number(fields, 11)? + number(fields, 12)?))?;
        // USER_HZ is 100 on every Linux that runs these programs.
        Ok(ticks as f64 / 100.0)
    }

    /// Bytes of memory that it holds.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        Ok(4096 * self.statistics(|fields| number(fields, 21))?)
    }

    /// Sums a figure over the processes of the server's group. `man 5 proc`; fields counted from behind the name.
    fn statistics(&self, figure: impl Fn(&[&str]) -> Option<u64>) -> anyhow::Result<u64> {
        let mut sum = 0;
        for entry in std::fs::read_dir("/proc")? {
            let Ok(text) = std::fs::read_to_string(entry?.path().join("stat")) else {
                continue;
            };
            let Some((_, rest)) = text.rsplit_once(") ") else {
                continue;
            };
            let fields: Vec<&str> = rest.split_whitespace().collect();
            if number(&fields, 2) == Some(u64::from(self.process.id())) {
                sum += figure(&fields).unwrap_or(0);
            }
        }
        Ok(sum)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

fn number(fields: &[&str], at: usize) -> Option<u64> {
    fields.get(at)?.parse().ok()
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
