//! Live views: for each thing somebody watches one task that makes its view anew when it changed, at most
//! four times a second, and one place from which every watcher takes the newest. A watcher who is slow
//! misses what lay between, never the last; nothing queues up. Knows no HTTP.
//!
//! A view is stamped with what it says, not with when or where it was made: two servers over one store stamp
//! alike, so whoever comes back to either is sent only what it has not. There is no log to replay.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::JobId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::control::Control;

mod topic;
mod view;
mod watcher;

pub use topic::{TOPICS_MAX, Topic};
pub use view::{Latest, Shown, Stamp};
pub use watcher::Watcher;

/// Watchers at one time. Each holds a connection, and with it one of the process's open files.
pub const WATCHERS_MAX: usize = 15_000;
/// How long after a page was looked at its job still counts as watched.
const LOOKED_AT_MS: i64 = 10_000;
/// Jobs remembered as looked at; beyond it everybody is watched at the gentle pace.
const LOOKED_AT_MAX: usize = 1_000;

/// Changed jobs that are remembered for other servers.
const UNTOLD_MAX: usize = 10_000;

/// What is watched, and by how many.
pub struct Live {
    topics: Mutex<HashMap<Topic, Watched>>,
    looked_at: Mutex<HashMap<JobId, i64>>,
    seats: Arc<Semaphore>,
    /// What changed here and was not told to other servers yet.
    untold: Mutex<HashSet<JobId>>,
    told: Notify,
}

struct Watched {
    changed: watch::Sender<()>,
    latest: watch::Sender<Latest>,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            topics: Mutex::default(),
            looked_at: Mutex::default(),
            seats: Arc::new(Semaphore::new(WATCHERS_MAX)),
            untold: Mutex::default(),
            told: Notify::new(),
        }
    }
}

impl Live {
    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, Watched>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a job changed, and with it the lists it is in.
    pub fn touch(&self, job: JobId) {
        self.touch_all(&HashSet::from([job]));
    }

    /// Says that jobs changed, here and to other servers.
    pub fn touch_all(&self, jobs: &HashSet<JobId>) {
        if jobs.is_empty() {
            return;
        }
        self.touch_here(jobs);
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        // Who tells is late: that there is more than can be named is known by now.
        if untold.len() < UNTOLD_MAX {
            untold.extend(jobs);
        }
        self.told.notify_one();
    }

    /// Says to those who watch here that jobs changed, looking through what is watched once.
    pub(crate) fn touch_here(&self, jobs: &HashSet<JobId>) {
        for (topic, watched) in self.topics().iter() {
            let is_changed = match topic {
                Topic::Jobs(_) => true,
                Topic::Job(job) => jobs.contains(job),
            };
            if is_changed {
                watched.changed.send_replace(());
            }
        }
    }

    /// Says to everybody who watches here that anything may have changed.
    pub(crate) fn touch_everything_here(&self) {
        for watched in self.topics().values() {
            watched.changed.send_replace(());
        }
    }

    /// Waits until something changed that other servers were not told of, and takes it.
    pub(crate) async fn untold(&self) -> HashSet<JobId> {
        self.told.notified().await;
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that somebody opened a job's page, with or without script.
    pub fn looked_at(&self, job: JobId, now_ms: i64) {
        let mut looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        looked_at.retain(|_, at| now_ms - *at < LOOKED_AT_MS);
        if looked_at.len() < LOOKED_AT_MAX {
            looked_at.insert(job, now_ms);
        }
    }

    /// Jobs that somebody watches now, or has looked at just before.
    pub fn watched_jobs(&self, now_ms: i64) -> HashSet<JobId> {
        let mut jobs: HashSet<JobId> = self
            .topics()
            .keys()
            .filter_map(|topic| match topic {
                Topic::Job(job) => Some(*job),
                Topic::Jobs(_) => None,
            })
            .collect();
        let looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        jobs.extend(
            looked_at
                .iter()
                .filter(|(_, at)| now_ms - **at < LOOKED_AT_MS)
                .map(|(job, _)| *job),
        );
        jobs
    }

    /// One of the [`WATCHERS_MAX`] seats, given back when it is dropped; none when all are taken.
    pub fn seat(&self) -> Option<OwnedSemaphorePermit> {
        self.seats.clone().try_acquire_owned().ok()
    }

    /// How many seats are taken: streams that are open.
    pub fn watchers(&self) -> usize {
        WATCHERS_MAX - self.seats.available_permits()
    }
}

impl Control {
    /// Watches a topic: the receiver has the newest view, and is told of each newer one. It ends with the server.
    pub fn watch(&self, topic: Topic) -> watch::Receiver<Latest> {
        let mut topics = self.live.topics();
        if let Some(watched) = topics.get(&topic) {
            return watched.latest.subscribe();
        }
        let (changed, changes) = watch::channel(());
        let (latest, receiver) = watch::channel(None);
        let watched = Watched {
            changed,
            latest: latest.clone(),
        };
        topics.insert(topic, watched);
        tokio::spawn(view::publish(self.clone(), topic, changes, latest));
        receiver
    }
}

#[cfg(test)]
mod tests;
