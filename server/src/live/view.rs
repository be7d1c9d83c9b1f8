//! A topic's view: made once for all who watch it, as the bytes that each of them is sent.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use model::{JobFilter, TimestampMs};
use serde::Serialize;
use tokio::sync::watch;

use super::Topic;
use crate::control::{Control, Failure, causes};

/// The shortest time from one view to the next.
const PACE: Duration = Duration::from_millis(250);
/// How long after a view could not be made it is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What a view says, in 64 bits: equal for views of a topic that differ in nothing but the moment they were made,
/// on every server of one build. After an update it may differ for the same, which costs one view sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Stamp {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Stamp, Self::Err> {
        u64::from_str_radix(text, 16).map(Stamp)
    }
}

/// A view as it is sent: an event without its id and the empty line at its end, because the id tells of all the
/// topics that a watcher has. Cheap to clone: all watchers share the bytes.
#[derive(Debug, Clone)]
pub struct Shown {
    pub stamp: Stamp,
    pub event: Bytes,
}

/// The newest view; none until the first was made.
pub type Latest = Option<Shown>;

/// Makes a topic's view, unless it says what `seen` says.
async fn look(
    control: &Control,
    topic: Topic,
    seen: Option<Stamp>,
) -> Result<Option<Shown>, Failure> {
    match topic {
        Topic::Job(id) => {
            let mut view = control.job_shown(id).await?;
            let made_at = std::mem::replace(&mut view.as_of_ms, TimestampMs(0));
            let Some(stamp) = news(topic, &view, seen)? else {
                return Ok(None);
            };
            view.as_of_ms = made_at;
            shown(topic, stamp, &view).map(Some)
        }
        Topic::Jobs(status) => {
            let filter = JobFilter {
                status,
                ..JobFilter::default()
            };
            let mut page = control.jobs(filter).await?;
            let made_at = std::mem::replace(&mut page.as_of_ms, TimestampMs(0));
            let Some(stamp) = news(topic, &page, seen)? else {
                return Ok(None);
            };
            page.as_of_ms = made_at;
            shown(topic, stamp, &page).map(Some)
        }
    }
}

fn text_of(view: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(view).map_err(|_| Failure::Fault("a view is not JSON"))
}

/// The stamp of a view without its moment, unless it is the one already seen.
fn news(
    topic: Topic,
    view: &impl Serialize,
    seen: Option<Stamp>,
) -> Result<Option<Stamp>, Failure> {
    // `DefaultHasher::new` has fixed keys. The topic goes in so that no other topic's view has this stamp.
    let mut hasher = DefaultHasher::new();
    topic.to_string().hash(&mut hasher);
    text_of(view)?.hash(&mut hasher);
    let stamp = Stamp(hasher.finish());
    Ok((seen != Some(stamp)).then_some(stamp))
}

fn shown(topic: Topic, stamp: Stamp, view: &impl Serialize) -> Result<Shown, Failure> {
    let text = text_of(view)?;
    Ok(Shown {
        stamp,
        event: format!("event: {topic}\ndata: {text}\n").into(),
    })
}

/// Makes a topic's view anew as long as somebody watches it.
pub(super) async fn publish(
    control: Control,
    topic: Topic,
    mut changes: watch::Receiver<()>,
    latest: watch::Sender<Latest>,
) {
    // Only a fault gets out of here without taking the topic along: the next watcher begins a new one.
    let _given = Given {
        control: control.clone(),
        topic,
    };
    let mut seen = None;
    loop {
        changes.mark_unchanged();
        let mut failed = false;
        match look(&control, topic, seen).await {
            Ok(Some(shown)) => {
                seen = Some(shown.stamp);
                latest.send_replace(Some(shown));
            }
            Ok(None) => {}
            // The watchers keep what they have until it is tried again: this change may have been the last.
            Err(failure) => {
                failed = true;
                tracing::warn!(%topic, causes = %causes(&failure), "a live view was not made");
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
            () = tokio::time::sleep(RETRY), if failed => {}
            () = paced(&mut changes), if !failed => {}
        }
    }
    control.live.topics().remove(&topic);
}

/// Takes a topic off the list when its making panics.
struct Given {
    control: Control,
    topic: Topic,
}

impl Drop for Given {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.control.live.topics().remove(&self.topic);
        }
    }
}

/// Returns after the pace's time, when something has changed by then or else as soon as it does.
async fn paced(changes: &mut watch::Receiver<()>) {
    tokio::time::sleep(PACE).await;
    if changes.changed().await.is_err() {
        // The topic was removed: the watchers are gone too, which the other arms of the select see.
        std::future::pending::<()>().await;
    }
}
