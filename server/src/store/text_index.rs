//! The index of texts: which jobs have three characters (a trigram) in their title or source, block of jobs by block,
//! in the same way on both databases. A submit only puts its job into a queue; [`build`] makes blocks of those that
//! wait and [`merge`] larger blocks of smaller ones, beside everything else; [`find`] reads the queue and the blocks,
//! newest first and no further than the page. Sets of jobs are Roaring bitmaps (<https://roaringbitmap.org>) of their
//! numbers in the block, so that a text's trigrams are intersected and not walked.
//!
//! What a filter may ask for beside the text is intersected as well: the pipeline, and how a job ended.
//!
//! A block never changes. One that is replaced stays for a while, for those who read it; a job whose text changes or
//! that ends is queued again, and what its old block says of it is compared with the job like everything that the
//! index finds.

use std::collections::HashMap;

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
/// Jobs in one row of `text_part`.
const PART_JOBS: usize = 64;
/// A set of so many bytes at most stands with the others of its block. In tests blocks are small too.
const SMALL_BYTES: usize = if cfg!(test) { 40 } else { 512 };
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

/// Three characters as a number, or below zero what a job has beside its text.
pub(super) type Gram = i64;

/// A text in small letters, each for itself: what it holds is in it then, too.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A text's trigrams, whatever the case of its letters.
fn grams(text: &str) -> Vec<Gram> {
    let characters: Vec<i64> = folded(text)
        .chars()
        .map(|character| i64::from(u32::from(character)))
        .collect();
    characters
        .windows(3)
        .map(|three| {
            three
                .iter()
                .fold(0, |gram, character| gram << 21 | character)
        })
        .collect()
}

/// Those of a text's trigrams that are looked up, each once and with its place in the text: all, or of a long text some
/// from all over it. Those that overlap say in which order words stand, and a set costs less than a job that is looked
/// at in vain.
fn wanted_grams(text: &str) -> Vec<(Gram, usize)> {
    let all = grams(text);
    let step = all.len().div_ceil(GRAMS_MAX).max(1);
    let some = (0..).zip(all).step_by(step);
    let mut some: Vec<(Gram, usize)> = some.map(|(at, gram)| (gram, at)).collect();
    some.sort_unstable();
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
            let texts = grams(&job.title).into_iter().chain(grams(&job.source));
            for gram in texts.chain(job.terms) {
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

fn bitmap_bytes(mut slots: RoaringBitmap) -> Vec<u8> {
    // What nearly all jobs have takes a few bytes so.
    slots.optimize();
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
