//! The server's settings, all from the environment and all read here once. Refuses to start on one that
//! cannot be right, in a sentence that names the variable. AWS's own variables are the SDK's to read.

use std::{net::SocketAddr, path::PathBuf};

use crate::aws::{RaisedQuota, api::RATES_WANTED};
use crate::store::Backend;

/// The largest upload when nothing else is set: 20 GiB.
const UPLOAD_BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024;

/// Everything the server is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// `GANTRY_LISTEN`: the address to listen on, a loopback address until there is a sign-in.
    pub listen: SocketAddr,
    /// `DATABASE_URL`: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub database_url: String,
    /// `GANTRY_BUCKET`: the bucket with sources, uploads and artifacts.
    pub bucket: String,
    /// `GANTRY_STATUS_QUEUE_URL`: the SQS queue with execution status changes.
    pub status_queue_url: String,
    /// `GANTRY_TELEMETRY_STREAM`: the Kinesis stream with the functions' logs.
    pub telemetry_stream: String,
    /// `GANTRY_REPOSITORY`: the ECR repository's name.
    pub repository: String,
    /// `GANTRY_MEDIA_STATE_MACHINE_ARN`: what the `media` pipeline runs on.
    pub state_machine_arn: String,
    /// `GANTRY_SITE_ROOT`: the folder of built static files.
    pub site_root: PathBuf,
    /// `GANTRY_S3_PATH_STYLE`: address the bucket by path instead of by host name.
    pub s3_path_style: bool,
    /// `GANTRY_HOSTS`: further `Host` values to answer to, comma-separated, such as a proxy's.
    pub hosts: Vec<String>,
    /// `GANTRY_UPLOAD_BYTES_MAX`: the largest file a browser may upload.
    pub upload_bytes_max: u64,
    /// `GANTRY_AWS_RATES`: quotas that AWS has raised (or that this server is to keep below), as bucket size and
    /// refill a second: `StartExecution=2600/600,DescribeExecution=600/30`. What is not named has AWS's default.
    pub aws_rates: Vec<RaisedQuota>,
}

/// A setting that is missing or cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "{0} is not set, and the server needs it; `cargo xtask run` sets everything for a laptop"
    )]
    Missing(&'static str),
    #[error("{name} is “{value}”, which is not {wanted}")]
    Invalid {
        name: &'static str,
        value: String,
        wanted: &'static str,
    },
}

impl Config {
    /// Reads settings through `variable`, which answers a variable's value.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let optional = |name: &'static str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name| optional(name).ok_or(ConfigError::Missing(name));
        let invalid = |name, value: String, wanted| ConfigError::Invalid {
            name,
            value,
            wanted,
        };

        let listen = optional("GANTRY_LISTEN").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let address: SocketAddr = listen.parse().map_err(|_| {
            invalid(
                "GANTRY_LISTEN",
                listen.clone(),
                "an address with a port such as 127.0.0.1:8080",
            )
        })?;
        if !address.ip().is_loopback() {
            // Nobody signs in yet: who reaches the port may do everything.
            return Err(invalid(
                "GANTRY_LISTEN",
                listen,
                "a loopback address, the only kind served while there is no sign-in",
            ));
        }
        let database_url = required("DATABASE_URL")?;
        if Backend::of_url(&database_url).is_none() {
            return Err(ConfigError::Invalid {
                name: "DATABASE_URL",
                // What another kind of address holds may be a password.
                value: database_url
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
                    + ":…",
                wanted: "an address of the form sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE",
            });
        }
        let state_machine_arn = required("GANTRY_MEDIA_STATE_MACHINE_ARN")?;
        if !state_machine_arn.contains(":stateMachine:") {
            return Err(invalid(
                "GANTRY_MEDIA_STATE_MACHINE_ARN",
                state_machine_arn,
                "a state machine's ARN",
            ));
        }
        let s3_path_style = match optional("GANTRY_S3_PATH_STYLE").as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => {
                return Err(invalid(
                    "GANTRY_S3_PATH_STYLE",
                    other.to_owned(),
                    "true or false",
                ));
            }
        };
        let upload_bytes_max = match optional("GANTRY_UPLOAD_BYTES_MAX") {
            None => UPLOAD_BYTES_MAX,
            Some(text) => text
                .parse()
                .map_err(|_| invalid("GANTRY_UPLOAD_BYTES_MAX", text, "a whole number of bytes"))?,
        };
        let aws_rates = optional("GANTRY_AWS_RATES")
            .unwrap_or_default()
            .split(',')
            .filter(|entry| !entry.trim().is_empty())
            .map(|entry| {
                entry
                    .parse()
                    .map_err(|()| invalid("GANTRY_AWS_RATES", entry.to_owned(), RATES_WANTED))
            })
            .collect::<Result<_, _>>()?;
        Ok(Config {
            listen: address,
            database_url,
            bucket: required("GANTRY_BUCKET")?,
            status_queue_url: required("GANTRY_STATUS_QUEUE_URL")?,
            telemetry_stream: required("GANTRY_TELEMETRY_STREAM")?,
            repository: required("GANTRY_REPOSITORY")?,
            state_machine_arn,
            site_root: required("GANTRY_SITE_ROOT")?.into(),
            s3_path_style,
            hosts: optional("GANTRY_HOSTS")
                .unwrap_or_default()
                .split(',')
                .map(|host| host.trim().to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
            upload_bytes_max,
            aws_rates,
        })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Settings under which nothing outside can be reached.
    pub(crate) fn config() -> Config {
        Config::read(|name| {
            Some(
                match name {
                    "GANTRY_LISTEN" => "127.0.0.1:8080",
                    "DATABASE_URL" => "sqlite:unused",
                    "GANTRY_MEDIA_STATE_MACHINE_ARN" => {
                        "arn:aws:states:us-east-1:000000000000:stateMachine:gantry-media"
                    }
                    "GANTRY_STATUS_QUEUE_URL" => "http://127.0.0.1:1/000000000000/gantry-status",
                    "GANTRY_BUCKET" => "gantry-media",
                    "GANTRY_TELEMETRY_STREAM" => "gantry-telemetry",
                    "GANTRY_REPOSITORY" => "gantry",
                    "GANTRY_SITE_ROOT" => "/nonexistent",
                    _ => return None,
                }
                .to_owned(),
            )
        })
        .expect("a whole set of settings")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Config, String> {
        let base = testing::config();
        Config::read(|name| {
            if let Some((_, value)) = changes.iter().find(|(key, _)| *key == name) {
                return Some((*value).to_owned());
            }
            Some(match name {
                "DATABASE_URL" => base.database_url.clone(),
                "GANTRY_MEDIA_STATE_MACHINE_ARN" => base.state_machine_arn.clone(),
                "GANTRY_STATUS_QUEUE_URL" => base.status_queue_url.clone(),
                "GANTRY_BUCKET" => base.bucket.clone(),
                "GANTRY_TELEMETRY_STREAM" => base.telemetry_stream.clone(),
                "GANTRY_REPOSITORY" => base.repository.clone(),
                "GANTRY_SITE_ROOT" => base.site_root.display().to_string(),
                _ => return None,
            })
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_set_has_a_default_or_is_named() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.upload_bytes_max, 20 << 30);
        let error = read(&[("GANTRY_BUCKET", " ")]).unwrap_err();
        assert!(error.starts_with("GANTRY_BUCKET is not set"), "{error}");
    }

    #[test]
    fn raised_quotas_are_read_and_a_wrong_one_is_named() {
        let config = read(&[(
            "GANTRY_AWS_RATES",
            "StartExecution=2600/600, StopExecution=9/9",
        )]);
        assert_eq!(config.unwrap().aws_rates.len(), 2);
        let error = read(&[("GANTRY_AWS_RATES", "StartExecution=2600/600,Stop=9/9")]).unwrap_err();
        assert!(
            error.starts_with("GANTRY_AWS_RATES is “Stop=9/9”"),
            "{error}"
        );
    }

    #[test]
    fn only_loopback_is_served_without_a_sign_in() {
        let error = read(&[("GANTRY_LISTEN", "0.0.0.0:8080")]).unwrap_err();
        assert!(error.contains("loopback"), "{error}");
        assert!(read(&[("GANTRY_LISTEN", "[::1]:9")]).is_ok());
    }

    #[test]
    fn a_password_in_a_database_address_is_not_repeated() {
        let error = read(&[("DATABASE_URL", "mysql://u:hunter2@h/db")]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(read(&[("DATABASE_URL", "postgres://u:hunter2@h/db")]).is_ok());
    }
}
