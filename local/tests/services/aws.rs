//! A `local` for one test, and the requests that AWS's clients would send it.

use std::path::Path;
use std::time::Duration;

use local::{Config, Server, serve};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Aws {
    pub server: Server,
    pub client: Client,
    pub endpoint: String,
}

impl Aws {
    pub async fn start(data: &Path) -> Aws {
        Aws::start_with(data, |_| {}).await
    }

    pub async fn start_with(data: &Path, change: impl FnOnce(&mut Config)) -> Aws {
        let mut config = Config::new(data);
        config.port = 0;
        change(&mut config);
        let server = serve(config).await.unwrap();
        let endpoint = server.endpoint();
        let client = Client::builder().no_proxy().build().unwrap();
        Aws {
            server,
            client,
            endpoint,
        }
    }

    /// An operation of a JSON service, as boto3 and the SDKs call it.
    pub async fn call(&self, target: &str, input: Value) -> Result<Value, (u16, Value)> {
        let response = self
            .client
            .post(&self.endpoint)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .body(input.to_string())
            .send()
            .await
            .unwrap();
        answer(response).await
    }

    pub async fn ecr(&self, operation: &str, input: Value) -> Result<Value, (u16, Value)> {
        self.call(
            &format!("AmazonEC2ContainerRegistry_V20150921.{operation}"),
            input,
        )
        .await
    }

    pub async fn logs(&self, operation: &str, input: Value) -> Result<Value, (u16, Value)> {
        self.call(&format!("Logs_20140328.{operation}"), input)
            .await
    }

    pub async fn kinesis(&self, operation: &str, input: Value) -> Result<Value, (u16, Value)> {
        self.call(&format!("Kinesis_20131202.{operation}"), input)
            .await
    }

    /// A request of Lambda's REST API.
    pub async fn lambda(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, (u16, Value)> {
        let url = format!("{}/2015-03-31/functions{path}", self.endpoint);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        answer(
            self.client
                .request(method, url)
                .body(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Invokes; gives the answer and what `X-Amz-Function-Error` said.
    pub async fn invoke(&self, function: &str, event: Value) -> (Value, Option<String>) {
        let response = self.send_event(function, &event).await;
        assert_eq!(response.status(), StatusCode::OK);
        let error = response
            .headers()
            .get("x-amz-function-error")
            .map(|value| value.to_str().unwrap().to_owned());
        (
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
            error,
        )
    }

    pub async fn send_event(&self, function: &str, event: &Value) -> Response {
        let url = format!(
            "{}/2015-03-31/functions/{function}/invocations",
            self.endpoint
        );
        self.client
            .post(url)
            .body(event.to_string())
            .send()
            .await
            .unwrap()
    }

    /// Makes a function of the test image with the given settings over the defaults.
    pub async fn function(&self, name: &str, settings: Value) {
        let host = self.endpoint.strip_prefix("http://").unwrap();
        let mut body = json!({
            "FunctionName": name,
            "PackageType": "Image",
            "Role": "arn:aws:iam::000000000000:role/worker",
            "Code": {"ImageUri": format!("{host}/gantry:1")},
            "Timeout": 20,
            "ImageConfig": {"Command": ["work"]},
        });
        for (member, value) in settings.as_object().unwrap() {
            body[member] = value.clone();
        }
        self.lambda(Method::POST, "", body).await.unwrap();
    }
}

pub async fn answer(response: Response) -> Result<Value, (u16, Value)> {
    let status = response.status();
    let kind = response
        .headers()
        .get("x-amzn-errortype")
        .map(|value| value.to_str().unwrap().to_owned());
    let body = response.bytes().await.unwrap();
    let mut value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(value);
    }
    if let (Some(kind), Some(_)) = (kind, value.as_object()) {
        value["__type"] = json!(kind);
    }
    Err((status.as_u16(), value))
}

/// The error's name and message.
pub fn refused(result: Result<Value, (u16, Value)>) -> (u16, String, String) {
    let (status, body) = result.expect_err("an error");
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    (status, text("__type"), text("message"))
}

/// Asks again and again until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let asking = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come about"))
}

/// Whether a process still does anything (a zombie does not).
pub fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// A named pipe: opening one end waits for the other.
pub fn fifo(directory: &Path, name: &str) -> String {
    let path = directory.join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path.to_str().unwrap().to_owned()
}

/// Opens the writing end, which waits until somebody reads.
pub async fn open_to_write(path: &str) -> std::fs::File {
    let path = path.to_owned();
    let open = tokio::task::spawn_blocking(move || std::fs::File::create(path).unwrap());
    tokio::time::timeout(PATIENCE, open)
        .await
        .expect("somebody reads")
        .unwrap()
}

/// Reads all of a pipe.
pub async fn read_all(path: &str) -> String {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap());
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("somebody writes")
        .unwrap()
}
