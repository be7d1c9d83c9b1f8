//! Finding: the jobs in which a text may stand, newest first, from the blocks. Blocks are opened as they are reached
//! and their jobs looked up as they are asked for, so that what is common costs a page and what is rare a bitmap or
//! three of each block.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, VecDeque},
    str::FromStr,
};

use model::JobId;
use roaring::RoaringBitmap;
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Gram, ID_BYTES, PART_JOBS, part_ids, sets::Sets, unreadable, wanted_grams};
use crate::store::{Backend, During, StoreError};

/// Blocks with so many jobs together are opened at first, then with so many times as many as were opened before.
const OPENED_JOBS: i64 = 4_096;
const OPENED_GROWTH: i64 = 512;
/// So many of a text's trigrams are asked for at first, the rarest.
const RAREST_GRAMS: usize = 3;
/// With so few sets to look up all are, and which of them are rare is seen anew.
const SORTED_MAX: usize = 512;
/// So few jobs of a block are looked at rather than that more sets are read, which might leave some of them out.
const FEW_MAX: u64 = 4;
/// Nor are more sets read for what is in one job of so many or in more: a page of that is soon found.
const RARE_JOBS: i64 = if cfg!(test) { 4 } else { 256 };
/// Bits of a slot's number beside its block's.
const SLOT_BITS: u32 = 24;
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

/// A walk through the jobs that have a text's trigrams and certain terms in their blocks.
#[derive(Debug)]
pub(in crate::store) struct Hits {
    sets: Sets,
    grams: Vec<Gram>,
    /// Where in the text these stand.
    places: Vec<usize>,
    terms: Vec<Gram>,
    closed: VecDeque<Closed>,
    open: Vec<Open>,
    /// Jobs of the blocks that were opened, and those of them that have every trigram.
    seen: (i64, u64),
    /// Known, and to be given once nothing that is newer can come.
    ready: BTreeSet<JobId>,
    end: Option<JobId>,
}

impl Hits {
    /// Of those that have also certain terms, from an id on, exclusively, down to another. Gives also the jobs that are
    /// in no block yet as they are, which have to be looked at one by one: both are of one moment, so that none is
    /// missed that moves from one to the other.
    pub(in crate::store) async fn begin(
        connection: &mut AnyConnection,
        sets: Sets,
        text: &str,
        terms: &[Gram],
        since: Option<String>,
        end: Option<JobId>,
    ) -> Result<(Hits, BTreeSet<JobId>), StoreError> {
        let first = since.unwrap_or_default();
        let below = end.map_or_else(|| "g".to_owned(), |end| end.to_string());
        let backend = Backend::of(connection);
        let rows = backend.rows_as_json("block.id, block.jobs, block.last_id");
        // By its key PostgreSQL sees at once that there is nothing in a queue that was long.
        let query = format!(
            "SELECT {rows} FROM (
                 SELECT id, jobs, last_id FROM text_block WHERE state = 'current' AND last_id >= $1 AND first_id < $2
                 UNION ALL SELECT 0, 0, job_id FROM text_queue
                     WHERE number > 0 AND job_id >= $1 AND job_id < $2 AND text_known <= $3) AS block"
        );
        let (rows,): (String,) = sqlx::query_as(AssertSqlSafe(query))
            .bind(first)
            .bind(below)
            .bind(i32::from(!terms.is_empty()))
            .fetch_one(connection)
            .await
            .during("list blocks of texts")?;
        let rows: Vec<(i64, i64, String)> =
            serde_json::from_str(&rows).map_err(|_| unreadable("list of blocks", 0))?;
        let (mut waiting, mut closed) = (BTreeSet::new(), Vec::new());
        for (id, jobs, last) in rows {
            let last = JobId::from_str(&last).map_err(|_| unreadable("job id", id))?;
            match jobs {
                0 => _ = waiting.insert(last),
                _ => closed.push(Closed { id, jobs, last }),
            }
        }
        closed.sort_unstable_by_key(|block| Reverse(block.last));
        let (grams, places) = wanted_grams(text).into_iter().unzip();
        let hits = Hits {
            sets,
            grams,
            places,
            terms: terms.to_vec(),
            closed: closed.into(),
            open: Vec::new(),
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

    /// The next jobs, newest first: so many or some more, fewer only when there are no more.
    pub(in crate::store) async fn next(
        &mut self,
        connection: &mut AnyConnection,
        jobs: usize,
    ) -> Result<Vec<JobId>, StoreError> {
        loop {
            let reached = self.open.iter().map(|block| block.last).max();
            let unopened = self.closed.front().map(|block| block.last);
            // Where the open ones have too few, more are opened first: so all of these are looked up at once.
            let found: u64 = self.open.iter().map(|block| block.slots.len()).sum();
            let missing = (jobs as u64).saturating_sub(found + self.ready.len() as u64);
            if unopened.is_some() && (missing > 0 || unopened >= reached) {
                self.open_some(connection, missing, reached).await?;
                continue;
            }
            let Some(newest) = reached.max(unopened) else {
                return Ok(std::mem::take(&mut self.ready).into_iter().rev().collect());
            };
            let known = self.ready.range(newest..).count();
            if known >= jobs.max(1) || reached.is_none() {
                let given = self.ready.split_off(&newest);
                return Ok(given.into_iter().rev().collect());
            }
            self.look_up(connection, jobs.max(1) - known).await?;
        }
    }

    /// Opens the next blocks, in which so many more may be found, or else those that have jobs as new as one: of each
    /// only the jobs that have every trigram are kept.
    async fn open_some(
        &mut self,
        connection: &mut AnyConnection,
        missing: u64,
        reached: Option<JobId>,
    ) -> Result<(), StoreError> {
        let blocks = self.closed.iter().take(OPENED_MAX);
        let blocks = if missing > 0 {
            let mut left = OPENED_JOBS.max(self.seen.0.saturating_mul(OPENED_GROWTH));
            if self.seen.1 > 0 {
                let estimated = (missing as f64 / self.density()).ceil() as i64;
                left = left.min(estimated.max(OPENED_JOBS));
            }
            let blocks = blocks.take_while(|block| {
                let is_wanted = left > 0;
                left -= block.jobs;
                is_wanted
            });
            blocks.count()
        } else {
            let blocks = blocks.take_while(|block| Some(block.last) >= reached);
            blocks.count()
        };
        let blocks: Vec<Closed> = self.closed.drain(..blocks).collect();
        let ids: Vec<i64> = blocks.iter().map(|block| block.id).collect();
        if self.seen.0 == 0 || ids.len() * self.grams.len() <= SORTED_MAX {
            self.sort_grams(connection, &ids).await?;
        }
        let (rarest, others) = self.grams.split_at(RAREST_GRAMS.min(self.grams.len()));
        let first: Vec<Gram> = self.terms.iter().chain(rarest).copied().collect();
        let mut found = HashMap::new();
        self.narrow(connection, &ids, &first, &mut found).await?;
        // A number's trigrams are all of them in many jobs, and together in few.
        let many = blocks.iter().filter(|block| {
            let slots = found.get(&block.id).map_or(0, RoaringBitmap::len);
            slots > FEW_MAX && slots < (block.jobs / RARE_JOBS).unsigned_abs()
        });
        let many: Vec<i64> = many.map(|block| block.id).collect();
        if !others.is_empty() && !many.is_empty() {
            self.narrow(connection, &many, others, &mut found).await?;
        }
        for block in blocks {
            self.seen.0 += block.jobs;
            let Some(mut slots) = found.remove(&block.id) else {
                continue;
            };
            self.seen.1 += slots.len();
            if let Some(end) = self.end.filter(|end| *end <= block.last) {
                let first = slot_of(connection, block.id, end).await?;
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

    /// Puts the rarest trigrams first, as these blocks have them, of those that stand apart in the text.
    async fn sort_grams(
        &mut self,
        connection: &mut AnyConnection,
        blocks: &[i64],
    ) -> Result<(), StoreError> {
        let sets = self.sets.read(connection, blocks, &self.grams).await?;
        let size = |at: usize| sets.iter().map(|sets| sets[at].bytes).sum::<u64>();
        let mut left: Vec<usize> = (0..self.grams.len()).collect();
        left.sort_by_cached_key(|at| size(*at));
        let mut sorted: Vec<usize> = Vec::new();
        while !left.is_empty() {
            // What overlaps with those before says little that is new.
            let is_apart = |at: &usize| {
                let place = |at: &usize| self.places[*at];
                sorted
                    .iter()
                    .all(|other| place(other).abs_diff(place(at)) >= 3)
            };
            let next = left.iter().position(is_apart).unwrap_or(0);
            sorted.push(left.remove(next));
        }
        self.grams = sorted.iter().map(|at| self.grams[*at]).collect();
        self.places = sorted.iter().map(|at| self.places[*at]).collect();
        Ok(())
    }

    /// Leaves of what was found in blocks, at first everything, those jobs that have some more trigrams or terms. Large
    /// sets are read only of those of which small ones leave many.
    async fn narrow(
        &self,
        connection: &mut AnyConnection,
        blocks: &[i64],
        grams: &[Gram],
        found: &mut HashMap<i64, RoaringBitmap>,
    ) -> Result<(), StoreError> {
        let mut unread = Vec::new();
        let all = self.sets.read(connection, blocks, grams).await?;
        for (block, sets) in blocks.iter().zip(&all) {
            let small = sets.iter().filter_map(|set| set.slots.as_deref());
            let left = common(small.chain(found.get(block)));
            // Not of what the filter alone admits: most of that may be without the text.
            let is_text = found.contains_key(block)
                || grams
                    .iter()
                    .zip(sets)
                    .any(|(gram, set)| *gram >= 0 && set.is_small());
            let is_few =
                |slots: &RoaringBitmap| slots.is_empty() || is_text && slots.len() <= FEW_MAX;
            if !left.as_ref().is_some_and(is_few) {
                let large = grams.iter().zip(sets);
                let large = large.filter(|(_, set)| set.slots.is_none());
                unread.extend(large.map(|(gram, _)| (*block, *gram)));
            }
            if let Some(left) = left {
                found.insert(*block, left);
            }
        }
        for (block, large) in self.sets.read_large(connection, &unread).await? {
            let large = large.iter().map(AsRef::as_ref);
            if let Some(left) = common(large.chain(found.get(&block))) {
                found.insert(block, left);
            }
        }
        Ok(())
    }

    /// Learns the next ids of the newest open blocks, and closes those that have no more.
    async fn look_up(
        &mut self,
        connection: &mut AnyConnection,
        jobs: usize,
    ) -> Result<(), StoreError> {
        let mut wanted = Vec::new();
        let mut left = jobs;
        for block in &mut self.open {
            let newest: Vec<u32> = block.slots.iter().rev().take(left).collect();
            left -= newest.len();
            if let Some(oldest) = newest.last() {
                block.slots.remove_range(*oldest..);
            }
            wanted.extend(newest.into_iter().map(|slot| (block.id, slot)));
            if left == 0 {
                break;
            }
        }
        for (id, job) in ids(connection, &wanted).await? {
            let block = self.open.iter_mut().find(|block| block.id == id);
            let block = block.ok_or_else(|| unreadable("list of jobs", id))?;
            block.last = block.last.min(job);
            self.ready.insert(job);
        }
        self.open.retain(|block| !block.slots.is_empty());
        self.open.sort_by_key(|block| Reverse(block.last));
        Ok(())
    }
}

/// Jobs that are in each of several sets; none without a set.
fn common<'a>(sets: impl IntoIterator<Item = &'a RoaringBitmap>) -> Option<RoaringBitmap> {
    let mut sets: Vec<&RoaringBitmap> = sets.into_iter().collect();
    sets.sort_by_key(|set| set.len());
    let (first, others) = sets.split_first()?;
    let mut all = (*first).clone();
    for set in others {
        if all.is_empty() {
            break;
        }
        all &= *set;
    }
    Some(all)
}

/// The slot of the first job of a block that is not older than an id.
async fn slot_of(connection: &mut AnyConnection, block: i64, id: JobId) -> Result<u32, StoreError> {
    let part: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT part, ids FROM text_part WHERE block = $1 AND first_id < $2 ORDER BY first_id DESC LIMIT 1",
    )
    .bind(block)
    .bind(id.to_string())
    .fetch_optional(connection)
    .await
    .during("read a block of texts")?;
    let Some((part, ids)) = part else {
        return Ok(0);
    };
    let older = part_ids(block, &ids)?.partition_point(|other| *other < id);
    let before = usize::try_from(part).unwrap_or(0) * PART_JOBS;
    Ok(u32::try_from(before + older).unwrap_or(u32::MAX))
}

/// The jobs in slots of blocks, with their blocks, in any order. Read as one row: SQLite's are handed from thread to
/// thread one by one.
async fn ids(
    connection: &mut AnyConnection,
    slots: &[(i64, u32)],
) -> Result<Vec<(i64, JobId)>, StoreError> {
    let wanted: Vec<i64> = slots
        .iter()
        .map(|(block, slot)| block << SLOT_BITS | i64::from(*slot))
        .collect();
    let backend = Backend::of(connection);
    let block = format!("(wanted.value >> {SLOT_BITS})");
    let slot = format!("(wanted.value & {})", (1 << SLOT_BITS) - 1);
    let at = format!("CAST({slot} % {PART_JOBS} * {ID_BYTES} + 1 AS INTEGER)");
    let id = format!("substr(text_part.ids, {at}, {ID_BYTES})");
    let id = match backend {
        Backend::Sqlite => format!("hex({id})"),
        Backend::Postgres => format!("encode({id}, 'hex')"),
    };
    let rows = backend.rows_as_json(&format!("text_part.block, {id}"));
    let text = format!(
        "SELECT {rows} FROM ({}) AS wanted CROSS JOIN text_part
         WHERE text_part.block = {block} AND text_part.part = {slot} / {PART_JOBS}",
        backend.numbers("$1"),
    );
    let (rows,): (String,) = sqlx::query_as(AssertSqlSafe(text))
        .bind(json!(wanted).to_string())
        .fetch_one(connection)
        .await
        .during("read blocks of texts")?;
    let rows: Vec<(i64, String)> =
        serde_json::from_str(&rows).map_err(|_| unreadable("list of jobs", 0))?;
    if rows.len() < slots.len() {
        return Err(unreadable("list of jobs", 0));
    }
    let ids = rows.into_iter().map(|(block, id)| {
        let id = JobId::from_str(&id).map_err(|_| unreadable("job id", block))?;
        Ok((block, id))
    });
    ids.collect()
}
