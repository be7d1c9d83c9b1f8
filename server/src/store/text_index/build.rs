//! Making blocks of jobs that wait in the queue, and clearing away what is left over. One server at a time does it. What
//! it writes is written a piece at a time, so that no submit waits for long, and counts once it is whole.

use std::str::FromStr;

use model::{JobId, JobStatus};
use serde_json::json;
use sqlx::AnyConnection;

use super::{
    Block, Entry, LAYOUT, PART_JOBS, Stored, TextBlockSizes, part_bytes, terms, unreadable,
};
use crate::store::{During, Statement, Store, StoreError, Write, write::Value};

/// Rows of one write.
const ROWS_MAX: usize = 512;
/// Bytes of sets of one write, and what a set's row takes beside.
const WRITE_BYTES: usize = 1 << 20;
const ROW_BYTES: usize = WRITE_BYTES / ROWS_MAX;
/// Sets of a block that are read, or deleted, at a time.
pub(super) const SETS_MAX: usize = 64;
/// How long a replaced block stays for those who began to read before.
const REPLACED_KEPT_MS: i64 = 60_000;

/// A number of the queue with what is indexed of its job, if that is still there: id, title, source, pipeline, status,
/// error and failed state.
type Queued = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

impl Store {
    /// Whether there is something to do: jobs enough to make a block of, or a block to delete.
    pub async fn texts_wait(&self, sizes: TextBlockSizes, now_ms: i64) -> Result<bool, StoreError> {
        let last: Option<(i64,)> =
            sqlx::query_as("SELECT number FROM text_queue ORDER BY number LIMIT 1 OFFSET $1")
                .bind(signed(sizes.jobs_min) - 1)
                .fetch_optional(&self.read)
                .await
                .during("look for texts to index")?;
        Ok(last.is_some() || self.left_block(now_ms).await?.is_some())
    }

    /// One step: clears away what is left over, makes a block of jobs that wait, or a larger one of several. False
    /// when there is nothing to do. Only one server may be at it.
    pub async fn index_texts(
        &self,
        sizes: TextBlockSizes,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let is_left_over = self.clear_block(now_ms).await?;
        Ok(is_left_over
            || self.block_of_queue(sizes, now_ms).await?
            || self.block_of_blocks(sizes, now_ms).await?)
    }

    /// Makes a block of jobs that wait.
    async fn block_of_queue(&self, sizes: TextBlockSizes, now_ms: i64) -> Result<bool, StoreError> {
        let waiting: Vec<Queued> = sqlx::query_as(
            "SELECT waiting.number, job.id, job.title, job.source, job.pipeline, job.status, job.error, job.failed_state
             FROM (SELECT number, job_id FROM text_queue ORDER BY number LIMIT $1) AS waiting
             LEFT JOIN job ON job.id = waiting.job_id",
        )
        .bind(signed(sizes.jobs_max))
        .fetch_all(&self.read)
        .await
        .during("read texts to index")?;
        if waiting.len() < sizes.jobs_min {
            return Ok(false);
        }
        let mut numbers = Vec::new();
        let mut jobs = Vec::new();
        for (number, id, title, source, pipeline, status, error, failed_state) in waiting {
            numbers.push(number);
            let (Some(id), Some(title), Some(source), Some(status)) = (id, title, source, status)
            else {
                continue;
            };
            let id = JobId::from_str(&id).map_err(|_| StoreError::Unreadable {
                what: "job id",
                text: id,
            })?;
            let status = JobStatus::from_str(&status).map_err(|_| StoreError::Unreadable {
                what: "job status",
                text: status,
            })?;
            let (pipeline, error) = (pipeline.as_deref(), error.as_deref());
            jobs.push(Entry {
                id,
                title,
                source,
                terms: terms(pipeline, Some(status), error, failed_state.as_deref()),
            });
        }
        let block = aside(move || Block::of(jobs)).await;
        self.put_block(block, now_ms).await?;
        // A crash before this leaves jobs that are found twice, which does no harm.
        for some in numbers.chunks(ROWS_MAX) {
            // Each is looked up, however long PostgreSQL thinks that the queue is.
            let some: Vec<String> = some.iter().map(i64::to_string).collect();
            let some = some.join(",");
            let text = format!("DELETE FROM text_queue WHERE number IN ({some})");
            let indexed = Statement::once("take indexed texts off the queue", text);
            self.write(indexed).await?;
        }
        Ok(true)
    }

    /// Writes a block, which counts from then on.
    async fn put_block(&self, block: Block, now_ms: i64) -> Result<(), StoreError> {
        // All that waited may have been deleted.
        let Some(id) = self.begin_block(&block.ids).await? else {
            return Ok(());
        };
        let sets = aside(move || {
            let sets = block.grams.into_iter();
            let sets = sets.map(|(gram, slots)| Stored::of(gram, slots));
            let mut sets: Vec<_> = sets.collect();
            sets.sort_unstable_by_key(|set| set.gram);
            sets
        });
        self.put_sets(id, sets.await).await?;
        self.write(FinishBlock {
            block: id,
            replaced: Vec::new(),
            now_ms,
        })
        .await
    }

    /// Begins a block of these jobs and writes which they are; gives its number. None without jobs.
    pub(super) async fn begin_block(&self, ids: &[JobId]) -> Result<Option<i64>, StoreError> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
            return Ok(None);
        };
        let id = self
            .write(BeginBlock {
                jobs: signed(ids.len()),
                first_id: first.to_string(),
                last_id: last.to_string(),
            })
            .await?;
        for (some, ids) in (0..).zip(ids.chunks(PART_JOBS * ROWS_MAX)) {
            let parts = (some * signed(ROWS_MAX)..).zip(ids.chunks(PART_JOBS));
            let parts = parts.map(|(part, ids)| {
                let (first, ids) = (ids[0].to_string(), part_bytes(ids));
                [id.into(), part.into(), first.into(), ids.into()]
            });
            let into = "text_part (block, part, first_id, ids)";
            self.write(insert(into, parts)).await?;
        }
        Ok(Some(id))
    }

    /// Writes sets of a block, so many at a time that no submit waits for long.
    pub(super) async fn put_sets(&self, block: i64, sets: Vec<Stored>) -> Result<(), StoreError> {
        let mut bytes = 0;
        let same_write = |set: &Stored, _: &Stored| {
            bytes += set.bytes + ROW_BYTES;
            let is_room = bytes < WRITE_BYTES;
            bytes = if is_room { bytes } else { 0 };
            is_room
        };
        for some in sets.chunk_by(same_write) {
            let rows = some.iter().map(|set| {
                let (bytes, small) = (signed(set.bytes), set.small.clone());
                [block.into(), set.gram.into(), bytes.into(), small.into()]
            });
            let into = "text_gram (block, gram, bytes, slots)";
            self.write(insert(into, rows)).await?;
            let large = some.iter().flat_map(|set| {
                let large = set.large.iter();
                large.map(|(piece, slots)| {
                    let gram = set.gram.into();
                    [block.into(), gram, (*piece).into(), slots.clone().into()]
                })
            });
            let large: Vec<[Value; 4]> = large.collect();
            if !large.is_empty() {
                let into = "text_gram_large (block, gram, piece, slots)";
                self.write(insert(into, large)).await?;
            }
        }
        Ok(())
    }

    /// A block that was replaced a while ago, or that somebody began and did not finish.
    async fn left_block(&self, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let left: Option<(i64,)> = sqlx::query_as(
            "SELECT id FROM text_block WHERE state IN ('making', 'leaving')
                OR (state = 'replaced' AND replaced_at_ms < $1) ORDER BY id LIMIT 1",
        )
        .bind(now_ms - REPLACED_KEPT_MS)
        .fetch_optional(&self.read)
        .await
        .during("look for blocks to delete")?;
        Ok(left.map(|(id,)| id))
    }

    /// Deletes a block that was replaced a while ago, or that somebody began and did not finish, if there is one.
    async fn clear_block(&self, now_ms: i64) -> Result<bool, StoreError> {
        let Some(id) = self.left_block(now_ms).await? else {
            return Ok(false);
        };
        let operation = "delete a block of texts";
        let leaving = "UPDATE text_block SET state = 'leaving' WHERE id = $1";
        self.write(Statement::new(operation, leaving).bind(id))
            .await?;
        // A piece at a time: a large block takes a hundred megabytes.
        for (last, deletions, many) in [
            (
                "SELECT gram FROM text_gram WHERE block = $1 ORDER BY gram LIMIT 1 OFFSET $2",
                &[
                    "DELETE FROM text_gram_large WHERE block = $1 AND gram <= $2",
                    "DELETE FROM text_gram WHERE block = $1 AND gram <= $2",
                ][..],
                SETS_MAX,
            ),
            (
                "SELECT part FROM text_part WHERE block = $1 ORDER BY part LIMIT 1 OFFSET $2",
                &["DELETE FROM text_part WHERE block = $1 AND part <= $2"],
                ROWS_MAX,
            ),
        ] {
            loop {
                let last: Option<(i64,)> = sqlx::query_as(last)
                    .bind(id)
                    .bind(signed(many))
                    .fetch_optional(&self.read)
                    .await
                    .during(operation)?;
                for text in deletions {
                    let some = Statement::new(operation, text).bind(id);
                    let some = some.bind(last.map_or(i64::MAX, |(last,)| last));
                    self.write(some).await?;
                }
                if last.is_none() {
                    break;
                }
            }
        }
        let block = "DELETE FROM text_block WHERE id = $1";
        self.write(Statement::new(operation, block).bind(id))
            .await?;
        Ok(true)
    }
}

/// Runs what takes the processor for long where nobody waits for it.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(super) fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Begins a block; gives its id. One that is begun twice is cleared away later.
#[derive(Debug)]
struct BeginBlock {
    jobs: i64,
    first_id: String,
    last_id: String,
}

impl Write for BeginBlock {
    type Output = i64;

    fn operation(&self) -> &'static str {
        "begin a block of texts"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<i64, StoreError> {
        let (id,) = sqlx::query_as(
            "INSERT INTO text_block (state, jobs, first_id, last_id, layout) VALUES ('making', $1, $2, $3, $4) RETURNING id",
        )
        .bind(self.jobs)
        .bind(&self.first_id)
        .bind(&self.last_id)
        .bind(LAYOUT)
        .fetch_one(connection)
        .await
        .during(self.operation())?;
        Ok(id)
    }
}

/// An INSERT of many rows, all of a block's, with so many columns each.
fn insert<const COLUMNS: usize>(
    into: &str,
    rows: impl IntoIterator<Item = [Value; COLUMNS]>,
) -> Statement {
    let rows: Vec<_> = rows.into_iter().collect();
    let places = (0..rows.len()).map(|row| {
        let first = row * COLUMNS + 1;
        let row = (first..first + COLUMNS).map(|value| format!("${value}"));
        format!("({})", row.collect::<Vec<_>>().join(","))
    });
    let places = places.collect::<Vec<_>>().join(",");
    let text = format!("INSERT INTO {into} VALUES {places} ON CONFLICT DO NOTHING");
    let insert = Statement::once("write a block of texts", text);
    rows.into_iter().flatten().fold(insert, Statement::bind)
}

/// From here on a block counts, and those that it replaces do not.
#[derive(Debug)]
pub(super) struct FinishBlock {
    pub(super) block: i64,
    pub(super) replaced: Vec<i64>,
    pub(super) now_ms: i64,
}

impl Write for FinishBlock {
    type Output = ();

    fn operation(&self) -> &'static str {
        "finish a block of texts"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let finished = sqlx::query(
            "UPDATE text_block SET state = 'current' WHERE id = $1 AND state IN ('making', 'current')",
        )
        .bind(self.block)
        .execute(&mut *connection)
        .await
        .during(self.operation())?;
        if finished.rows_affected() == 0 {
            // Somebody took this server for gone; what it read is indexed again.
            return Err(unreadable("state", self.block));
        }
        sqlx::query(
            "UPDATE text_block SET state = 'replaced', replaced_at_ms = $2
             WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each($1))",
        )
        .bind(json!(self.replaced).to_string())
        .bind(self.now_ms)
        .execute(connection)
        .await
        .during(self.operation())
        .map(|_| ())
    }
}
