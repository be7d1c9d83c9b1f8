//! What a client is sent once it follows: the head of its answer, events as they come, and a sign of life when
//! none do. A client costs its task and what it watches; the bytes of a view are everybody's.
//!
//! While a client takes its time nothing is made or kept for it. Once it has read on, it gets what is newest by
//! then; if it reads nothing for [`Pace::stalled`] it is let go, and comes back for one view.

use std::{io, time::Duration};

use axum::http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::{clock, live::Watcher};

/// How long a browser waits before it connects again, in ms.
const RETRY_MS: u32 = 2_000;

/// How patient a stream is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After this long without an event a sign of life is sent: proxies and pages take a silent connection for a
    /// dead one.
    pub alive: Duration,
    /// A client that reads nothing for this long, while there is something to read, is let go.
    pub stalled: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            alive: Duration::from_secs(5),
            stalled: Duration::from_secs(15),
        }
    }
}

/// The head of the answer (RFC 9112, section 4), as hyper would have written it.
pub fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    let now = jiff::Timestamp::now();
    if let Ok(now) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        head.extend_from_slice(format!("date: {now}\r\n").as_bytes());
    }
    // The router takes the answer for an empty one and says so; what follows is longer than anybody knows.
    for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Sends until the client goes or the server ends. An error is the client's going.
pub async fn send<S>(mut io: S, head: Vec<u8>, mut watcher: Watcher, pace: Pace) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let retry = format!("retry: {RETRY_MS}\n\n");
    write(&mut io, Bytes::from(head).chain(retry.as_bytes()), pace).await?;
    let mut quiet = std::pin::pin!(sleep(pace.alive));
    // Whoever follows has nothing more to say; what it says all the same is dropped.
    let mut said = [0; 64];
    loop {
        tokio::select! {
            news = watcher.next() => {
                let Some((event, id)) = news else { break };
                let end = format!("id: {id}\n\n");
                write(&mut io, event.chain(end.as_bytes()), pace).await?;
            }
            () = &mut quiet => {
                // Not a comment: scripts do not see those, and the page wants to know.
                let alive = format!("event: alive\ndata: {}\n\n", clock::now().0);
                write(&mut io, alive.as_bytes(), pace).await?;
            }
            read = io.read(&mut said) => match read? {
                0 => return Ok(()),
                _ => continue,
            },
        }
        quiet.as_mut().reset(Instant::now() + pace.alive);
    }
    io.shutdown().await
}

/// Writes everything, as long as some of it is taken in time.
async fn write(
    io: &mut (impl AsyncWrite + Unpin),
    mut bytes: impl Buf,
    pace: Pace,
) -> io::Result<()> {
    while bytes.has_remaining() {
        let written = timeout(pace.stalled, io.write_buf(&mut bytes)).await;
        if written.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}
