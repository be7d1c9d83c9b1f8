//! What is around a sandbox's process: its environment, its output, its exit status.
//!
//! Owns what the process finds when it starts and what becomes of what it leaves. Refuses to know
//! invocations: those are [`super::sandbox`]'s.

use std::path::PathBuf;
use std::process::ExitStatus;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::function::Function;
use super::image::Image;
use super::report::Journal;
use crate::wire::{REGION, SECRET_ACCESS_KEY};

/// Longest line of output that becomes one log event, bytes; longer ones are cut in pieces.
const LINE_BYTES_MAX: usize = 256 * 1024;
/// Variables of this machine that a sandbox sees: where programs and certificates are, and the way out.
const PASSED: &[&str] = &[
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// One of the two pipes that a process writes to.
pub(super) enum Pipe {
    Out(tokio::process::ChildStdout),
    Err(tokio::process::ChildStderr),
}

/// Turns a pipe's lines into log events, as many at once as have gathered.
pub(super) async fn collect(pipe: impl AsyncRead + Unpin, journal: Journal) {
    let mut reader = BufReader::with_capacity(64 * 1024, pipe);
    let mut line = Vec::new();
    loop {
        let (used, whole) = match reader.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(buffer) => match buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    line.extend_from_slice(&buffer[..end]);
                    (end + 1, true)
                }
                None => {
                    line.extend_from_slice(buffer);
                    (buffer.len(), line.len() >= LINE_BYTES_MAX)
                }
            },
        };
        reader.consume(used);
        if whole && !line.is_empty() {
            journal
                .output(vec![String::from_utf8_lossy(&line).into_owned()])
                .await;
            line.clear();
        }
    }
    if !line.is_empty() {
        journal
            .output(vec![String::from_utf8_lossy(&line).into_owned()])
            .await;
    }
}

/// Everything that the process finds in its environment, Lambda's reserved variables last.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
pub(super) fn environment(
    function: &Function,
    image: &Image,
    journal: &Journal,
    api: &str,
    endpoint: &str,
) -> Vec<(String, String)> {
    let config = &function.config;
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
    set("LANG", "en_US.UTF-8");
    set("TZ", ":UTC");
    set("AWS_ENDPOINT_URL", endpoint);
    for (name, value) in image
        .environment
        .iter()
        .filter_map(|pair| pair.split_once('='))
    {
        set(name, value);
    }
    for (name, value) in &config.environment {
        set(name, value);
    }
    for name in PASSED {
        if let Ok(value) = std::env::var(name) {
            set(name, &value);
        }
    }
    let direct = std::env::var("NO_PROXY")
        .or_else(|_| std::env::var("no_proxy"))
        .unwrap_or_default();
    let direct = [direct.as_str(), "127.0.0.1", "localhost"].join(",");
    set("NO_PROXY", direct.trim_start_matches(','));
    set("no_proxy", direct.trim_start_matches(','));
    set("AWS_LAMBDA_FUNCTION_NAME", &function.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", &function.version);
    set(
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        &config.memory_mb.to_string(),
    );
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    set("AWS_LAMBDA_LOG_GROUP_NAME", journal.group());
    set("AWS_LAMBDA_LOG_STREAM_NAME", journal.stream());
    set("AWS_LAMBDA_LOG_FORMAT", &config.log_format);
    set("AWS_LAMBDA_RUNTIME_API", api);
    set("AWS_REGION", REGION);
    set("AWS_DEFAULT_REGION", REGION);
    set("AWS_ACCESS_KEY_ID", "local");
    set("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    set(
        "LAMBDA_TASK_ROOT",
        &image.root.join("var/task").to_string_lossy(),
    );
    let command = config.command.as_ref().unwrap_or(&image.command);
    set("_HANDLER", command.first().map_or("", String::as_str));
    pairs
}

pub(super) fn working_directory(image: &Image, function: &Function) -> PathBuf {
    let wanted = function
        .config
        .working_directory
        .as_ref()
        .or(image.working_directory.as_ref());
    let found = wanted.and_then(|wanted| super::image::find(&image.root, wanted));
    found
        .filter(|found| found.is_dir())
        .unwrap_or_else(|| image.root.clone())
}

/// An end as Lambda words it.
pub(super) fn exit_reason(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.signal(), status.code()) {
        (Some(9), _) => "Runtime exited with error: signal: killed".into(),
        (Some(6), _) => "Runtime exited with error: signal: aborted".into(),
        (Some(11), _) => "Runtime exited with error: signal: segmentation fault".into(),
        (Some(15), _) => "Runtime exited with error: signal: terminated".into(),
        (Some(other), _) => format!("Runtime exited with error: signal: {other}"),
        (None, Some(0)) => "Runtime exited without providing a reason".into(),
        (None, code) => format!(
            "Runtime exited with error: exit status {}",
            code.unwrap_or(-1)
        ),
    }
}
