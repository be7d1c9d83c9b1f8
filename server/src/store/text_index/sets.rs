//! The sets of jobs of blocks, by trigram or term. A block never changes and its number never comes again, so what was
//! read of one is true for ever: the last of it is kept, and who asks for the next page or sees a list anew finds it
//! there.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use roaring::RoaringBitmap;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Gram, PIECE_SLOTS, SMALL_BYTES, WHOLE, WHOLE_BYTES, bitmap, unreadable};
use crate::store::{
    Backend, During, StoreError,
    rows::{self, Number},
};

/// Bytes that are kept. In tests few, so that some are read again.
const KEPT_BYTES: u64 = if cfg!(test) { 16_384 } else { 16 << 20 };
/// What a set takes beside its own bytes, and how many there are about, on average.
const OVERHEAD_BYTES: u64 = 128;
const SETS: usize = 65_536;
/// Parts of what is kept, in each of which the largest sets have to find room.
const SHARDS: usize = 4;

/// A block and a trigram or term.
type Key = (i64, Gram);
/// A set, or one of the pieces of one that is kept in pieces.
type KeptKey = (i64, Gram, i64);

/// Some of a block's slots, one after another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    pub(super) block: i64,
    pub(super) slots: Range<u32>,
}

impl Stretch {
    fn pieces(&self) -> Range<i64> {
        let first = self.slots.start / PIECE_SLOTS;
        first.into()..self.slots.end.div_ceil(PIECE_SLOTS).into()
    }
}

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

    fn is_in_pieces(&self) -> bool {
        self.bytes > WHOLE_BYTES as u64
    }
}

#[derive(Debug, Clone)]
struct InBytes;

impl Weighter<KeptKey, Set> for InBytes {
    fn weight(&self, _key: &KeptKey, set: &Set) -> u64 {
        let read = set.slots.as_ref().map_or(0, |_| set.bytes);
        OVERHEAD_BYTES + read
    }
}

/// What sets are read from. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Sets(Arc<Cache<KeptKey, Set, InBytes>>);

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
            let sets = grams.iter();
            let sets = sets.map(|gram| self.0.get(&(*block, *gram, WHOLE)));
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
                    let set = rows.remove(&(*block, *gram));
                    let set = set.unwrap_or_else(|| Set::of(RoaringBitmap::new(), 0));
                    self.0.insert((*block, *gram, WHOLE), set.clone());
                    set
                })
            });
            sets.collect()
        });
        Ok(sets.collect())
    }

    /// By block the large sets that are wanted; of those that are kept in pieces those of the stretches.
    pub(super) async fn read_large(
        &self,
        connection: &mut AnyConnection,
        wanted: &[(&Stretch, Gram, &Set)],
    ) -> Result<HashMap<i64, Vec<RoaringBitmap>>, StoreError> {
        let mut found: HashMap<Key, RoaringBitmap> = HashMap::new();
        // What lies side by side is read at once.
        let mut unread: BTreeMap<(i64, i64), Vec<Key>> = BTreeMap::new();
        for (stretch, gram, set) in wanted {
            let key = (stretch.block, *gram);
            let pieces = match set.is_in_pieces() {
                true => stretch.pieces(),
                false => WHOLE..WHOLE + 1,
            };
            let kept = pieces.clone().map(|piece| {
                let kept = self.0.get(&(stretch.block, *gram, piece));
                kept.and_then(|piece| piece.slots)
            });
            match kept.collect::<Option<Vec<_>>>() {
                Some(kept) => {
                    let set = found.entry(key).or_default();
                    kept.iter().for_each(|piece| *set |= &**piece);
                }
                None => {
                    let pieces = (pieces.start, pieces.end);
                    unread.entry(pieces).or_default().push(key);
                }
            }
        }
        for ((first, end), keys) in unread {
            let mut rows = large_sets(connection, &keys, first..end).await?;
            for (block, gram) in keys {
                let set = found.entry((block, gram)).or_default();
                for piece in first..end {
                    let key = (block, gram, piece);
                    let piece = rows.remove(&key);
                    let piece = piece.unwrap_or_else(|| Set::of(RoaringBitmap::new(), 0));
                    piece.slots.iter().for_each(|slots| *set |= &**slots);
                    self.0.insert(key, piece);
                }
            }
        }
        let mut large: HashMap<i64, Vec<RoaringBitmap>> = HashMap::new();
        for ((block, _), set) in found {
            large.entry(block).or_default().push(set);
        }
        Ok(large)
    }
}

/// Those that there are of sets of blocks, or of pieces of them.
async fn large_sets(
    connection: &mut AnyConnection,
    keys: &[Key],
    pieces: Range<i64>,
) -> Result<HashMap<KeptKey, Set>, StoreError> {
    let mut blocks: Vec<i64> = keys.iter().map(|(block, _)| *block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let mut grams: Vec<Gram> = keys.iter().map(|(_, gram)| *gram).collect();
    grams.sort_unstable();
    grams.dedup();
    let backend = Backend::of(connection);
    let text = query_of_sets(backend, "text_gram_large", "block, gram, piece, slots");
    let text = format!("{text} AND piece >= $3 AND piece < $4");
    let rows: Vec<(i64, Gram, i64, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(text))
        .bind(backend.numbers(blocks.iter().copied()))
        .bind(backend.numbers(grams.iter().copied()))
        .bind(pieces.start)
        .bind(pieces.end)
        .fetch_all(connection)
        .await
        .during("read blocks of texts")?;
    let sets = rows.into_iter().map(|(block, gram, piece, bytes)| {
        let set = Set::of(bitmap(block, &bytes)?, bytes.len());
        Ok(((block, gram, piece), set))
    });
    sets.collect()
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
    let rows = backend.rows_as_json(&["block", "gram", "bytes", slots]);
    let text = query_of_sets(backend, "text_gram", &rows);
    let (rows,): (String,) = sqlx::query_as(AssertSqlSafe(text))
        .bind(backend.numbers(blocks.iter().copied()))
        .bind(backend.numbers(grams.iter().copied()))
        .fetch_one(connection)
        .await
        .during("read blocks of texts")?;
    type Row = (Number<i64>, Number<Gram>, Number<u64>, String);
    let rows: Vec<Row> = rows::read(&rows, "set of jobs")?;
    let sets = rows
        .into_iter()
        .map(|(Number(block), Number(gram), Number(bytes), slots)| {
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
