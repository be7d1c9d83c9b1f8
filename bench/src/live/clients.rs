//! Clients that follow: sockets of one thread that read whatever comes and note how long it took.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};

use super::scan::Scan;
use super::server::Server;

/// Connections that are being made at one time: fewer than the kernel lets wait for a server.
const CONNECTING_MAX: usize = 100;
/// What is read at once: an event and more.
const READ_BYTES: usize = 16 * 1024;
/// How long all of them may take to be where they are waited for.
const WITHIN: Duration = Duration::from_secs(60);

/// When which topic was changed.
pub struct Changes {
    begun: Instant,
    rounds: usize,
    /// ns since `begun`, by topic and round.
    at: Vec<AtomicU64>,
    measured: AtomicBool,
}

impl Changes {
    pub fn new(topics: usize, rounds: usize) -> Changes {
        Changes {
            begun: Instant::now(),
            rounds,
            at: (0..topics * rounds).map(|_| AtomicU64::new(0)).collect(),
            measured: AtomicBool::new(false),
        }
    }

    /// From now on changes count. What came before has been seen by everybody.
    pub fn begin(&self) {
        self.measured.store(true, Ordering::SeqCst);
    }

    /// A topic is about to be changed.
    pub fn note(&self, topic: usize, round: usize) {
        self.at[topic * self.rounds + round].store(self.now(), Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }
}

/// Connected clients.
pub struct Crowd {
    shared: Arc<Shared>,
    /// Changes that each has seen already.
    expected: AtomicUsize,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

struct Shared {
    changes: Arc<Changes>,
    /// By client, how many changes came; none until it is connected.
    reached: Vec<AtomicUsize>,
    latencies_ns: Mutex<Vec<u64>>,
}

/// What `reached` holds for a client that has no answer yet.
const NOT_CONNECTED: usize = usize::MAX;

impl Crowd {
    /// Connects clients, spread over the topics, and waits until the server has answered each.
    pub fn connect(
        server: &Server,
        clients: usize,
        topics: usize,
        changes: &Arc<Changes>,
    ) -> anyhow::Result<Crowd> {
        let shared = Arc::new(Shared {
            changes: changes.clone(),
            reached: (0..clients)
                .map(|_| AtomicUsize::new(NOT_CONNECTED))
                .collect(),
            latencies_ns: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
        for client in 0..clients {
            let topic = client % topics;
            let follower = Follower {
                shared: shared.clone(),
                client,
                topic,
                scan: Scan::default(),
                measured: 0,
            };
            let path = server.path(topic);
            runtime.spawn(follower.run(server.address, path, connecting.clone()));
        }
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // Told to end, or whoever would tell is gone.
            let _ = runtime.block_on(ended);
        });
        let crowd = Crowd {
            shared,
            expected: AtomicUsize::new(server.views_at_first),
            end,
            thread,
        };
        crowd.wait()?;
        Ok(crowd)
    }

    /// Waits until every client saw one change more.
    pub fn all_saw_a_change(&self) -> anyhow::Result<()> {
        self.expected.fetch_add(1, Ordering::SeqCst);
        self.wait()
    }

    fn wait(&self) -> anyhow::Result<()> {
        let expected = self.expected.load(Ordering::SeqCst);
        let until = Instant::now() + WITHIN;
        let waits = |reached: &AtomicUsize| match reached.load(Ordering::SeqCst) {
            NOT_CONNECTED => true,
            reached => reached < expected,
        };
        loop {
            let waiting = self.shared.reached.iter().filter(|at| waits(at)).count();
            if waiting == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{waiting} clients did not get what they wait for");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Events that came since the changes count.
    pub fn seen(&self) -> usize {
        self.shared.latencies().len()
    }

    /// Disconnects; answers with how long each event took, in ns.
    pub fn end(self) -> anyhow::Result<Vec<u64>> {
        let _ = self.end.send(());
        self.thread.join().ok().context("the clients panicked")?;
        Ok(std::mem::take(&mut *self.shared.latencies()))
    }
}

impl Shared {
    fn latencies(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.latencies_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Follower {
    shared: Arc<Shared>,
    client: usize,
    topic: usize,
    scan: Scan,
    measured: usize,
}

impl Follower {
    /// Follows until the server or the run ends; a client that breaks is seen as events that did not come.
    async fn run(
        mut self,
        address: SocketAddr,
        path: String,
        connecting: Arc<Semaphore>,
    ) -> std::io::Result<()> {
        let permit = connecting.acquire_owned().await;
        let mut socket = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        socket.readable().await?;
        drop(permit);
        while poll_fn(|context| self.read(&mut socket, context)).await? {}
        Ok(())
    }

    /// Takes what has come; false when that was the end. The buffer is there only as long as it is read: ten
    /// thousand would take more memory than all that is measured.
    fn read(
        &mut self,
        socket: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<bool>> {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(socket).poll_read(context, &mut bytes))?;
        self.take(bytes.filled());
        Poll::Ready(Ok(!bytes.filled().is_empty()))
    }

    /// Notes how long the news took that just came.
    fn take(&mut self, bytes: &[u8]) {
        let changes = &self.shared.changes;
        let now = changes.now();
        let news = self.scan.take(bytes);
        let reached = &self.shared.reached[self.client];
        match reached.load(Ordering::SeqCst) {
            NOT_CONNECTED => reached.store(news, Ordering::SeqCst),
            earlier => reached.store(earlier + news, Ordering::SeqCst),
        }
        if changes.measured.load(Ordering::SeqCst) {
            for _ in 0..news.min(changes.rounds - self.measured) {
                let at = &changes.at[self.topic * changes.rounds + self.measured];
                let took = now.saturating_sub(at.load(Ordering::SeqCst));
                self.shared.latencies().push(took);
                self.measured += 1;
            }
        }
    }
}
