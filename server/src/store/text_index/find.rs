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
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Gram, ID_BYTES, PART_JOBS, bitmap, part_ids, unreadable, wanted_grams};
use crate::store::{Backend, During, StoreError};

/// Blocks with so many jobs together are opened at first, with ever more the next times.
const OPENED_JOBS: i64 = 4_096;
const OPENED_GROWTH: i64 = 512;
/// So many of a text's trigrams are asked for once it is known which are rare, that is in all but the first blocks.
const RAREST_GRAMS: usize = 2;
/// So few jobs are looked at rather than that large sets are read, which might leave some of them out.
const UNSURE_MAX: u64 = if cfg!(test) { 3 } else { 64 };
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
    grams: Vec<Gram>,
    terms: Vec<Gram>,
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
    /// Of those that have also certain terms, from an id on, exclusively, down to another. Gives also the jobs that are
    /// in no block yet as they are, which have to be looked at one by one: both are of one moment, so that none is
    /// missed that moves from one to the other.
    pub(in crate::store) async fn begin(
        connection: &mut AnyConnection,
        text: &str,
        terms: &[Gram],
        since: Option<String>,
        end: Option<JobId>,
    ) -> Result<(Hits, BTreeSet<JobId>), StoreError> {
        let first = since.unwrap_or_default();
        let below = end.map_or_else(|| "g".to_owned(), |end| end.to_string());
        let backend = Backend::of(connection);
        let rows = backend.rows_as_json("block.id, block.jobs, block.last_id");
        let query = format!(
            "SELECT {rows} FROM (
                 SELECT id, jobs, last_id FROM text_block WHERE state = 'current' AND last_id >= $1 AND first_id < $2
                 UNION ALL SELECT 0, 0, job_id FROM text_queue
                     WHERE job_id >= $1 AND job_id < $2 AND text_known <= $3) AS block"
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
        let hits = Hits {
            grams: wanted_grams(text),
            terms: terms.to_vec(),
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
            let mut left = self.opened_jobs;
            self.opened_jobs = left.saturating_mul(OPENED_GROWTH);
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
        let grams: Vec<Gram> = self.terms.iter().chain(&self.grams).copied().collect();
        let (mut sets, sizes) = small_sets(connection, &ids, &grams).await?;
        // From here on only for the rarest: what those let through is compared with the text anyway.
        self.grams
            .sort_by_key(|gram| sizes.get(gram).copied().unwrap_or(0));
        self.grams.truncate(RAREST_GRAMS);
        let mut found = HashMap::new();
        let mut unsure = Vec::new();
        for block in &blocks {
            self.seen.0 += block.jobs;
            let sets = sets.remove(&block.id).unwrap_or_default();
            if sets.len() < grams.len() {
                continue;
            }
            let is_small = sets.iter().all(|(_, set)| set.is_some());
            // Not of what the filter alone admits: most of that may be without the text.
            let is_text = sets.iter().any(|(gram, set)| *gram >= 0 && set.is_some());
            let small = common(block.id, sets.into_iter().filter_map(|(_, set)| set))?;
            let is_enough =
                |slots: &RoaringBitmap| is_small || is_text && slots.len() <= UNSURE_MAX;
            if !small.as_ref().is_some_and(is_enough) {
                unsure.push(block.id);
            }
            found.insert(block.id, small);
        }
        let rarest: Vec<Gram> = self.terms.iter().chain(&self.grams).copied().collect();
        let large = large_sets(connection, &unsure, &rarest).await?;
        for (block, sets) in large {
            if let Some(slots) = found.get_mut(&block) {
                let small = slots.take();
                let all = common(block, sets)?;
                *slots = match (small, all) {
                    (Some(small), Some(all)) => Some(small & all),
                    (one, other) => one.or(other),
                };
            }
        }
        for block in blocks {
            let Some(Some(mut slots)) = found.remove(&block.id) else {
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
fn common(
    block: i64,
    sets: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Option<RoaringBitmap>, StoreError> {
    let mut sets: Vec<Vec<u8>> = sets.into_iter().collect();
    sets.sort_by_key(Vec::len);
    let mut all: Option<RoaringBitmap> = None;
    for set in sets {
        let set = bitmap(block, &set)?;
        let both = match all {
            Some(all) => all & set,
            None => set,
        };
        let is_empty = both.is_empty();
        all = Some(both);
        if is_empty {
            break;
        }
    }
    Ok(all)
}

/// The query of sets: by blocks and trigrams, each of which is looked up.
fn query_of_sets(backend: Backend, table: &str, columns: &str) -> String {
    let block = backend.is_number_of("block", "$1");
    let gram = backend.is_number_of("gram", "$2");
    format!("SELECT {columns} FROM {table} WHERE {block} AND {gram}")
}

/// A trigram's set; none where it is large.
type SmallSet = (Gram, Option<Vec<u8>>);

/// By block the sets that there are, and how many bytes those of each trigram take together. All come as one row: there
/// are many of them when a text is rare, and SQLite's are handed from thread to thread one by one.
async fn small_sets(
    connection: &mut AnyConnection,
    blocks: &[i64],
    grams: &[Gram],
) -> Result<(HashMap<i64, Vec<SmallSet>>, HashMap<Gram, u64>), StoreError> {
    let backend = Backend::of(connection);
    let slots = match backend {
        Backend::Sqlite => "hex(slots)",
        Backend::Postgres => "encode(slots, 'hex')",
    };
    let rows = backend.rows_as_json(&format!("block, gram, bytes, {slots}"));
    let text = query_of_sets(backend, "text_gram", &rows);
    let (rows,): (String,) = sqlx::query_as(AssertSqlSafe(text))
        .bind(json!(blocks).to_string())
        .bind(json!(grams).to_string())
        .fetch_one(connection)
        .await
        .during("read blocks of texts")?;
    let rows: Vec<(i64, Gram, u64, String)> =
        serde_json::from_str(&rows).map_err(|_| unreadable("set of jobs", 0))?;
    let mut sets: HashMap<i64, Vec<SmallSet>> = HashMap::new();
    let mut sizes: HashMap<Gram, u64> = HashMap::new();
    for (block, gram, bytes, slots) in rows {
        let set = Some(slots).filter(|slots| !slots.is_empty());
        let set = set.map(hex::decode).transpose();
        let set = set.map_err(|_| unreadable("set of jobs", block))?;
        sets.entry(block).or_default().push((gram, set));
        *sizes.entry(gram).or_default() += bytes;
    }
    Ok((sets, sizes))
}

/// By block the large sets.
async fn large_sets(
    connection: &mut AnyConnection,
    blocks: &[i64],
    grams: &[Gram],
) -> Result<HashMap<i64, Vec<Vec<u8>>>, StoreError> {
    let mut large: HashMap<i64, Vec<Vec<u8>>> = HashMap::new();
    if blocks.is_empty() {
        return Ok(large);
    }
    let backend = Backend::of(connection);
    let text = query_of_sets(backend, "text_gram_large", "block, slots");
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(text))
        .bind(json!(blocks).to_string())
        .bind(json!(grams).to_string())
        .fetch_all(connection)
        .await
        .during("read blocks of texts")?;
    for (block, set) in rows {
        large.entry(block).or_default().push(set);
    }
    Ok(large)
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
