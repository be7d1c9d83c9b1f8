//! Following over real connections: resuming, limits, the end; and a client that does not read.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
};

use super::{stream::Pace, *};
use crate::{
    control::{Control, testing::control},
    http::{Edge, router, serve},
    store,
};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);
const PATIENT: Pace = Pace {
    alive: NEVER,
    stalled: NEVER,
};

struct Server {
    _folder: tempfile::TempDir,
    control: Control,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

async fn server() -> Server {
    let (folder, control) = control().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router(Edge::new(control.clone(), address.port()));
    Server {
        task: tokio::spawn(serve(listener, router, control.ending.clone())),
        _folder: folder,
        control,
        address,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request with further header lines, each with its end.
    async fn ask(&self, socket: &mut TcpStream, method: &str, address: &str, headers: &str) {
        let host = self.address;
        let request = format!("{method} {address} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
    }

    /// A connection that follows.
    async fn follow(&self, query: &str, headers: &str) -> TcpStream {
        let mut socket = self.connect().await;
        let address = format!("/api/v1/live?{query}");
        self.ask(&mut socket, "GET", &address, headers).await;
        socket
    }

    /// The whole answer to a request that is refused.
    async fn refused(&self, query: &str) -> String {
        let mut socket = self.follow(query, "connection: close\r\n").await;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// Reads until the text ends in `end`.
async fn until(io: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = io.read_u8().await.expect("more is to come");
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

/// Reads an event and the id it came with.
async fn event(io: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    until(io, "event: ").await;
    let event = until(io, "\n\n").await;
    let id = event.split("\nid: ").nth(1).expect("an id").trim_end();
    (event.clone(), id.to_owned())
}

#[tokio::test]
async fn an_answer_that_is_followed_has_a_head_like_any_other() {
    let server = server().await;
    let mut socket = server.follow("topic=jobs", "").await;
    let head = until(&mut socket, "\r\n\r\n").await;
    // A client takes the stream for over when it is told of a length.
    assert!(!head.contains("content-length"), "{head}");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ndate: "), "{head}");
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "connection: close",
        "x-accel-buffering: no",
        "x-content-type-options: nosniff",
        "x-request-id: ",
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} in {head}");
    }
    assert_eq!(until(&mut socket, "\n\n").await, "retry: 2000\n\n");
    let (event, _) = event(&mut socket).await;
    assert!(event.starts_with("jobs\ndata: {\"jobs\":[],"), "{event}");
}

#[tokio::test]
async fn a_connection_may_have_served_other_requests_before() {
    let server = server().await;
    let mut socket = server.connect().await;
    server.ask(&mut socket, "GET", "/healthz", "").await;
    until(&mut socket, "\r\n\r\n").await;
    let address = "/api/v1/live?topic=jobs";
    server.ask(&mut socket, "HEAD", address, "").await;
    let head = until(&mut socket, "\r\n\r\n").await;
    assert!(head.contains("text/event-stream"), "{head}");
    let mut socket = server.connect().await;
    server.ask(&mut socket, "GET", "/healthz", "").await;
    until(&mut socket, "\r\n\r\n").await;
    server.ask(&mut socket, "GET", address, "").await;
    event(&mut socket).await;
}

#[tokio::test]
async fn the_header_and_the_query_both_say_where_to_go_on() {
    let server = server().await;
    let job = store::testing_submit(&server.control.store, 1).await;
    let topics = format!("topic=jobs&topic=job:{job}");
    let mut first = server.follow(&topics, "").await;
    event(&mut first).await;
    let (_, id) = event(&mut first).await;
    let mut by_header = server
        .follow(
            &format!("{topics}&last_event_id=0"),
            &format!("last-event-id: {id}\r\n"),
        )
        .await;
    let mut by_query = server
        .follow(&format!("{topics}&last_event_id={id}"), "")
        .await;
    for socket in [&mut by_header, &mut by_query] {
        until(socket, "retry: 2000\n\n").await;
    }
    let second = store::testing_submit(&server.control.store, 2).await;
    server.control.live.touch(second);
    for socket in [&mut by_header, &mut by_query] {
        let (event, _) = event(socket).await;
        assert!(event.starts_with("jobs\n"), "{event}");
        assert!(event.contains(&second.to_string()), "{event}");
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_by_name() {
    let server = server().await;
    let many: String = (1..=17)
        .map(|n| format!("topic=job:{}&", uuid::Uuid::from_u128(n)))
        .collect();
    let unknown = uuid::Uuid::from_u128(7).to_string();
    for (query, status, word) in [
        ("", 400, "?topic=jobs"),
        ("topic=nonesuch", 400, "“nonesuch”"),
        ("topic=jobs&topic=jobs:late", 400, "“jobs:late”"),
        (&many, 400, "17 topics"),
        (&format!("topic=job:{unknown}"), 404, &unknown),
    ] {
        let answer = server.refused(query).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(word), "{word} in {answer}");
    }
    assert_eq!(server.control.live.watchers(), 0);
}

#[tokio::test]
async fn who_finds_no_seat_is_told_when_to_ask_again() {
    let server = server().await;
    let seats: Vec<_> = std::iter::from_fn(|| server.control.live.seat()).collect();
    assert_eq!(seats.len(), WATCHERS_MAX);
    let answer = server.refused("topic=jobs").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 10\r\n"), "{answer}");
    drop(seats);
    event(&mut server.follow("topic=jobs", "").await).await;
}

#[tokio::test]
async fn a_foreign_host_follows_nothing() {
    let server = server().await;
    let mut socket = server.connect().await;
    let request = "GET /api/v1/live?topic=jobs HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let head = until(&mut socket, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[tokio::test]
async fn the_end_of_the_server_ends_connections_and_then_the_serving() {
    let server = server().await;
    let mut follows = server.follow("topic=jobs", "").await;
    event(&mut follows).await;
    let mut idle = server.connect().await;
    server.ask(&mut idle, "GET", "/healthz", "").await;
    until(&mut idle, "\r\n\r\n").await;
    server.control.ending.cancel();
    let mut rest = Vec::new();
    follows.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    idle.read_to_end(&mut rest).await.unwrap();
    server.task.await.unwrap();
}

fn watcher(control: &Control) -> Watcher {
    let seat = control.live.seat().expect("a seat");
    Watcher::new(control, &[Topic::Jobs(None)], None, seat)
}

#[tokio::test]
async fn a_client_that_does_not_read_keeps_nobody_waiting_and_then_gets_the_newest() {
    let (_folder, control) = control().await;
    let mut quick = watcher(&control);
    quick.next().await.unwrap();
    let (mut client, io) = duplex(16);
    let head = b"a head that does not fit\r\n\r\n".to_vec();
    let sending = tokio::spawn(stream::send(io, head, watcher(&control), PATIENT));
    let mut newest = String::new();
    for second in 1..=3 {
        let job = store::testing_submit(&control.store, second).await;
        control.live.touch(job);
        let (event, _) = quick.next().await.unwrap();
        newest = job.to_string();
        assert!(std::str::from_utf8(&event).unwrap().contains(&newest));
    }
    let (first, _) = event(&mut client).await;
    assert!(first.contains(&newest), "{first}");
    drop(client);
    // Whether a read or a write finds out first, it ends.
    let _ = sending.await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_for_too_long_is_let_go() {
    let (_folder, control) = control().await;
    let (_client, io) = duplex(16);
    let pace = Pace {
        alive: NEVER,
        stalled: Duration::from_millis(1),
    };
    let head = b"a head that does not fit\r\n\r\n".to_vec();
    let sent = stream::send(io, head, watcher(&control), pace).await;
    assert_eq!(sent.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(control.live.watchers(), 0);
}

#[tokio::test]
async fn a_client_that_goes_is_noticed_without_an_event() {
    let (_folder, control) = control().await;
    let (mut client, io) = duplex(64 * 1024);
    let sending = tokio::spawn(stream::send(io, Vec::new(), watcher(&control), PATIENT));
    event(&mut client).await;
    client.write_all(b"more than it has to say").await.unwrap();
    drop(client);
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_without_events_says_that_it_is_alive() {
    let (_folder, control) = control().await;
    let (mut client, io) = duplex(64 * 1024);
    let pace = Pace {
        alive: Duration::from_millis(1),
        stalled: NEVER,
    };
    tokio::spawn(stream::send(io, Vec::new(), watcher(&control), pace));
    until(&mut client, "event: alive\ndata: ").await;
    let moment = until(&mut client, "\n\n").await;
    assert!(moment.trim_end().parse::<i64>().is_ok(), "{moment}");
}
