//! Integrations: what a state machine has done elsewhere, and in which words.
//!
//! Owns the way from a task's resource and parameters to the service that is meant, and its answers and errors
//! as Step Functions gives them. Refuses to know of executions: the driver tells them how it went.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html>

mod bus;
mod function;
mod nested;
mod queue;
mod rest;
mod sdk;

use std::sync::{Arc, OnceLock, Weak};

use asl::Resource;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use nested::{End, is_nested};

use super::Sfn;
use crate::cloudwatch::CloudWatch;
use crate::ecr::Ecr;
use crate::events::Events;
use crate::kinesis::Kinesis;
use crate::lambda::Lambda;
use crate::logs::Logs;
use crate::s3::Storage;
use crate::sqs::Sqs;
use crate::wire::AwsError;

/// The services that state machines can call.
pub struct Peers {
    /// Lambda.
    pub lambda: Arc<Lambda>,
    /// EventBridge.
    pub events: Arc<Events>,
    /// SQS.
    pub sqs: Arc<Sqs>,
    /// Kinesis Data Streams.
    pub kinesis: Arc<Kinesis>,
    /// CloudWatch Logs.
    pub logs: Arc<Logs>,
    /// CloudWatch metrics.
    pub cloudwatch: Arc<CloudWatch>,
    /// ECR.
    pub ecr: Arc<Ecr>,
    /// S3.
    pub s3: Storage,
    /// Step Functions itself, once it is open.
    pub sfn: OnceLock<Weak<Sfn>>,
}

/// Why a task failed: the error's name and what people are told.
pub type Fault = (String, String);

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// ARN of the execution.
    pub execution_arn: String,
    /// ARN of its state machine.
    pub machine_arn: String,
    /// Which task of the execution, for what must not be done twice.
    pub task: u64,
}

impl Peers {
    /// Does what a task's resource says.
    pub async fn call(
        &self,
        caller: &Caller,
        resource: &str,
        parameters: Value,
    ) -> Result<Value, Fault> {
        let (service, action) = match Resource::of(resource) {
            Resource::Function => return function::plain(&self.lambda, resource, parameters).await,
            Resource::Activity => return Err(not_supported(resource)),
            Resource::Service { service, action } => (service, action),
        };
        let verb = action.split('.').next().unwrap_or_default();
        match (service, verb) {
            ("lambda", "invoke") => function::invoke(&self.lambda, &parameters).await,
            ("sqs", "sendMessage") => queue::send(&self.sqs, parameters).await,
            ("events", "putEvents") => bus::put(&self.events, caller, parameters).await,
            ("states", "startExecution") => {
                let sfn = self.sfn()?;
                nested::start(&sfn, caller, &parameters).await
            }
            _ => match service.strip_prefix("aws-sdk:") {
                Some(service) => sdk::call(self, service, verb, parameters).await,
                None => Err(not_supported(resource)),
            },
        }
    }

    /// Step Functions, unless `local` is stopping.
    fn sfn(&self) -> Result<Arc<Sfn>, Fault> {
        let sfn = self.sfn.get().and_then(Weak::upgrade);
        sfn.ok_or_else(|| ("States.Runtime".to_owned(), "local is stopping.".to_owned()))
    }
}

/// What an optimised integration adds to an answer: how it came over HTTP.
fn with_metadata(answer: Value) -> Value {
    let request_id = Uuid::new_v4().to_string();
    let length = answer.to_string().len().to_string();
    let Value::Object(mut answer) = answer else {
        return answer;
    };
    let headers = [
        ("x-amzn-RequestId", request_id.as_str()),
        ("connection", "keep-alive"),
        ("Content-Length", &length),
        ("Date", &http_date()),
        ("Content-Type", "application/x-amz-json-1.0"),
    ];
    // The answer's members come in the order of their names.
    answer.insert("SdkHttpMetadata".into(), http_metadata(&headers));
    answer.insert(
        "SdkResponseMetadata".into(),
        json!({"RequestId": request_id}),
    );
    sorted(answer)
}

/// Headers as they came, and once more by name.
fn http_metadata(headers: &[(&str, &str)]) -> Value {
    let all: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!([value])))
        .collect();
    let mut by_name = headers.to_vec();
    by_name.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let by_name: Map<String, Value> = by_name
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    json!({"AllHttpHeaders": all, "HttpHeaders": by_name, "HttpStatusCode": 200})
}

/// The time as HTTP writes it (RFC 9110, 5.6.7).
fn http_date() -> String {
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    date.to_string()
}

fn sorted(object: Map<String, Value>) -> Value {
    let mut members: Vec<(String, Value)> = object.into_iter().collect();
    members.sort_by(|one, other| one.0.cmp(&other.0));
    Value::Object(members.into_iter().collect())
}

/// A refusal in the words of the older of AWS's SDKs, which the optimised integrations use.
fn refused(prefix: &str, service: &str, class: &str, error: &AwsError) -> Fault {
    let cause = format!(
        "{} (Service: {service}; Status Code: {}; Error Code: {}; Request ID: {}; Proxy: null)",
        error.message,
        error.status,
        error.code,
        Uuid::new_v4()
    );
    (format!("{prefix}.{class}"), cause)
}

/// The name of the exception for an error: all but some names of errors end so.
fn exception(code: &str) -> String {
    if code.ends_with("Exception") {
        code.to_owned()
    } else {
        format!("{code}Exception")
    }
}

fn not_supported(what: &str) -> Fault {
    (
        "States.Runtime".into(),
        format!("not supported yet: local does not run {what}. Use AWS itself for it."),
    )
}
