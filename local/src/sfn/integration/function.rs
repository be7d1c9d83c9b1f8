//! Lambda functions: by their own ARN, and by `lambda:invoke`.
//!
//! Owns the translation between Step Functions' and Lambda's words, errors included.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html>

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Fault, not_supported};
use crate::lambda::{Invocation, Lambda};
use crate::wire::AwsError;

/// Invokes the function that the resource names.
pub async fn plain(lambda: &Lambda, function: &str, payload: Value) -> Result<Value, Fault> {
    let payload = Bytes::from(payload.to_string());
    output(&call(lambda, function, payload).await?)
}

/// Invokes the function that the parameters name.
pub async fn invoke(lambda: &Lambda, parameters: &Value) -> Result<Value, Fault> {
    let function = qualified(parameters)?;
    if parameters["InvocationType"].as_str() == Some("Event") {
        return Err(not_supported("InvocationType Event"));
    }
    let invocation = call(lambda, &function, payload(&parameters["Payload"])).await;
    let invocation = invocation.map_err(|(error, cause)| (error, compact(cause)))?;
    answer(&invocation, parameters["LogType"].as_str() == Some("Tail"))
}

/// The function that `FunctionName` and `Qualifier` name together.
fn qualified(parameters: &Value) -> Result<String, Fault> {
    let Some(function) = parameters["FunctionName"].as_str() else {
        return Err((
            "States.Runtime".into(),
            "The parameter FunctionName of arn:aws:states:::lambda:invoke must be a string.".into(),
        ));
    };
    Ok(match parameters["Qualifier"].as_str() {
        Some(qualifier) => format!("{function}:{qualifier}"),
        None => function.to_owned(),
    })
}

/// The event that the parameter `Payload` stands for: none is an empty object, and a string that holds JSON is
/// that JSON.
fn payload(given: &Value) -> Bytes {
    match given {
        Value::Null => Bytes::from_static(b"{}"),
        Value::String(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            Bytes::copy_from_slice(text.as_bytes())
        }
        value => Bytes::from(value.to_string()),
    }
}

/// A function's error as the integration writes it: JSON without spaces.
fn compact(cause: String) -> String {
    match serde_json::from_str::<Value>(&cause) {
        Ok(value) => value.to_string(),
        Err(_) => cause,
    }
}

async fn call(lambda: &Lambda, function: &str, payload: Bytes) -> Result<Invocation, Fault> {
    let invocation = lambda.invoke(function, payload).await.map_err(refused)?;
    match invocation.function_error {
        Some(_) => Err(failed(&invocation.payload)),
        None => Ok(invocation),
    }
}

/// The function's answer; an empty one is null.
fn output(invocation: &Invocation) -> Result<Value, Fault> {
    if invocation.payload.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&invocation.payload).map_err(|error| {
        (
            "Lambda.Unknown".into(),
            format!("The function's answer is not JSON: {error}"),
        )
    })
}

/// The answer of Lambda's Invoke API as the integration gives it.
fn answer(invocation: &Invocation, wants_log: bool) -> Result<Value, Fault> {
    let log = wants_log.then(|| invocation.log_result());
    let date = super::http_date();
    let length = invocation.payload.len().to_string();
    let trace = format!("Root=1-{}", uuid::Uuid::new_v4().simple());
    let mut headers = vec![
        (
            "X-Amz-Executed-Version",
            invocation.executed_version.as_str(),
        ),
        ("x-amzn-Remapped-Content-Length", "0"),
        ("Connection", "keep-alive"),
        ("x-amzn-RequestId", &invocation.request_id),
        ("Content-Length", &length),
        ("Date", &date),
        ("X-Amzn-Trace-Id", &trace),
        ("Content-Type", "application/json"),
    ];
    if let Some(log) = &log {
        headers.insert(0, ("X-Amz-Log-Result", log));
    }
    let mut answer = json!({"ExecutedVersion": invocation.executed_version});
    if let Some(log) = &log {
        answer["LogResult"] = json!(log);
    }
    answer["Payload"] = output(invocation)?;
    answer["SdkHttpMetadata"] = super::http_metadata(&headers);
    answer["SdkResponseMetadata"] = json!({"RequestId": invocation.request_id});
    answer["StatusCode"] = json!(200);
    Ok(answer)
}

/// A function that failed: its own error type, and its whole answer as the cause.
fn failed(payload: &[u8]) -> Fault {
    let cause = String::from_utf8_lossy(payload).into_owned();
    let body: Value = serde_json::from_slice(payload).unwrap_or_default();
    let error = match body["errorType"].as_str() {
        Some(error) if !error.is_empty() => error.to_owned(),
        // A sandbox that was killed (out of time, out of memory) leaves no error type.
        _ => "Lambda.Unknown".to_owned(),
    };
    (error, cause)
}

/// Lambda itself refused.
fn refused(error: AwsError) -> Fault {
    let name = if error.status >= 500 && !error.code.ends_with("Exception") {
        "Lambda.ServiceException".to_owned()
    } else {
        format!("Lambda.{}", error.code)
    };
    let cause = format!(
        "{} (Service: AWSLambda; Status Code: {}; Error Code: {}; Request ID: {}; Proxy: null)",
        error.message,
        error.status,
        error.code,
        uuid::Uuid::new_v4()
    );
    (name, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_error_keeps_its_type_and_payload() {
        let payload = br#"{"errorType":"Media.Broken","errorMessage":"no"}"#;
        let (error, cause) = failed(payload);
        assert_eq!(
            (error.as_str(), cause.as_bytes()),
            ("Media.Broken", &payload[..])
        );
        assert_eq!(
            failed(br#"{"errorMessage":"Task timed out"}"#).0,
            "Lambda.Unknown"
        );
    }

    #[test]
    fn lambdas_errors_get_its_prefix() {
        let throttled = AwsError::new(429, "TooManyRequestsException", "Rate Exceeded.");
        assert_eq!(refused(throttled).0, "Lambda.TooManyRequestsException");
        let broken = AwsError::new(500, "InternalServerError", "x");
        assert_eq!(refused(broken).0, "Lambda.ServiceException");
    }

    #[test]
    fn payloads_of_the_integration() {
        assert_eq!(payload(&Value::Null), "{}");
        assert_eq!(payload(&json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(payload(&json!("true")), "true");
        assert_eq!(payload(&json!("hello")), r#""hello""#);
        assert_eq!(compact(r#"{"a": [1, 2]}"#.into()), r#"{"a":[1,2]}"#);
        assert_eq!(compact("not { json".into()), "not { json");
    }

    #[test]
    fn a_qualifier_is_added_to_the_function() {
        let parameters = json!({"FunctionName": "f", "Qualifier": "live"});
        assert_eq!(qualified(&parameters).unwrap(), "f:live");
        assert_eq!(qualified(&json!({})).unwrap_err().0, "States.Runtime");
    }
}
