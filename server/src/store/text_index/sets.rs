//! The sets of jobs of blocks, by trigram or term. A block never changes and its number never comes again, so what was
//! read of one is true for ever: the last of it is kept, and who asks for the next page or sees a list anew finds it
//! there.

use std::{collections::HashMap, sync::Arc};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use roaring::RoaringBitmap;
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Gram, SMALL_BYTES, bitmap, unreadable};
use crate::store::{Backend, During, StoreError};

/// Bytes that are kept. In tests few, so that some are read again.
const KEPT_BYTES: u64 = if cfg!(test) { 16_384 } else { 16 << 20 };
/// What a set takes beside its own bytes, and how many there are about, on average.
const OVERHEAD_BYTES: u64 = 128;
const SETS: usize = 65_536;
/// Parts of what is kept, in each of which the largest set has to find room: a quarter of a megabyte.
const SHARDS: usize = 4;

/// A block and a trigram or term.
type Key = (i64, Gram);

/// Where in a block a trigram stands.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// How many bytes its bitmap takes; zero where there is none.
    pub(super) bytes: u64,
    /// None while it is large and was not asked for.
    pub(super) slots: Option<Arc<RoaringBitmap>>,
}

impl Set {
    fn of(slots: RoaringBitmap, bytes: usize) -> Set {
        Set {
            bytes: bytes as u64,
            slots: Some(Arc::new(slots)),
        }
    }

    pub(super) fn is_small(&self) -> bool {
        self.bytes <= SMALL_BYTES as u64
    }
}

#[derive(Debug, Clone)]
struct InBytes;

impl Weighter<Key, Set> for InBytes {
    fn weight(&self, _key: &Key, set: &Set) -> u64 {
        let read = set.slots.as_ref().map_or(0, |_| set.bytes);
        OVERHEAD_BYTES + read
    }
}

/// What sets are read from. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Sets(Arc<Cache<Key, Set, InBytes>>);

impl Sets {
    pub(in crate::store) fn new() -> Sets {
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(SETS)
            .weight_capacity(KEPT_BYTES)
            .build()
            .expect("both capacities are given");
        let (hashes, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Sets(Arc::new(Cache::with_options(
            options, InBytes, hashes, lifecycle,
        )))
    }

    /// By block, in order, and by gram, in order. Large ones that were not read before are only known to be there.
    pub(super) async fn read(
        &self,
        connection: &mut AnyConnection,
        blocks: &[i64],
        grams: &[Gram],
    ) -> Result<Vec<Vec<Set>>, StoreError> {
        let kept = blocks.iter().map(|block| {
            let sets = grams.iter().map(|gram| self.0.get(&(*block, *gram)));
            sets.collect()
        });
        let kept: Vec<Vec<Option<Set>>> = kept.collect();
        let lacks = |sets: &Vec<Option<Set>>| sets.iter().any(Option::is_none);
        let lacking = blocks.iter().zip(&kept).filter(|(_, sets)| lacks(sets));
        let missing: Vec<i64> = lacking.map(|(block, _)| *block).collect();
        let unknown = (0..).zip(grams);
        let unknown = unknown.filter(|(at, _)| kept.iter().any(|sets| sets[*at].is_none()));
        let unknown: Vec<Gram> = unknown.map(|(_, gram)| *gram).collect();
        let mut rows = small_sets(connection, &missing, &unknown).await?;
        let sets = blocks.iter().zip(kept).map(|(block, kept)| {
            let sets = grams.iter().zip(kept).map(|(gram, kept)| {
                kept.unwrap_or_else(|| {
                    let key = (*block, *gram);
                    let set = rows.remove(&key);
                    let set = set.unwrap_or_else(|| Set::of(RoaringBitmap::new(), 0));
                    self.0.insert(key, set.clone());
                    set
                })
            });
            sets.collect()
        });
        Ok(sets.collect())
    }

    /// By block the large sets that are wanted.
    pub(super) async fn read_large(
        &self,
        connection: &mut AnyConnection,
        wanted: &[Key],
    ) -> Result<HashMap<i64, Vec<Arc<RoaringBitmap>>>, StoreError> {
        let mut large: HashMap<i64, Vec<Arc<RoaringBitmap>>> = HashMap::new();
        if wanted.is_empty() {
            return Ok(large);
        }
        let mut blocks: Vec<i64> = wanted.iter().map(|(block, _)| *block).collect();
        blocks.dedup();
        let mut grams: Vec<Gram> = wanted.iter().map(|(_, gram)| *gram).collect();
        grams.sort_unstable();
        grams.dedup();
        let backend = Backend::of(connection);
        let text = query_of_sets(backend, "text_gram_large", "block, gram, slots");
        let rows: Vec<(i64, Gram, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(text))
            .bind(json!(blocks).to_string())
            .bind(json!(grams).to_string())
            .fetch_all(connection)
            .await
            .during("read blocks of texts")?;
        for (block, gram, bytes) in rows {
            let set = Set::of(bitmap(block, &bytes)?, bytes.len());
            large.entry(block).or_default().extend(set.slots.clone());
            self.0.insert((block, gram), set);
        }
        Ok(large)
    }
}

/// The query of sets: by blocks and trigrams, each of which is looked up.
fn query_of_sets(backend: Backend, table: &str, columns: &str) -> String {
    let block = backend.is_number_of("block", "$1");
    let gram = backend.is_number_of("gram", "$2");
    format!("SELECT {columns} FROM {table} WHERE {block} AND {gram}")
}

/// The sets that there are of all of these. All come as one row: there are many of them when a text is rare, and
/// SQLite's are handed from thread to thread one by one.
async fn small_sets(
    connection: &mut AnyConnection,
    blocks: &[i64],
    grams: &[Gram],
) -> Result<HashMap<Key, Set>, StoreError> {
    if blocks.is_empty() {
        return Ok(HashMap::new());
    }
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
    let sets = rows.into_iter().map(|(block, gram, bytes, slots)| {
        let set = match slots.is_empty() {
            true => Set { bytes, slots: None },
            false => {
                let slots = hex::decode(slots).map_err(|_| unreadable("set of jobs", block))?;
                Set::of(bitmap(block, &slots)?, slots.len())
            }
        };
        Ok(((block, gram), set))
    });
    sets.collect()
}
