//! One watcher: its topics and what it has of each. Holds no view: it takes the newest when it is asked to.

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::{StreamExt, StreamMap, wrappers::WatchStream};

use super::{Latest, Stamp, TOPICS_MAX, Topic};
use crate::control::Control;

/// Watches some topics on behalf of one client, which has some views from an earlier connection.
pub struct Watcher {
    views: StreamMap<usize, WatchStream<Latest>>,
    /// By topic, what was sent last or found to be there already.
    sent: Vec<Option<Stamp>>,
    /// What the client said it has. Which topic it is of is seen when that topic's view has the stamp.
    told: Vec<Stamp>,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    /// Watches on `seat`; `last_event_id` is what an earlier [`Watcher::next`] gave, on this or another server.
    pub fn new(
        control: &Control,
        topics: &[Topic],
        last_event_id: Option<&str>,
        seat: OwnedSemaphorePermit,
    ) -> Watcher {
        let views = topics
            .iter()
            .map(|topic| WatchStream::new(control.watch(*topic)))
            .enumerate()
            .collect();
        let told = last_event_id
            .unwrap_or_default()
            .split('.')
            .take(TOPICS_MAX)
            .filter_map(|stamp| stamp.parse().ok())
            .collect();
        Watcher {
            views,
            sent: vec![None; topics.len()],
            told,
            _seat: seat,
        }
    }

    /// The newest view of a topic that the client does not have, as an event without its end, and the id with
    /// which the client may come back for what it does not have then. None when the server ends.
    pub async fn next(&mut self) -> Option<(Bytes, String)> {
        loop {
            let (at, view) = self.views.next().await?;
            let Some(view) = view else { continue };
            let known = match self.sent[at] {
                Some(stamp) => stamp == view.stamp,
                None => self.told.contains(&view.stamp),
            };
            self.sent[at] = Some(view.stamp);
            if !known {
                return Some((view.event, self.id()));
            }
        }
    }

    /// The stamps of all that the client has.
    fn id(&mut self) -> String {
        if self.sent.iter().all(Option::is_some) {
            self.told = Vec::new();
        }
        let stamps = self.sent.iter().flatten().chain(&self.told);
        stamps.map(Stamp::to_string).collect::<Vec<_>>().join(".")
    }
}
