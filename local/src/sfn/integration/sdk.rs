//! `aws-sdk:SERVICE:ACTION`: any operation that the services here play.
//!
//! Owns the casing: state machines write and read the names of members in PascalCase, whatever the service's
//! own are; and the names of errors, which are those of AWS's SDK for Java.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html>

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Fault, Peers, exception, not_supported, rest};
use crate::wire::AwsError;

/// A service as state machines know it.
struct Service {
    /// In resources and events.
    name: &'static str,
    /// In the names of errors.
    class: &'static str,
    /// The service's own members begin with small letters.
    camel: bool,
    /// Its errors that have a class of their own, where the name does not end in `Exception`.
    modelled: &'static [&'static str],
    /// Its texts that hold JSON.
    json: &'static [&'static str],
}

const SERVICES: &[Service] = &[
    Service {
        name: "sfn",
        class: "Sfn",
        camel: true,
        // All of them.
        modelled: &["*"],
        json: &[],
    },
    Service {
        name: "sqs",
        class: "Sqs",
        camel: false,
        modelled: &[
            "BatchEntryIdsNotDistinct",
            "BatchRequestTooLong",
            "EmptyBatchRequest",
            "InvalidAttributeName",
            "InvalidAttributeValue",
            "InvalidBatchEntryId",
            "InvalidMessageContents",
            "MessageNotInflight",
            "OverLimit",
            "PurgeQueueInProgress",
            "QueueDeletedRecently",
            "QueueDoesNotExist",
            "QueueNameExists",
            "ReceiptHandleIsInvalid",
            "TooManyEntriesInBatchRequest",
            "UnsupportedOperation",
        ],
        json: &[],
    },
    Service {
        name: "s3",
        class: "S3",
        camel: false,
        modelled: &[
            "BucketAlreadyExists",
            "BucketAlreadyOwnedByYou",
            "InvalidObjectState",
            "NoSuchBucket",
            "NoSuchKey",
            "NoSuchUpload",
        ],
        json: &[],
    },
    Service {
        name: "lambda",
        class: "Lambda",
        camel: false,
        modelled: &[],
        json: &["Payload"],
    },
    Service {
        name: "kinesis",
        class: "Kinesis",
        camel: false,
        modelled: &[],
        json: &[],
    },
    Service {
        name: "cloudwatchlogs",
        class: "CloudWatchLogs",
        camel: true,
        modelled: &[],
        json: &[],
    },
    Service {
        name: "cloudwatch",
        class: "CloudWatch",
        camel: false,
        modelled: &[
            "InvalidParameterValue",
            "MissingRequiredParameter",
            "ResourceNotFound",
        ],
        json: &[],
    },
    Service {
        name: "ecr",
        class: "Ecr",
        camel: true,
        modelled: &[],
        json: &[],
    },
    Service {
        name: "eventbridge",
        class: "EventBridge",
        camel: false,
        modelled: &[],
        json: &[],
    },
];

/// Members whose values' names are their owner's and keep their case.
const MAPS: &[&str] = &["Attributes", "Environment", "Metadata", "Tags", "Variables"];

/// Calls an operation; `action` is its name with a small first letter.
pub async fn call(
    peers: &Peers,
    service: &str,
    action: &str,
    parameters: Value,
) -> Result<Value, Fault> {
    let what = || format!("aws-sdk:{service}:{action}");
    let Some(known) = SERVICES.iter().find(|known| known.name == service) else {
        return Err(not_supported(&what()));
    };
    let operation = capital(action);
    let mut input = parameters.clone();
    for member in known.json {
        if let Some(value) = input.get_mut(*member)
            && !value.is_string()
        {
            *value = json!(value.to_string());
        }
    }
    let input = if known.camel {
        renamed(input, small)
    } else {
        input
    };
    let answer = match service {
        // In a box: Step Functions calls itself here.
        "sfn" => {
            let sfn = peers.sfn()?;
            Box::pin(async move { sfn.call(&operation, input).await }).await
        }
        "sqs" => peers.sqs.call(&operation, input).await.map(of_sqs),
        "s3" => peers.s3.call(action, &input).await,
        "lambda" => rest::lambda(&peers.lambda, action, &input).await,
        "kinesis" => peers.kinesis.call(&operation, input).await,
        "cloudwatchlogs" => peers.logs.call(&operation, input).await,
        "cloudwatch" => peers.cloudwatch.call(&operation, input).await,
        "ecr" => peers.ecr.call(&operation, input).await,
        _ => peers.events.call(&operation, input).await,
    };
    match answer {
        Ok(answer) if known.camel => Ok(answered(renamed(answer, capital), known.name)),
        Ok(answer) => Ok(answered(answer, known.name)),
        Err(error) if error.code == "UnknownOperationException" => Err(not_supported(&what())),
        Err(error) if error.code == "SerializationException" => Err((
            "States.Runtime".into(),
            format!(
                "The Parameters '{parameters}' could not be used to start the Task: [{}]",
                error.message
            ),
        )),
        Err(error) => Err(fault(known, &error)),
    }
}

/// SQS's answers with the SDK's names.
fn of_sqs(answer: Value) -> Value {
    let renamed = renamed(answer, |name| match name.strip_prefix("MD5Of") {
        Some(rest) => format!("Md5Of{rest}"),
        None => name.to_owned(),
    });
    match renamed {
        Value::Object(mut members) => {
            members.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
            Value::Object(members)
        }
        other => other,
    }
}

fn fault(service: &Service, error: &AwsError) -> Fault {
    let modelled = error.code.ends_with("Exception")
        || service.modelled.contains(&error.code.as_str())
        || service.modelled == ["*"];
    let class = if modelled {
        exception(&error.code)
    } else {
        format!("{}Exception", service.class)
    };
    let (message, name, status) = (&error.message, service.class, error.status);
    let request = Uuid::new_v4();
    let cause = if service.name == "s3" {
        let more = Uuid::new_v4().simple();
        format!(
            "{message} (Service: {name}, Status Code: {status}, Request ID: {request}, Extended Request ID: {more})"
        )
    } else {
        format!(
            "{message} (Service: {name}, Status Code: {status}, Request ID: {request}) (SDK Attempt Count: 1)"
        )
    };
    (format!("{name}.{class}"), cause)
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}

fn small(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_ascii_lowercase().to_string() + chars.as_str()
    })
}

/// Renames the members of objects, all the way down.
fn renamed(value: Value, rename: fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let is_map = value.is_object() && MAPS.contains(&capital(&name).as_str());
                    let value = if is_map {
                        value
                    } else {
                        renamed(value, rename)
                    };
                    (rename(&name), value)
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(
            values
                .into_iter()
                .map(|value| renamed(value, rename))
                .collect(),
        ),
        other => other,
    }
}

/// An answer as states see it: nothing is null, and times are texts.
fn answered(value: Value, service: &str) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, value) in members {
                let is_time = ["Date", "CreatedAt", "PushedAt", "PullTime", "Timestamp"]
                    .iter()
                    .any(|end| name.ends_with(end));
                match value {
                    Value::Null => {}
                    Value::Number(seconds) if is_time && service != "cloudwatchlogs" => {
                        let ms = seconds.as_f64().unwrap_or(0.0) * 1000.0;
                        let at = jiff::Timestamp::from_millisecond(ms.round() as i64);
                        let text = at.map_or(String::new(), |at| format!("{at:.3}"));
                        kept.insert(name, json!(text));
                    }
                    value => {
                        kept.insert(name, answered(value, service));
                    }
                }
            }
            Value::Object(kept)
        }
        Value::Array(values) => Value::Array(
            values
                .into_iter()
                .map(|value| answered(value, service))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> &'static Service {
        SERVICES.iter().find(|known| known.name == name).unwrap()
    }

    #[test]
    fn names_of_members() {
        let asked = json!({"StateMachineArn": "a", "Tags": [{"Key": "k"}]});
        let expected = json!({"stateMachineArn": "a", "tags": [{"key": "k"}]});
        assert_eq!(renamed(asked, small), expected);
        let attributes = json!({"Attributes": {"delaySeconds": "1"}});
        assert_eq!(renamed(attributes.clone(), capital), attributes);
        let answer = json!({"StartDate": 1_700_000_000.123, "NextToken": null});
        assert_eq!(
            answered(answer, "sfn"),
            json!({"StartDate": "2023-11-14T22:13:20.123Z"})
        );
        let messages = json!({"Messages": []});
        assert_eq!(of_sqs(messages), json!({}));
    }

    #[test]
    fn names_of_errors() {
        let name = |known, code| fault(service(known), &AwsError::bad_request(code, "m")).0;
        assert_eq!(name("sfn", "InvalidToken"), "Sfn.InvalidTokenException");
        assert_eq!(name("s3", "NoSuchKey"), "S3.NoSuchKeyException");
        assert_eq!(name("s3", "InvalidBucketName"), "S3.S3Exception");
        assert_eq!(
            name("sqs", "QueueDoesNotExist"),
            "Sqs.QueueDoesNotExistException"
        );
        assert_eq!(
            name("kinesis", "ResourceNotFoundException"),
            "Kinesis.ResourceNotFoundException"
        );
    }
}
