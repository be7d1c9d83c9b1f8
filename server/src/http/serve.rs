//! The port: connections and their end. hyper speaks HTTP on each of them until one is answered with a stream of
//! events; that one is taken over by [`super::live::stream`], because hyper keeps more than 8 KiB of buffers for a
//! connection as long as it has it, and such a connection is never asked anything again.
//!
//! Decides nothing: what is taken over has been through the router, with every guard, like any other answer.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response},
    serve::Listener,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use super::live::{Watching, stream};
use crate::live::Watcher;

/// How long a request's head may take, and a kept connection be idle before it: longer than the 60 s for which
/// common proxies keep one, so that they and not this server give it up.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// What the kernel may hold for a client that follows and does not read; it doubles this for its own overhead.
/// Without it that grows to megabytes of views that are old by the time they are read.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// An answer to be sent by others than hyper: its head, and what comes after.
struct Handover {
    head: Vec<u8>,
    watcher: Watcher,
}

/// Serves the router on the port until `ending`, then lets requests under way finish.
pub async fn serve(mut listener: TcpListener, router: Router, ending: CancellationToken) {
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = ending.cancelled() => break,
        };
        let (socket, _) = accepted;
        let connection = connection(socket, router.clone(), ending.clone(), tasks.clone());
        tasks.spawn(connection);
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn connection(
    socket: TcpStream,
    router: Router,
    ending: CancellationToken,
    tasks: TaskTracker,
) {
    // Small answers and events leave at once. A socket that refuses is closed already, as reading it will show.
    let _ = socket.set_nodelay(true);
    let (hand_over, mut handovers) = mpsc::channel(1);
    let service = service_fn(|request| answer(router.clone(), request, hand_over.clone()));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(socket), service);
    let mut told_to_end = false;
    loop {
        tokio::select! {
            served = &mut connection => {
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            Some(Handover { head, watcher }) = handovers.recv() => {
                // hyper has nothing left to write: it reads a request after the answers before it went out.
                let socket = connection.into_parts().io.into_inner();
                let _ = SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES);
                // A task of its own: this one's memory is what hyper needed.
                tasks.spawn(stream::send(socket, head, watcher, stream::Pace::default()));
                return;
            }
            () = ending.cancelled(), if !told_to_end => {
                told_to_end = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
}

/// The router's answer; one that is to be a stream of events is handed over, and hyper never sees it.
async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    hand_over: mpsc::Sender<Handover>,
) -> Result<Response<Body>, Infallible> {
    // A HEAD request gets the head alone, from hyper.
    let with_body = request.method() != Method::HEAD;
    let mut response = router.call(request).await?;
    let watching = response.extensions_mut().remove::<Watching>();
    if let Some(watcher) = watching.and_then(|watching| watching.take())
        && with_body
    {
        let head = stream::head(response.status(), response.headers());
        // The connection drops this future as soon as it has received.
        let _ = hand_over.send(Handover { head, watcher }).await;
        std::future::pending::<()>().await;
    }
    Ok(response)
}
