//! ECR's API and the distribution protocol behind it.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use serde_json::{Value, json};

use crate::aws::{Aws, answer, refused};
use crate::image::{MANIFEST, begin_upload, digest, push, push_blob};

#[tokio::test]
async fn a_blob_pushed_in_chunks_is_pulled_whole_and_in_ranges() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    aws.ecr("CreateRepository", json!({"repositoryName": "team/gantry"}))
        .await
        .unwrap();
    let place = begin_upload(&aws, "team/gantry").await;
    let chunk = |range: &'static str, body: &'static str| {
        aws.client
            .patch(&place)
            .header(CONTENT_RANGE, range)
            .body(body)
    };

    assert_eq!(
        chunk("0-4", "hello").send().await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    let gap = chunk("9-10", "xx").send().await.unwrap();
    assert_eq!(gap.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let at = aws.client.get(&place).send().await.unwrap();
    assert_eq!(
        (at.status(), at.headers()[RANGE].to_str().unwrap()),
        (StatusCode::NO_CONTENT, "0-4")
    );
    assert_eq!(
        chunk("5-10", " world").send().await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    let digest = digest(b"hello world");
    let put = aws
        .client
        .put(format!("{place}?digest={digest}"))
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    assert_eq!(
        put.headers()["docker-content-digest"].to_str().unwrap(),
        digest
    );

    let url = format!("{}/v2/team/gantry/blobs/{digest}", aws.endpoint);
    let head = aws.client.head(&url).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "11");
    assert_eq!(
        aws.client
            .get(&url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "hello world"
    );
    let part = aws
        .client
        .get(&url)
        .header(RANGE, "bytes=6-8")
        .send()
        .await
        .unwrap();
    assert_eq!(
        part.headers()[CONTENT_RANGE].to_str().unwrap(),
        "bytes 6-8/11"
    );
    assert_eq!(part.text().await.unwrap(), "wor");
    aws.server.shutdown().await;
}

#[tokio::test]
async fn nothing_is_kept_under_a_digest_that_is_not_its_own() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    aws.ecr("CreateRepository", json!({"repositoryName": "gantry"}))
        .await
        .unwrap();
    let wrong = digest(b"something else");
    let place = begin_upload(&aws, "gantry").await;
    let put = aws
        .client
        .put(format!("{place}?digest={wrong}"))
        .body("content")
        .send()
        .await
        .unwrap();
    let (status, body) = answer(put).await.unwrap_err();
    assert_eq!(
        (status, &body["errors"][0]["code"]),
        (400, &json!("DIGEST_INVALID"))
    );
    let url = format!("{}/v2/gantry/blobs/{wrong}", aws.endpoint);
    assert_eq!(
        aws.client.head(&url).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );

    let config = push_blob(
        &aws,
        "gantry",
        "application/vnd.oci.image.config.v1+json",
        b"{}",
    )
    .await;
    let missing =
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": wrong, "size": 1});
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [missing]});
    let url = format!("{}/v2/gantry/manifests/1", aws.endpoint);
    let put = aws
        .client
        .put(url)
        .header(CONTENT_TYPE, MANIFEST)
        .body(manifest.to_string())
        .send()
        .await
        .unwrap();
    let (_, body) = answer(put).await.unwrap_err();
    assert_eq!(body["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
    aws.server.shutdown().await;
}

#[tokio::test]
async fn ecr_tells_what_was_pushed() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let unknown = refused(
        aws.ecr("DescribeImages", json!({"repositoryName": "gantry"}))
            .await,
    );
    assert_eq!(
        (unknown.0, unknown.1.as_str()),
        (400, "RepositoryNotFoundException")
    );
    let first = push(&aws, "1", "first").await;
    let second = push(&aws, "2", "second").await;
    push(&aws, "live", "second").await;

    let details = aws
        .ecr("DescribeImages", json!({"repositoryName": "gantry"}))
        .await
        .unwrap();
    let tags = |digest: &str| {
        let details = details["imageDetails"].as_array().unwrap();
        details
            .iter()
            .find(|detail| detail["imageDigest"] == digest)
            .unwrap()["imageTags"]
            .clone()
    };
    assert_eq!(
        (tags(&first), tags(&second)),
        (json!(["1"]), json!(["2", "live"]))
    );

    // From an image to its labels, as a client without the registry's protocol goes.
    let ids = json!([{"imageTag": "live"}, {"imageTag": "none"}]);
    let got = aws
        .ecr(
            "BatchGetImage",
            json!({"repositoryName": "gantry", "imageIds": ids}),
        )
        .await
        .unwrap();
    assert_eq!(got["failures"][0]["failureCode"], "ImageNotFound");
    let manifest = got["images"][0]["imageManifest"].as_str().unwrap();
    assert_eq!(digest(manifest.as_bytes()), second);
    let manifest: Value = serde_json::from_str(manifest).unwrap();
    let layer = json!({"repositoryName": "gantry", "layerDigest": manifest["config"]["digest"]});
    let url = aws.ecr("GetDownloadUrlForLayer", layer).await.unwrap();
    let config = answer(
        aws.client
            .get(url["downloadUrl"].as_str().unwrap())
            .send()
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(config["config"]["Labels"]["label"], "second");

    let scan = json!({"repositoryName": "gantry", "imageId": {"imageTag": "1"}});
    assert_eq!(
        refused(aws.ecr("DescribeImageScanFindings", scan).await).1,
        "ScanNotFoundException"
    );
    let tags = aws
        .client
        .get(format!("{}/v2/gantry/tags/list?n=2", aws.endpoint))
        .send()
        .await
        .unwrap();
    assert!(tags.headers()["link"].to_str().unwrap().contains("last=2"));
    assert_eq!(answer(tags).await.unwrap()["tags"], json!(["1", "2"]));
    aws.server.shutdown().await;
}

#[tokio::test]
async fn an_operation_that_is_not_played_is_named_with_those_that_are() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let (status, kind, message) = refused(aws.ecr("StartImageScan", json!({})).await);
    assert_eq!((status, kind.as_str()), (400, "UnknownOperationException"));
    assert!(
        message.contains("StartImageScan") && message.contains("DescribeImages"),
        "{message}"
    );
    let (_, kind, message) = refused(aws.call("DynamoDB_20120810.GetItem", json!({})).await);
    assert!(
        kind == "UnknownOperationException" && message.contains("DynamoDB"),
        "{message}"
    );
    aws.server.shutdown().await;
}
