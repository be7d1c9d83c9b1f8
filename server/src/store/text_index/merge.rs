//! Making a larger block of several: the sets of all of them side by side, in the order of their trigrams, so that only
//! some are in memory at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use model::JobId;
use roaring::RoaringBitmap;

use super::{
    Gram, Stored, TextBlockSizes, bitmap,
    build::{FinishBlock, SETS_MAX, aside, signed},
    part_ids,
};
use crate::store::{During, Store, StoreError};

impl Store {
    /// Makes a larger block of several that are alike, if there are so many.
    pub(super) async fn block_of_blocks(
        &self,
        sizes: TextBlockSizes,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let blocks: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT id, jobs FROM text_block WHERE state = 'current' AND jobs < $1 ORDER BY last_id, id",
        )
        .bind(signed(sizes.merged_jobs_max / 2))
        .fetch_all(&self.read)
        .await
        .during("list blocks of texts")?;
        let Some(alike) = alike(&blocks, sizes) else {
            return Ok(false);
        };
        let mut jobs = Vec::new();
        for id in &alike {
            jobs.push(self.jobs_of_block(*id).await?);
        }
        let merging = aside(move || Merging::of(&jobs)).await;
        let Some(block) = self.begin_block(&merging.ids).await? else {
            return Ok(false);
        };
        let merging = Arc::new(merging);
        let mut sources: Vec<_> = alike.iter().map(|id| Source::of(*id)).collect();
        loop {
            for source in &mut sources {
                source.read(self).await?;
            }
            // As far as all of them are known.
            let known = sources.iter().filter_map(Source::known).min();
            let mut sets: BTreeMap<Gram, Vec<(usize, RoaringBitmap)>> = BTreeMap::new();
            for (place, source) in sources.iter_mut().enumerate() {
                for (gram, set) in source.take(known) {
                    sets.entry(gram).or_default().push((place, set));
                }
            }
            if sets.is_empty() {
                break;
            }
            let merging = merging.clone();
            let merged = aside(move || {
                let sets = sets.into_iter();
                let sets = sets.map(|(gram, sets)| Stored::of(gram, merging.merged(sets)));
                sets.collect()
            });
            self.put_sets(block, merged.await).await?;
        }
        let finished = FinishBlock {
            block,
            replaced: alike,
            now_ms,
        };
        self.write(finished).await?;
        Ok(true)
    }

    /// A block's jobs.
    async fn jobs_of_block(&self, id: i64) -> Result<Vec<JobId>, StoreError> {
        let parts: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT ids FROM text_part WHERE block = $1 ORDER BY part")
                .bind(id)
                .fetch_all(&self.read)
                .await
                .during("read a block of texts")?;
        let mut ids = Vec::new();
        for (part,) in parts {
            ids.extend(part_ids(id, &part)?);
        }
        Ok(ids)
    }
}

/// The jobs of several blocks as those of one.
#[derive(Debug)]
pub(super) struct Merging {
    /// In order.
    pub(super) ids: Vec<JobId>,
    /// By block, where its jobs are among these.
    places: Vec<Vec<u32>>,
}

impl Merging {
    pub(super) fn of(blocks: &[Vec<JobId>]) -> Merging {
        let mut ids = blocks.concat();
        ids.sort_unstable();
        ids.dedup();
        let places = blocks.iter().map(|block| {
            let mut place = 0;
            let places = block.iter().map(|id| {
                // Both are in order.
                while ids[place] < *id {
                    place += 1;
                }
                u32::try_from(place).unwrap_or(u32::MAX)
            });
            places.collect()
        });
        let places = places.collect();
        Merging { ids, places }
    }

    /// What blocks, by their place, say of a trigram: of a job that is in two of them both is kept.
    pub(super) fn merged(
        &self,
        sets: impl IntoIterator<Item = (usize, RoaringBitmap)>,
    ) -> RoaringBitmap {
        let mut merged = RoaringBitmap::new();
        for (block, set) in sets {
            let places = &self.places[block];
            let slots = set.iter().filter_map(|slot| places.get(slot as usize));
            // Places are in the order of slots.
            merged |= RoaringBitmap::from_sorted_iter(slots.copied()).unwrap_or_default();
        }
        merged
    }
}

/// The sets of a block that is made part of a larger one, in the order of their trigrams and some at a time: all sets of
/// a large block take a hundred megabytes.
#[derive(Debug)]
struct Source {
    block: i64,
    sets: VecDeque<(Gram, RoaringBitmap)>,
    after: Gram,
    /// Whether there are no more than these.
    is_whole: bool,
}

impl Source {
    fn of(block: i64) -> Source {
        Source {
            block,
            sets: VecDeque::new(),
            after: Gram::MIN,
            is_whole: false,
        }
    }

    /// Reads the next sets unless some are there.
    async fn read(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.is_whole || !self.sets.is_empty() {
            return Ok(());
        }
        let rows: Vec<(Gram, Vec<u8>)> = sqlx::query_as(
            "SELECT small.gram, COALESCE(large.slots, small.slots)
             FROM (SELECT gram, slots FROM text_gram WHERE block = $1 AND gram > $2 ORDER BY gram LIMIT $3) AS small
             LEFT JOIN text_gram_large AS large ON large.block = $1 AND large.gram = small.gram
             ORDER BY small.gram, large.piece",
        )
        .bind(self.block)
        .bind(self.after)
        .bind(signed(SETS_MAX))
        .fetch_all(&store.read)
        .await
        .during("read a block of texts")?;
        for (gram, slots) in rows {
            let slots = bitmap(self.block, &slots)?;
            match self.sets.back_mut() {
                Some((last, set)) if *last == gram => *set |= slots,
                _ => self.sets.push_back((gram, slots)),
            }
            self.after = gram;
        }
        self.is_whole = self.sets.len() < SETS_MAX;
        Ok(())
    }

    /// Up to which trigram all sets are here. None where they all are.
    fn known(&self) -> Option<Gram> {
        (!self.is_whole).then_some(self.after)
    }

    /// The sets of trigrams up to one, which are no more here then.
    fn take(&mut self, last: Option<Gram>) -> Vec<(Gram, RoaringBitmap)> {
        let taken = self
            .sets
            .partition_point(|(gram, _)| last.is_none_or(|last| *gram <= last));
        self.sets.drain(..taken).collect()
    }
}

/// Which blocks to make one of: the oldest of those that are about as large.
fn alike(blocks: &[(i64, i64)], sizes: TextBlockSizes) -> Option<Vec<i64>> {
    let merged = signed(sizes.merged);
    let level = |mut jobs: i64| {
        let mut level = 0;
        while jobs >= signed(sizes.jobs_min) * merged {
            jobs /= merged;
            level += 1;
        }
        level
    };
    let highest = blocks.iter().map(|(_, jobs)| level(*jobs)).max()?;
    (0..=highest).find_map(|wanted| {
        let alike = blocks.iter().filter(|(_, jobs)| level(*jobs) == wanted);
        let alike: Vec<_> = alike.take(sizes.merged).collect();
        if alike.len() < sizes.merged {
            return None;
        }
        let mut total = 0;
        let fitting = alike.into_iter().take_while(|(_, jobs)| {
            total += jobs;
            total <= signed(sizes.merged_jobs_max)
        });
        let ids: Vec<i64> = fitting.map(|(id, _)| *id).collect();
        (ids.len() > 1).then_some(ids)
    })
}
