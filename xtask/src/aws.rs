//! AWS's wire formats as the deployment speaks them, to an endpoint that does not ask for signatures except for
//! S3 objects. Owns requests and the reading of errors; knows no resource of Gantry.

use std::time::Duration;

use anyhow::Context;
use rusty_s3::S3Action;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{AsSendBody, Body};

/// The account, region and credentials of the local endpoint.
pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";
pub const ACCESS_KEY_ID: &str = "local";
pub const SECRET_ACCESS_KEY: &str = "local";

/// An AWS endpoint.
#[derive(Clone)]
pub struct Aws {
    endpoint: String,
    agent: ureq::Agent,
}

/// An operation that AWS refused, in its words.
#[derive(Debug)]
pub struct Refused {
    operation: String,
    status: u16,
    /// The error's name, such as `ResourceNotFoundException`.
    pub code: String,
    message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Refused {
            operation,
            status,
            code,
            message,
        } = self;
        write!(f, "{operation} was refused: {code} ({status}): {message}")
    }
}

impl std::error::Error for Refused {}

/// Whether an operation failed because of one of these named errors.
pub fn refused_as<T>(result: &anyhow::Result<T>, codes: &[&str]) -> bool {
    result.as_ref().is_err_and(|error| {
        error
            .downcast_ref::<Refused>()
            .is_some_and(|refused| codes.contains(&refused.code.as_str()))
    })
}

/// An HTTP client that leaves statuses to its caller and gives up on a silent endpoint.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(120)))
        .max_redirects(0)
        .build()
        .new_agent()
}

impl Aws {
    /// The endpoint at an address such as `http://127.0.0.1:4566`.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Aws {
            endpoint: endpoint.into(),
            agent: agent(),
        }
    }

    /// The endpoint's address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Calls an operation of a JSON service; `target` is `Prefix.Operation`.
    /// <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>
    pub fn json(&self, target: &str, input: &Value) -> anyhow::Result<Value> {
        let request = Request::post(&self.endpoint)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(input.to_string())?;
        let operation = target.rsplit('.').next().unwrap_or(target);
        self.value(operation, request)
    }

    /// Calls an operation of a REST service, such as Lambda's.
    /// <https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html>
    pub fn rest(&self, method: &str, path: &str, input: Option<&Value>) -> anyhow::Result<Value> {
        let body = input.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("content-type", "application/json")
            .body(body)?;
        self.value(&format!("{method} {path}"), request)
    }

    /// Sends a request as it is; the status is the caller's to judge.
    pub fn send(&self, request: Request<impl AsSendBody>) -> anyhow::Result<Response<Body>> {
        let uri = request.uri().clone();
        self.agent
            .run(request)
            .with_context(|| format!("{uri} did not answer"))
    }

    /// Creates a bucket; fine if it exists.
    pub fn create_bucket(&self, name: &str) -> anyhow::Result<()> {
        let endpoint = self
            .endpoint
            .parse()
            .context("the endpoint is no address")?;
        let bucket =
            rusty_s3::Bucket::new(endpoint, rusty_s3::UrlStyle::Path, name.to_owned(), REGION)
                .context("the bucket's name is not valid")?;
        let credentials = rusty_s3::Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        let address = bucket
            .create_bucket(&credentials)
            .sign(Duration::from_secs(300));
        let mut response = self.send(Request::put(address.as_str()).body(())?)?;
        let answer = response.body_mut().read_to_string().unwrap_or_default();
        anyhow::ensure!(
            response.status().is_success() || answer.contains("BucketAlready"),
            "CreateBucket was refused ({}): {}",
            response.status(),
            answer.trim()
        );
        Ok(())
    }

    fn value(&self, operation: &str, request: Request<String>) -> anyhow::Result<Value> {
        let mut response = self.send(request)?;
        let status = response.status();
        let named = response
            .headers()
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let text = response.body_mut().read_to_string()?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let code = named
            .as_deref()
            .or_else(|| value["__type"].as_str())
            .unwrap_or_default();
        // `namespace#Name:address` carries only the name that matters.
        let code = code
            .rsplit('#')
            .next()
            .unwrap_or(code)
            .split(':')
            .next()
            .unwrap_or(code);
        let message = ["message", "Message", "errorMessage"]
            .iter()
            .find_map(|field| value[field].as_str())
            .unwrap_or(text.trim());
        Err(Refused {
            operation: operation.to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            message: message.to_owned(),
        }
        .into())
    }
}
