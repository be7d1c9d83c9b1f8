//! Group commit: many writes become durable by one commit. Owns the queue of writes, the connections that
//! write, and what happens when one of a batch fails: its neighbours do not. Decides nothing about data.
//!
//! A commit waits for the disk (SQLite) or for the disk and the network (PostgreSQL); what is asked for meanwhile
//! gathers and is committed together. A write that comes alone waits for nobody.

use std::{
    any::{Any, TypeId},
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Transaction, any::AnyArguments, query::Query};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    Backend,
    error::{During, StoreError, undone_for_another},
};

/// Writes in one transaction at most.
const BATCH_MAX: usize = 256;
/// Writes that wait at most; who comes then waits to be let in.
const QUEUE_MAX: usize = 4_096;

/// Statements that become durable together or not at all. They may be run again after a failure, also one whose
/// commit nobody knows the outcome of, so they have to give the same the second time.
pub(super) trait Write: Send + Sync + 'static {
    /// What the statements found or did.
    type Output: Send + 'static;

    /// What it does, for errors.
    fn operation(&self) -> &'static str;

    /// Runs the statements in a transaction that others share.
    fn apply(
        &self,
        connection: &mut AnyConnection,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;

    /// Runs several of a kind as if one came after the other: what many ask for at one time may share its statements.
    /// Gives an output for each.
    fn apply_all(
        writes: &[&Self],
        connection: &mut AnyConnection,
    ) -> impl Future<Output = Result<Vec<Self::Output>, StoreError>> + Send
    where
        Self: Sized,
    {
        async move {
            let mut outputs = Vec::with_capacity(writes.len());
            for write in writes {
                outputs.push(write.apply(&mut *connection).await?);
            }
            Ok(outputs)
        }
    }
}

/// The way to the connections that write. Cheap to clone; they end with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Queued>>,
}

impl Writer {
    /// Starts writing over as many connections as the pool may have.
    pub(super) fn start(pool: &AnyPool, backend: Backend) -> Writer {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..pool.options().get_max_connections() {
            tokio::spawn(serve(pool.clone(), backend, Arc::clone(&receiver)));
        }
        Writer { queue }
    }

    /// Runs a write and waits until it is durable. Who stops waiting before it began withdraws it.
    pub(super) async fn run<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let operation = write.operation();
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable {
            operation,
            source: Arc::new(sqlx::Error::WorkerCrashed),
        };
        let waiting = Box::new(Waiting {
            write,
            output: None,
            reply,
        });
        self.queue.send(waiting).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// A write whose caller waits, whatever its type.
trait Queued: Any + Send {
    fn operation(&self) -> &'static str;
    fn kind(&self) -> TypeId;
    fn withdrawn(&self) -> bool;
    /// Runs it and others of its kind.
    fn apply<'a>(
        &'a mut self,
        alike: &'a mut [Box<dyn Queued>],
        connection: &'a mut AnyConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: StoreError);
}

struct Waiting<W: Write> {
    write: W,
    output: Option<W::Output>,
    reply: oneshot::Sender<Result<W::Output, StoreError>>,
}

impl<W: Write> Queued for Waiting<W> {
    fn operation(&self) -> &'static str {
        self.write.operation()
    }

    fn kind(&self) -> TypeId {
        TypeId::of::<W>()
    }

    fn withdrawn(&self) -> bool {
        self.reply.is_closed()
    }

    fn apply<'a>(
        &'a mut self,
        alike: &'a mut [Box<dyn Queued>],
        connection: &'a mut AnyConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut all = vec![self];
            for other in alike {
                let other: &mut dyn Any = &mut **other;
                all.extend(other.downcast_mut::<Self>());
            }
            let writes: Vec<&W> = all.iter().map(|waiting| &waiting.write).collect();
            let outputs = W::apply_all(&writes, connection).await?;
            for (waiting, output) in all.into_iter().zip(outputs) {
                waiting.output = Some(output);
            }
            Ok(())
        })
    }

    fn committed(self: Box<Self>) {
        if let Some(output) = self.output {
            // Nobody listens any more when the caller was cut off: the write is done all the same.
            let _ = self.reply.send(Ok(output));
        }
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Queued>>>>;

/// Commits batches until nobody can ask for one any more.
async fn serve(pool: AnyPool, backend: Backend, queue: Queue) {
    loop {
        let mut batch = Vec::new();
        if queue.lock().await.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return;
        }
        batch.retain(|write| !write.withdrawn());
        // Whoever's write panics is told that it failed, as is its batch; the next ones find a writer.
        let committing = AssertUnwindSafe(commit(&pool, backend, batch)).catch_unwind();
        if committing.await.is_err() {
            tracing::error!("a write panicked");
        }
    }
}

/// Commits a batch in one transaction, or, when one of them fails, each in its own.
async fn commit(pool: &AnyPool, backend: Backend, mut batch: Vec<Box<dyn Queued>>) {
    if batch.is_empty() {
        return;
    }
    match together(pool, backend, &mut batch).await {
        Ok(()) => batch.into_iter().for_each(Queued::committed),
        Err(StoreError::Unavailable { source, .. }) => {
            // Asking for each would make the last one wait for as many refusals.
            for write in batch {
                let (operation, source) = (write.operation(), Arc::clone(&source));
                write.failed(StoreError::Unavailable { operation, source });
            }
        }
        Err(error) if batch.len() == 1 && !undone_for_another(&error) => {
            if let Some(write) = batch.pop() {
                write.failed(error);
            }
        }
        Err(_) => {
            for write in batch {
                let mut alone = [write];
                let mut result = together(pool, backend, &mut alone).await;
                if result.as_ref().is_err_and(undone_for_another) {
                    result = together(pool, backend, &mut alone).await;
                }
                let [write] = alone;
                match result {
                    Ok(()) => write.committed(),
                    Err(error) => write.failed(error),
                }
            }
        }
    }
}

/// Runs writes in one transaction; on the first failure nothing of them stays.
async fn together(
    pool: &AnyPool,
    backend: Backend,
    batch: &mut [Box<dyn Queued>],
) -> Result<(), StoreError> {
    let operation = batch.first().map_or("write", |write| write.operation());
    let mut transaction = begin(pool, backend, operation).await?;
    // They came at one time: which of them is first is nobody's business, and one kind shares its statements.
    batch.sort_by_key(|write| write.kind());
    for alike in batch.chunk_by_mut(|one, other| one.kind() == other.kind()) {
        let Some((first, others)) = alike.split_first_mut() else {
            continue;
        };
        if let Err(error) = first.apply(others, &mut transaction).await {
            // Dropping would do the same on the connection's next use; this says so to the database now. Its
            // failure leaves a connection that the next begin replaces.
            let _ = transaction.rollback().await;
            return Err(error);
        }
    }
    transaction.commit().await.during(operation)
}

async fn begin(
    pool: &AnyPool,
    backend: Backend,
    operation: &'static str,
) -> Result<Transaction<'static, sqlx::Any>, StoreError> {
    match pool.begin_with(backend.begin()).await {
        // When the disk is full SQLite rolls back by itself, and the driver takes the connection to be
        // in a transaction for ever: a new one takes its place.
        Err(sqlx::Error::InvalidSavePointStatement) => {
            let broken = pool.acquire().await.during(operation)?;
            broken.close().await.during(operation)?;
            pool.begin_with(backend.begin()).await.during(operation)
        }
        begun => begun.during(operation),
    }
}

/// A value for a statement's parameter.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    Flag(bool),
    Bytes(Vec<u8>),
    IntegerOption(Option<i64>),
    TextOption(Option<String>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Integer(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Flag(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Value {
        Value::Bytes(value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Value {
        Value::IntegerOption(value)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Value {
        Value::TextOption(value)
    }
}

/// A write of one statement; gives how many rows it changed.
#[derive(Debug)]
pub(super) struct Statement {
    operation: &'static str,
    text: Cow<'static, str>,
    values: Vec<Value>,
}

impl Statement {
    pub(super) fn new(operation: &'static str, text: &'static str) -> Statement {
        Statement {
            operation,
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// One that is made for this occasion, and so not kept prepared. Nothing from outside may be part of its text.
    pub(super) fn once(operation: &'static str, text: String) -> Statement {
        Statement {
            operation,
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// Gives the next parameter its value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Statement {
        self.values.push(value.into());
        self
    }

    fn query(&self) -> Query<'_, sqlx::Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(&*self.text));
        let query = query.persistent(matches!(self.text, Cow::Borrowed(_)));
        self.values.iter().fold(query, |query, value| match value {
            Value::Integer(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.as_str()),
            Value::Flag(value) => query.bind(*value),
            Value::Bytes(value) => query.bind(value.as_slice()),
            Value::IntegerOption(value) => query.bind(*value),
            Value::TextOption(value) => query.bind(value.as_deref()),
        })
    }
}

impl Write for Statement {
    type Output = u64;

    fn operation(&self) -> &'static str {
        self.operation
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<u64, StoreError> {
        let done = self.query().execute(connection).await;
        Ok(done.during(self.operation)?.rows_affected())
    }
}

#[cfg(test)]
mod tests;
