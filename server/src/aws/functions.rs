//! Lambda: which image each function version runs, and which aliases point to it.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html>

use aws_config::SdkConfig;
use aws_sdk_lambda::{Client, types::PackageType};

use super::{Api, AwsError, call::Calls};

/// Lambda's control plane.
#[derive(Debug, Clone)]
pub struct Functions {
    client: Client,
    pub(super) calls: Calls,
}

/// A version of a function made from an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionVersion {
    pub function: String,
    /// `$LATEST` or a number.
    pub version: String,
}

impl Functions {
    pub(super) fn new(shared: &SdkConfig, calls: Calls) -> Functions {
        Functions {
            client: Client::new(shared),
            calls,
        }
    }

    /// Names of all functions that are made from images.
    pub async fn of_images(&self) -> Result<Vec<String>, AwsError> {
        let mut names = Vec::new();
        let mut marker = None;
        loop {
            let request = self.client.list_functions().set_marker(marker);
            let answer = self
                .calls
                .sdk(Api::ListFunctions, || request.clone().send())
                .await?;
            names.extend(
                answer
                    .functions
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|function| function.package_type == Some(PackageType::Image))
                    .filter_map(|function| function.function_name),
            );
            marker = answer.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(names);
            }
        }
    }

    /// Every version of a function, `$LATEST` included.
    pub async fn versions(&self, function: &str) -> Result<Vec<FunctionVersion>, AwsError> {
        let mut versions = Vec::new();
        let mut marker = None;
        loop {
            let request = self
                .client
                .list_versions_by_function()
                .function_name(function)
                .set_marker(marker);
            let answer = self
                .calls
                .sdk(Api::ListVersionsByFunction, || request.clone().send())
                .await?;
            versions.extend(answer.versions.unwrap_or_default().into_iter().filter_map(
                |version| {
                    Some(FunctionVersion {
                        function: function.to_owned(),
                        version: version.version?,
                    })
                },
            ));
            marker = answer.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(versions);
            }
        }
    }

    /// A function's aliases with the version each points to; a weighted alias counts for both of its versions.
    pub async fn aliases(&self, function: &str) -> Result<Vec<(String, String)>, AwsError> {
        let mut aliases = Vec::new();
        let mut marker = None;
        loop {
            let request = self
                .client
                .list_aliases()
                .function_name(function)
                .set_marker(marker);
            let answer = self
                .calls
                .sdk(Api::ListAliases, || request.clone().send())
                .await?;
            for alias in answer.aliases.unwrap_or_default() {
                let (Some(name), Some(version)) = (alias.name, alias.function_version) else {
                    continue;
                };
                let weights = alias
                    .routing_config
                    .and_then(|routing| routing.additional_version_weights)
                    .unwrap_or_default();
                aliases.extend(weights.into_keys().map(|other| (name.clone(), other)));
                aliases.push((name, version));
            }
            marker = answer.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(aliases);
            }
        }
    }

    /// The digest of the image that a version runs; none when the version is gone or is not of an image.
    pub async fn digest(&self, function: &str, version: &str) -> Result<Option<String>, AwsError> {
        let request = self
            .client
            .get_function()
            .function_name(function)
            .qualifier(version);
        let answer = self.calls.sdk(Api::GetFunction, || request.clone().send());
        let answer = match answer.await {
            Err(error) if error.is("ResourceNotFoundException") => return Ok(None),
            answer => answer?,
        };
        Ok(answer
            .code
            .and_then(|code| code.resolved_image_uri)
            .and_then(|uri| uri.split_once('@').map(|(_, digest)| digest.to_owned())))
    }
}
