//! The proxy between the server and `local`: passes calls on, or does to them what its schedule says. Owns the wire;
//! knows of AWS only how it throttles.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderName, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;

use super::schedule::{Fault, Schedule};
use crate::product::free_address;

/// Largest body of a call or an answer, bytes.
const BODY_BYTES_MAX: usize = 64 << 20;
/// How long a call waits for another one to overtake it.
const BEHIND_MAX: Duration = Duration::from_millis(300);
/// Headers of one connection, which the next one has its own of (RFC 9110, section 7.6.1).
const HOP: [HeaderName; 3] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
];

/// A running proxy; it ends with the runtime.
pub struct Proxy {
    /// Where the server finds AWS.
    pub address: SocketAddr,
    /// Where `local` is to listen.
    pub target: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    client: reqwest::Client,
    schedule: Mutex<Schedule>,
    storms: AtomicBool,
    faults: AtomicU64,
    /// A call was passed on.
    passed: Notify,
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

impl Proxy {
    /// Listens, and passes calls on as they are.
    pub async fn start(schedule: Schedule) -> anyhow::Result<Proxy> {
        let target = free_address()?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // A connection each: one that was open to a killed `local` would be a fault that nobody ordered.
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .context("no HTTP client")?;
        let shared = Arc::new(Shared {
            target,
            client,
            schedule: Mutex::new(schedule),
            storms: AtomicBool::new(false),
            faults: AtomicU64::new(0),
            passed: Notify::new(),
        });
        tokio::spawn(serve(listener, shared.clone()));
        Ok(Proxy {
            address,
            target,
            shared,
        })
    }

    /// Whether calls meet faults.
    pub fn storm(&self, storms: bool) {
        self.shared.storms.store(storms, Ordering::SeqCst);
    }

    /// How many calls met one.
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::SeqCst)
    }
}

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) -> Infallible {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            // A cut is an error of the connection, which is then closed without an answer.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_BYTES_MAX)
        .await
        .map_err(|_| Cut)?;
    // In a task of its own: what was asked for reaches AWS also when whoever asked is killed meanwhile.
    let passed = tokio::spawn(async move { shared.pass(&parts, body).await });
    passed.await.map_err(|_| Cut)?
}

impl Shared {
    fn fault(&self) -> Fault {
        if !self.storms.load(Ordering::SeqCst) {
            return Fault::None;
        }
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = schedule.fault();
        if fault != Fault::None {
            self.faults.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }

    async fn pass(&self, parts: &Parts, body: Bytes) -> Result<Response<Body>, Cut> {
        match self.fault() {
            Fault::None => {}
            Fault::Throttled => return Ok(throttled(parts)),
            Fault::Failed(status) => return Ok(failed(parts, status)),
            Fault::CutBefore => return Err(Cut),
            Fault::CutAfter => {
                self.forward(parts, body).await?;
                return Err(Cut);
            }
            Fault::Doubled => {
                let (one, other) =
                    tokio::join!(self.forward(parts, body.clone()), self.forward(parts, body));
                return one.or(other);
            }
            Fault::Late(delay) => tokio::time::sleep(delay).await,
            Fault::Behind => {
                // Nobody may come.
                let _ = tokio::time::timeout(BEHIND_MAX, self.passed.notified()).await;
            }
        }
        self.forward(parts, body).await
    }

    async fn forward(&self, parts: &Parts, body: Bytes) -> Result<Response<Body>, Cut> {
        let url = format!("http://{}{}", self.target, parts.uri);
        let mut headers = parts.headers.clone();
        HOP.iter().for_each(|name| {
            headers.remove(name);
        });
        // `Host` stays what was signed.
        let request = self
            .client
            .request(parts.method.clone(), url)
            .headers(headers)
            .body(body);
        let answer = request.send().await.map_err(|_| Cut)?;
        self.passed.notify_waiters();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        HOP.iter().for_each(|name| {
            response.headers_mut().remove(name);
        });
        *response.body_mut() = Body::from(answer.bytes().await.map_err(|_| Cut)?);
        Ok(response)
    }
}

/// As the services say it: in JSON with a type, S3 in XML.
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html>
fn throttled(parts: &Parts) -> Response<Body> {
    if parts.headers.contains_key("x-amz-target") {
        let text = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
        said(StatusCode::BAD_REQUEST, text)
    } else {
        let text = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        said(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

fn failed(parts: &Parts, status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = if parts.headers.contains_key("x-amz-target") {
        r#"{"__type":"InternalFailure","message":"We had an internal error."}"#
    } else {
        "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
    };
    said(status, text)
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
