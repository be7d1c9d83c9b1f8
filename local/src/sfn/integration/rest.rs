//! Lambda's REST operations by name, for `aws-sdk:lambda`.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html>

use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::lambda::{Lambda, api};
use crate::wire::AwsError;

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Calls an operation; its name begins with a small letter.
pub async fn lambda(lambda: &Lambda, action: &str, input: &Value) -> Result<Value, AwsError> {
    let text = |member: &str| input[member].as_str().unwrap_or_default();
    let function = text("FunctionName");
    let (method, path) = match action {
        "invoke" => return invoke(lambda, input).await,
        "getFunction" => (Method::GET, format!("/{function}")),
        "getFunctionConfiguration" => (Method::GET, format!("/{function}/configuration")),
        "listFunctions" => (Method::GET, String::new()),
        "listVersionsByFunction" => (Method::GET, format!("/{function}/versions")),
        "listAliases" => (Method::GET, format!("/{function}/aliases")),
        "getAlias" => (Method::GET, format!("/{function}/aliases/{}", text("Name"))),
        "publishVersion" => (Method::POST, format!("/{function}/versions")),
        "createAlias" => (Method::POST, format!("/{function}/aliases")),
        "updateAlias" => (Method::PUT, format!("/{function}/aliases/{}", text("Name"))),
        "deleteAlias" => (
            Method::DELETE,
            format!("/{function}/aliases/{}", text("Name")),
        ),
        "deleteFunction" => (Method::DELETE, format!("/{function}")),
        _ => return Err(AwsError::unknown_operation("Lambda", action, &[])),
    };
    let mut uri = format!("/2015-03-31/functions{path}");
    let mut separator = '?';
    for member in ["Qualifier", "Marker", "MaxItems", "FunctionVersion"] {
        let value = match &input[member] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        uri.push_str(&format!("{separator}{member}={value}"));
        separator = '&';
    }
    let body = if method == Method::GET || method == Method::DELETE {
        String::new()
    } else {
        input.to_string()
    };
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .body(Body::from(body));
    let request =
        request.map_err(|error| AwsError::bad_request("ValidationException", error.to_string()))?;
    let response = api::answer(lambda, request).await;
    let status = response.status();
    let code = response.headers().get("x-amzn-errortype").cloned();
    let body = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
    let body: Value = body
        .ok()
        .and_then(|body| serde_json::from_slice(&body).ok())
        .unwrap_or_else(|| json!({}));
    if status.is_success() {
        return Ok(body);
    }
    let code = code.and_then(|code| code.to_str().ok().map(str::to_owned));
    let message = body["message"].as_str().unwrap_or_default();
    Err(AwsError::new(
        status.as_u16(),
        code.as_deref().unwrap_or("ServiceException"),
        message,
    ))
}

/// A function that fails is no error of the request: its answer says so.
async fn invoke(lambda: &Lambda, input: &Value) -> Result<Value, AwsError> {
    if input["InvocationType"]
        .as_str()
        .is_some_and(|kind| kind != "RequestResponse")
    {
        return Err(AwsError::unknown_operation(
            "Lambda",
            "Invoke with an InvocationType",
            &[],
        ));
    }
    let name = input["FunctionName"].as_str().unwrap_or_default();
    let function = match input["Qualifier"].as_str() {
        Some(qualifier) => format!("{name}:{qualifier}"),
        None => name.to_owned(),
    };
    let payload = input["Payload"].as_str().unwrap_or("{}");
    let done = lambda
        .invoke(&function, Bytes::copy_from_slice(payload.as_bytes()))
        .await?;
    let mut answer = json!({
        "ExecutedVersion": done.executed_version,
        "Payload": String::from_utf8_lossy(&done.payload),
        "StatusCode": 200,
    });
    if input["LogType"].as_str() == Some("Tail") {
        answer["LogResult"] = json!(done.log_result());
    }
    if let Some(error) = done.function_error {
        answer["FunctionError"] = json!(error);
    }
    Ok(answer)
}
