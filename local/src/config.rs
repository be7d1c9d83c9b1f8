//! What `local` is told on its command line.
//!
//! Owns the options and their defaults. No environment variable is read: a newcomer's machine has none.

use std::path::PathBuf;
use std::time::Duration;

/// How to run `local`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Directory that holds everything.
    pub data: PathBuf,
    /// Where Step Functions' Lambda tasks go instead of the sandboxes here, e.g. another stand-in's URL.
    pub lambda_endpoint: Option<String>,
    /// Sandboxes that may exist at once, over all functions.
    pub sandboxes_max: usize,
    /// How long a sandbox may wait for work before it ends.
    pub sandbox_idle: Duration,
    /// For how long an execution must have nothing to do to be let go of by the memory.
    pub rest: Duration,
}

impl Config {
    /// The defaults, in the given data directory.
    pub fn new(data: impl Into<PathBuf>) -> Config {
        Config {
            port: 4566,
            data: data.into(),
            lambda_endpoint: None,
            sandboxes_max: 32,
            sandbox_idle: Duration::from_secs(300),
            rest: Duration::from_secs(10),
        }
    }

    /// Reads the command line (without the program's name).
    ///
    /// Errors are one sentence for the terminal; `--help` is the error that holds the usage.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Config, String> {
        let mut config = Config::new("local-data");
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| args.next())
                    .ok_or_else(|| format!("{name} needs a value; see --help"))
            };
            match name.as_str() {
                "--port" => config.port = number(&name, &value()?)?,
                "--data" => config.data = value()?.into(),
                "--lambda-endpoint" => {
                    config.lambda_endpoint = Some(value()?.trim_end_matches('/').to_owned())
                }
                "--concurrency" => config.sandboxes_max = number(&name, &value()?)?,
                "--idle-seconds" => {
                    config.sandbox_idle = Duration::from_secs(number(&name, &value()?)?)
                }
                "--rest-seconds" => config.rest = Duration::from_secs(number(&name, &value()?)?),
                "--help" | "-h" => return Err(USAGE.to_owned()),
                other => return Err(format!("unknown option {other}; see --help")),
            }
        }
        Ok(config)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name} needs a number, not {value:?}"))
}

const USAGE: &str = "\
local: the AWS APIs that Gantry calls, on one port of this machine

Usage: local [--port 4566] [--data local-data] [options]

  --port PORT             port on 127.0.0.1, 0 for a free one (4566)
  --data DIR              directory that holds all state (local-data)
  --lambda-endpoint URL   send Step Functions' Lambda tasks there instead of to the sandboxes here
  --concurrency N         sandboxes that may run at once (32)
  --idle-seconds N        how long an idle sandbox is kept (300)
  --rest-seconds N        executions that wait for longer are kept on disk only (10)

Clients: AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=us-east-1
         AWS_ACCESS_KEY_ID=anything AWS_SECRET_ACCESS_KEY=local";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Config, String> {
        Config::from_args(args.iter().map(|arg| (*arg).to_owned()))
    }

    #[test]
    fn both_ways_of_giving_a_value_are_read() {
        let config = parse(&[
            "--port",
            "0",
            "--data=/tmp/x",
            "--lambda-endpoint",
            "http://127.0.0.1:9/",
        ])
        .unwrap();
        assert_eq!((config.port, config.data.to_str()), (0, Some("/tmp/x")));
        assert_eq!(
            config.lambda_endpoint.as_deref(),
            Some("http://127.0.0.1:9")
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            parse(&["--port", "many"]).unwrap_err(),
            "--port needs a number, not \"many\""
        );
        assert_eq!(
            parse(&["--data"]).unwrap_err(),
            "--data needs a value; see --help"
        );
        assert!(parse(&["--prot=1"]).unwrap_err().contains("--prot"));
    }
}
