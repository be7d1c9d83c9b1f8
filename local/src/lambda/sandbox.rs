//! One sandbox: a process of the function, and the one invocation that it may be busy with.
//!
//! Owns the process from its start to the end of its whole process group, and the measuring of both
//! phases: init is from the start of the process to its first request for work, duration is from handing
//! over the event to the answer. Refuses to choose what runs where: that is [`super::pool`]'s.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::function::Function;
use super::image::{Image, command_line};
use super::report::{Journal, Report, Status};
use super::watchman::Watchman;
use super::{memory, runtime};
use crate::wire::{AwsError, REGION, SECRET_ACCESS_KEY, now_ms};

/// How long a process may take to ask for work, at least; a function with a longer timeout gets that.
const INIT_MAX: Duration = Duration::from_secs(10);
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

/// An event for the process.
#[derive(Debug)]
pub(super) struct Work {
    pub request_id: String,
    pub payload: Bytes,
    pub deadline_ms: i64,
    pub function_arn: String,
    pub trace_id: String,
}

/// What the process answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// The function's result.
    Answer(Bytes),
    /// The function's error object.
    Error(Bytes),
}

/// How far the process is.
#[derive(Debug, Clone)]
enum Phase {
    Starting,
    /// It asked for work, so long after its start.
    Ready(Duration),
    /// It reported that it cannot start.
    InitFailed(Bytes),
    /// It ended; why, in Lambda's words.
    Ended(String),
    /// It never was: there is no such program.
    Unstartable(String),
}

impl Phase {
    fn is_over(&self) -> bool {
        matches!(self, Phase::Ended(_) | Phase::Unstartable(_))
    }
}

struct Current {
    request_id: String,
    reply: oneshot::Sender<Reply>,
}

/// How an invocation on a sandbox ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The function answered or failed.
    Done {
        payload: Bytes,
        failed: bool,
        duration_ms: f64,
        reusable: bool,
    },
    /// The process had ended before it took the event: another sandbox may have it.
    NotTaken,
}

/// One sandbox.
pub(super) struct Sandbox {
    pub id: uuid::Uuid,
    pub function: Function,
    pub journal: Journal,
    /// The process's number, which is also its group's.
    pid: Mutex<Option<u32>>,
    started: Instant,
    work: mpsc::Sender<(Work, oneshot::Sender<Reply>)>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<(Work, oneshot::Sender<Reply>)>>,
    current: Mutex<Option<Current>>,
    phase: watch::Sender<Phase>,
    init_told: AtomicBool,
    pub peak_kib: AtomicU64,
    directory: PathBuf,
}

/// What a sandbox needs of its surroundings.
pub(super) struct Surroundings<'a> {
    pub id: uuid::Uuid,
    pub endpoint: &'a str,
    pub directory: PathBuf,
    pub watchman: Arc<Watchman>,
    /// Called once when the process and its group are gone.
    pub ended: Box<dyn FnOnce() + Send>,
}

impl Sandbox {
    /// Starts the function's process. When it cannot be started, the sandbox's first invocation says why.
    pub async fn start(
        function: Function,
        image: &Image,
        journal: Journal,
        surroundings: Surroundings<'_>,
    ) -> Result<Arc<Sandbox>, AwsError> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let api = listener.local_addr()?.to_string();
        let temporary = surroundings.directory.join("tmp");
        tokio::fs::create_dir_all(&temporary).await?;
        journal.init_start(&function).await;
        let command = command_line(image, &function.config).map(|(program, arguments)| {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .env_clear()
                .current_dir(working_directory(image, &function));
            for (name, value) in
                environment(&function, image, &journal, &api, surroundings.endpoint)
            {
                command.env(name, value);
            }
            command.env("TMPDIR", &temporary);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.process_group(0).kill_on_drop(true);
            command
        });
        let (work, waiting) = mpsc::channel(1);
        let started = Instant::now();
        let spawned = command.and_then(|mut command| {
            command.spawn().map_err(|error| {
                format!(
                    "fork/exec {}: {error}",
                    command.as_std().get_program().display()
                )
            })
        });
        let (phase, child) = match spawned {
            Ok(child) => (Phase::Starting, Some(child)),
            Err(why) => (Phase::Unstartable(why), None),
        };
        let sandbox = Arc::new(Sandbox {
            id: surroundings.id,
            function,
            journal,
            pid: Mutex::new(child.as_ref().and_then(Child::id)),
            started,
            work,
            waiting: tokio::sync::Mutex::new(waiting),
            current: Mutex::new(None),
            phase: watch::Sender::new(phase),
            init_told: AtomicBool::new(false),
            peak_kib: AtomicU64::new(0),
            directory: surroundings.directory,
        });
        match child {
            Some(child) => {
                if let Some(pid) = child.id() {
                    surroundings.watchman.watch(pid);
                }
                let live = live(
                    sandbox.clone(),
                    child,
                    listener,
                    surroundings.watchman,
                    surroundings.ended,
                );
                tokio::spawn(live);
            }
            None => (surroundings.ended)(),
        }
        Ok(sandbox)
    }

    /// The process's number while it lives; also its group's.
    pub fn pid(&self) -> Option<u32> {
        *lock(&self.pid)
    }

    /// Whether there is no process any more.
    pub fn is_over(&self) -> bool {
        self.phase.borrow().is_over()
    }

    /// Ends the process and all that it started.
    pub fn kill(&self) {
        // Held while killing: the number is given back only after the process was waited for.
        let pid = lock(&self.pid);
        if let Some(group) = pid
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }

    /// Waits until the process is gone.
    pub async fn gone(&self) {
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(Phase::is_over).await;
    }

    /// Runs one invocation; the caller must be the only one.
    pub async fn invoke(
        &self,
        request_id: &str,
        function_arn: &str,
        payload: Bytes,
        cold: bool,
    ) -> Outcome {
        let mut phase = self.phase.subscribe();
        let limit = Duration::from_secs(self.function.config.timeout_seconds);
        let mut init_ms = None;
        if cold {
            match self.initialized(&mut phase, limit.max(INIT_MAX)).await {
                Ok(took) => {
                    init_ms = Some(ms(took));
                    // Read now too: a process that is killed cannot be asked any more.
                    self.note_memory();
                }
                Err((status, kind, payload)) => {
                    let payload =
                        payload.unwrap_or_else(|message| failure(request_id, kind, &message));
                    return self
                        .end(
                            request_id,
                            status,
                            Some(kind),
                            payload,
                            None,
                            Instant::now(),
                            false,
                        )
                        .await;
                }
            }
        }
        self.journal.start(request_id, &self.function.version).await;
        let (reply, mut replied) = oneshot::channel();
        let work = Work {
            request_id: request_id.to_owned(),
            payload,
            deadline_ms: now_ms() + i64::try_from(limit.as_millis()).unwrap_or(i64::MAX),
            function_arn: function_arn.to_owned(),
            trace_id: trace_id(),
        };
        let started = Instant::now();
        // The channel holds one: with one invocation at a time this never waits.
        if self.work.send((work, reply)).await.is_err() {
            return Outcome::NotTaken;
        }
        let ended = async {
            let ended = phase.wait_for(Phase::is_over).await;
            ended.map(|phase| phase.clone())
        };
        let reply = tokio::select! {
            biased;
            reply = &mut replied => reply.ok(),
            _ = ended => replied.try_recv().ok(),
            () = tokio::time::sleep(limit) => {
                let message = format!("Error: Task timed out after {:.2} seconds", limit.as_secs_f64());
                self.kill();
                let payload = failure(request_id, "Sandbox.Timedout", &message);
                return self.end(request_id, Status::Timeout, Some("Sandbox.Timedout"), payload, init_ms, started, false).await;
            }
        };
        match reply {
            Some(Reply::Answer(payload)) => {
                self.end(
                    request_id,
                    Status::Success,
                    None,
                    payload,
                    init_ms,
                    started,
                    true,
                )
                .await
            }
            Some(Reply::Error(payload)) => {
                let kind = error_type(&payload);
                self.end(
                    request_id,
                    Status::Error,
                    kind.as_deref(),
                    payload,
                    init_ms,
                    started,
                    true,
                )
                .await
            }
            None => {
                let taken = lock(&self.current)
                    .take()
                    .is_some_and(|current| current.request_id == request_id);
                if !taken && !cold {
                    return Outcome::NotTaken;
                }
                let why = match &*self.phase.borrow() {
                    Phase::Ended(why) => why.clone(),
                    _ => "Runtime exited without providing a reason".into(),
                };
                let payload = failure(request_id, "Runtime.ExitError", &format!("Error: {why}"));
                self.end(
                    request_id,
                    Status::Failure,
                    Some("Runtime.ExitError"),
                    payload,
                    init_ms,
                    started,
                    false,
                )
                .await
            }
        }
    }

    /// Waits for the first request for work: how long it took, or how the start failed (status, error type,
    /// and the error object or the message for one).
    async fn initialized(
        &self,
        phase: &mut watch::Receiver<Phase>,
        limit: Duration,
    ) -> Result<Duration, (Status, &'static str, Result<Bytes, String>)> {
        let settled = async {
            let settled = phase
                .wait_for(|phase| !matches!(phase, Phase::Starting))
                .await;
            settled.map_or_else(
                |_| Phase::Ended("the sandbox is gone".into()),
                |phase| phase.clone(),
            )
        };
        let settled = match tokio::time::timeout(limit, settled).await {
            Ok(phase) => phase,
            Err(_) => {
                self.kill();
                self.tell_init(Status::Timeout, limit, Some("Sandbox.Timedout"))
                    .await;
                let message = format!(
                    "Error: Task timed out after {:.2} seconds",
                    limit.as_secs_f64()
                );
                return Err((Status::Timeout, "Sandbox.Timedout", Err(message)));
            }
        };
        match settled {
            Phase::Ready(took) => {
                self.tell_init(Status::Success, took, None).await;
                Ok(took)
            }
            Phase::InitFailed(payload) => {
                self.kill();
                self.tell_init(
                    Status::Error,
                    self.started.elapsed(),
                    Some("Runtime.InitError"),
                )
                .await;
                Err((Status::Error, "Runtime.InitError", Ok(payload)))
            }
            Phase::Unstartable(why) => {
                self.tell_init(
                    Status::Error,
                    Duration::ZERO,
                    Some("Runtime.InvalidEntrypoint"),
                )
                .await;
                Err((
                    Status::Failure,
                    "Runtime.InvalidEntrypoint",
                    Err(format!("Error: {why}")),
                ))
            }
            Phase::Ended(why) => {
                self.tell_init(
                    Status::Error,
                    self.started.elapsed(),
                    Some("Runtime.ExitError"),
                )
                .await;
                Err((
                    Status::Failure,
                    "Runtime.ExitError",
                    Err(format!("Error: {why}")),
                ))
            }
            Phase::Starting => unreachable!("waited for the end of this phase"),
        }
    }

    async fn tell_init(&self, status: Status, took: Duration, error_type: Option<&str>) {
        if !self.init_told.swap(true, Ordering::Relaxed) {
            self.journal.init_report(status, ms(took), error_type).await;
        }
    }

    fn note_memory(&self) {
        if let Some(pid) = self.pid() {
            self.peak_kib
                .fetch_max(memory::peak_kib(pid), Ordering::Relaxed);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where everything about an end comes together"
    )]
    async fn end(
        &self,
        request_id: &str,
        status: Status,
        error_type: Option<&str>,
        payload: Bytes,
        init_ms: Option<f64>,
        started: Instant,
        reusable: bool,
    ) -> Outcome {
        let duration_ms = ms(started.elapsed());
        self.note_memory();
        let report = Report {
            request_id,
            status,
            error_type,
            duration_ms,
            init_ms,
            memory_used_mb: self.peak_kib.load(Ordering::Relaxed).div_ceil(1024),
            produced_bytes: payload.len(),
        };
        self.journal.end(&self.function.config, &report).await;
        Outcome::Done {
            payload,
            failed: status != Status::Success,
            duration_ms,
            reusable,
        }
    }

    /// The process asks for work: the first time tells how long its start took.
    pub async fn next(&self) -> Option<Work> {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Starting => {
                *phase = Phase::Ready(self.started.elapsed());
                true
            }
            _ => false,
        });
        let mut waiting = self.waiting.lock().await;
        let (work, reply) = waiting.recv().await?;
        *lock(&self.current) = Some(Current {
            request_id: work.request_id.clone(),
            reply,
        });
        Some(work)
    }

    /// The process answers; `false` when nobody waits for that request.
    pub fn settle(&self, request_id: &str, reply: Reply) -> bool {
        let mut current = lock(&self.current);
        match current.take() {
            Some(waiting) if waiting.request_id == request_id => waiting.reply.send(reply).is_ok(),
            other => {
                *current = other;
                false
            }
        }
    }

    /// The process says that it cannot start.
    pub fn init_failed(&self, payload: Bytes) {
        self.phase.send_if_modified(|phase| {
            let starting = matches!(phase, Phase::Starting);
            if starting {
                *phase = Phase::InitFailed(payload);
            }
            starting
        });
    }
}

/// A sandbox's life after its start: serve the Runtime API, collect output, wait for the end, clean up.
async fn live(
    sandbox: Arc<Sandbox>,
    mut child: Child,
    listener: TcpListener,
    watchman: Arc<Watchman>,
    ended: Box<dyn FnOnce() + Send>,
) {
    let api = tokio::spawn({
        let app = runtime::app(sandbox.clone());
        async move { axum::serve(listener, app).await }
    });
    for pipe in [
        child.stdout.take().map(Pipe::Out),
        child.stderr.take().map(Pipe::Err),
    ]
    .into_iter()
    .flatten()
    {
        let journal = sandbox.journal.clone();
        tokio::spawn(async move {
            match pipe {
                Pipe::Out(pipe) => collect(pipe, journal).await,
                Pipe::Err(pipe) => collect(pipe, journal).await,
            }
        });
    }
    let pid = child.id();
    let status = child.wait().await;
    // What the process started must not outlive it, and its number is not to be used any more.
    sandbox.kill();
    *lock(&sandbox.pid) = None;
    if let Some(pid) = pid {
        watchman.cross_off(pid);
    }
    api.abort();
    let why = match status {
        Ok(status) => exit_reason(status),
        Err(error) => format!("Runtime exited with error: {error}"),
    };
    sandbox.phase.send_replace(Phase::Ended(why));
    let _ = tokio::fs::remove_dir_all(&sandbox.directory).await;
    ended();
}

enum Pipe {
    Out(tokio::process::ChildStdout),
    Err(tokio::process::ChildStderr),
}

/// Turns a pipe's lines into log events, as many at once as have gathered.
async fn collect(pipe: impl AsyncRead + Unpin, journal: Journal) {
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
fn environment(
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

fn working_directory(image: &Image, function: &Function) -> PathBuf {
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
fn exit_reason(status: ExitStatus) -> String {
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

fn failure(request_id: &str, kind: &str, message: &str) -> Bytes {
    json!({"errorType": kind, "errorMessage": format!("RequestId: {request_id} {message}")})
        .to_string()
        .into()
}

fn error_type(payload: &Bytes) -> Option<String> {
    serde_json::from_slice::<Value>(payload).ok()?["errorType"]
        .as_str()
        .map(str::to_owned)
}

fn trace_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!(
        "Root=1-{:08x}-{};Parent={};Sampled=0",
        now_ms() / 1000,
        &id[..24],
        &id[16..]
    )
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What makes two invocations share sandboxes: function, version, image, and configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub function: String,
    version: String,
    digest: String,
    revision: String,
}

impl From<&Function> for Key {
    fn from(function: &Function) -> Key {
        Key {
            function: function.name.clone(),
            version: function.version.clone(),
            digest: function.config.digest.clone(),
            revision: function.config.revision_id.clone(),
        }
    }
}
