//! The index of texts: which jobs have three characters (a trigram) in their title or source, or four of a number or
//! an id, block of jobs by block, in the same way on both databases. A submit only puts its job into a queue;
//! [`build`] makes blocks of those that wait and [`merge`] larger blocks of smaller ones, beside everything else;
//! [`find`] reads the queue and the blocks, newest first and no further than the page. Sets of jobs are Roaring
//! bitmaps (<https://roaringbitmap.org>) of their numbers in the block, so that a text's trigrams are intersected and
//! not walked.
//!
//! What a filter may ask for beside the text is intersected as well: the pipeline, and how a job ended.
//!
//! A block never changes. One that is replaced stays for a while, for those who read it; a job whose text changes or
//! that ends is queued again, and what its old block says of it is compared with the job like everything that the
//! index finds.

use std::{collections::HashMap, ops::Range};

use model::{JobFilter, JobId, JobStatus};
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::StoreError;

mod build;
pub(super) mod find;
mod merge;
mod sets;

pub(super) use sets::Sets;

/// How many of a text's trigrams are looked up; the text itself is compared with what is found.
const GRAMS_MAX: usize = 16;
/// What blocks say, as [`grams`] and [`terms`] have it. Where that changes, a migration has all of them made anew, and
/// this is raised.
const LAYOUT: i64 = 1;
/// Jobs in one row of `text_part`.
const PART_JOBS: usize = 64;
/// A set of so many bytes at most stands with the others of its block. In tests blocks are small too.
const SMALL_BYTES: usize = if cfg!(test) { 40 } else { 512 };
/// One of more bytes is kept in pieces of so many slots each, a container of Roaring's: of what is in many jobs a page
/// needs those of a few thousand. A piece is numbered by its slots divided by that; a set that is whole has a number
/// below.
const WHOLE_BYTES: usize = if cfg!(test) { 80 } else { 32_768 };
const PIECE_SLOTS: u32 = if cfg!(test) { 16 } else { 65_536 };
const WHOLE: i64 = -1;
/// Bytes of a job's id there.
const ID_BYTES: usize = 16;

/// How large blocks are.
#[derive(Debug, Clone, Copy)]
pub struct TextBlockSizes {
    /// So many jobs make a block, which before are compared one by one.
    pub jobs_min: usize,
    /// A block is made of so many jobs at most.
    pub jobs_max: usize,
    /// So many blocks make a larger one.
    pub merged: usize,
    /// Which has so many jobs at most; from the half of it on it is left as it is.
    pub merged_jobs_max: usize,
}

impl Default for TextBlockSizes {
    fn default() -> TextBlockSizes {
        TextBlockSizes {
            jobs_min: 512,
            jobs_max: 8_192,
            merged: 16,
            merged_jobs_max: 2_097_152,
        }
    }
}

/// Three characters as a number, above these four of an id, or below zero what a job has beside its text.
pub(super) type Gram = i64;
/// Bits of a character of a trigram, and the number of four characters that is lower than all of these: its first is
/// beyond Unicode's last.
const CHARACTER_BITS: u32 = 21;
const PARTS_OF_IDS: Gram = 0x11_0000 << (2 * CHARACTER_BITS);

/// A text in small letters, each for itself: what it holds is in it then, too.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What is looked up of a text, and where in it that stands, in characters.
type Placed = (Gram, Range<usize>);

/// A text's trigrams and ids' parts, whatever the case of its letters, both in the order in which they stand there.
fn grams(text: &str) -> (Vec<Placed>, Vec<Placed>) {
    let characters: Vec<char> = folded(text).chars().collect();
    let threes = characters.windows(3).map(|three| {
        let number = |character: &char| i64::from(u32::from(*character));
        let gram = three.iter().map(number);
        gram.fold(0, |gram, character| gram << CHARACTER_BITS | character)
    });
    let threes = (0..).zip(threes).map(|(at, gram)| (gram, at..at + 3));
    let fours = (0..).zip(characters.windows(4));
    let fours = fours.filter_map(|(at, four)| Some((part_of_id(four)?, at..at + 4)));
    (threes.collect(), fours.collect())
}

/// Four letters and digits of ASCII with a digit among them as a number above those of trigrams. Of numbers, times and
/// ids each three characters are in many jobs, which four are not.
fn part_of_id(four: &[char]) -> Option<Gram> {
    let is_part =
        four.iter().all(char::is_ascii_alphanumeric) && four.iter().any(char::is_ascii_digit);
    let number = |character: &char| Gram::from(u32::from(*character));
    let part = four.iter().map(number);
    is_part.then(|| PARTS_OF_IDS + part.fold(0, |part, character| part << 7 | character))
}

/// What of a text is looked up, each once and with its place in the text: its ids' parts and those trigrams that stand
/// in none, all of them, or of a long text some from all over it. Those that overlap say in which order words stand, and
/// a set costs less than a job that is looked at in vain.
fn wanted_grams(text: &str) -> Vec<Placed> {
    let (mut all, fours) = grams(text);
    // They come in order; a text may be as long as an address.
    let begins_at = |at: usize| {
        let found = fours.binary_search_by_key(&at, |(_, four)| four.start);
        found.is_ok()
    };
    let stands_in_one = |three: &Range<usize>| {
        begins_at(three.start) || three.start > 0 && begins_at(three.start - 1)
    };
    all.retain(|(_, three)| !stands_in_one(three));
    all.extend(fours);
    all.sort_unstable_by_key(|(_, place)| place.start);
    let step = all.len().div_ceil(GRAMS_MAX).max(1);
    let mut some: Vec<Placed> = all.into_iter().step_by(step).collect();
    some.sort_unstable_by_key(|(gram, place)| (*gram, place.start));
    some.dedup_by_key(|(gram, _)| *gram);
    some
}

/// What a job may be filtered by, as numbers like those of trigrams. Of a status only a final one: the others do not
/// last.
fn terms(
    pipeline: Option<&str>,
    status: Option<JobStatus>,
    error: Option<&str>,
    failed_state: Option<&str>,
) -> Vec<Gram> {
    let status = status.filter(|status| status.is_final());
    let terms = [
        ("pipeline", pipeline),
        ("status", status.map(JobStatus::as_str)),
        ("error", error),
        ("failed_state", failed_state),
    ];
    let terms = terms.into_iter().filter_map(|(name, value)| {
        let digest = Sha256::digest(format!("{name}={}", value?));
        let (first, _) = digest.split_first_chunk()?;
        Some(i64::from_be_bytes(*first) | i64::MIN)
    });
    terms.collect()
}

/// Everything that a filter asks for beside a text and times. None where the index cannot tell all of it.
pub(super) fn wanted_terms(filter: &JobFilter) -> Option<Vec<Gram>> {
    let is_told = filter.status.is_none_or(JobStatus::is_final);
    is_told.then(|| {
        terms(
            filter.pipeline.as_deref(),
            filter.status,
            filter.error.as_deref(),
            filter.failed_state.as_deref(),
        )
    })
}

/// What of a job is found again.
#[derive(Debug, Clone)]
struct Entry {
    id: JobId,
    title: String,
    source: String,
    terms: Vec<Gram>,
}

/// Jobs, and where each trigram stands.
#[derive(Debug, Default, PartialEq)]
struct Block {
    /// In order; a job's place is its slot.
    ids: Vec<JobId>,
    grams: HashMap<Gram, RoaringBitmap>,
}

impl Block {
    fn of(mut jobs: Vec<Entry>) -> Block {
        jobs.sort_unstable_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        let mut block = Block::default();
        for (slot, job) in (0..).zip(jobs) {
            let texts = [&job.title, &job.source].map(|text| {
                let (threes, fours) = grams(text);
                threes.into_iter().chain(fours).map(|(gram, _)| gram)
            });
            for gram in texts.into_iter().flatten().chain(job.terms) {
                block.grams.entry(gram).or_default().insert(slot);
            }
            block.ids.push(job.id);
        }
        block
    }
}

fn unreadable(what: &'static str, block: i64) -> StoreError {
    StoreError::Unreadable {
        what,
        text: format!("of block {block}"),
    }
}

/// A set of jobs as it is kept.
#[derive(Debug)]
struct Stored {
    gram: Gram,
    /// Of all of it.
    bytes: usize,
    /// Empty where it is large.
    small: Vec<u8>,
    /// Its pieces, or it itself as one.
    large: Vec<(i64, Vec<u8>)>,
}

impl Stored {
    fn of(gram: Gram, mut slots: RoaringBitmap) -> Stored {
        // What nearly all jobs have takes a few bytes so.
        slots.optimize();
        let bytes = slots.serialized_size();
        let (mut small, mut large) = (Vec::new(), Vec::new());
        if bytes <= SMALL_BYTES {
            small = bitmap_bytes(&slots);
        } else if bytes <= WHOLE_BYTES {
            large.push((WHOLE, bitmap_bytes(&slots)));
        } else {
            for number in 0..=slots.max().unwrap_or(0) / PIECE_SLOTS {
                let mut piece = RoaringBitmap::new();
                piece.insert_range(slots_of_piece(number));
                piece &= &slots;
                if !piece.is_empty() {
                    piece.optimize();
                    large.push((i64::from(number), bitmap_bytes(&piece)));
                }
            }
        }
        Stored {
            gram,
            bytes,
            small,
            large,
        }
    }
}

fn slots_of_piece(number: u32) -> Range<u32> {
    let first = number.saturating_mul(PIECE_SLOTS);
    first..first.saturating_add(PIECE_SLOTS)
}

fn bitmap_bytes(slots: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(slots.serialized_size());
    // Writing into a vector does not fail.
    let _ = slots.serialize_into(&mut bytes);
    bytes
}

fn bitmap(block: i64, bytes: &[u8]) -> Result<RoaringBitmap, StoreError> {
    RoaringBitmap::deserialize_from(bytes).map_err(|_| unreadable("set of jobs", block))
}

fn part_bytes(ids: &[JobId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.0.as_bytes()).collect()
}

fn part_ids(block: i64, bytes: &[u8]) -> Result<Vec<JobId>, StoreError> {
    let chunks = bytes.chunks(ID_BYTES);
    let ids = chunks.map(|id| Uuid::from_slice(id).map(JobId));
    ids.collect::<Result<_, _>>()
        .map_err(|_| unreadable("list of jobs", block))
}

#[cfg(test)]
mod tests;
