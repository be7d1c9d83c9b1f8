//! Finding: the jobs in which a text may stand, newest first, from the blocks. Blocks are opened as they are reached
//! and their jobs looked up as they are asked for, so that what is common costs a page and what is rare a bitmap or
//! three of each block.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Range,
};

use model::{JobId, JobSummary};
use roaring::RoaringBitmap;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    Gram, ID_BYTES, PART_JOBS, PIECE_SLOTS, part_ids,
    sets::{Sets, Stretch},
    unreadable, wanted_grams,
};
use crate::store::{
    Backend, During, StoreError,
    job::Listing,
    rows::{self, Number},
};

/// Blocks with so many jobs together are opened at first, then with so many times as many as were opened before.
const OPENED_JOBS: u64 = if cfg!(test) { 20 } else { 4_096 };
const OPENED_GROWTH: u64 = if cfg!(test) { 2 } else { 4_096 };
/// So many of a text's trigrams are asked for at first, the rarest.
const RAREST_GRAMS: usize = 3;
/// With so few sets to look up all are, and which of them are rare is seen anew.
const SORTED_MAX: usize = 512;
/// So few jobs of a block are looked at rather than that more sets are read, which might leave some of them out.
const FEW_MAX: u64 = 4;
/// Nor are more sets read for what is in one job of so many or in more: a page of that is soon found.
const RARE_JOBS: u64 = if cfg!(test) { 4 } else { 256 };
/// So many jobs that are in no block are looked at one by one. More are there when a new version makes all blocks anew,
/// and for a moment after as many were submitted.
pub(in crate::store) const WAITING_MAX: i64 = if cfg!(test) { 1_000 } else { 50_000 };
/// Bits of a slot's number beside its block's.
const SLOT_BITS: u32 = 24;
/// And so many blocks at a time at most.
const OPENED_MAX: usize = 64;

/// A block, or the older part of one, that was not opened yet.
#[derive(Debug)]
struct Closed {
    id: i64,
    /// Slots from here on were opened, or are not wanted.
    end: u32,
    /// None of them is newer than this.
    last: JobId,
    /// Whether that is not known better than of the whole block: it is looked up with what was opened of it.
    is_rest: bool,
}

/// A block with the jobs of it that are still to be given.
#[derive(Debug)]
struct Open {
    id: i64,
    slots: RoaringBitmap,
    /// All of them are older than this, or are it.
    last: JobId,
}

/// A job in which a text may stand.
#[derive(Debug)]
pub(in crate::store) struct Hit {
    pub(in crate::store) id: JobId,
    /// None where the filter does not admit it, or it is no more.
    pub(in crate::store) job: Option<JobSummary>,
}

/// A walk through the jobs that have a text's trigrams and certain terms in their blocks.
#[derive(Debug)]
pub(in crate::store) struct Hits {
    sets: Sets,
    grams: Vec<Gram>,
    /// Where in the text these stand.
    places: Vec<Range<usize>>,
    terms: Vec<Gram>,
    closed: VecDeque<Closed>,
    open: Vec<Open>,
    /// Jobs of what was opened, and those of them that have every trigram.
    seen: (u64, u64),
    /// Known, and to be given once nothing that is newer can come.
    ready: BTreeMap<JobId, Option<JobSummary>>,
}

impl Hits {
    /// Of those that have also certain terms, from an id on, exclusively, down to another. Gives also the jobs that are
    /// in no block yet as they are, which have to be looked at one by one: both are of one moment, so that none is
    /// missed that moves from one to the other. None where too many are in no block. `beside` is an expression, the text
    /// of which is wanted of that moment too.
    pub(in crate::store) async fn begin(
        connection: &mut AnyConnection,
        sets: Sets,
        text: &str,
        terms: &[Gram],
        since: Option<String>,
        end: Option<JobId>,
        beside: &str,
    ) -> Result<(Option<(Hits, BTreeSet<JobId>)>, String), StoreError> {
        let first = since.unwrap_or_default();
        let below = end.map_or_else(|| "g".to_owned(), |end| end.to_string());
        let backend = Backend::of(connection);
        let rows = backend.rows_as_json(&["block.id", "block.jobs", "block.last_id", "block.part"]);
        let part = match backend {
            Backend::Sqlite => "part || ' ' || hex(ids)",
            Backend::Postgres => "part || ' ' || encode(ids, 'hex')",
        };
        // By its key PostgreSQL sees at once that there is nothing in a queue that was long.
        let query = format!(
            "SELECT {rows}, {beside} FROM (
                 SELECT id, jobs, last_id, CASE WHEN last_id >= $2 THEN COALESCE((SELECT {part} FROM text_part
                     WHERE block = text_block.id AND first_id < $2 ORDER BY first_id DESC LIMIT 1), '') END AS part
                 FROM text_block WHERE state = 'current' AND last_id >= $1 AND first_id < $2
                 UNION ALL SELECT * FROM (SELECT 0, 0, job_id, NULL FROM text_queue WHERE number > 0
                     AND job_id >= $1 AND job_id < $2 AND text_known <= $3 LIMIT $4) AS waiting) AS block"
        );
        let (rows, beside): (String, String) = sqlx::query_as(AssertSqlSafe(query))
            .bind(first)
            .bind(below)
            .bind(i32::from(!terms.is_empty()))
            .bind(WAITING_MAX + 1)
            .fetch_one(&mut *connection)
            .await
            .during("list blocks of texts")?;
        type Row = (Number<i64>, Number<u32>, JobId, Option<String>);
        let rows: Vec<Row> = rows::read(&rows, "list of blocks")?;
        let waiting = rows.iter().filter(|(_, jobs, ..)| jobs.0 == 0).count();
        if waiting as i64 > WAITING_MAX {
            return Ok((None, beside));
        }
        let (mut waiting, mut closed) = (BTreeSet::new(), Vec::new());
        for (Number(id), Number(jobs), last, part) in rows {
            if jobs == 0 {
                waiting.insert(last);
                continue;
            }
            // Of one with jobs that are not older than the end only those that are.
            let older = match (end, part) {
                (Some(end), Some(part)) => older_than(id, &part, end)?,
                _ => Some((jobs, last)),
            };
            closed.extend(older.map(|(end, last)| Closed {
                id,
                end,
                last,
                is_rest: false,
            }));
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
            ready: BTreeMap::new(),
        };
        Ok((Some((hits, waiting)), beside))
    }

    /// The part of all jobs in which the text may stand, as far as blocks were opened.
    pub(in crate::store) fn density(&self) -> f64 {
        self.seen.1 as f64 / self.seen.0.max(1) as f64
    }

    /// The next jobs, newest first: so many or some more, fewer only when there are no more. Those that are admitted
    /// come with what a list shows of them.
    pub(in crate::store) async fn next(
        &mut self,
        connection: &mut AnyConnection,
        jobs: usize,
        admitted: &Listing,
    ) -> Result<Vec<Hit>, StoreError> {
        loop {
            let reached = self.open.iter().map(|block| block.last).max();
            let unopened = self.closed.front().map(|block| block.last);
            let Some(newest) = reached.max(unopened) else {
                return Ok(newest_first(std::mem::take(&mut self.ready)));
            };
            let is_known = self.closed.front().is_none_or(|block| !block.is_rest);
            let known = self.ready.range(newest..).count();
            if is_known && known >= jobs.max(1) {
                return Ok(newest_first(self.ready.split_off(&newest)));
            }
            // Where the open ones have too few, more are opened first: so all of these are looked up at once.
            let found: u64 = self.open.iter().map(|block| block.slots.len()).sum();
            let missing = (jobs as u64).saturating_sub(found + self.ready.len() as u64);
            if unopened.is_some() && (missing > 0 || is_known && unopened >= reached) {
                self.open_some(connection, missing, reached).await?;
                continue;
            }
            let unknown = jobs.max(1).saturating_sub(known);
            self.look_up(connection, unknown, admitted).await?;
        }
    }

    /// Opens the next blocks, or pieces of them, in which so many more may be found, or else those that have jobs as new
    /// as one: of each only the jobs that have every trigram are kept.
    async fn open_some(
        &mut self,
        connection: &mut AnyConnection,
        missing: u64,
        reached: Option<JobId>,
    ) -> Result<(), StoreError> {
        let mut left = OPENED_JOBS.max(self.seen.0.saturating_mul(OPENED_GROWTH));
        if self.seen.1 > 0 {
            let estimated = (missing as f64 / self.density()).ceil() as u64;
            left = left.min(estimated.max(OPENED_JOBS));
        }
        let mut opened: Vec<(Stretch, JobId)> = Vec::new();
        while let Some(block) = self.closed.front().filter(|_| opened.len() < OPENED_MAX) {
            let is_wanted = if missing > 0 {
                left > 0
            } else {
                Some(block.last) >= reached
            };
            if !is_wanted {
                break;
            }
            let jobs = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
            let below = block.end.saturating_sub(jobs);
            let slots = below - below % PIECE_SLOTS..block.end;
            left = left.saturating_sub(slots.len() as u64);
            let stretch = Stretch {
                block: block.id,
                slots,
            };
            opened.push((stretch, block.last));
            self.closed.pop_front();
        }
        let stretches: Vec<Stretch> = opened.iter().map(|(stretch, _)| stretch.clone()).collect();
        if self.seen.0 == 0 || stretches.len() * self.grams.len() <= SORTED_MAX {
            self.sort_grams(connection, &stretches).await?;
        }
        let (rarest, others) = self.grams.split_at(RAREST_GRAMS.min(self.grams.len()));
        let first: Vec<Gram> = self.terms.iter().chain(rarest).copied().collect();
        let mut found = HashMap::new();
        self.narrow(connection, &stretches, &first, &mut found)
            .await?;
        // Trigrams may be in many jobs each, and together in few.
        let many = stretches.iter().filter(|stretch| {
            let slots = found.get(&stretch.block).map_or(0, RoaringBitmap::len);
            slots > FEW_MAX && slots < stretch.slots.len() as u64 / RARE_JOBS
        });
        let many: Vec<Stretch> = many.cloned().collect();
        if !others.is_empty() && !many.is_empty() {
            self.narrow(connection, &many, others, &mut found).await?;
        }
        for (stretch, last) in &opened {
            self.seen.0 += stretch.slots.len() as u64;
            let slots = found.remove(&stretch.block).unwrap_or_default();
            self.seen.1 += slots.len();
            match self.open.iter_mut().find(|open| open.id == stretch.block) {
                Some(open) => open.slots |= slots,
                None if slots.is_empty() => {}
                None => self.open.push(Open {
                    id: stretch.block,
                    slots,
                    last: *last,
                }),
            }
        }
        self.open.sort_by_key(|block| Reverse(block.last));
        for (stretch, last) in opened.into_iter().rev() {
            if stretch.slots.start > 0 {
                self.closed.push_front(Closed {
                    id: stretch.block,
                    end: stretch.slots.start,
                    last,
                    is_rest: true,
                });
            }
        }
        Ok(())
    }

    /// Puts the rarest trigrams first, as these blocks have them, of those that stand apart in the text.
    async fn sort_grams(
        &mut self,
        connection: &mut AnyConnection,
        stretches: &[Stretch],
    ) -> Result<(), StoreError> {
        let blocks: Vec<i64> = stretches.iter().map(|stretch| stretch.block).collect();
        let sets = self.sets.read(connection, &blocks, &self.grams).await?;
        let size = |at: usize| sets.iter().map(|sets| sets[at].bytes).sum::<u64>();
        let mut left: Vec<usize> = (0..self.grams.len()).collect();
        left.sort_by_cached_key(|at| size(*at));
        let mut sorted: Vec<usize> = Vec::new();
        while !left.is_empty() {
            // What overlaps with those before says little that is new.
            let is_apart = |at: &usize| {
                let place = &self.places[*at];
                let mut others = sorted.iter().map(|other| &self.places[*other]);
                others.all(|other| other.end <= place.start || place.end <= other.start)
            };
            let next = left.iter().position(is_apart).unwrap_or(0);
            sorted.push(left.remove(next));
        }
        self.grams = sorted.iter().map(|at| self.grams[*at]).collect();
        self.places = sorted.iter().map(|at| self.places[*at].clone()).collect();
        Ok(())
    }

    /// Leaves of what was found in stretches of blocks, at first everything, those jobs that have some more trigrams or
    /// terms. Large sets are read only of those of which small ones leave many.
    async fn narrow(
        &self,
        connection: &mut AnyConnection,
        stretches: &[Stretch],
        grams: &[Gram],
        found: &mut HashMap<i64, RoaringBitmap>,
    ) -> Result<(), StoreError> {
        let mut unread = Vec::new();
        let blocks: Vec<i64> = stretches.iter().map(|stretch| stretch.block).collect();
        let all = self.sets.read(connection, &blocks, grams).await?;
        for (stretch, sets) in stretches.iter().zip(&all) {
            let small = sets.iter().filter_map(|set| set.slots.as_deref());
            let left = common(small.chain(found.get(&stretch.block)), &stretch.slots);
            // Not of what the filter alone admits: most of that may be without the text.
            let is_text = found.contains_key(&stretch.block)
                || grams
                    .iter()
                    .zip(sets)
                    .any(|(gram, set)| *gram >= 0 && set.is_small());
            let is_few =
                |slots: &RoaringBitmap| slots.is_empty() || is_text && slots.len() <= FEW_MAX;
            if !left.as_ref().is_some_and(is_few) {
                let large = grams.iter().zip(sets);
                let large = large.filter(|(_, set)| set.slots.is_none());
                unread.extend(large.map(|(gram, set)| (stretch, *gram, set)));
            }
            if let Some(left) = left {
                found.insert(stretch.block, left);
            }
        }
        let mut large = self.sets.read_large(connection, &unread).await?;
        for stretch in stretches {
            let large = large.remove(&stretch.block).unwrap_or_default();
            let before = found.get(&stretch.block);
            if let Some(left) = common(large.iter().chain(before), &stretch.slots) {
                found.insert(stretch.block, left);
            }
        }
        Ok(())
    }

    /// Looks up the next jobs of the newest open blocks, and closes those that have no more; and of those that are not
    /// opened to their end how new the rest is.
    async fn look_up(
        &mut self,
        connection: &mut AnyConnection,
        jobs: usize,
        admitted: &Listing,
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
        // Of a block that is not opened to its end the newest job that is left is older than those of it above.
        let mut rests = HashMap::new();
        for block in self.closed.iter().filter(|block| block.is_rest) {
            wanted.push((block.id, block.end - 1));
            rests.insert(block.id, block.last);
        }
        let (found, mut jobs) = jobs_in(connection, &wanted, admitted.clone()).await?;
        for (id, job) in &found {
            if let Some(last) = rests.get_mut(id) {
                *last = (*last).min(*job);
            }
        }
        for (id, job) in found {
            if rests.get(&id) == Some(&job) {
                continue;
            }
            let block = self.open.iter_mut().find(|block| block.id == id);
            let block = block.ok_or_else(|| unreadable("list of jobs", id))?;
            block.last = block.last.min(job);
            // One that changed is in a block for each of its texts, perhaps both here.
            match jobs.remove(&job) {
                Some(found) => _ = self.ready.insert(job, Some(found)),
                None => _ = self.ready.entry(job).or_default(),
            }
        }
        for block in self.closed.iter_mut().filter(|block| block.is_rest) {
            block.is_rest = false;
            block.last = rests.remove(&block.id).unwrap_or(block.last);
        }
        let closed = self.closed.make_contiguous();
        closed.sort_by_key(|block| Reverse(block.last));
        self.open.retain(|block| !block.slots.is_empty());
        self.open.sort_by_key(|block| Reverse(block.last));
        Ok(())
    }
}

/// Jobs of some slots that are in each of several sets; none without a set.
fn common<'a>(
    sets: impl IntoIterator<Item = &'a RoaringBitmap>,
    slots: &Range<u32>,
) -> Option<RoaringBitmap> {
    let mut sets: Vec<&RoaringBitmap> = sets.into_iter().collect();
    sets.sort_by_key(|set| set.len());
    let (first, others) = sets.split_first()?;
    let mut all = (*first).clone();
    all.remove_range(..slots.start);
    all.remove_range(slots.end..);
    for set in others {
        if all.is_empty() {
            break;
        }
        all &= *set;
    }
    Some(all)
}

fn newest_first(jobs: BTreeMap<JobId, Option<JobSummary>>) -> Vec<Hit> {
    let jobs = jobs.into_iter().rev();
    jobs.map(|(id, job)| Hit { id, job }).collect()
}

/// How many of a block's jobs are older than an id, and the newest of them, by the last part that begins with one that
/// is: its number and its ids, or nothing without one.
fn older_than(block: i64, part: &str, id: JobId) -> Result<Option<(u32, JobId)>, StoreError> {
    let Some((part, ids)) = part.split_once(' ') else {
        return Ok(None);
    };
    let part: Option<usize> = part.parse().ok();
    let (Some(part), Ok(ids)) = (part, hex::decode(ids)) else {
        return Err(unreadable("list of jobs", block));
    };
    let ids = part_ids(block, &ids)?;
    let older = ids.partition_point(|other| *other < id);
    let jobs = u32::try_from(part * PART_JOBS + older).unwrap_or(u32::MAX);
    Ok(ids[..older].last().map(|last| (jobs, *last)))
}

/// The jobs in slots of blocks, with their blocks, in any order, and those that are admitted.
async fn jobs_in(
    connection: &mut AnyConnection,
    slots: &[(i64, u32)],
    mut admitted: Listing,
) -> Result<(Vec<(i64, JobId)>, HashMap<JobId, JobSummary>), StoreError> {
    let backend = Backend::of(connection);
    let wanted = slots
        .iter()
        .map(|(block, slot)| block << SLOT_BITS | i64::from(*slot));
    let wanted = admitted.bind(backend.numbers(wanted));
    let block = format!("(wanted.value >> {SLOT_BITS})");
    let slot = format!("(wanted.value & {})", (1 << SLOT_BITS) - 1);
    let at = format!("CAST({slot} % {PART_JOBS} * {ID_BYTES} + 1 AS INTEGER)");
    let bytes = format!("substr(text_part.ids, {at}, {ID_BYTES})");
    // As ids are written (RFC 9562, section 4). SQLite cuts one out anew wherever it stands, unless told not to;
    // PostgreSQL is faster without a table of them.
    let (hex, id, is_kept) = match backend {
        Backend::Sqlite => {
            let groups = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)];
            let groups = groups.map(|(from, digits)| format!("substr(hex, {from}, {digits})"));
            let id = groups.join(" || '-' || ");
            (format!("lower(hex({bytes}))"), id, "MATERIALIZED")
        }
        Backend::Postgres => {
            let id = "CAST(CAST(hex AS UUID) AS TEXT)".to_owned();
            (format!("encode({bytes}, 'hex')"), id, "NOT MATERIALIZED")
        }
    };
    let query = format!(
        "WITH part AS {is_kept} (SELECT text_part.block, {hex} AS hex FROM ({}) AS wanted CROSS JOIN text_part
             WHERE text_part.block = {block} AND text_part.part = {slot} / {PART_JOBS})
         SELECT block, hex, {id} AS id FROM part",
        backend.each_number(&wanted),
    );
    let (rows, jobs) = admitted
        .beside(connection, &["found.block", "found.hex"], &query)
        .await?;
    let rows: Vec<(Number<i64>, JobId)> = rows::read(&rows, "list of jobs")?;
    if rows.len() < slots.len() {
        return Err(unreadable("list of jobs", 0));
    }
    let rows = rows.into_iter().map(|(Number(block), id)| (block, id));
    Ok((rows.collect(), jobs))
}
