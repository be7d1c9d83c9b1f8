//! From a digest to a directory: an image's layers unpacked under `DIR/images/<digest>`.
//!
//! Owns that an unpacked image is whole (it is made aside and renamed) and that nothing in a layer is
//! written outside of it. Refuses to be a container: processes run on this machine with the unpacked
//! files, without a root of their own. Layers are plain or gzipped tars, with whiteouts.
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md>

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};
use tokio::sync::{Mutex, OnceCell};

use super::function::{FunctionConfig, invalid};
use crate::registry::{Registry, RegistryError};
use crate::wire::AwsError;

/// Symbolic links followed while looking for a program.
const LINKS_MAX: usize = 40;

/// An unpacked image.
#[derive(Debug)]
pub struct Image {
    /// The directory that holds its files.
    pub root: PathBuf,
    /// Its entry point.
    pub entry_point: Vec<String>,
    /// Its command.
    pub command: Vec<String>,
    /// Its environment, `NAME=value`.
    pub environment: Vec<String>,
    /// Its working directory.
    pub working_directory: Option<String>,
}

/// The unpacked images.
pub struct Images {
    root: PathBuf,
    registry: Arc<Registry>,
    known: Mutex<HashMap<String, Arc<OnceCell<Arc<Image>>>>>,
}

impl Images {
    /// Images under the given directory, from the given registry.
    pub fn open(root: PathBuf, registry: Arc<Registry>) -> Result<Images, AwsError> {
        std::fs::create_dir_all(&root)?;
        Ok(Images {
            root,
            registry,
            known: Mutex::default(),
        })
    }

    /// Repository and digest of an image URI of this registry, e.g. `127.0.0.1:4566/gantry:1`.
    ///
    /// The host is not compared: `localhost` and `127.0.0.1`, or the port of an earlier run, are this one.
    pub async fn resolve(&self, uri: &str) -> Result<(String, String), AwsError> {
        let missing = |what: String| {
            invalid(format!(
                "Source image {uri} does not exist. Provide a valid source image. ({what})"
            ))
        };
        let path = match uri.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
            _ => {
                return Err(invalid(format!(
                    "Source image {uri} is not valid. Provide a valid source image."
                )));
            }
        };
        let (repository, reference) = match path.split_once('@') {
            Some((named, digest)) => (
                named.split_once(':').map_or(named, |(name, _)| name),
                digest,
            ),
            None => path.split_once(':').unwrap_or((path, "latest")),
        };
        let manifest = self
            .registry
            .manifest(repository, reference)
            .await
            .map_err(|error| match error {
                RegistryError::NameUnknown(_) | RegistryError::ManifestUnknown(_) => {
                    missing(error.to_string())
                }
                other => other.into(),
            })?;
        Ok((repository.to_owned(), manifest.digest))
    }

    /// The unpacked image of a digest; unpacks it when nobody did, once for all who wait.
    pub async fn get(&self, repository: &str, digest: &str) -> Result<Arc<Image>, AwsError> {
        let cell = self
            .known
            .lock()
            .await
            .entry(digest.to_owned())
            .or_default()
            .clone();
        cell.get_or_try_init(|| self.load(repository, digest))
            .await
            .cloned()
    }

    async fn load(&self, repository: &str, digest: &str) -> Result<Arc<Image>, AwsError> {
        let directory = self.root.join(digest.trim_start_matches("sha256:"));
        if !directory.is_dir() {
            self.unpack(repository, digest, directory.clone()).await?;
        }
        let configuration = ImageConfiguration::from_file(directory.join("config.json"))
            .map_err(|error| unsupported(format!("its configuration cannot be read: {error}")))?;
        let run = configuration.config().clone().unwrap_or_default();
        Ok(Arc::new(Image {
            root: directory.join("rootfs"),
            entry_point: run.entrypoint().clone().unwrap_or_default(),
            command: run.cmd().clone().unwrap_or_default(),
            environment: run.env().clone().unwrap_or_default(),
            working_directory: run
                .working_dir()
                .clone()
                .filter(|directory| !directory.is_empty()),
        }))
    }

    async fn unpack(
        &self,
        repository: &str,
        digest: &str,
        directory: PathBuf,
    ) -> Result<(), AwsError> {
        let manifest = self.registry.manifest(repository, digest).await?;
        let manifest = ImageManifest::from_reader(manifest.body.as_slice()).map_err(|_| {
            unsupported(
                "its manifest is not one image's (an index is not supported by Lambda either)"
                    .into(),
            )
        })?;
        let config = self
            .registry
            .blobs
            .path(manifest.config().digest().as_ref())?;
        let mut layers = Vec::new();
        for layer in manifest.layers() {
            layers.push((
                self.registry.blobs.path(layer.digest().as_ref())?,
                is_gzip(layer)?,
            ));
        }
        let started = std::time::Instant::now();
        let aside = self.root.join(format!(".{}", uuid::Uuid::new_v4()));
        let (made, target) = (aside.clone(), directory.clone());
        let unpacked = tokio::task::spawn_blocking(move || {
            let root = made.join("rootfs");
            std::fs::create_dir_all(&root)?;
            std::fs::copy(config, made.join("config.json"))?;
            for (layer, gzip) in layers {
                let file = BufReader::with_capacity(1 << 20, File::open(layer)?);
                if gzip {
                    apply(flate2::bufread::MultiGzDecoder::new(file), &root)?
                } else {
                    apply(file, &root)?
                }
            }
            std::fs::rename(&made, &target)
        })
        .await
        .map_err(std::io::Error::other)?;
        if let Err(error) = unpacked {
            let _ = std::fs::remove_dir_all(&aside);
            return Err(unsupported(format!(
                "its layers cannot be unpacked: {error}"
            )));
        }
        tracing::info!(
            digest,
            took_ms = started.elapsed().as_millis(),
            "unpacked an image"
        );
        Ok(())
    }
}

fn unsupported(why: String) -> AwsError {
    invalid(format!(
        "The image manifest, config or layer media type for the source image is not supported: {why}"
    ))
}

fn is_gzip(layer: &Descriptor) -> Result<bool, AwsError> {
    match layer.media_type() {
        MediaType::ImageLayer | MediaType::ImageLayerNonDistributable => Ok(false),
        MediaType::ImageLayerGzip | MediaType::ImageLayerNonDistributableGzip => Ok(true),
        MediaType::Other(other) if other == "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok(true)
        }
        MediaType::Other(other) if other == "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok(false)
        }
        other => Err(unsupported(format!("a layer is {other}"))),
    }
}

/// Lays one layer over what is there.
fn apply(layer: impl Read, root: &Path) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(layer);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(false);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        if kind.is_block_special() || kind.is_character_special() || kind.is_fifo() {
            continue;
        }
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let parent = path.parent().unwrap_or(Path::new(""));
            white_out(root, parent, hidden)?;
            continue;
        }
        // What an earlier layer had at this place must not be written through, nor stand in the way.
        if let Some(place) = inside(root, &path) {
            match std::fs::symlink_metadata(&place) {
                Ok(there) if there.is_dir() && !kind.is_dir() => std::fs::remove_dir_all(&place)?,
                Ok(there) if !there.is_dir() => std::fs::remove_file(&place)?,
                _ => {}
            }
        }
        entry.unpack_in(root)?;
    }
    Ok(())
}

fn white_out(root: &Path, parent: &Path, hidden: &str) -> std::io::Result<()> {
    let Some(parent) = inside(root, parent) else {
        return Ok(());
    };
    if hidden == ".wh..opq" {
        if parent.is_dir() {
            std::fs::remove_dir_all(&parent)?;
        }
        return std::fs::create_dir_all(&parent);
    }
    let place = parent.join(hidden);
    match std::fs::symlink_metadata(&place) {
        Ok(there) if there.is_dir() => std::fs::remove_dir_all(&place),
        Ok(_) => std::fs::remove_file(&place),
        Err(_) => Ok(()),
    }
}

/// The place of a layer's path, unless a part of it would lead outside or through a link.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut place = root.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(part) => {
                if place != root
                    && std::fs::symlink_metadata(&place).is_ok_and(|there| there.is_symlink())
                {
                    return None;
                }
                place.push(part);
            }
            Component::CurDir | Component::RootDir => {}
            _ => return None,
        }
    }
    (place != root).then_some(place)
}

/// Finds a path of the image among the unpacked files, following links as if the image were the root.
pub fn find(root: &Path, path: &str) -> Option<PathBuf> {
    let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut place = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                place.pop();
                continue;
            }
            _ => place.push(&part),
        }
        let there = root.join(&place);
        let metadata = std::fs::symlink_metadata(&there).ok()?;
        if metadata.is_symlink() {
            links += 1;
            if links > LINKS_MAX {
                return None;
            }
            let target = std::fs::read_link(&there).ok()?;
            let target = target.to_str()?.to_owned();
            place.pop();
            if target.starts_with('/') {
                place = PathBuf::new();
            }
            left.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    Some(root.join(place))
}

/// What a function runs: program and arguments.
///
/// The error is Lambda's own words for an entry point that is not there.
pub fn command_line(
    image: &Image,
    config: &FunctionConfig,
) -> Result<(PathBuf, Vec<String>), String> {
    let entry_point = config
        .entry_point
        .as_ref()
        .filter(|given| !given.is_empty())
        .unwrap_or(&image.entry_point);
    let command = config
        .command
        .as_ref()
        .filter(|given| !given.is_empty())
        .unwrap_or(&image.command);
    let mut words = entry_point.iter().chain(command);
    let program = words
        .next()
        .ok_or("entrypoint requires at least one argument")?;
    let found = if program.contains('/') {
        find(&image.root, program)
    } else {
        let path = image
            .environment
            .iter()
            .find_map(|pair| pair.strip_prefix("PATH="));
        let path = path.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        path.split(':')
            .filter_map(|place| find(&image.root, &format!("{place}/{program}")))
            .find(|found| found.is_file())
    };
    match found {
        Some(found) if found.is_file() => Ok((found, words.cloned().collect())),
        _ => Err(format!("fork/exec {program}: no such file or directory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, text) in entries {
            let mut header = tar::Header::new_gnu();
            match text.strip_prefix("-> ") {
                Some(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, path, target).unwrap();
                }
                None => {
                    header.set_size(text.len() as u64);
                    header.set_mode(0o644);
                    builder
                        .append_data(&mut header, path, text.as_bytes())
                        .unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn later_layers_replace_and_hide_what_earlier_ones_brought() {
        let root = tempfile::tempdir().unwrap();
        apply(
            &*layer(&[
                ("etc/a", "1"),
                ("etc/b", "1"),
                ("opt/x/y", "1"),
                ("bin", "-> usr/bin"),
            ]),
            root.path(),
        )
        .unwrap();
        apply(
            &*layer(&[
                ("etc/a", "2"),
                ("etc/.wh.b", ""),
                ("opt/.wh..wh..opq", ""),
                ("opt/z", "2"),
            ]),
            root.path(),
        )
        .unwrap();
        assert_eq!(
            std::fs::read_to_string(root.path().join("etc/a")).unwrap(),
            "2"
        );
        assert!(!root.path().join("etc/b").exists());
        assert!(!root.path().join("opt/x").exists() && root.path().join("opt/z").exists());
    }

    #[test]
    fn links_lead_nowhere_outside_of_the_image() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "safe").unwrap();
        let link = format!("-> {}", outside.path().display());
        apply(
            &*layer(&[
                ("out", &link),
                ("usr/bin/worker", "x"),
                ("app", "-> /usr/bin/worker"),
            ]),
            root.path(),
        )
        .unwrap();
        let _ = apply(
            &*layer(&[("out/kept", "overwritten"), ("out/.wh.kept", "")]),
            root.path(),
        );
        assert_eq!(
            std::fs::read_to_string(outside.path().join("kept")).unwrap(),
            "safe"
        );
        assert_eq!(
            find(root.path(), "/app").unwrap(),
            root.path().join("usr/bin/worker")
        );
        assert_eq!(
            find(root.path(), "/../../usr/bin/worker").unwrap(),
            root.path().join("usr/bin/worker")
        );
        assert_eq!(find(root.path(), "/out/kept"), None);
    }
}
