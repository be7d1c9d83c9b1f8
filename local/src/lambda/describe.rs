//! Functions and aliases in the shape that Lambda's answers have.

use serde_json::{Value, json};

use super::alias::Alias;
use super::function::{Function, FunctionConfig, LATEST, arn};

/// A FunctionConfiguration. Its ARN carries the qualifier that was asked for, or the version's number.
pub(super) fn configuration(function: &Function, qualifier: Option<&str>) -> Value {
    let config = &function.config;
    let numbered = (function.version != LATEST).then_some(function.version.as_str());
    let modified = jiff::Timestamp::from_millisecond(config.modified_at_ms).unwrap_or_default();
    let mut value = json!({
        "FunctionName": function.name,
        "FunctionArn": arn(&function.name, qualifier.or(numbered)),
        "Role": config.role,
        "CodeSize": 0,
        "Description": config.description,
        "Timeout": config.timeout_seconds,
        "MemorySize": config.memory_mb,
        "LastModified": modified.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string(),
        "CodeSha256": config.digest.trim_start_matches("sha256:"),
        "Version": function.version,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": config.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Image",
        "Architectures": [config.architecture],
        "EphemeralStorage": {"Size": config.ephemeral_storage_mb},
        "LoggingConfig": {"LogFormat": config.log_format, "LogGroup": config.log_group},
    });
    if !config.environment.is_empty() {
        value["Environment"] = json!({"Variables": config.environment});
    }
    let mut image = serde_json::Map::new();
    for (member, words) in [
        ("EntryPoint", &config.entry_point),
        ("Command", &config.command),
    ] {
        if let Some(words) = words {
            image.insert(member.into(), json!(words));
        }
    }
    if let Some(directory) = &config.working_directory {
        image.insert("WorkingDirectory".into(), json!(directory));
    }
    if !image.is_empty() {
        value["ImageConfigResponse"] = json!({"ImageConfig": image});
    }
    value
}

/// The image by digest: the host that was given, the repository, the digest.
pub(super) fn resolved_uri(config: &FunctionConfig) -> String {
    let host = config.image_uri.split('/').next().unwrap_or_default();
    format!("{host}/{}@{}", config.repository, config.digest)
}

/// An AliasConfiguration.
pub(super) fn alias(alias: &Alias) -> Value {
    let mut value = json!({
        "AliasArn": arn(&alias.function, Some(&alias.name)),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    });
    if !alias.weights.is_empty() {
        value["RoutingConfig"] = json!({"AdditionalVersionWeights": alias.weights});
    }
    value
}
