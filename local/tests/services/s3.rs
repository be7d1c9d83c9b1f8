//! S3 as browsers and workers use it: presigned URLs whose signatures are checked.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RANGE;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, GetObject, UploadPart,
};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use crate::aws::Aws;

const TTL: Duration = Duration::from_secs(60);

fn bucket(aws: &Aws) -> Bucket {
    Bucket::new(
        aws.endpoint.parse().unwrap(),
        UrlStyle::Path,
        "gantry-media",
        "us-east-1",
    )
    .unwrap()
}

#[tokio::test]
async fn any_access_key_with_the_one_secret_reads_and_writes() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let (bucket, keys) = (bucket(&aws), Credentials::new("whoever", "local"));
    let create = bucket.create_bucket(&keys).sign(TTL);
    assert_eq!(
        aws.client.put(create).send().await.unwrap().status(),
        StatusCode::OK
    );
    let put = bucket.put_object(Some(&keys), "jobs/1/a b.txt").sign(TTL);
    assert_eq!(
        aws.client
            .put(put)
            .body("content")
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    let get = bucket.get_object(Some(&keys), "jobs/1/a b.txt").sign(TTL);
    let part = aws
        .client
        .get(get.clone())
        .header(RANGE, "bytes=3-")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.text().await.unwrap(), "tent");

    for customary in ["test", "secret"] {
        let keys = Credentials::new("test", customary);
        let get = bucket.get_object(Some(&keys), "jobs/1/a b.txt").sign(TTL);
        let got = aws.client.get(get).send().await.unwrap();
        assert_eq!(got.status(), StatusCode::OK, "{customary}");
    }

    let stranger = bucket
        .get_object(
            Some(&Credentials::new("whoever", "guessed")),
            "jobs/1/a b.txt",
        )
        .sign(TTL);
    assert_eq!(
        aws.client.get(stranger).send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let mut anonymous = get;
    anonymous.set_query(None);
    assert_eq!(
        aws.client.get(anonymous).send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    aws.server.shutdown().await;

    let aws = Aws::start(data.path()).await;
    let get = self::bucket(&aws)
        .get_object(Some(&keys), "jobs/1/a b.txt")
        .sign(TTL);
    assert_eq!(
        aws.client
            .get(get)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "content"
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn parts_become_one_object() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let (bucket, keys) = (bucket(&aws), Credentials::new("whoever", "local"));
    aws.client
        .put(bucket.create_bucket(&keys).sign(TTL))
        .send()
        .await
        .unwrap();
    let begin = CreateMultipartUpload::new(&bucket, Some(&keys), "source").sign(TTL);
    let begun = aws
        .client
        .post(begin)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let upload = CreateMultipartUpload::parse_response(&begun).unwrap();
    let (first, second) = (vec![1; 5 << 20], vec![2; 10]);
    let mut tags = Vec::new();
    for (number, part) in [(1, &first), (2, &second)] {
        let put =
            UploadPart::new(&bucket, Some(&keys), "source", number, upload.upload_id()).sign(TTL);
        let put = aws.client.put(put).body(part.clone()).send().await.unwrap();
        tags.push(put.headers()["etag"].to_str().unwrap().to_owned());
    }
    let tags = tags.iter().map(String::as_str);
    let complete =
        CompleteMultipartUpload::new(&bucket, Some(&keys), "source", upload.upload_id(), tags);
    let url = complete.sign(TTL);
    let done = aws
        .client
        .post(url)
        .body(complete.body())
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::OK);
    let got = aws
        .client
        .get(bucket.get_object(Some(&keys), "source").sign(TTL))
        .send()
        .await
        .unwrap();
    assert_eq!(got.bytes().await.unwrap(), [first, second].concat());
    aws.server.shutdown().await;
}

#[tokio::test]
async fn a_browser_on_another_port_may_upload() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let (bucket, keys) = (bucket(&aws), Credentials::new("whoever", "local"));
    aws.client
        .put(bucket.create_bucket(&keys).sign(TTL))
        .send()
        .await
        .unwrap();
    let put = bucket.put_object(Some(&keys), "uploads/1/x").sign(TTL);
    let asked = aws
        .client
        .request(reqwest::Method::OPTIONS, put.clone())
        .header("origin", "http://127.0.0.1:8080")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        asked.headers()["access-control-allow-origin"],
        "http://127.0.0.1:8080"
    );
    assert_eq!(
        asked.headers()["access-control-allow-headers"],
        "content-type"
    );
    let done = aws
        .client
        .put(put)
        .header("origin", "http://127.0.0.1:8080")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(
        done.headers()["access-control-allow-origin"],
        "http://127.0.0.1:8080"
    );
    assert!(
        done.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .contains("ETag")
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn uploads_left_open_are_listed_and_closed_ones_are_no_more() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let (bucket, keys) = (bucket(&aws), Credentials::new("whoever", "local"));
    let create = bucket.create_bucket(&keys).sign(TTL);
    aws.client.put(create).send().await.unwrap();
    let begin = |key: &'static str| {
        let begin = CreateMultipartUpload::new(&bucket, Some(&keys), key).sign(TTL);
        let begun = aws.client.post(begin).send();
        async {
            let begun = begun.await.unwrap().text().await.unwrap();
            let begun = CreateMultipartUpload::parse_response(&begun).unwrap();
            begun.upload_id().to_owned()
        }
    };
    let (left, torn) = (begin("jobs/1/source").await, begin("jobs/2/source").await);
    let listed = |prefix: &'static str| {
        let mut list = GetObject::new(&bucket, Some(&keys), "");
        list.query_mut().insert("uploads", "");
        list.query_mut().insert("prefix", prefix);
        let listed = aws.client.get(list.sign(TTL)).send();
        async { listed.await.unwrap().text().await.unwrap() }
    };
    let found = listed("jobs/1/").await;
    assert!(
        found.contains(&left) && found.matches("<Upload>").count() == 1,
        "{found}"
    );

    // Whoever knows the id may abort, also under another access key.
    let other = Credentials::new("somebody-else", "local");
    let abort = || {
        let abort = AbortMultipartUpload::new(&bucket, Some(&other), "jobs/1/source", &left);
        aws.client.delete(abort.sign(TTL)).send()
    };
    assert_eq!(abort().await.unwrap().status(), StatusCode::NO_CONTENT);
    let again = abort().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    assert!(
        again
            .text()
            .await
            .unwrap()
            .contains("<Code>NoSuchUpload</Code>")
    );
    assert!(!listed("jobs/1/").await.contains("<Upload>"));

    // As a crash in the middle of an abort leaves it: begun to be gone.
    let half = data.path().join("s3").join(format!(".upload-{torn}.json"));
    std::fs::remove_file(half).unwrap();
    let abort = AbortMultipartUpload::new(&bucket, Some(&keys), "jobs/2/source", &torn);
    let aborted = aws.client.delete(abort.sign(TTL)).send().await.unwrap();
    assert_eq!(aborted.status(), StatusCode::NOT_FOUND);
    assert!(!listed("jobs/2/").await.contains("<Upload>"));
    aws.server.shutdown().await;
}
