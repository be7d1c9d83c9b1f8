//! Which shards are read: each once, and none before those it came from were read to their end, so that a unit of
//! work whose lines moved to another shard is told in order. Owns no call to Kinesis.
//! <https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html>

use std::collections::{HashMap, HashSet};

use tokio::task::{Id, JoinSet};

use crate::aws::Shard;

/// How the reading of a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The shard is closed and every record of it was kept.
    Read,
    /// It is not there any more, or the server ends.
    Gone,
}

/// The readers of a stream's shards.
#[derive(Debug, Default)]
pub(super) struct Readers {
    tasks: JoinSet<End>,
    reading: HashMap<Id, String>,
    /// Closed shards that were read to their end.
    read: HashSet<String>,
}

impl Readers {
    /// The shards whose reading is to begin now.
    pub(super) fn due(&mut self, shards: &[Shard]) -> Vec<String> {
        // A stream made anew has open shards of the same names.
        let closed: HashSet<&str> = shards
            .iter()
            .filter(|shard| shard.closed)
            .map(|shard| shard.id.as_str())
            .collect();
        self.read.retain(|shard| closed.contains(shard.as_str()));
        let reading: HashSet<&str> = self.reading.values().map(String::as_str).collect();
        startable(shards, &self.read)
            .into_iter()
            .filter(|shard| !reading.contains(shard))
            .map(str::to_owned)
            .collect()
    }

    /// Begins to read a shard.
    pub(super) fn start(
        &mut self,
        shard: String,
        reading: impl Future<Output = End> + Send + 'static,
    ) {
        let task = self.tasks.spawn(reading).id();
        self.reading.insert(task, shard);
    }

    /// Waits until a shard was read to its end. One whose reader ended otherwise, or panicked, is due again.
    pub(super) async fn read_one(&mut self) {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(Ok((task, end))) => {
                    let shard = self.reading.remove(&task);
                    if end == End::Read {
                        self.read.extend(shard);
                        return;
                    }
                }
                Some(Err(panicked)) => {
                    let shard = self.reading.remove(&panicked.id());
                    tracing::error!(shard, "the reader of a shard panicked");
                }
                None => std::future::pending().await,
            }
        }
    }
}

/// The shards that may be read: those whose parents were read to their end, or are past the stream's retention and
/// so not listed any more.
fn startable<'s>(shards: &'s [Shard], read: &HashSet<String>) -> Vec<&'s str> {
    let listed: HashSet<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
    let is_over = |parent: &String| !listed.contains(parent.as_str()) || read.contains(parent);
    shards
        .iter()
        .filter(|shard| !read.contains(&shard.id) && shard.parents.iter().all(is_over))
        .map(|shard| shard.id.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], closed: bool) -> Shard {
        Shard {
            id: id.to_owned(),
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
            closed,
        }
    }

    /// 0 was split into 1 and 2, which were merged into 3.
    fn resharded() -> Vec<Shard> {
        vec![
            shard("0", &[], true),
            shard("1", &["0"], true),
            shard("2", &["0"], true),
            shard("3", &["1", "2"], false),
        ]
    }

    fn read(ids: &[&str]) -> HashSet<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn children_wait_until_every_parent_was_read_to_its_end() {
        let shards = resharded();
        assert_eq!(startable(&shards, &read(&[])), ["0"]);
        assert_eq!(startable(&shards, &read(&["0"])), ["1", "2"]);
        assert_eq!(startable(&shards, &read(&["0", "2"])), ["1"]);
        assert_eq!(startable(&shards, &read(&["0", "1", "2"])), ["3"]);
    }

    #[test]
    fn parents_that_are_past_the_retention_hold_up_nothing() {
        let shards = &resharded()[1..];
        assert_eq!(startable(shards, &read(&[])), ["1", "2"]);
        assert_eq!(startable(&shards[2..], &read(&[])), ["3"]);
    }

    #[tokio::test]
    async fn each_shard_is_read_once_and_a_stream_made_anew_from_its_beginning() {
        let mut readers = Readers::default();
        let shards = resharded();
        assert_eq!(readers.due(&shards), ["0"]);
        readers.start("0".to_owned(), async { End::Read });
        assert!(readers.due(&shards).is_empty(), "it is being read");
        readers.read_one().await;
        assert_eq!(readers.due(&shards), ["1", "2"]);
        let anew = [shard("0", &[], false)];
        assert_eq!(readers.due(&anew), ["0"], "not the shard of that name");
    }

    #[tokio::test]
    async fn a_shard_whose_reader_died_is_due_again() {
        let mut readers = Readers::default();
        let shards = resharded();
        readers.read.insert("0".to_owned());
        readers.start("1".to_owned(), async { panic!("a bug") });
        assert_eq!(readers.due(&shards), ["2"]);
        // The panic is heard of first: tasks of one thread run in turn.
        readers.start("2".to_owned(), async { End::Read });
        readers.read_one().await;
        assert_eq!(readers.due(&shards), ["1"]);
    }
}
