//! Kinesis: shards that are split and merged.

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::streams::{create, iterator, put, read, texts};

/// The middle of all hash keys: MD5("a") is below it, MD5("0") above.
const MIDDLE: &str = "170141183460469231731687303715884105728";

async fn split(aws: &Aws, shard: i64, key: &str) -> Result<Value, (u16, Value)> {
    let ask =
        json!({"StreamName": "s", "ShardToSplit": shard_id(shard), "NewStartingHashKey": key});
    aws.kinesis("SplitShard", ask).await
}

async fn merge(aws: &Aws, shard: i64, adjacent: i64) -> Result<Value, (u16, Value)> {
    let ask = json!({
        "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        "ShardToMerge": shard_id(shard), "AdjacentShardToMerge": shard_id(adjacent),
    });
    aws.kinesis("MergeShards", ask).await
}

fn shard_id(number: i64) -> String {
    format!("shardId-{number:012}")
}

async fn shards(aws: &Aws, more: Value) -> Vec<Value> {
    let mut ask = more;
    ask["StreamName"] = json!("s");
    let answer = aws.kinesis("ListShards", ask).await.unwrap();
    answer["Shards"].as_array().unwrap().clone()
}

async fn ids(aws: &Aws, more: Value) -> Vec<Value> {
    let mut shards = shards(aws, more).await;
    shards
        .iter_mut()
        .map(|shard| shard["ShardId"].take())
        .collect()
}

async fn open_count(aws: &Aws) -> Value {
    let ask = json!({"StreamName": "s"});
    let mut stream = aws.kinesis("DescribeStreamSummary", ask).await.unwrap();
    stream["StreamDescriptionSummary"]["OpenShardCount"].take()
}

/// Every record of a shard, page by page, and the page with which the shard ended or nothing was left.
async fn whole(aws: &Aws, shard: &str) -> (Vec<String>, Value) {
    let mut place = iterator(aws, shard, "TRIM_HORIZON", json!({})).await;
    let mut all = Vec::new();
    loop {
        let ask = json!({"ShardIterator": place, "Limit": 2});
        let page = aws.kinesis("GetRecords", ask).await.unwrap();
        let read = texts(&page);
        let is_last = read.is_empty();
        all.extend(read);
        match page["NextShardIterator"].as_str() {
            Some(next) if !is_last => place = next.to_owned(),
            _ => return (all, page),
        }
    }
}

/// What the store of a `local` that has ended is made to say.
async fn change(data: &std::path::Path, statement: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("local.db"));
    let db = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&db)
        .await
        .unwrap();
    db.close().await;
}

#[tokio::test]
async fn shards_are_split_and_merged_and_read_from_parents_to_children() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 1).await;
    put(&aws, "a", "a1").await;
    put(&aws, "0", "b1").await;
    let latest = iterator(&aws, &shard_id(0), "LATEST", json!({})).await;
    split(&aws, 0, MIDDLE).await.unwrap();
    assert_eq!(open_count(&aws).await, 2);
    assert_eq!(put(&aws, "a", "a2").await["ShardId"], shard_id(1));
    assert_eq!(put(&aws, "0", "b2").await["ShardId"], shard_id(2));
    aws.server.shutdown().await;

    let aws = Aws::start(data.path()).await;
    let last = put(&aws, "a", "a3").await;
    merge(&aws, 1, 2).await.unwrap();
    assert_eq!(open_count(&aws).await, 1);
    assert_eq!(put(&aws, "a", "a4").await["ShardId"], shard_id(3));
    assert_eq!(put(&aws, "0", "b4").await["ShardId"], shard_id(3));
    aws.server.shutdown().await;

    let aws = Aws::start(data.path()).await;
    let listed = shards(&aws, json!({})).await;
    let parents = |shard: &Value| {
        let parent = |name: &str| shard[name].as_str().map(str::to_owned);
        (parent("ParentShardId"), parent("AdjacentParentShardId"))
    };
    assert_eq!(
        listed.iter().map(parents).collect::<Vec<_>>(),
        [
            (None, None),
            (Some(shard_id(0)), None),
            (Some(shard_id(0)), None),
            (Some(shard_id(1)), Some(shard_id(2))),
        ]
    );
    assert_eq!(listed[2]["HashKeyRange"]["StartingHashKey"], MIDDLE);
    assert_eq!(listed[3]["HashKeyRange"], listed[0]["HashKeyRange"]);
    let range = |shard: usize, end: &str| listed[shard]["SequenceNumberRange"][end].as_str();
    for (parent, child) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
        let end = range(parent, "EndingSequenceNumber").unwrap();
        assert!(end < range(child, "StartingSequenceNumber").unwrap());
    }
    assert_eq!(range(3, "EndingSequenceNumber"), None);
    assert!(range(1, "EndingSequenceNumber").unwrap() > last["SequenceNumber"].as_str().unwrap());

    let mut read_of = Vec::new();
    for (number, children) in [(0, vec![1, 2]), (1, vec![3]), (2, vec![3])] {
        let (read, end) = whole(&aws, &shard_id(number)).await;
        read_of.push(read);
        assert!(end["NextShardIterator"].is_null(), "{end}");
        let told = end["ChildShards"].as_array().unwrap();
        let expected: Vec<Value> = children
            .iter()
            .map(|&child| shard_id(child).into())
            .collect();
        assert!(told.iter().map(|child| &child["ShardId"]).eq(&expected));
        for (child, number) in told.iter().zip(children) {
            let listed = &listed[usize::try_from(number).unwrap()];
            assert_eq!(child["HashKeyRange"], listed["HashKeyRange"]);
            let (parent, adjacent) = parents(listed);
            let parents: Vec<String> = [parent, adjacent].into_iter().flatten().collect();
            assert_eq!(child["ParentShards"], json!(parents));
        }
    }
    let (read_last, end) = whole(&aws, &shard_id(3)).await;
    read_of.push(read_last);
    assert!(end["NextShardIterator"].is_string(), "{end}");
    assert!(end["ChildShards"].is_null(), "{end}");
    assert_eq!(
        read_of,
        [
            vec!["a1", "b1"],
            vec!["a2", "a3"],
            vec!["b2"],
            vec!["a4", "b4"]
        ]
    );

    // Places in a closed shard: whoever stood at its end, or goes on after its last record, is at its end.
    let after = json!({"StartingSequenceNumber": last["SequenceNumber"]});
    for (place, expected) in [
        (latest, vec![]),
        (
            iterator(&aws, &shard_id(1), "LATEST", json!({})).await,
            vec![],
        ),
        (
            iterator(&aws, &shard_id(1), "AFTER_SEQUENCE_NUMBER", after.clone()).await,
            vec![],
        ),
        (
            iterator(&aws, &shard_id(1), "AT_SEQUENCE_NUMBER", after).await,
            vec!["a3"],
        ),
        (
            iterator(&aws, &shard_id(1), "AT_TIMESTAMP", json!({"Timestamp": 0})).await,
            vec!["a2", "a3"],
        ),
    ] {
        let page = read(&aws, &place).await;
        assert_eq!(texts(&page), expected);
        assert!(page["NextShardIterator"].is_null(), "{page}");
        assert_eq!(page["MillisBehindLatest"], 0);
    }
    // A number that is not the shard's own.
    let ask = json!({
        "StreamName": "s", "ShardId": shard_id(3), "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        "StartingSequenceNumber": last["SequenceNumber"],
    });
    let foreign = refused(aws.kinesis("GetShardIterator", ask).await);
    assert_eq!(foreign.1, "InvalidArgumentException");
}

#[tokio::test]
async fn a_stream_from_before_resharding_has_the_shards_it_had() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 3).await;
    put(&aws, "a", "low").await;
    put(&aws, "0", "high").await;
    let before = shards(&aws, json!({})).await;
    aws.server.shutdown().await;
    change(data.path(), "DROP TABLE kinesis_shards").await;

    let aws = Aws::start(data.path()).await;
    assert_eq!(shards(&aws, json!({})).await, before);
    assert_eq!(open_count(&aws).await, 3);
    assert_eq!(whole(&aws, &shard_id(0)).await.0, ["low"]);
    assert_eq!(whole(&aws, &shard_id(2)).await.0, ["high"]);
    merge(&aws, 1, 0).await.unwrap();
    assert_eq!(put(&aws, "a", "low").await["ShardId"], shard_id(3));
    aws.server.shutdown().await;

    // Shards that are there are left as they are.
    let aws = Aws::start(data.path()).await;
    assert_eq!(shards(&aws, json!({})).await.len(), 4);
}

#[tokio::test]
async fn closed_shards_go_when_the_retention_is_over() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 1).await;
    put(&aws, "a", "old").await;
    let place = iterator(&aws, &shard_id(0), "TRIM_HORIZON", json!({})).await;
    split(&aws, 0, MIDDLE).await.unwrap();
    merge(&aws, 2, 1).await.unwrap();
    aws.server.shutdown().await;
    let day_ms = 24 * 3_600_000;
    for statement in [
        format!(
            "UPDATE kinesis_shards SET closed_at_ms = closed_at_ms - {day_ms} WHERE number = 0"
        ),
        format!("UPDATE kinesis_records SET arrived_at_ms = arrived_at_ms - {day_ms}"),
    ] {
        change(data.path(), &statement).await;
    }

    let aws = Aws::start(data.path()).await;
    // Before anything is put, and so before anything is removed; then after it.
    for _ in 0..2 {
        let listed: Vec<String> = (1..=3).map(shard_id).collect();
        assert_eq!(ids(&aws, json!({})).await, listed);
        let ask = json!({"StreamName": "s", "ShardId": shard_id(0), "ShardIteratorType": "LATEST"});
        let gone = refused(aws.kinesis("GetShardIterator", ask).await);
        assert_eq!(gone.1, "ResourceNotFoundException");
        let page = read(&aws, &place).await;
        assert_eq!(texts(&page), Vec::<String>::new());
        assert!(page["NextShardIterator"].is_null(), "{page}");
        let children = page["ChildShards"].as_array().unwrap();
        assert_eq!(children.len(), 2);
        put(&aws, "a", "new").await;
    }
    // No number is given twice.
    split(&aws, 3, MIDDLE).await.unwrap();
    assert_eq!(put(&aws, "0", "new").await["ShardId"], shard_id(5));
}

#[tokio::test]
async fn shards_are_listed_by_filter_and_page_by_page() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 2).await;
    merge(&aws, 0, 1).await.unwrap();
    split(&aws, 2, MIDDLE).await.unwrap();
    let named = |numbers: &[i64]| numbers.iter().map(|&n| shard_id(n)).collect::<Vec<_>>();
    let filtered = |filter: Value| json!({"ShardFilter": filter});
    for (ask, expected) in [
        (json!({}), &[0, 1, 2, 3, 4][..]),
        (json!({"ExclusiveStartShardId": shard_id(2)}), &[3, 4]),
        (filtered(json!({"Type": "AT_LATEST"})), &[3, 4]),
        (filtered(json!({"Type": "AT_TRIM_HORIZON"})), &[0, 1]),
        (
            filtered(json!({"Type": "FROM_TRIM_HORIZON"})),
            &[0, 1, 2, 3, 4],
        ),
        (
            filtered(json!({"Type": "FROM_TIMESTAMP", "Timestamp": 0})),
            &[0, 1, 2, 3, 4],
        ),
        (
            filtered(json!({"Type": "AT_TIMESTAMP", "Timestamp": 4e9})),
            &[3, 4],
        ),
        (
            filtered(json!({"Type": "AFTER_SHARD_ID", "ShardId": shard_id(1)})),
            &[2, 3, 4],
        ),
    ] {
        assert_eq!(ids(&aws, ask.clone()).await, named(expected), "{ask}");
    }
    for filter in [
        json!({"Type": "AT_TIMESTAMP"}),
        json!({"Type": "AFTER_SHARD_ID"}),
    ] {
        let ask = json!({"StreamName": "s", "ShardFilter": filter});
        let missing = refused(aws.kinesis("ListShards", ask).await);
        assert_eq!(missing.1, "InvalidArgumentException");
    }
    let ask = json!({"StreamName": "s", "MaxResults": 1, "ShardFilter": {"Type": "AT_LATEST"}});
    let first = aws.kinesis("ListShards", ask).await.unwrap();
    let ask = json!({"NextToken": first["NextToken"], "MaxResults": 1});
    let second = aws.kinesis("ListShards", ask).await.unwrap();
    let id = |page: &Value| page["Shards"][0]["ShardId"].clone();
    assert_eq!(
        [id(&first), id(&second)],
        [shard_id(3), shard_id(4)].map(Value::from)
    );
    assert!(second["NextToken"].is_null());
    let described = aws
        .kinesis(
            "DescribeStream",
            json!({"StreamName": "s", "Limit": 2, "ExclusiveStartShardId": shard_id(0)}),
        )
        .await
        .unwrap();
    let described = &described["StreamDescription"];
    assert_eq!(described["Shards"][1]["ParentShardId"], shard_id(0));
    assert_eq!(described["Shards"][1]["AdjacentParentShardId"], shard_id(1));
    assert_eq!(described["HasMoreShards"], true);
}

#[tokio::test]
async fn what_cannot_be_split_or_merged_says_why() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let none = refused(split(&aws, 0, MIDDLE).await);
    assert_eq!(none.1, "ResourceNotFoundException");
    create(&aws, 3).await;
    split(&aws, 2, "300000000000000000000000000000000000000")
        .await
        .unwrap();
    let max = u128::MAX.to_string();
    let end = shards(&aws, json!({})).await[0]["HashKeyRange"]["EndingHashKey"].clone();
    let refusals = [
        (split(&aws, 9, MIDDLE).await, "ResourceNotFoundException"),
        (merge(&aws, 0, 9).await, "ResourceNotFoundException"),
        (merge(&aws, 9, 0).await, "ResourceNotFoundException"),
        // Closed.
        (split(&aws, 2, &max).await, "InvalidArgumentException"),
        (merge(&aws, 1, 2).await, "InvalidArgumentException"),
        // Not of the shard, or all of it.
        (split(&aws, 0, &max).await, "InvalidArgumentException"),
        (split(&aws, 1, "5").await, "InvalidArgumentException"),
        (split(&aws, 0, "0").await, "InvalidArgumentException"),
        (split(&aws, 0, "1").await, "InvalidArgumentException"),
        (
            split(&aws, 0, end.as_str().unwrap()).await,
            "InvalidArgumentException",
        ),
        (
            split(&aws, 0, "999999999999999999999999999999999999999").await,
            "InvalidArgumentException",
        ),
        // No number as AWS writes them.
        (split(&aws, 0, "").await, "ValidationException"),
        (split(&aws, 0, "07").await, "ValidationException"),
        (split(&aws, 0, "-7").await, "ValidationException"),
        // Apart from each other, at the two ends, the same.
        (merge(&aws, 0, 3).await, "InvalidArgumentException"),
        (merge(&aws, 4, 0).await, "InvalidArgumentException"),
        (merge(&aws, 0, 0).await, "InvalidArgumentException"),
    ];
    for (at, (answer, expected)) in refusals.into_iter().enumerate() {
        let (status, kind, message) = refused(answer);
        assert_eq!((status, &*kind), (400, expected), "refusal {at}: {message}");
    }
    assert_eq!(open_count(&aws).await, 4, "nothing of that was done");

    aws.kinesis("DeleteStream", json!({"StreamName": "s"}))
        .await
        .unwrap();
    let on_demand = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    aws.kinesis("CreateStream", on_demand).await.unwrap();
    let refusal = refused(split(&aws, 1, MIDDLE).await);
    assert_eq!(refusal.1, "ValidationException");
    aws.kinesis("DeleteStream", json!({"StreamName": "s"}))
        .await
        .unwrap();
    let most = json!({"StreamName": "s", "ShardCount": 1000});
    aws.kinesis("CreateStream", most).await.unwrap();
    let refusal = refused(split(&aws, 0, "5").await);
    assert_eq!(refusal.1, "LimitExceededException");
    merge(&aws, 0, 1).await.unwrap();
    split(&aws, 1000, "5").await.unwrap();
}

/// Records put while shards are split and merged are each in one shard, and none behind its shard's end.
#[tokio::test]
async fn no_record_lands_in_a_shard_that_has_closed() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    create(&aws, 1).await;
    let putting = async |writer: usize| {
        for number in 0..30 {
            put(&aws, &format!("{number}"), &format!("{writer}/{number:02}")).await;
        }
    };
    let resharding = async {
        let mut shard = 0;
        for _ in 0..8 {
            split(&aws, shard, MIDDLE).await.unwrap();
            merge(&aws, shard + 1, shard + 2).await.unwrap();
            shard += 3;
        }
    };
    tokio::join!(putting(0), putting(1), putting(2), resharding);
    let mut all = Vec::new();
    for shard in shards(&aws, json!({})).await {
        let mut place = iterator(
            &aws,
            shard["ShardId"].as_str().unwrap(),
            "TRIM_HORIZON",
            json!({}),
        )
        .await;
        let range = &shard["SequenceNumberRange"];
        loop {
            let page = read(&aws, &place).await;
            for record in page["Records"].as_array().unwrap() {
                let number = record["SequenceNumber"].as_str().unwrap();
                assert!(number >= range["StartingSequenceNumber"].as_str().unwrap());
                let end = range["EndingSequenceNumber"].as_str();
                assert!(end.is_none_or(|end| number < end), "{record} in {shard}");
            }
            let read = texts(&page);
            let is_last = read.is_empty();
            all.extend(read);
            match page["NextShardIterator"].as_str() {
                Some(next) if !is_last => place = next.to_owned(),
                _ => break,
            }
        }
    }
    let of_writer = |writer: usize| {
        let begin = format!("{writer}/");
        let mut own: Vec<&String> = all.iter().filter(|text| text.starts_with(&begin)).collect();
        own.sort_unstable();
        own.dedup();
        own.len()
    };
    assert_eq!(all.len(), 90);
    assert_eq!([0, 1, 2].map(of_writer), [30; 3]);
}
