//! Live views: for each thing somebody watches one task that makes its view anew when it changed, at most
//! four times a second, and one place from which every watcher takes the newest. A watcher who is slow
//! misses what lay between, never the last; nothing queues up. Knows no HTTP.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::{JobFilter, JobId, JobPage, JobStatus, JobView, TimestampMs};
use tokio::sync::watch;

use crate::control::{Control, Failure, causes};

/// The shortest time from one view to the next.
const PACE: Duration = Duration::from_millis(250);
/// How long after a page was looked at its job still counts as watched.
const LOOKED_AT_MS: i64 = 10_000;
/// Jobs remembered as looked at; beyond it everybody is watched at the gentle pace.
const LOOKED_AT_MAX: usize = 1_000;

/// Something that can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    Job(JobId),
    /// Page one of the list of jobs of this status, or of all.
    Jobs(Option<JobStatus>),
}

/// A view as JSON text; none until the first was made.
pub type Latest = Option<Arc<str>>;

/// What is watched, and by how many.
#[derive(Default)]
pub struct Live {
    topics: Mutex<HashMap<Topic, Watched>>,
    looked_at: Mutex<HashMap<JobId, i64>>,
}

struct Watched {
    changed: watch::Sender<()>,
    latest: watch::Sender<Latest>,
}

impl Live {
    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, Watched>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a job changed, and with it the lists it is in.
    pub fn touch(&self, job: JobId) {
        for (topic, watched) in self.topics().iter() {
            if matches!(topic, Topic::Jobs(_)) || *topic == Topic::Job(job) {
                watched.changed.send_replace(());
            }
        }
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
}

/// A view without the moment it was made: two that are equal need not be sent twice.
#[derive(PartialEq)]
enum View {
    Job(Box<JobView>),
    Jobs(JobPage),
}

impl View {
    async fn of(control: &Control, topic: Topic) -> Result<(View, String), Failure> {
        const UNSERIALIZABLE: Failure = Failure::Fault("a view is not JSON");
        match topic {
            Topic::Job(id) => {
                let mut view = control.job(id).await?;
                let text = serde_json::to_string(&view).map_err(|_| UNSERIALIZABLE)?;
                view.as_of_ms = TimestampMs(0);
                Ok((View::Job(Box::new(view)), text))
            }
            Topic::Jobs(status) => {
                let filter = JobFilter {
                    status,
                    ..JobFilter::default()
                };
                let mut page = control.jobs(filter).await?;
                let text = serde_json::to_string(&page).map_err(|_| UNSERIALIZABLE)?;
                page.as_of_ms = TimestampMs(0);
                Ok((View::Jobs(page), text))
            }
        }
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
        tokio::spawn(publish(self.clone(), topic, changes, latest));
        receiver
    }
}

/// Makes a topic's view anew as long as somebody watches it.
async fn publish(
    control: Control,
    topic: Topic,
    mut changes: watch::Receiver<()>,
    latest: watch::Sender<Latest>,
) {
    let mut sent: Option<View> = None;
    loop {
        changes.mark_unchanged();
        match View::of(&control, topic).await {
            Ok((view, text)) => {
                if sent.as_ref() != Some(&view) {
                    latest.send_replace(Some(text.into()));
                    sent = Some(view);
                }
            }
            // The watchers keep what they have; the next change tries again.
            Err(failure) => {
                tracing::warn!(?topic, causes = %causes(&failure), "a live view was not made");
            }
        }
        tokio::select! {
            () = control.ending.cancelled() => break,
            () = latest.closed() => {
                let mut topics = control.live.topics();
                // Somebody may have come between the last one's going and this lock.
                if latest.receiver_count() == 0 {
                    topics.remove(&topic);
                    return;
                }
            }
            () = paced(&mut changes) => {}
        }
    }
    control.live.topics().remove(&topic);
}

/// Returns after the pace's time, when something has changed by then or else as soon as it does.
async fn paced(changes: &mut watch::Receiver<()>) {
    tokio::time::sleep(PACE).await;
    if changes.changed().await.is_err() {
        // The topic was removed: the watchers are gone too, which the other arms of the select see.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::testing::control,
        store::{self, testing::on_each_database},
    };

    on_each_database!(
        a_watcher_gets_the_view_at_once_and_again_when_it_changed,
        a_topic_that_nobody_watches_any_more_is_given_up,
        the_end_of_the_server_ends_what_is_watched,
    );

    async fn a_watcher_gets_the_view_at_once_and_again_when_it_changed() {
        let (_folder, control) = control().await;
        let mut page = control.watch(Topic::Jobs(None));
        page.wait_for(Option::is_some).await.unwrap();
        let job = store::testing_submit(&control.store, 1).await;
        control.live.touch(job);
        let seen = page
            .wait_for(|text| {
                text.as_deref()
                    .is_some_and(|text| text.contains(&job.to_string()))
            })
            .await;
        assert!(seen.is_ok());
    }

    async fn a_topic_that_nobody_watches_any_more_is_given_up() {
        let (_folder, control) = control().await;
        let mut page = control.watch(Topic::Jobs(None));
        page.wait_for(Option::is_some).await.unwrap();
        let mut latest = control.live.topics()[&Topic::Jobs(None)].latest.subscribe();
        drop(page);
        assert_eq!(
            control.live.topics().len(),
            1,
            "the second one watches still"
        );
        latest.mark_unchanged();
        drop(latest);
        while !control.live.topics().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn the_end_of_the_server_ends_what_is_watched() {
        let (_folder, control) = control().await;
        let mut page = control.watch(Topic::Jobs(None));
        page.wait_for(Option::is_some).await.unwrap();
        control.ending.cancel();
        assert!(page.wait_for(|_| false).await.is_err());
    }

    #[test]
    fn a_job_looked_at_counts_as_watched_for_a_while() {
        let live = Live::default();
        let job = JobId(uuid::Uuid::nil());
        live.looked_at(job, 1_000);
        assert!(live.watched_jobs(1_500).contains(&job));
        assert!(live.watched_jobs(60_000).is_empty());
    }
}
