//! Which sandbox an invocation gets: an idle one of the same function, version and configuration, else a
//! new one.
//!
//! Owns the limit (over all functions, as an account's concurrency is), eviction of the longest idle when
//! it is reached, and expiry. Each sandbox has one invocation at a time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use super::function::Function;
use super::image::Images;
use super::invocation::Outcome;
use super::memory;
use super::report::Journal;
use super::sandbox::{Sandbox, Surroundings};
use super::watchman::Watchman;
use crate::logs::Logs;
use crate::wire::AwsError;

/// How often idle sandboxes are looked at and memory is sampled.
const TICK: Duration = Duration::from_millis(500);

/// What makes two invocations share sandboxes: function, version, image, and configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    function: String,
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

/// Limits of the pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub sandboxes_max: usize,
    pub idle: Duration,
}

#[derive(Default)]
struct Inner {
    /// Every sandbox with a process.
    all: HashMap<Uuid, Arc<Sandbox>>,
    /// Those that wait for work, by key, the last used last.
    idle: HashMap<Key, Vec<(Arc<Sandbox>, Instant)>>,
    /// Those that are being made.
    starting: usize,
    closed: bool,
}

/// The sandboxes.
pub(super) struct Pool {
    inner: Mutex<Inner>,
    limits: Limits,
    images: Images,
    logs: Arc<Logs>,
    watchman: Arc<Watchman>,
    directory: PathBuf,
    endpoint: Arc<str>,
}

impl Pool {
    pub fn open(
        directory: PathBuf,
        endpoint: Arc<str>,
        limits: Limits,
        images: Images,
        logs: Arc<Logs>,
    ) -> Result<Arc<Pool>, AwsError> {
        // What a killed predecessor left.
        if directory.is_dir() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        let watchman = Arc::new(Watchman::start()?);
        let pool = Arc::new(Pool {
            inner: Mutex::default(),
            limits,
            images,
            logs,
            watchman,
            directory,
            endpoint,
        });
        tokio::spawn(keep(Arc::downgrade(&pool)));
        Ok(pool)
    }

    /// The images that sandboxes run.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Runs one invocation to its end, in a sandbox that is idle or new.
    pub async fn run(
        self: &Arc<Self>,
        function: &Function,
        request_id: &str,
        function_arn: &str,
        payload: Bytes,
    ) -> Result<Outcome, AwsError> {
        loop {
            let (sandbox, cold) = self.acquire(function).await?;
            let outcome = sandbox
                .invoke(request_id, function_arn, payload.clone(), cold)
                .await;
            match &outcome {
                Outcome::Done { reusable: true, .. } => self.release(sandbox),
                _ => self.discard(&sandbox),
            }
            // An idle process that had ended meanwhile took nothing: each turn uses one of them up.
            if matches!(outcome, Outcome::Done { .. }) {
                return Ok(outcome);
            }
        }
    }

    async fn acquire(
        self: &Arc<Self>,
        function: &Function,
    ) -> Result<(Arc<Sandbox>, bool), AwsError> {
        {
            let mut inner = self.lock();
            if inner.closed {
                return Err(AwsError::new(503, "ServiceException", "local is stopping"));
            }
            while let Some((sandbox, _)) = pop(&mut inner, function) {
                if !sandbox.is_over() {
                    return Ok((sandbox, false));
                }
            }
            if inner.all.len() + inner.starting >= self.limits.sandboxes_max && !evict(&mut inner) {
                return Err(
                    AwsError::new(429, "TooManyRequestsException", "Rate Exceeded.")
                        .with("Reason", "ConcurrentInvocationLimitExceeded")
                        .with("Type", "User"),
                );
            }
            inner.starting += 1;
        }
        let started = self.start(function).await;
        let mut inner = self.lock();
        inner.starting -= 1;
        let sandbox = started?;
        inner.all.insert(sandbox.id, sandbox.clone());
        if sandbox.is_over() {
            inner.all.remove(&sandbox.id);
        }
        Ok((sandbox, true))
    }

    async fn start(self: &Arc<Self>, function: &Function) -> Result<Arc<Sandbox>, AwsError> {
        let image = self
            .images
            .get(&function.config.repository, &function.config.digest)
            .await?;
        let journal = Journal::new(self.logs.clone(), function);
        let id = Uuid::new_v4();
        let pool = Arc::downgrade(self);
        let surroundings = Surroundings {
            id,
            endpoint: &self.endpoint,
            directory: self.directory.join(id.to_string()),
            watchman: self.watchman.clone(),
            ended: Box::new(move || {
                if let Some(pool) = pool.upgrade() {
                    forget(&mut pool.lock(), id);
                }
            }),
        };
        Sandbox::start(function.clone(), &image, journal, surroundings).await
    }

    fn release(&self, sandbox: Arc<Sandbox>) {
        let mut inner = self.lock();
        if inner.all.contains_key(&sandbox.id) && !inner.closed {
            let key = Key::from(&sandbox.function);
            inner
                .idle
                .entry(key)
                .or_default()
                .push((sandbox, Instant::now()));
        }
    }

    fn discard(&self, sandbox: &Arc<Sandbox>) {
        forget(&mut self.lock(), sandbox.id);
        sandbox.kill();
    }

    /// Ends the idle sandboxes of a function that is no more.
    pub fn retire(&self, function: &str) {
        let mut inner = self.lock();
        let keys: Vec<Key> = inner
            .idle
            .keys()
            .filter(|key| key.function == function)
            .cloned()
            .collect();
        for (sandbox, _) in keys
            .iter()
            .filter_map(|key| inner.idle.remove(key))
            .flatten()
            .collect::<Vec<_>>()
        {
            inner.all.remove(&sandbox.id);
            sandbox.kill();
        }
    }

    /// Ends every sandbox and waits until their processes are gone.
    pub async fn close(&self) {
        let all: Vec<Arc<Sandbox>> = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.idle.clear();
            inner.all.drain().map(|(_, sandbox)| sandbox).collect()
        };
        for sandbox in &all {
            sandbox.kill();
        }
        for sandbox in all {
            sandbox.gone().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn pop(inner: &mut Inner, function: &Function) -> Option<(Arc<Sandbox>, Instant)> {
    inner.idle.get_mut(&Key::from(function))?.pop()
}

fn forget(inner: &mut Inner, id: Uuid) {
    if let Some(sandbox) = inner.all.remove(&id)
        && let Some(waiting) = inner.idle.get_mut(&Key::from(&sandbox.function))
    {
        waiting.retain(|(other, _)| other.id != id);
    }
}

/// Makes room by ending the sandbox that has been idle longest; `false` when all are busy.
fn evict(inner: &mut Inner) -> bool {
    let oldest = inner
        .idle
        .values()
        .flatten()
        .min_by_key(|(_, since)| *since)
        .map(|(sandbox, _)| sandbox.clone());
    let Some(sandbox) = oldest else { return false };
    forget(inner, sandbox.id);
    sandbox.kill();
    true
}

/// Ends what has been idle for too long and samples memory, for as long as there is a pool.
async fn keep(pool: Weak<Pool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let busy = {
            let mut inner = pool.lock();
            let expired: Vec<Arc<Sandbox>> = inner
                .idle
                .values()
                .flatten()
                .filter(|(_, since)| since.elapsed() >= pool.limits.idle)
                .map(|(sandbox, _)| sandbox.clone())
                .collect();
            for sandbox in expired {
                forget(&mut inner, sandbox.id);
                sandbox.kill();
            }
            inner.idle.retain(|_, waiting| !waiting.is_empty());
            let idle: usize = inner.idle.values().map(Vec::len).sum();
            if inner.all.len() > idle {
                inner.all.values().cloned().collect()
            } else {
                Vec::new()
            }
        };
        if busy.is_empty() {
            continue;
        }
        let sampled = tokio::task::spawn_blocking(move || {
            let groups = memory::groups_kib();
            for sandbox in busy {
                if let Some(now) = sandbox.pid().and_then(|pid| groups.get(&pid)) {
                    sandbox.peak_kib.fetch_max(*now, Ordering::Relaxed);
                }
            }
        });
        let _ = sampled.await;
    }
}
