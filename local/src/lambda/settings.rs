//! The settings of a function as clients give them, checked.
//!
//! Owns Lambda's limits on them. <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::function::{FunctionConfig, invalid};
use crate::wire::AwsError;

/// Variables that a function may not set, as on AWS.
const RESERVED: &[&str] = &[
    "_HANDLER",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
];

/// What CreateFunction and UpdateFunctionConfiguration have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Settings {
    description: Option<String>,
    role: Option<String>,
    timeout: Option<u64>,
    memory_size: Option<u64>,
    ephemeral_storage: Option<EphemeralStorage>,
    environment: Option<Environment>,
    image_config: Option<ImageConfig>,
    logging_config: Option<LoggingConfig>,
    pub(super) revision_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EphemeralStorage {
    size: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ImageConfig {
    entry_point: Option<Vec<String>>,
    command: Option<Vec<String>>,
    working_directory: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LoggingConfig {
    log_format: Option<String>,
    log_group: Option<String>,
}

impl Settings {
    /// Puts what is given over what stands.
    pub(super) fn apply(self, config: &mut FunctionConfig) -> Result<(), AwsError> {
        if let Some(description) = self.description {
            config.description = description;
        }
        if let Some(role) = self.role {
            config.role = role;
        }
        if let Some(seconds) = self.timeout {
            config.timeout_seconds = within("timeout", seconds, 1, 900)?;
        }
        if let Some(mb) = self.memory_size {
            config.memory_mb = within("memorySize", mb, 128, 10_240)?;
        }
        if let Some(storage) = self.ephemeral_storage {
            config.ephemeral_storage_mb =
                within("ephemeralStorage.size", storage.size, 512, 10_240)?;
        }
        if let Some(Environment { variables }) = self.environment {
            let size: usize = variables
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            if size > 4096 {
                return Err(invalid(
                    "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.",
                ));
            }
            let reserved: Vec<&str> = variables
                .keys()
                .map(String::as_str)
                .filter(|name| RESERVED.contains(name))
                .collect();
            if !reserved.is_empty() {
                return Err(invalid(format!(
                    "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
                    reserved.join(", ")
                )));
            }
            config.environment = variables;
        }
        if let Some(image) = self.image_config {
            config.entry_point = image.entry_point.filter(|words| !words.is_empty());
            config.command = image.command.filter(|words| !words.is_empty());
            config.working_directory = image
                .working_directory
                .filter(|directory| !directory.is_empty());
        }
        if let Some(logging) = self.logging_config {
            match logging.log_format.as_deref() {
                Some(format @ ("JSON" | "Text")) => config.log_format = format.to_owned(),
                Some(other) => {
                    return Err(invalid(format!(
                        "LogFormat must be JSON or Text, not {other}"
                    )));
                }
                None => {}
            }
            if let Some(group) = logging.log_group {
                config.log_group = group;
            }
        }
        Ok(())
    }
}

fn within(member: &str, value: u64, least: u64, most: u64) -> Result<u64, AwsError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(AwsError::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have value between {least} and {most}"
    )))
}
