//! Jobs as a caller of the server has them: submitting a file or an address, reading how a job ended.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use ureq::http::Request;
use ureq::{Agent, Body, SendBody};

use crate::aws;

/// What is to be processed.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    Url(String),
}

/// The server's API.
pub struct Jobs {
    server: String,
    agent: Agent,
}

/// A submission that the server refused, in its words.
#[derive(Debug)]
pub struct Refusal(pub String);

impl Jobs {
    /// The API of the server at an address.
    pub fn new(server: String) -> Self {
        Jobs {
            server,
            agent: aws::agent(),
        }
    }

    /// Submits a job; gives its id, or the server's refusal.
    pub fn submit(&self, source: &Source) -> anyhow::Result<Result<String, Refusal>> {
        match source {
            Source::File(path) => self.upload(path),
            Source::Url(url) => self.order(url),
        }
    }

    /// The job's view, as the API gives it.
    pub fn view(&self, id: &str) -> anyhow::Result<Value> {
        let address = format!("{}/api/v1/jobs/{id}", self.server);
        let mut response = self
            .agent
            .get(&address)
            .call()
            .context("the server does not answer")?;
        if !response.status().is_success() {
            bail!("{address} answered {}", response.status());
        }
        Ok(serde_json::from_str(
            &response.body_mut().read_to_string()?,
        )?)
    }

    /// The page's own way: a multipart form, streamed (RFC 7578).
    fn upload(&self, path: &Path) -> anyhow::Result<Result<String, Refusal>> {
        let file =
            File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let bytes = file.metadata()?.len();
        let boundary = "gantry-xtask-3f9d0c6b7a5e4182";
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().replace('"', "%22"));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"pipeline\"\r\n\r\nmedia\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            name.unwrap_or_default()
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + bytes + tail.len() as u64;
        let mut body = Cursor::new(head)
            .chain(file.take(bytes))
            .chain(Cursor::new(tail));
        let request = Request::post(format!("{}/jobs", self.server))
            .header(
                "content-type",
                format!("multipart/form-data; boundary={boundary}"),
            )
            .header("content-length", length)
            .header("accept", "application/json")
            .body(SendBody::from_reader(&mut body))?;
        self.accepted(self.agent.run(request).context("the upload broke off")?)
    }

    fn order(&self, url: &str) -> anyhow::Result<Result<String, Refusal>> {
        let order = json!({ "pipeline": "media", "input": { "source": url } });
        let request = Request::post(format!("{}/api/v1/jobs", self.server))
            .header("content-type", "application/json")
            .body(order.to_string())?;
        self.accepted(
            self.agent
                .run(request)
                .context("the server does not answer")?,
        )
    }

    /// The id in the answer's Location or body, else the refusal in it.
    fn accepted(
        &self,
        mut response: ureq::http::Response<Body>,
    ) -> anyhow::Result<Result<String, Refusal>> {
        let status = response.status();
        let location = response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok());
        let from_location = location
            .and_then(|text| text.rsplit('/').next())
            .map(str::to_owned);
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() || status.is_redirection() {
            let from_body = answer
                .pointer("/job/id")
                .or_else(|| answer.get("id"))
                .and_then(Value::as_str);
            let id = from_body.map(str::to_owned).or(from_location);
            return id
                .map(Ok)
                .context("the server accepted a job without naming it");
        }
        if !status.is_client_error() {
            bail!(
                "the server answered {status} to a submission: {}",
                text.chars().take(300).collect::<String>()
            );
        }
        let mut sentences: Vec<&str> = answer["message"].as_str().into_iter().collect();
        for field in answer["fields"].as_array().into_iter().flatten() {
            sentences.extend(field["message"].as_str());
        }
        if sentences.is_empty() {
            return Ok(Err(Refusal(format!("the server answered {status}"))));
        }
        Ok(Err(Refusal(sentences.join(" "))))
    }
}

/// Whether only a rerun changes the job any more, and what it made is known.
pub fn has_ended(view: &Value) -> bool {
    match view.pointer("/job/status").and_then(Value::as_str) {
        None | Some("queued" | "running") => false,
        // Status and manifest reach the server on different ways: every job that succeeds has a manifest.
        Some("succeeded") => view["artifacts"]
            .as_array()
            .is_some_and(|made| !made.is_empty()),
        Some(_) => true,
    }
}

/// The line that `demo --once` prints for a job that has ended.
pub fn line(view: &Value) -> Value {
    let artifacts: Vec<Value> = view["artifacts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|artifact| {
            json!({ "key": artifact["key"], "bytes": artifact["bytes"], "sha256": artifact["sha256"] })
        })
        .collect();
    let execution = &view["execution"];
    let mut line = json!({
        "id": view["job"]["id"],
        "status": view["job"]["status"],
        "source": view["job"]["source"],
        "execution_arn": execution["arn"],
        "artifacts": artifacts,
    });
    if view["job"]["status"] != "succeeded" {
        line["error"] = match &execution["error"] {
            Value::Null => view["job"]["error"].clone(),
            error => error.clone(),
        };
        line["cause"] = execution["cause"].clone();
        line["failed_state"] = view["job"]["failed_state"].clone();
    }
    line
}

/// The line for a file or address that did not become a job.
pub fn refusal_line(source: &Source, refusal: &Refusal) -> Value {
    let source = match source {
        Source::File(path) => path.display().to_string(),
        Source::Url(url) => url.clone(),
    };
    json!({
        "id": null,
        "status": "refused",
        "source": source,
        "execution_arn": null,
        "artifacts": [],
        "error": "Refused",
        "cause": refusal.0,
    })
}
