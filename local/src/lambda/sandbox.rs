//! One sandbox: a process of the function, and the one event that it may be busy with.
//!
//! Owns the process from its start to the end of its whole process group, and what it says through the
//! Runtime API. Refuses to choose what runs where ([`super::pool`]) and to measure ([`super::invocation`]).

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::function::Function;
use super::image::{Image, command_line};
use super::process::{Pipe, collect, environment, exit_reason, working_directory};
use super::report::Journal;
use super::runtime;
use super::watchman::Watchman;
use crate::wire::AwsError;

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
pub(super) enum Phase {
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
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Phase::Ended(_) | Phase::Unstartable(_))
    }
}

pub(super) struct Current {
    pub request_id: String,
    reply: oneshot::Sender<Reply>,
}

/// One sandbox.
pub(super) struct Sandbox {
    pub id: uuid::Uuid,
    pub function: Function,
    pub journal: Journal,
    /// The process's number, which is also its group's.
    pid: Mutex<Option<u32>>,
    pub(super) started: Instant,
    pub(super) work: mpsc::Sender<(Work, oneshot::Sender<Reply>)>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<(Work, oneshot::Sender<Reply>)>>,
    pub(super) current: Mutex<Option<Current>>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) init_told: AtomicBool,
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
