//! The index of what Gantry knows, in SQLite or PostgreSQL: one file per resource, one method per question.
//! Reads go to a pool of readers, writes through one queue that commits many at once.
//! Decides nothing about jobs: what may happen to one is [`crate::control`]'s business. AWS stays the record;
//! see `ARCHITECTURE.md`.

use std::{borrow::Cow, sync::Arc};

use sqlx::AnyPool;
use uuid::Uuid;

mod artifact;
mod backend;
mod bulk;
mod error;
mod execution;
mod health;
mod history;
mod invocation;
mod job;
mod lease;
mod lineage;
mod notify;
mod outbox;
mod pipeline;
mod progress;
mod rows;
mod telemetry;
mod text_index;
mod upload;
mod write;

pub use backend::Backend;
pub use bulk::{BulkAction, BulkRecord, BulkTurn, NewBulk, NewBulkItem, Promise};
pub use error::StoreError;
pub use execution::{
    Adoption, Applied, ExecutionRecord, KnownExecution, NewExecution, StatusChange,
};
pub use health::Backlog;
pub use invocation::{ColdStart, Invocation, InvocationCount, InvocationStart, VisitInvocation};
pub use job::{JobRecord, NewJob};
pub use lineage::Asked;
pub use notify::{Heard, Listener};
pub(crate) use outbox::execution_name;
pub use outbox::{Command, OutboxRow, RerunMode, StopOutcome, Submitted};
pub use pipeline::PipelineSetting;
pub use progress::ProgressRow;
pub use telemetry::Telemetry;
pub use text_index::TextBlockSizes;
pub use upload::PendingUpload;

use backend::Purpose;
use error::During;
use write::{Statement, Write, Writer};

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    url: Arc<str>,
    /// This server, to others over the same database.
    server: Uuid,
    read: AnyPool,
    /// The connections of `writer`.
    write: AnyPool,
    writer: Writer,
    text_sets: text_index::Sets,
}

impl Store {
    /// Opens the database at `url` and migrates it: `sqlite:PATH`, which is made when it is missing, or
    /// `postgres://USER:PASSWORD@HOST/DATABASE` with libpq's options, a database that is there.
    /// A SQLite database left by a killed process is recovered from its write-ahead log.
    /// Several servers may share one database. Needs tokio's runtime, on which the writer runs.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        let backend = Backend::of_url(url).ok_or_else(|| {
            StoreError::open(url, "its address begins neither with sqlite: nor postgres:")
        })?;
        backend.prepare(url).await?;
        let write = backend.pool(url, Purpose::Writing)?;
        Ok(Store {
            backend,
            url: url.into(),
            server: Uuid::now_v7(),
            read: backend.pool(url, Purpose::Reading)?,
            writer: Writer::start(&write, backend),
            write,
            text_sets: text_index::Sets::new(),
        })
    }

    /// The address of a PostgreSQL that several servers share, to listen to what others notify. It holds the
    /// password. None on SQLite.
    pub fn postgres_url(&self) -> Option<&str> {
        (self.backend == Backend::Postgres).then_some(&*self.url)
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.read)
            .await
            .during("check")
            .map(|_| ())
    }

    /// Closes every connection after its current statements. What still waits to be written is refused.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Writes, durably, together with others that write now.
    async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        self.writer.run(write).await
    }
}

/// A count from a signed integer; a negative one cannot have been written.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Text from outside as both databases can keep it: PostgreSQL's has no U+0000.
fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// [`plain`] text that may be missing.
fn plain_option(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(plain)
}

#[cfg(test)]
pub(crate) use outbox::testing::submit as testing_submit;

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
