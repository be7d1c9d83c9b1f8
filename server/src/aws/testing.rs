//! AWS as a test wants it: an endpoint on a port of its own that answers by a script and remembers who called.
//! The real clients speak to it. Owns no semantics: for those there is `local`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{ConfigLoader, Region, timeout::TimeoutConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Aws;
use crate::config::Config;

/// What the endpoint does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status with an error code.
    Error(u16, &'static str),
    /// Nothing, ever.
    Silence,
}

/// The endpoint.
#[derive(Clone)]
pub(crate) struct FakeAws {
    url: String,
    inner: Arc<Inner>,
}

/// What answers in place of the least: an operation's request to its answer, if it is one of these.
type Answers = Box<dyn Fn(&str, &Value) -> Option<Value> + Send>;

struct Inner {
    /// By operation: the next answers, in order. When they are used up, a call succeeds.
    script: Mutex<HashMap<&'static str, VecDeque<Answer>>>,
    answers: Mutex<Option<Answers>>,
    /// What S3 holds, by path.
    objects: Mutex<HashMap<String, Bytes>>,
    /// Operations with their requests, in order.
    calls: Mutex<Vec<(String, Value)>>,
    /// What succeeded, by operation and name, each once: a caller that did not hear an answer asks again.
    done: Mutex<HashSet<(String, String)>>,
    succeeded: Semaphore,
}

/// Who signs, and whether anybody does.
#[derive(Debug)]
struct Signer(bool);

impl ProvideCredentials for Signer {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(match self.0 {
            true => Ok(Credentials::for_tests()),
            false => Err(CredentialsError::not_loaded("no profile, no role")),
        })
    }
}

impl FakeAws {
    pub(crate) async fn start() -> FakeAws {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            script: Mutex::default(),
            answers: Mutex::default(),
            objects: Mutex::default(),
            calls: Mutex::default(),
            done: Mutex::default(),
            succeeded: Semaphore::new(0),
        });
        let router = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        FakeAws { url, inner }
    }

    /// The next answers to an operation, before it succeeds.
    pub(crate) fn script(&self, operation: &'static str, answers: &[Answer]) {
        let mut script = self.inner.script.lock().unwrap();
        let next = script.entry(operation).or_default();
        next.extend(answers.iter().cloned());
    }

    /// Answers some operations by a function.
    pub(crate) fn answer_with(
        &self,
        answers: impl Fn(&str, &Value) -> Option<Value> + Send + 'static,
    ) {
        *self.inner.answers.lock().unwrap() = Some(Box::new(answers));
    }

    /// The real clients' settings, pointed here.
    fn settings(&self, is_signed: bool) -> ConfigLoader {
        Aws::settings()
            .endpoint_url(&self.url)
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Signer(is_signed)))
    }

    /// The real clients.
    pub(crate) async fn clients(&self, config: &Config) -> Aws {
        Aws::with(&self.settings(true).load().await, config)
    }

    /// The same without credentials.
    pub(crate) async fn clients_unsigned(&self, config: &Config) -> Aws {
        Aws::with(&self.settings(false).load().await, config)
    }

    /// The same with less patience than is good, for tests of silence.
    pub(crate) async fn clients_impatient(&self, config: &Config) -> Aws {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_millis(500))
            .build();
        let settings = self.settings(true).timeout_config(timeouts);
        Aws::with(&settings.load().await, config)
    }

    /// Requests of an operation so far.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Value> {
        let calls = self.inner.calls.lock().unwrap();
        let of_it = calls.iter().filter(|(name, _)| name == operation);
        of_it.map(|(_, request)| request.clone()).collect()
    }

    /// The keys of S3's objects, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let objects = self.inner.objects.lock().unwrap();
        let mut keys: Vec<String> = objects
            .keys()
            .filter_map(|path| Some(path.trim_start_matches('/').split_once('/')?.1.to_owned()))
            .collect();
        keys.sort();
        keys
    }

    /// An object of S3.
    pub(crate) fn object(&self, key: &str) -> Option<Bytes> {
        let objects = self.inner.objects.lock().unwrap();
        let found = objects.iter().find(|(path, _)| path.ends_with(key));
        found.map(|(_, object)| object.clone())
    }

    /// All calls so far.
    pub(crate) fn count(&self) -> usize {
        self.inner.calls.lock().unwrap().len()
    }

    /// Waits until so many more calls that differ in operation or name have succeeded.
    pub(crate) async fn succeeded(&self, count: u32) {
        let permits = self.inner.succeeded.acquire_many(count).await.unwrap();
        permits.forget();
    }
}

async fn answer(State(fake): State<Arc<Inner>>, request: Request) -> Response {
    // S3 names no operation; all that is asked of it here is to keep an object and to give it back.
    let of_s3 = match *request.method() {
        Method::PUT => "PutObject",
        _ => "GetObject",
    };
    let operation = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.rsplit('.').next())
        .unwrap_or(of_s3)
        .to_owned();
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 16 << 20).await;
    let body = body.unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    fake.calls
        .lock()
        .unwrap()
        .push((operation.clone(), request.clone()));
    let scripted = {
        let mut script = fake.script.lock().unwrap();
        script
            .get_mut(operation.as_str())
            .and_then(VecDeque::pop_front)
    };
    match scripted {
        Some(Answer::Error(status, code)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let error = json!({"__type": code, "message": "as the test has it"});
            (status, Json(error)).into_response()
        }
        Some(Answer::Silence) => std::future::pending().await,
        None => {
            let name = request["name"].as_str().unwrap_or_default().to_owned();
            if fake.done.lock().unwrap().insert((operation.clone(), name)) {
                fake.succeeded.add_permits(1);
            }
            let answers = fake.answers.lock().unwrap();
            let told = answers
                .as_ref()
                .and_then(|answers| answers(&operation, &request));
            if let Some(told) = told {
                return Json(told).into_response();
            }
            drop(answers);
            match operation.as_str() {
                "PutObject" => {
                    fake.objects.lock().unwrap().insert(path, body);
                    StatusCode::OK.into_response()
                }
                "GetObject" => match fake.objects.lock().unwrap().get(&path) {
                    Some(object) => object.clone().into_response(),
                    None => StatusCode::NOT_FOUND.into_response(),
                },
                _ => success(&operation, &request),
            }
        }
    }
}

/// The least that an operation answers.
fn success(operation: &str, request: &Value) -> Response {
    let name = request["name"].as_str().unwrap_or_default();
    let execution = "arn:aws:states:us-east-1:000000000000:execution:gantry-media";
    let event = |id: i64, kind: &str| json!({"id": id, "previousEventId": id - 1, "timestamp": 1_000.0 + id as f64, "type": kind});
    Json(match operation {
        "StartExecution" => json!({"executionArn": format!("{execution}:{name}"), "startDate": 1_000.0}),
        "RedriveExecution" => json!({"redriveDate": 1_000.0}),
        "StopExecution" => json!({"stopDate": 1_000.0}),
        "DescribeStateMachineForExecution" => json!({
            "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:gantry-media",
            "name": "gantry-media", "roleArn": "arn:aws:iam::000000000000:role/gantry", "updateDate": 1.0,
            "definition": r#"{"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}"#,
        }),
        "GetExecutionHistory" => json!({"events": [event(1, "ExecutionStarted"), event(2, "ExecutionSucceeded")]}),
        "GetQueueAttributes" => json!({"Attributes": {
            "ApproximateNumberOfMessages": "7", "ApproximateNumberOfMessagesNotVisible": "2"}}),
        _ => json!({}),
    })
    .into_response()
}
