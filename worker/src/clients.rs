//! The clients of S3 and of HTTP sources: made when first used, kept while the sandbox lives, so that a cold
//! start pays for none of them. Owns their limits. Reads the environment once, in [`Clients::from_env`].

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
};

use crate::{Failure, Kind, failure::chain, object::Bucket};

/// How long a connection may take, and how long it may stay silent.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connect: Duration,
    /// Between two reads of a body, and from a request to its answer.
    pub stall: Duration,
    /// The first pause before a connection is tried again; it doubles.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(20),
            pause: Duration::from_millis(200),
        }
    }
}

/// Redirects that a source's server may answer with, one after the other.
const REDIRECTS_MAX: usize = 5;

/// All clients of a sandbox.
pub struct Clients {
    settings: Vec<(AmazonS3ConfigKey, String)>,
    pub limits: Limits,
    buckets: Mutex<HashMap<String, Bucket>>,
    http: OnceLock<reqwest::Client>,
}

impl Clients {
    /// Settings from the environment, in AWS's names (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, …).
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>
    pub fn from_env() -> Clients {
        let settings = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
        Clients::new(settings, Limits::default())
    }

    /// Settings under the environment's names; those that are not S3's are ignored.
    pub fn new(settings: impl IntoIterator<Item = (String, String)>, limits: Limits) -> Clients {
        let settings = settings
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
            .collect();
        Clients {
            settings,
            limits,
            buckets: Mutex::default(),
            http: OnceLock::new(),
        }
    }

    /// A bucket of the account's own credentials and region.
    pub fn bucket(&self, name: &str) -> Result<Bucket, Failure> {
        let mut buckets = self
            .buckets
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(bucket) = buckets.get(name) {
            return Ok(bucket.clone());
        }
        let bucket = Bucket::open(self.builder(name), name, self)?;
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }

    /// A setting that was given, by its key.
    pub fn setting(&self, key: AmazonS3ConfigKey) -> Option<&str> {
        let found = self.settings.iter().find(|(given, _)| *given == key);
        found.map(|(_, value)| value.as_str())
    }

    fn builder(&self, bucket: &str) -> AmazonS3Builder {
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        for (key, value) in &self.settings {
            builder = builder.with_config(*key, value);
        }
        builder.with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: self.limits.pause,
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: 4,
            retry_timeout: Duration::from_secs(60),
        })
    }

    /// Options of an S3 client. No limit on a whole request, as a large object takes its time: reads have their
    /// own limit on silence, and Lambda has one on everything.
    pub(crate) fn options(&self) -> ClientOptions {
        let plain = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint]
            .into_iter()
            .filter_map(|key| self.setting(key))
            .any(|endpoint| endpoint.starts_with("http://"));
        ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(self.limits.connect)
            .with_timeout_disabled()
    }

    /// The client for sources: few redirects, no silence, no transparent decompression, as offsets are of stored bytes.
    pub fn http(&self) -> Result<&reqwest::Client, Failure> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("gantry-worker/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .referer(false)
            .connect_timeout(self.limits.connect)
            .read_timeout(self.limits.stall)
            .build()
            .map_err(|error| {
                let cause = chain(&error);
                Failure::new(Kind::WorkerBroken, format!("no HTTP client: {cause}"))
            })?;
        Ok(self.http.get_or_init(|| client))
    }
}
