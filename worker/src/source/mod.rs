//! Where a job's media comes from: an address, what is known of it, and its bytes, resumed where a connection breaks.
//! Owns what all sources have in common; `http` and `s3` own their protocols, `sniff` what bytes look like.

mod http;
mod s3;
mod sniff;

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{Clients, Failure, Kind, redact};

pub use sniff::{Looks, looks};

/// Connections in a row that gave nothing before a source counts as dropped.
const FRUITLESS_MAX: u32 = 4;
/// Connections for one range in all.
const CONNECTIONS_MAX: u32 = 64;
/// The longest pause between two of them.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// A source's address, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Http(Url),
    S3 { bucket: String, key: String },
}

impl Address {
    /// Fails with `Source.Unsupported`.
    pub fn parse(text: &str) -> Result<Address, Failure> {
        let unsupported = |why: String| Failure::new(Kind::SourceUnsupported, why);
        let text = text.trim();
        let url = Url::parse(text).map_err(|_| {
            unsupported(
                "the source is no address: give one that starts with https://, http:// or s3://"
                    .to_owned(),
            )
        })?;
        match url.scheme() {
            "http" | "https" => Ok(Address::Http(url)),
            "s3" => {
                // Not from `url`: a key may hold `?`, `#` and `%`, which mean nothing in an S3 address.
                let rest = text.split_once("://").map_or("", |(_, rest)| rest);
                match rest.split_once('/') {
                    Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                        Ok(Address::S3 {
                            bucket: bucket.to_owned(),
                            key: key.to_owned(),
                        })
                    }
                    _ => Err(unsupported(
                        "an S3 source needs a bucket and a key: s3://bucket/key".to_owned(),
                    )),
                }
            }
            scheme => Err(unsupported(format!(
                "{scheme}: sources cannot be read: give an address that starts with https://, http:// or s3://"
            ))),
        }
    }
}

/// A source as Inspect found it: what every part is checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The address as submitted, credentials included, as the reading needs them.
    pub source: String,
    /// None when the source does not say.
    pub bytes: Option<u64>,
    /// The entity tag, which changes with the content (RFC 9110, section 8.8.3).
    pub etag: Option<String>,
    /// `Last-Modified`, where there is no entity tag.
    pub modified: Option<String>,
    /// Ranged reads were tried and work.
    pub ranges: bool,
}

impl Origin {
    /// The address for people and messages.
    pub fn shown(&self) -> String {
        redact::address(&self.source)
    }
}

/// What a first look at a source tells.
#[derive(Debug)]
pub struct Survey {
    pub origin: Origin,
    /// What the source's server says it is.
    pub content_type: Option<String>,
    /// The first bytes.
    pub head: Bytes,
}

/// How many bytes a first look reads, at most.
pub const HEAD_BYTES: u64 = 16 * 1024;

/// Looks at a source: size, validators, first bytes, and whether ranges really work.
pub async fn survey(clients: &Clients, source: &str) -> Result<Survey, Failure> {
    match Address::parse(source)? {
        Address::Http(url) => http::survey(clients, source, url).await,
        Address::S3 { bucket, key } => s3::survey(clients, source, &bucket, &key).await,
    }
}

type Chunks = BoxStream<'static, Result<Bytes, Failure>>;

/// Reads a stretch of a source, going on at the byte reached when a connection breaks.
pub struct Reader<'a> {
    clients: &'a Clients,
    origin: &'a Origin,
    address: Address,
    at: u64,
    end: Option<u64>,
    chunks: Option<Chunks>,
    fruitless: u32,
    connections: u32,
}

impl<'a> Reader<'a> {
    /// From `start` to before `end`, or to the end of the source.
    pub fn new(
        clients: &'a Clients,
        origin: &'a Origin,
        start: u64,
        end: Option<u64>,
    ) -> Result<Reader<'a>, Failure> {
        Ok(Reader {
            clients,
            origin,
            address: Address::parse(&origin.source)?,
            at: start,
            end,
            chunks: None,
            fruitless: 0,
            connections: 0,
        })
    }

    /// The next bytes; none at the end. Fails with `Source.Dropped` when going on is not possible.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if self.end == Some(self.at) {
                return Ok(None);
            }
            let failure = match self.step().await {
                Ok(Some(chunk)) if chunk.is_empty() => continue,
                Ok(Some(chunk)) => {
                    self.fruitless = 0;
                    self.at += chunk.len() as u64;
                    if self.end.is_some_and(|end| self.at > end) {
                        return Err(self.changed("it sends more bytes than it had"));
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.end.is_none() => return Ok(None),
                Ok(None) => self.dropped("the connection ended"),
                Err(failure) => failure,
            };
            self.chunks = None;
            self.give_up_or_pause(failure).await?;
        }
    }

    /// One chunk from the open connection, or from a new one.
    async fn step(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunks = match &mut self.chunks {
            Some(chunks) => chunks,
            None => {
                self.connections += 1;
                let (clients, origin) = (self.clients, self.origin);
                let opened = match &self.address {
                    Address::Http(url) => {
                        http::open(clients, origin, url, self.at, self.end).await?
                    }
                    Address::S3 { bucket, key } => {
                        s3::open(clients, origin, bucket, key, self.at, self.end).await?
                    }
                };
                self.chunks.insert(opened)
            }
        };
        match tokio::time::timeout(self.clients.limits.stall, chunks.next()).await {
            Ok(chunk) => chunk.transpose(),
            Err(_) => Err(self.dropped("it went silent")),
        }
    }

    async fn give_up_or_pause(&mut self, failure: Failure) -> Result<(), Failure> {
        if !matches!(failure.kind, Kind::SourceDropped | Kind::SourceUnreachable) {
            return Err(failure);
        }
        // Without ranges there is no going on from a later byte.
        let resumable = self.origin.ranges || self.at == 0;
        self.fruitless += 1;
        if !resumable || self.fruitless >= FRUITLESS_MAX || self.connections >= CONNECTIONS_MAX {
            return Err(failure);
        }
        let pause = self.clients.limits.pause * 2_u32.pow(self.fruitless - 1);
        tokio::time::sleep(pause.min(PAUSE_MAX)).await;
        Ok(())
    }

    fn dropped(&self, how: &str) -> Failure {
        let resume = match self.origin.ranges {
            true => "going on from there did not work",
            false => "its server serves no ranges, so that one cannot go on from there",
        };
        let of = self
            .origin
            .bytes
            .map(|bytes| format!(" of {bytes}"))
            .unwrap_or_default();
        Failure::new(
            Kind::SourceDropped,
            format!(
                "the source {} broke off at byte {}{of} ({how}); {resume}. Try again, or submit a copy from a steadier server",
                self.origin.shown(),
                self.at
            ),
        )
    }

    fn changed(&self, how: &str) -> Failure {
        changed(self.origin, how)
    }
}

/// The failure of a source that is not what Inspect saw.
fn changed(origin: &Origin, how: &str) -> Failure {
    Failure::new(
        Kind::SourceChanged,
        format!(
            "the source {} changed while it was copied ({how}): submit it again when it is complete",
            origin.shown()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_refused_with_a_reason() {
        let s3 = |bucket: &str, key: &str| Address::S3 {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
        assert_eq!(
            Address::parse("s3://b/a/b?c#d%20.mp4"),
            Ok(s3("b", "a/b?c#d%20.mp4"))
        );
        assert!(matches!(
            Address::parse(" HTTPS://h/x "),
            Ok(Address::Http(_))
        ));
        for refused in [
            "",
            "clip.mp4",
            "ftp://h/x",
            "file:///etc/passwd",
            "s3://bucket",
            "s3://bucket/",
            "gs://b/k",
        ] {
            let kind = Address::parse(refused).map_err(|failure| failure.kind);
            assert_eq!(kind, Err(Kind::SourceUnsupported), "{refused}");
        }
    }
}
