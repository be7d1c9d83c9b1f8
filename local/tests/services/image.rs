//! The test image: one layer with the test function, pushed as an OCI client pushes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::aws::Aws;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A gzipped layer of executable files.
pub fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

/// Begins an upload and gives where it goes on.
pub async fn begin_upload(aws: &Aws, repository: &str) -> String {
    let response = aws
        .client
        .post(format!("{}/v2/{repository}/blobs/uploads/", aws.endpoint))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    format!(
        "{}{}",
        aws.endpoint,
        response.headers()[LOCATION].to_str().unwrap()
    )
}

/// Pushes a blob in one piece and gives its descriptor.
pub async fn push_blob(aws: &Aws, repository: &str, media_type: &str, blob: &[u8]) -> Value {
    let digest = digest(blob);
    let place = begin_upload(aws, repository).await;
    let put = aws
        .client
        .put(format!("{place}?digest={digest}"))
        .body(blob.to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    json!({"mediaType": media_type, "digest": digest, "size": blob.len()})
}

/// Pushes the test image with the given tag (the repository is made when it is not there); gives its digest.
/// `label` makes images differ.
pub async fn push(aws: &Aws, tag: &str, label: &str) -> String {
    let _ = aws
        .ecr("CreateRepository", json!({"repositoryName": "gantry"}))
        .await;
    let files = layer(&[("usr/local/bin/worker", include_bytes!("runtime.py"))]);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": ["/usr/local/bin/worker"],
            "Env": ["FROM_IMAGE=yes", "OVERRIDDEN=image"],
            "Labels": {"label": label},
        },
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    let config_type = "application/vnd.oci.image.config.v1+json";
    let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": push_blob(aws, "gantry", config_type, config.to_string().as_bytes()).await,
        "layers": [push_blob(aws, "gantry", layer_type, &files).await],
    })
    .to_string();
    let put = aws
        .client
        .put(format!("{}/v2/gantry/manifests/{tag}", aws.endpoint))
        .header(CONTENT_TYPE, MANIFEST)
        .body(manifest.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    digest(manifest.as_bytes())
}
