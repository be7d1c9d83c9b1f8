//! Kinesis.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::aws::{Aws, refused};

/// Makes the stream of the tests.
pub async fn create(aws: &Aws, shards: u32) {
    let ask = json!({"StreamName": "s", "ShardCount": shards});
    aws.kinesis("CreateStream", ask).await.unwrap();
}

pub async fn put(aws: &Aws, key: &str, data: &str) -> Value {
    let input = json!({"StreamName": "s", "PartitionKey": key, "Data": STANDARD.encode(data)});
    aws.kinesis("PutRecord", input).await.unwrap()
}

pub async fn iterator(aws: &Aws, shard: &str, kind: &str, more: Value) -> String {
    let mut ask = json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": kind});
    for (member, value) in more.as_object().unwrap() {
        ask[member] = value.clone();
    }
    let answer = aws.kinesis("GetShardIterator", ask).await.unwrap();
    answer["ShardIterator"].as_str().unwrap().to_owned()
}

pub fn texts(page: &Value) -> Vec<String> {
    let records = page["Records"].as_array().unwrap();
    let text = |record: &Value| {
        String::from_utf8(STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap()
    };
    records.iter().map(text).collect()
}

pub async fn read(aws: &Aws, iterator: &str) -> Value {
    aws.kinesis("GetRecords", json!({"ShardIterator": iterator}))
        .await
        .unwrap()
}

#[tokio::test]
async fn records_are_read_in_order_from_every_place() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 1).await;
    let shard = "shardId-000000000000";
    put(&aws, "k", "one").await;
    let two = put(&aws, "k", "two").await;
    let latest = iterator(&aws, shard, "LATEST", json!({})).await;
    put(&aws, "k", "three").await;
    let at = json!({"StartingSequenceNumber": two["SequenceNumber"]});
    let cases = [
        (
            iterator(&aws, shard, "TRIM_HORIZON", json!({})).await,
            vec!["one", "two", "three"],
        ),
        (
            iterator(&aws, shard, "AT_SEQUENCE_NUMBER", at.clone()).await,
            vec!["two", "three"],
        ),
        (
            iterator(&aws, shard, "AFTER_SEQUENCE_NUMBER", at).await,
            vec!["three"],
        ),
        (latest, vec!["three"]),
    ];
    for (place, expected) in cases {
        assert_eq!(texts(&read(&aws, &place).await), expected);
    }
    let begin = iterator(&aws, shard, "TRIM_HORIZON", json!({})).await;
    let ask = json!({"ShardIterator": begin, "Limit": 2});
    let first = aws.kinesis("GetRecords", ask).await.unwrap();
    assert_eq!(texts(&first), ["one", "two"]);
    let second = read(&aws, first["NextShardIterator"].as_str().unwrap()).await;
    assert_eq!(
        (texts(&second), &second["MillisBehindLatest"]),
        (vec!["three".to_owned()], &json!(0))
    );
    let third = read(&aws, second["NextShardIterator"].as_str().unwrap()).await;
    assert_eq!(texts(&third), Vec::<String>::new());

    // A moment between two records: what arrived at it or later.
    let arrived = second["Records"][0]["ApproximateArrivalTimestamp"]
        .as_f64()
        .unwrap();
    let place = iterator(&aws, shard, "AT_TIMESTAMP", json!({"Timestamp": arrived})).await;
    assert_eq!(texts(&read(&aws, &place).await).last().unwrap(), "three");
    let place = iterator(
        &aws,
        shard,
        "AT_TIMESTAMP",
        json!({"Timestamp": arrived + 1.0}),
    )
    .await;
    assert_eq!(texts(&read(&aws, &place).await), Vec::<String>::new());
}

#[tokio::test]
async fn keys_choose_shards_and_streams_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 2).await;
    // MD5("a") begins with 0c, MD5("0") with cf.
    assert_eq!(
        put(&aws, "a", "low").await["ShardId"],
        "shardId-000000000000"
    );
    assert_eq!(
        put(&aws, "0", "high").await["ShardId"],
        "shardId-000000000001"
    );
    let records = json!([
        {"PartitionKey": "a", "Data": STANDARD.encode("x"), "ExplicitHashKey": u128::MAX.to_string()},
        {"PartitionKey": "a", "Data": STANDARD.encode("y")},
    ]);
    let written = aws
        .kinesis("PutRecords", json!({"StreamName": "s", "Records": records}))
        .await
        .unwrap();
    assert_eq!(written["FailedRecordCount"], 0);
    assert_eq!(written["Records"][0]["ShardId"], "shardId-000000000001");
    let shards = aws
        .kinesis("ListShards", json!({"StreamName": "s"}))
        .await
        .unwrap();
    assert_eq!(shards["Shards"].as_array().unwrap().len(), 2);
    aws.server.shutdown().await;

    let aws = Aws::start(data.path()).await;
    let place = iterator(&aws, "shardId-000000000001", "TRIM_HORIZON", json!({})).await;
    assert_eq!(texts(&read(&aws, &place).await), ["high", "x"]);
    aws.kinesis("DeleteStream", json!({"StreamName": "s"}))
        .await
        .unwrap();
    create(&aws, 2).await;
    let stale = aws
        .kinesis("GetRecords", json!({"ShardIterator": place}))
        .await;
    assert_eq!(refused(stale).1, "InvalidArgumentException");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let missing = refused(
        aws.kinesis("DescribeStream", json!({"StreamName": "s"}))
            .await,
    );
    assert_eq!(missing.1, "ResourceNotFoundException");
    create(&aws, 1).await;
    let again = refused(
        aws.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1}))
            .await,
    );
    assert_eq!(again.1, "ResourceInUseException");
    let ask = json!({"StreamName": "s", "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"});
    assert_eq!(
        refused(aws.kinesis("GetShardIterator", ask).await).1,
        "ResourceNotFoundException"
    );
    let bad = refused(
        aws.kinesis("GetRecords", json!({"ShardIterator": "nonsense"}))
            .await,
    );
    assert_eq!(bad.1, "InvalidArgumentException");
    let stream = aws
        .kinesis("DescribeStreamSummary", json!({"StreamName": "s"}))
        .await
        .unwrap();
    assert_eq!(stream["StreamDescriptionSummary"]["OpenShardCount"], 1);
}
