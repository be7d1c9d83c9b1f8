//! Runs steps as the state machine does: the same payloads, one step's answer in the next one's event.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;
use worker::{Failure, Step, steps};

use crate::storage::{BUCKET, Storage};

/// One job and the lines its steps wrote.
pub struct Run<'a> {
    pub storage: &'a Storage,
    pub lines: Arc<Mutex<Vec<Value>>>,
}

impl<'a> Run<'a> {
    pub fn new(storage: &'a Storage) -> Run<'a> {
        Run {
            storage,
            lines: Arc::default(),
        }
    }

    pub fn job() -> Value {
        json!({"id": "j1", "bucket": BUCKET, "prefix": "jobs/j1/"})
    }

    /// One step's answer to an event.
    pub async fn step(&self, step: Step, mut event: Value) -> Result<Value, Failure> {
        event["job"] = Run::job();
        event["task"] = json!({"execution": "arn:e", "state": step.name(), "entered": "2026-01-01T00:00:00Z", "index": 0, "retry": 1});
        let lines = self.lines.clone();
        let sink = Arc::new(move |line: &str| {
            let line = serde_json::from_str(line).expect("lines are JSON");
            lines.lock().expect("not poisoned").push(line);
        });
        let deadline = Instant::now() + Duration::from_secs(120);
        steps::answer(step, &self.storage.clients, "r-1", deadline, event, sink).await
    }

    /// A media job's input, as the server completes it.
    pub fn input(source: &str) -> Value {
        json!({"source": source, "max_height": 1080, "segment_seconds": 2, "part_mib": 5})
    }

    pub async fn inspect(&self, source: &str) -> Result<Value, Failure> {
        self.step(Step::Inspect, json!({"source": source, "part_mib": 5}))
            .await
    }

    /// Inspect, every part, Assemble: the answers of Inspect and Assemble.
    pub async fn copy(&self, source: &str) -> Result<(Value, Value), Failure> {
        let inspect = self.inspect(source).await?;
        let transfer = self.transfer(&inspect).await?;
        let assembled = self.assemble(&inspect, &transfer).await?;
        Ok((inspect, assembled))
    }

    pub async fn transfer(&self, inspect: &Value) -> Result<Vec<Value>, Failure> {
        let mut answers = Vec::new();
        for part in inspect["parts"].as_array().expect("parts") {
            let event = json!({"from": inspect["from"], "upload": inspect["upload"], "part": part});
            answers.push(self.step(Step::Transfer, event).await?);
        }
        Ok(answers)
    }

    pub async fn assemble(&self, inspect: &Value, transfer: &[Value]) -> Result<Value, Failure> {
        let event = json!({
            "from": inspect["from"], "upload": inspect["upload"], "transfer": transfer,
            "content_type": inspect["content_type"],
        });
        self.step(Step::Assemble, event).await
    }

    /// The whole pipeline, over an execution's input: Publish's answer and the manifest.
    pub async fn whole(&self, input: Value) -> Result<(Value, Value), Failure> {
        let mut state = input;
        let inspect = self.step(Step::Inspect, json!({"input": state})).await?;
        let transfer = self.transfer(&inspect).await?;
        let media = self.assemble(&inspect, &transfer).await?;
        let settings = &inspect["settings"];
        let event = json!({
            "media": media, "max_height": settings["max_height"], "segment_seconds": settings["segment_seconds"],
        });
        let probe = self.step(Step::Probe, event.clone()).await?;
        let poster = self.step(Step::Poster, event.clone()).await?;
        let audio = self.step(Step::Audio, event.clone()).await?;
        let ladder = self.step(Step::Ladder, event.clone()).await?;
        let mut renditions = Vec::new();
        for rung in ladder["rungs"].as_array().expect("rungs") {
            let mut event = event.clone();
            event["rung"] = rung.clone();
            renditions.push(self.step(Step::Rendition, event).await?);
        }
        let package = self
            .step(Step::Package, json!({"renditions": renditions}))
            .await?;
        let process =
            json!({"probe": probe, "poster": poster, "renditions": package, "audio": audio});
        state["inspect"] = inspect;
        state["assembled"] = media;
        state["process"] = process;
        let published = self.step(Step::Publish, json!({"state": state})).await?;
        let manifest = self.storage.object("jobs/j1/manifest.json");
        Ok((published, serde_json::from_slice(&manifest).expect("JSON")))
    }
}
