//! Finding: the jobs in which a text may stand, newest first, from the blocks. Blocks are opened as they are reached
//! and their jobs looked up as they are asked for, so that what is common costs a page and what is rare a bitmap or
//! two of each block.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, VecDeque},
    str::FromStr,
};

use model::JobId;
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::{Gram, PART_JOBS, bitmap, part_ids, unreadable, wanted_grams};
use crate::store::{During, Store, StoreError};

/// Blocks with so many jobs together are opened at first, with ever more the next times.
const OPENED_JOBS: i64 = 4_096;
const OPENED_GROWTH: i64 = 32;
/// And so many blocks at a time at most.
const OPENED_MAX: usize = 64;

/// A block that was not opened yet.
#[derive(Debug)]
struct Closed {
    id: i64,
    jobs: i64,
    last: JobId,
}

/// A block with the jobs of it that are still to be given.
#[derive(Debug)]
struct Open {
    id: i64,
    slots: RoaringBitmap,
    /// All of them are older than this, or are it.
    last: JobId,
}

/// A walk through the jobs in whose blocks a text's trigrams stand.
#[derive(Debug)]
pub(in crate::store) struct Hits {
    grams: Vec<Gram>,
    closed: VecDeque<Closed>,
    open: Vec<Open>,
    /// How many jobs the next blocks to open have together.
    opened_jobs: i64,
    /// Jobs of the blocks that were opened, and those of them that have every trigram.
    seen: (i64, u64),
    /// Known, and to be given once nothing that is newer can come.
    ready: BTreeSet<JobId>,
    end: Option<JobId>,
}

impl Hits {
    /// From an id on, exclusively, down to another. Gives also the jobs that are in no block yet, which have to be
    /// looked at one by one: both are of one moment, so that none is missed that moves from one to the other.
    pub(in crate::store) async fn begin(
        store: &Store,
        text: &str,
        since: Option<String>,
        end: Option<JobId>,
    ) -> Result<(Hits, BTreeSet<JobId>), StoreError> {
        let first = since.unwrap_or_default();
        let below = end.map_or_else(|| "g".to_owned(), |end| end.to_string());
        let rows: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT id, jobs, last_id FROM text_block WHERE state = 'current' AND last_id >= $1 AND first_id < $2
             UNION ALL SELECT 0, 0, job_id FROM text_queue WHERE job_id >= $1 AND job_id < $2",
        )
        .bind(first)
        .bind(below)
        .fetch_all(&store.read)
        .await
        .during("list blocks of texts")?;
        let (mut waiting, mut closed) = (BTreeSet::new(), Vec::new());
        for (id, jobs, last) in rows {
            let last = JobId::from_str(&last).map_err(|_| unreadable("job id", id))?;
            match jobs {
                0 => _ = waiting.insert(last),
                _ => closed.push(Closed { id, jobs, last }),
            }
        }
        closed.sort_unstable_by_key(|block| Reverse(block.last));
        let hits = Hits {
            grams: wanted_grams(text),
            closed: closed.into(),
            open: Vec::new(),
            opened_jobs: OPENED_JOBS,
            seen: (0, 0),
            ready: BTreeSet::new(),
            end,
        };
        Ok((hits, waiting))
    }

    /// The part of all jobs in which the text may stand, as far as blocks were opened.
    pub(in crate::store) fn density(&self) -> f64 {
        self.seen.1 as f64 / self.seen.0.max(1) as f64
    }

    /// The next jobs, newest first: about so many, none only when there are no more.
    pub(in crate::store) async fn next(
        &mut self,
        store: &Store,
        jobs: usize,
    ) -> Result<Vec<JobId>, StoreError> {
        loop {
            let mut reached = self.open.iter().map(|block| block.last).max();
            let unopened = self.closed.front().map(|block| block.last);
            // Where the open ones have too few, more are opened first: so all of these are looked up at once.
            let found = self.open.iter().map(|block| block.slots.len());
            let are_few = found.sum::<u64>() < jobs as u64;
            if unopened.is_some() && (unopened >= reached || are_few) {
                self.open_some(store).await?;
                continue;
            }
            if reached.is_some() {
                self.look_up(store, jobs).await?;
                let open = self.open.iter().map(|block| block.last);
                reached = open.chain(unopened).max();
            }
            let given = match reached {
                Some(reached) => self.ready.split_off(&reached),
                None => std::mem::take(&mut self.ready),
            };
            if !given.is_empty() || reached.is_none() {
                return Ok(given.into_iter().rev().collect());
            }
        }
    }

    /// Opens the next blocks: of each only the jobs that have every trigram are kept.
    async fn open_some(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut left = self.opened_jobs;
        let blocks = self.closed.iter().take(OPENED_MAX).take_while(|block| {
            let is_wanted = left > 0;
            left -= block.jobs;
            is_wanted
        });
        let blocks = blocks.count();
        let blocks: Vec<Closed> = self.closed.drain(..blocks).collect();
        self.opened_jobs = self.opened_jobs.saturating_mul(OPENED_GROWTH);
        let ids: Vec<i64> = blocks.iter().map(|block| block.id).collect();
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            // SQLite keeps this order of the three (https://www.sqlite.org/lang_select.html#crossjoin).
            "SELECT text_gram.block, text_gram.slots
             FROM json_each($1) AS wanted CROSS JOIN json_each($2) AS three CROSS JOIN text_gram
             WHERE text_gram.block = CAST(wanted.value AS BIGINT)
                 AND text_gram.gram = CAST(three.value AS BIGINT)",
        )
        .bind(json!(ids).to_string())
        .bind(json!(self.grams).to_string())
        .fetch_all(&store.read)
        .await
        .during("read blocks of texts")?;
        let mut sets: HashMap<i64, Vec<Vec<u8>>> = HashMap::new();
        for (block, slots) in rows {
            sets.entry(block).or_default().push(slots);
        }
        for block in blocks {
            self.seen.0 += block.jobs;
            let sets = sets.remove(&block.id).unwrap_or_default();
            if sets.len() < self.grams.len() {
                continue;
            }
            let mut slots = common(block.id, sets)?;
            self.seen.1 += slots.len();
            if let Some(end) = self.end.filter(|end| *end <= block.last) {
                let first = slot_of(store, block.id, end).await?;
                slots.remove_range(first..);
            }
            if !slots.is_empty() {
                self.open.push(Open {
                    id: block.id,
                    slots,
                    last: block.last,
                });
            }
        }
        self.open.sort_by_key(|block| Reverse(block.last));
        Ok(())
    }

    /// Learns the next ids of the newest open blocks, and closes those that have no more.
    async fn look_up(&mut self, store: &Store, jobs: usize) -> Result<(), StoreError> {
        let mut taken: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut parts = BTreeSet::new();
        let mut left = jobs.max(1);
        for (at, block) in self.open.iter_mut().enumerate() {
            let newest: Vec<u32> = block.slots.iter().rev().take(left).collect();
            left -= newest.len();
            if let Some(oldest) = newest.last() {
                block.slots.remove_range(*oldest..);
            }
            parts.extend(newest.iter().map(|slot| (block.id, part_of(*slot).0)));
            taken.push((at, newest));
            if left == 0 {
                break;
            }
        }
        let ids = read_parts(store, &parts).await?;
        for (at, slots) in taken {
            let block = &mut self.open[at];
            for slot in slots {
                let (part, place) = part_of(slot);
                let id = ids.get(&(block.id, part)).and_then(|ids| ids.get(place));
                let id = *id.ok_or_else(|| unreadable("list of jobs", block.id))?;
                block.last = id;
                self.ready.insert(id);
            }
        }
        self.open.retain(|block| !block.slots.is_empty());
        self.open.sort_by_key(|block| Reverse(block.last));
        Ok(())
    }
}

/// Jobs that are in each of several sets.
fn common(block: i64, mut sets: Vec<Vec<u8>>) -> Result<RoaringBitmap, StoreError> {
    sets.sort_by_key(Vec::len);
    let mut all: Option<RoaringBitmap> = None;
    for set in sets {
        let set = bitmap(block, &set)?;
        let both = match all {
            Some(all) => all & set,
            None => set,
        };
        if both.is_empty() {
            return Ok(both);
        }
        all = Some(both);
    }
    Ok(all.unwrap_or_default())
}

/// The part in which a slot's id stands, and its place there.
fn part_of(slot: u32) -> (i64, usize) {
    let slot = slot as usize;
    (
        i64::try_from(slot / PART_JOBS).unwrap_or(i64::MAX),
        slot % PART_JOBS,
    )
}

/// The slot of the first job of a block that is not older than an id.
async fn slot_of(store: &Store, block: i64, id: JobId) -> Result<u32, StoreError> {
    let part: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT part, ids FROM text_part WHERE block = $1 AND first_id < $2 ORDER BY first_id DESC LIMIT 1",
    )
    .bind(block)
    .bind(id.to_string())
    .fetch_optional(&store.read)
    .await
    .during("read a block of texts")?;
    let Some((part, ids)) = part else {
        return Ok(0);
    };
    let older = part_ids(block, &ids)?.partition_point(|other| *other < id);
    let before = usize::try_from(part).unwrap_or(0) * PART_JOBS;
    Ok(u32::try_from(before + older).unwrap_or(u32::MAX))
}

async fn read_parts(
    store: &Store,
    parts: &BTreeSet<(i64, i64)>,
) -> Result<HashMap<(i64, i64), Vec<JobId>>, StoreError> {
    let wanted: Vec<Value> = parts
        .iter()
        .map(|(block, part)| json!({ "block": block, "part": part }))
        .collect();
    let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT text_part.block, text_part.part, text_part.ids FROM json_each($1) AS wanted CROSS JOIN text_part
         WHERE text_part.block = CAST(wanted.value ->> 'block' AS BIGINT)
             AND text_part.part = CAST(wanted.value ->> 'part' AS BIGINT)",
    )
    .bind(Value::from(wanted).to_string())
    .fetch_all(&store.read)
    .await
    .during("read blocks of texts")?;
    let parts = rows
        .into_iter()
        .map(|(block, part, ids)| Ok(((block, part), part_ids(block, &ids)?)));
    parts.collect()
}
