//! Lambda's REST API.
//!
//! Owns paths, the checks of what clients give, and the shape of answers.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html>

use std::collections::{BTreeMap, HashMap};

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::function::{FunctionConfig, LATEST, invalid, parse_name};
use super::settings::Settings;
use super::{Lambda, PAYLOAD_BYTES_MAX, alias, describe};
use crate::wire::{AwsError, input, now_ms, rest_answer, rest_error};

const OPERATIONS: &[&str] = &[
    "CreateFunction",
    "GetFunction",
    "GetFunctionConfiguration",
    "ListFunctions",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "DeleteFunction",
    "PublishVersion",
    "ListVersionsByFunction",
    "CreateAlias",
    "GetAlias",
    "UpdateAlias",
    "DeleteAlias",
    "ListAliases",
    "Invoke",
];

/// Whether a path is Lambda's.
pub fn owns(path: &str) -> bool {
    path.strip_prefix("/20").is_some_and(|rest| {
        let rest = rest.as_bytes();
        rest.len() > 8 && rest[2] == b'-' && rest[5] == b'-' && rest[8..].starts_with(b"/functions")
    })
}

/// Answers one request.
pub async fn answer(lambda: &Lambda, request: Request) -> Response<Body> {
    route(lambda, request)
        .await
        .unwrap_or_else(|error| rest_error(&error))
}

async fn route(lambda: &Lambda, request: Request) -> Result<Response<Body>, AwsError> {
    let (parts, body) = request.into_parts();
    let query: HashMap<String, String> = Query::try_from_uri(&parts.uri)
        .map(|Query(query)| query)
        .unwrap_or_default();
    let path = decode(parts.uri.path())?;
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(3).collect();
    let body = axum::body::to_bytes(body, PAYLOAD_BYTES_MAX + 1024 * 1024)
        .await
        .map_err(|_| {
            AwsError::new(
                413,
                "RequestTooLargeException",
                "The request is too large or broke off.",
            )
        })?;
    let ok = |value: Value| Ok(rest_answer(StatusCode::OK, &value));
    let created = |value: Value| Ok(rest_answer(StatusCode::CREATED, &value));
    let gone = || Ok(rest_answer(StatusCode::NO_CONTENT, &Value::Null));
    let functions = &lambda.functions;
    match (&parts.method, segments.as_slice()) {
        (&Method::POST, []) => created(create(lambda, json_of(&body)?).await?),
        (&Method::GET, []) => ok(list(lambda, &query).await?),
        (method, [given, rest @ ..]) => {
            let (name, in_name) = parse_name(given)?;
            let qualifier = query.get("Qualifier").cloned().or(in_name);
            let qualifier = qualifier.as_deref();
            match (method, rest) {
                (&Method::GET, []) => {
                    let function = functions.resolve(&name, qualifier, 1.0).await?;
                    ok(json!({
                        "Configuration": describe::configuration(&function, qualifier),
                        "Code": {
                            "RepositoryType": "ECR",
                            "ImageUri": function.config.image_uri,
                            "ResolvedImageUri": describe::resolved_uri(&function.config),
                        },
                        "Tags": {},
                    }))
                }
                (&Method::DELETE, []) => {
                    functions.delete(&name, qualifier).await?;
                    lambda.pool.retire(&name);
                    gone()
                }
                (&Method::GET, ["configuration"]) => {
                    let function = functions.resolve(&name, qualifier, 1.0).await?;
                    ok(describe::configuration(&function, qualifier))
                }
                (&Method::PUT, ["configuration"]) => {
                    ok(update_configuration(lambda, &name, json_of(&body)?).await?)
                }
                (&Method::PUT, ["code"]) => ok(update_code(lambda, &name, json_of(&body)?).await?),
                (&Method::POST, ["versions"]) => {
                    created(publish(lambda, &name, json_of(&body)?).await?)
                }
                (&Method::GET, ["versions"]) => ok(versions(lambda, &name, &query).await?),
                (&Method::POST, ["aliases"]) => {
                    created(alias::put(lambda, &name, None, json_of(&body)?).await?)
                }
                (&Method::GET, ["aliases"]) => ok(alias::list(lambda, &name, &query).await?),
                (&Method::GET, ["aliases", alias]) => {
                    functions.latest(&name).await?;
                    ok(describe::alias(&functions.alias(&name, alias).await?))
                }
                (&Method::PUT, ["aliases", alias]) => {
                    ok(alias::put(lambda, &name, Some(alias), json_of(&body)?).await?)
                }
                (&Method::DELETE, ["aliases", alias]) => {
                    functions.delete_alias(&name, alias).await?;
                    gone()
                }
                (&Method::POST, ["invocations"]) => {
                    invoke(lambda, &name, qualifier, &parts.headers, body).await
                }
                _ => Err(unknown(method, parts.uri.path())),
            }
        }
        (method, _) => Err(unknown(method, parts.uri.path())),
    }
}

fn unknown(method: &Method, path: &str) -> AwsError {
    AwsError::unknown_operation("Lambda", &format!("{method} {path}"), OPERATIONS)
}

async fn create(lambda: &Lambda, body: Value) -> Result<Value, AwsError> {
    let (name, _) = parse_name(
        body["FunctionName"]
            .as_str()
            .ok_or_else(|| missing("FunctionName"))?,
    )?;
    if body["PackageType"].as_str() != Some("Image") {
        return Err(invalid(
            "local runs container images: PackageType must be Image",
        ));
    }
    let uri = body["Code"]["ImageUri"]
        .as_str()
        .ok_or_else(|| missing("Code.ImageUri"))?;
    let role = body["Role"].as_str().ok_or_else(|| missing("Role"))?;
    let (repository, digest) = lambda.pool.images().resolve(uri).await?;
    let mut config = FunctionConfig {
        description: String::new(),
        role: role.to_owned(),
        timeout_seconds: 3,
        memory_mb: 128,
        ephemeral_storage_mb: 512,
        environment: BTreeMap::new(),
        image_uri: uri.to_owned(),
        repository,
        digest,
        entry_point: None,
        command: None,
        working_directory: None,
        architecture: body["Architectures"][0]
            .as_str()
            .unwrap_or("x86_64")
            .to_owned(),
        // AWS's own default is Text; Gantry reads the JSON form.
        log_format: "JSON".to_owned(),
        log_group: format!("/aws/lambda/{name}"),
        modified_at_ms: now_ms(),
        revision_id: uuid::Uuid::new_v4().to_string(),
    };
    let publish = body["Publish"].as_bool().unwrap_or(false);
    let settings: Settings = input(body)?;
    settings.apply(&mut config)?;
    // Unpacked now, so that the first start is as quick as every other.
    lambda
        .pool
        .images()
        .get(&config.repository, &config.digest)
        .await?;
    lambda.logs.ensure_group(&config.log_group).await?;
    let function = lambda.functions.create(&name, &config).await?;
    if publish {
        return Ok(describe::configuration(
            &lambda.functions.publish(&name, None, None, None).await?,
            None,
        ));
    }
    Ok(describe::configuration(&function, None))
}

async fn update_configuration(lambda: &Lambda, name: &str, body: Value) -> Result<Value, AwsError> {
    let mut settings: Settings = input(body)?;
    let revision = settings.revision_id.take();
    let function = lambda
        .functions
        .update(name, revision.as_deref(), |config| settings.apply(config))
        .await?;
    lambda.logs.ensure_group(&function.config.log_group).await?;
    Ok(describe::configuration(&function, None))
}

async fn update_code(lambda: &Lambda, name: &str, body: Value) -> Result<Value, AwsError> {
    let uri = body["ImageUri"]
        .as_str()
        .ok_or_else(|| missing("ImageUri"))?;
    lambda.functions.latest(name).await?;
    let (repository, digest) = lambda.pool.images().resolve(uri).await?;
    lambda.pool.images().get(&repository, &digest).await?;
    if body["DryRun"].as_bool().unwrap_or(false) {
        return Ok(describe::configuration(
            &lambda.functions.latest(name).await?,
            None,
        ));
    }
    let change = |config: &mut FunctionConfig| {
        (config.image_uri, config.repository, config.digest) = (uri.to_owned(), repository, digest);
        if let Some(architecture) = body["Architectures"][0].as_str() {
            config.architecture = architecture.to_owned();
        }
        Ok(())
    };
    let function = lambda
        .functions
        .update(name, body["RevisionId"].as_str(), change)
        .await?;
    if body["Publish"].as_bool().unwrap_or(false) {
        return Ok(describe::configuration(
            &lambda.functions.publish(name, None, None, None).await?,
            None,
        ));
    }
    Ok(describe::configuration(&function, None))
}

async fn publish(lambda: &Lambda, name: &str, body: Value) -> Result<Value, AwsError> {
    let text = |member: &str| body[member].as_str();
    let published = lambda
        .functions
        .publish(
            name,
            text("RevisionId"),
            text("CodeSha256"),
            text("Description"),
        )
        .await?;
    Ok(describe::configuration(&published, None))
}

async fn list(lambda: &Lambda, query: &HashMap<String, String>) -> Result<Value, AwsError> {
    let limit = limit(query, 50);
    let found = lambda.functions.list(marker(query), limit).await?;
    let next = full(&found, limit).map(|last| last.name.clone());
    let mut values = Vec::new();
    for function in &found {
        values.push(describe::configuration(function, None));
        if query.get("FunctionVersion").map(String::as_str) == Some("ALL") {
            let versions = lambda.functions.versions(&function.name, 0, 10_000).await?;
            values.extend(
                versions
                    .iter()
                    .map(|version| describe::configuration(version, None)),
            );
        }
    }
    Ok(page("Functions", values, next))
}

async fn versions(
    lambda: &Lambda,
    name: &str,
    query: &HashMap<String, String>,
) -> Result<Value, AwsError> {
    let limit = limit(query, 50);
    let latest = lambda.functions.latest(name).await?;
    let after = marker(query);
    let found = lambda
        .functions
        .versions(name, after.parse().unwrap_or(0), limit)
        .await?;
    let next = full(&found, limit).map(|last| last.version.clone());
    let mut values = Vec::new();
    if after.is_empty() {
        values.push(describe::configuration(&latest, Some(LATEST)));
    }
    values.extend(
        found
            .iter()
            .map(|version| describe::configuration(version, None)),
    );
    Ok(page("Versions", values, next))
}

async fn invoke(
    lambda: &Lambda,
    name: &str,
    qualifier: Option<&str>,
    headers: &HeaderMap,
    payload: Bytes,
) -> Result<Response<Body>, AwsError> {
    let kind = headers
        .get("x-amz-invocation-type")
        .and_then(|value| value.to_str().ok());
    match kind.unwrap_or("RequestResponse") {
        "RequestResponse" => {}
        "DryRun" => {
            lambda.functions.resolve(name, qualifier, 1.0).await?;
            return Ok(rest_answer(StatusCode::NO_CONTENT, &Value::Null));
        }
        other => {
            return Err(invalid(format!(
                "local plays the invocation types RequestResponse and DryRun, not {other}"
            )));
        }
    }
    let payload = if payload.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        payload
    };
    let wants_log = headers
        .get("x-amz-log-type")
        .is_some_and(|value| value == "Tail");
    let invocation = lambda.invoke_here(name, qualifier, payload).await?;
    let log = wants_log.then(|| invocation.log_result());
    let mut response = Response::new(Body::from(invocation.payload));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let pairs = [
        ("x-amz-executed-version", Some(invocation.executed_version)),
        ("x-amz-function-error", invocation.function_error),
        ("x-amzn-requestid", Some(invocation.request_id)),
        ("x-amz-log-result", log),
    ];
    for (name, value) in pairs {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

fn json_of(body: &Bytes) -> Result<Value, AwsError> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| {
        AwsError::bad_request(
            "InvalidRequestContentException",
            format!("Could not parse request body into json: {error}"),
        )
    })
}

pub(super) fn missing(member: &str) -> AwsError {
    AwsError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

pub(super) fn marker(query: &HashMap<String, String>) -> &str {
    query.get("Marker").map_or("", String::as_str)
}

pub(super) fn limit(query: &HashMap<String, String>, most: i64) -> i64 {
    query
        .get("MaxItems")
        .and_then(|given| given.parse().ok())
        .unwrap_or(most)
        .clamp(1, most)
}

pub(super) fn full<T>(rows: &[T], limit: i64) -> Option<&T> {
    rows.last()
        .filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count >= limit))
}

pub(super) fn page(member: &str, values: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = json!({member: values});
    if let Some(next) = next {
        answer["NextMarker"] = json!(next);
    }
    answer
}

/// Undoes percent-encoding: ARNs come in paths as `arn%3Aaws…`.
fn decode(path: &str) -> Result<String, AwsError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%')
            .then(|| after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| AwsError::validation("The path is not UTF-8."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_owns_its_dated_paths_only() {
        assert!(owns("/2015-03-31/functions/") && owns("/2015-03-31/functions/f/invocations"));
        assert!(!owns("/2015-bucket/functions") && !owns("/bucket/key") && !owns("/20"));
    }

    #[test]
    fn arns_in_paths_are_decoded() {
        assert_eq!(
            decode("/x/arn%3Aaws%3alambda/100%").unwrap(),
            "/x/arn:aws:lambda/100%"
        );
    }
}
