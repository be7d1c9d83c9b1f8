//! Images: ECR's list joined with which Lambda function versions and aliases run each digest. Read from AWS
//! at most every ten seconds whoever asks how often; when AWS is away, the last answer serves on with its age.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use model::{FunctionUse, Image, ImageView, Layer, TimestampMs};
use tokio::sync::Mutex as AsyncMutex;

use super::{Control, Failure, causes};
use crate::{aws::FunctionVersion, clock};

/// How long an answer is good for.
const FRESH_MS: u64 = 10_000;
/// How long a page waits for AWS when there is an older answer to show.
const PATIENCE: Duration = Duration::from_secs(3);
/// Calls to AWS at one time.
const CALLS_MAX: usize = 8;
/// Of published versions only the newest are looked at: older ones are kept by nobody but history.
const VERSIONS_MAX: usize = 20;

/// What a digest fixes for good: its layers and labels.
type Contents = (Vec<Layer>, Vec<(String, String)>);

/// What was read, and of what never changes everything that ever was.
#[derive(Default)]
pub struct Cache {
    view: AsyncMutex<Option<ImageView>>,
    contents: Mutex<HashMap<String, Contents>>,
    /// Digests of published versions.
    versions: Mutex<HashMap<(String, String), String>>,
}

impl Control {
    /// The images, newest first.
    pub async fn images(&self) -> Result<ImageView, Failure> {
        // Who comes while another reads waits for that reading instead of starting a second.
        let mut kept = self.images.view.lock().await;
        let now = clock::now();
        if let Some(view) = kept.as_ref()
            && now.since_ms(view.as_of_ms) < FRESH_MS
        {
            return Ok(view.clone());
        }
        let Some(mut last) = kept.clone() else {
            let view = self.read_images(now).await?;
            *kept = Some(view.clone());
            return Ok(view);
        };
        match tokio::time::timeout(PATIENCE, self.read_images(now)).await {
            Ok(Ok(view)) => {
                *kept = Some(view.clone());
                Ok(view)
            }
            Ok(Err(failure)) => {
                tracing::warn!(causes = %causes(&failure), "images are shown as they were");
                last.is_stale = true;
                Ok(last)
            }
            Err(_) => {
                tracing::warn!("AWS is slow: images are shown as they were");
                last.is_stale = true;
                Ok(last)
            }
        }
    }

    /// The tags of every digest, as far as images were read before; asks nobody.
    pub(crate) async fn known_tags(&self) -> HashMap<String, Vec<String>> {
        let kept = self.images.view.lock().await;
        kept.iter()
            .flat_map(|view| &view.images)
            .map(|image| (image.digest.clone(), image.tags.clone()))
            .collect()
    }

    async fn read_images(&self, now: TimestampMs) -> Result<ImageView, Failure> {
        let (found, mut uses) = tokio::try_join!(
            async { Ok::<_, Failure>(self.aws.registry.images().await?) },
            self.read_uses()
        )?;
        let mut images: Vec<Image> = stream::iter(found)
            .map(|image| {
                let uses = uses.remove(&image.digest).unwrap_or_default();
                async move {
                    let (layers, labels) = self.contents(&image.digest).await;
                    Image {
                        repository: self.aws.registry.repository().to_owned(),
                        pushed_at_ms: image.pushed_at_ms.map(TimestampMs),
                        bytes: image.bytes,
                        tags: image.tags,
                        digest: image.digest,
                        layers,
                        labels,
                        uses,
                    }
                }
            })
            .buffered(CALLS_MAX)
            .collect()
            .await;
        images.sort_by(|one, other| {
            (other.pushed_at_ms, &one.digest).cmp(&(one.pushed_at_ms, &other.digest))
        });
        Ok(ImageView {
            images,
            as_of_ms: now,
            is_stale: false,
        })
    }

    /// An image's layers and labels; none of either when they cannot be read now, which is no reason to
    /// show no image at all.
    async fn contents(&self, digest: &str) -> Contents {
        let known = |cache: &Cache| {
            let contents = cache
                .contents
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            contents.get(digest).cloned()
        };
        if let Some(contents) = known(&self.images) {
            return contents;
        }
        match self.aws.registry.contents(digest).await {
            Ok(contents) => {
                let mut known = self
                    .images
                    .contents
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                known.insert(digest.to_owned(), contents.clone());
                contents
            }
            Err(error) => {
                tracing::warn!(digest, causes = %causes(&error), "an image's layers are not known");
                Contents::default()
            }
        }
    }

    /// Which function versions run each digest.
    async fn read_uses(&self) -> Result<HashMap<String, Vec<FunctionUse>>, Failure> {
        let functions = self.aws.functions.of_images().await?;
        let found: Vec<Vec<(String, FunctionUse)>> = stream::iter(functions)
            .map(|function| async move { self.uses_of(&function).await })
            .buffered(CALLS_MAX)
            .try_collect()
            .await?;
        let mut uses: HashMap<String, Vec<FunctionUse>> = HashMap::new();
        for (digest, function_use) in found.into_iter().flatten() {
            uses.entry(digest).or_default().push(function_use);
        }
        for uses in uses.values_mut() {
            uses.sort_by(|one, other| {
                (&one.function, version_order(&other.version))
                    .cmp(&(&other.function, version_order(&one.version)))
            });
        }
        Ok(uses)
    }

    async fn uses_of(&self, function: &str) -> Result<Vec<(String, FunctionUse)>, Failure> {
        let (mut versions, aliases) = tokio::try_join!(
            self.aws.functions.versions(function),
            self.aws.functions.aliases(function)
        )?;
        versions.sort_by_key(|version| std::cmp::Reverse(version_order(&version.version)));
        versions.truncate(VERSIONS_MAX);
        let mut by_version: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (alias, version) in aliases {
            by_version.entry(version).or_default().push(alias);
        }
        let mut uses = Vec::new();
        for FunctionVersion { function, version } in versions {
            if let Some(digest) = self.version_digest(&function, &version).await? {
                let mut aliases = by_version.remove(&version).unwrap_or_default();
                aliases.sort();
                uses.push((
                    digest,
                    FunctionUse {
                        function,
                        version,
                        aliases,
                    },
                ));
            }
        }
        Ok(uses)
    }

    /// The digest that a version runs; asked once for a published version, each time for `$LATEST`.
    async fn version_digest(
        &self,
        function: &str,
        version: &str,
    ) -> Result<Option<String>, Failure> {
        let key = (function.to_owned(), version.to_owned());
        let known = {
            let versions = self
                .images
                .versions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            versions.get(&key).cloned()
        };
        if known.is_some() {
            return Ok(known);
        }
        let digest = self.aws.functions.digest(function, version).await?;
        if let Some(digest) = &digest
            && version != "$LATEST"
        {
            let mut versions = self
                .images
                .versions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            versions.insert(key, digest.clone());
        }
        Ok(digest)
    }
}

/// `$LATEST` counts as newer than every number.
fn version_order(version: &str) -> u64 {
    version.parse().unwrap_or(u64::MAX)
}
