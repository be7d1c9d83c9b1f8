//! What functions log, and what subscriptions make of it.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::aws::{Aws, eventually, refused};
use crate::image::push;

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/telemetry";

/// Every log event of a function, oldest first: stream and message.
async fn events(aws: &Aws, function: &str) -> Vec<(String, Value)> {
    let group = format!("/aws/lambda/{function}");
    let found = aws
        .logs("FilterLogEvents", json!({"logGroupName": group}))
        .await
        .unwrap();
    let text = |event: &Value, member: &str| event[member].as_str().unwrap().to_owned();
    let read = |event: &Value| {
        (
            text(event, "logStreamName"),
            serde_json::from_str(&text(event, "message")).unwrap(),
        )
    };
    found["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(read)
        .collect()
}

/// Every record of the stream, unpacked: partition key and payload.
async fn records(aws: &Aws) -> Vec<(String, Value)> {
    let from = json!({"StreamName": "telemetry", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = aws.kinesis("GetShardIterator", from).await.unwrap();
    let got = aws
        .kinesis(
            "GetRecords",
            json!({"ShardIterator": iterator["ShardIterator"]}),
        )
        .await
        .unwrap();
    let unpack = |record: &Value| {
        let packed = STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
        let mut text = String::new();
        GzDecoder::new(packed.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        (
            record["PartitionKey"].as_str().unwrap().to_owned(),
            serde_json::from_str(&text).unwrap(),
        )
    };
    got["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(unpack)
        .collect()
}

#[tokio::test]
async fn each_invocation_is_reported_and_only_the_first_with_a_start() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("logging", json!({"MemorySize": 512})).await;
    aws.invoke("logging", json!({"act": "look"})).await;
    aws.invoke("logging", json!({"act": "fail"})).await;
    let reports = eventually("two reports and two lines of the function", || async {
        let events = events(&aws, "logging").await;
        let of = |kind: &str| -> Vec<Value> {
            events
                .iter()
                .filter(|(_, event)| event["type"] == kind)
                .map(|(_, event)| event.clone())
                .collect()
        };
        let reports = of("platform.report");
        (reports.len() == 2 && of("progress").len() == 2 && of("platform.start").len() == 2)
            .then_some(reports)
    })
    .await;
    let metrics = |at: usize, metric: &str| reports[at]["record"]["metrics"][metric].as_f64();
    assert!(metrics(0, "initDurationMs").unwrap() > 0.0);
    assert_eq!(metrics(1, "initDurationMs"), None);
    assert_eq!(metrics(0, "memorySizeMB"), Some(512.0));
    assert!(metrics(0, "maxMemoryUsedMB").unwrap() >= 1.0);
    assert!(
        metrics(0, "billedDurationMs").unwrap()
            >= metrics(0, "durationMs").unwrap() + metrics(0, "initDurationMs").unwrap()
    );
    assert_eq!(reports[0]["record"]["status"], "success");
    assert_eq!(
        (
            &reports[1]["record"]["status"],
            &reports[1]["record"]["errorType"]
        ),
        (&json!("error"), &json!("Media.Broken"))
    );

    let events = events(&aws, "logging").await;
    assert_eq!(events[0].1["type"], "platform.initStart");
    assert_eq!(events[0].1["record"]["functionName"], "logging");
    let date = jiff::Timestamp::now().strftime("%Y").to_string();
    assert!(
        events[0].0.starts_with(&date) && events[0].0.contains("/[$LATEST]"),
        "{}",
        events[0].0
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn a_subscription_delivers_what_matches_and_goes_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    aws.logs("CreateLogGroup", json!({"logGroupName": "g"}))
        .await
        .unwrap();
    aws.logs(
        "CreateLogStream",
        json!({"logGroupName": "g", "logStreamName": "s"}),
    )
    .await
    .unwrap();
    let filter = json!({
        "logGroupName": "g", "filterName": "telemetry", "filterPattern": "{ $.type = \"progress\" }",
        "destinationArn": STREAM,
    });
    let early = refused(aws.logs("PutSubscriptionFilter", filter.clone()).await);
    assert_eq!(
        early.1, "InvalidParameterException",
        "there is no stream yet"
    );
    aws.kinesis(
        "CreateStream",
        json!({"StreamName": "telemetry", "ShardCount": 1}),
    )
    .await
    .unwrap();
    aws.logs("PutSubscriptionFilter", filter).await.unwrap();
    let put = |aws: &Aws, texts: &[&str]| {
        let events: Vec<Value> = texts
            .iter()
            .map(|text| json!({"timestamp": 1000, "message": text}))
            .collect();
        let input = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
        let request = aws
            .client
            .post(&aws.endpoint)
            .header("x-amz-target", "Logs_20140328.PutLogEvents");
        request.body(input.to_string()).send()
    };
    let delivered = |records: &[(String, Value)]| -> Vec<String> {
        let data = records
            .iter()
            .filter(|(_, payload)| payload["messageType"] == "DATA_MESSAGE");
        let events = data.flat_map(|(_, payload)| payload["logEvents"].as_array().unwrap().clone());
        events
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    };
    put(&aws, &[r#"{"type":"progress","n":1}"#, "noise"])
        .await
        .unwrap();
    let first = eventually("the first delivery", || async {
        let records = records(&aws).await;
        (delivered(&records).len() == 1).then_some(records)
    })
    .await;
    assert_eq!(first[0].1["messageType"], "CONTROL_MESSAGE");
    let (key, payload) = first.last().unwrap();
    assert_eq!(key, "s");
    assert_eq!(payload["logEvents"][0]["timestamp"], 1000);
    assert_eq!(payload["logEvents"][0]["id"].as_str().unwrap().len(), 56);
    assert_eq!(
        (&payload["logGroup"], &payload["subscriptionFilters"]),
        (&json!("g"), &json!(["telemetry"]))
    );
    aws.server.shutdown().await;

    let aws = Aws::start(data.path()).await;
    put(&aws, &[r#"{"type":"progress","n":2}"#]).await.unwrap();
    let all = eventually("the second delivery", || async {
        let delivered = delivered(&records(&aws).await);
        (delivered.len() >= 2).then_some(delivered)
    })
    .await;
    assert_eq!(
        all,
        [
            r#"{"type":"progress","n":1}"#,
            r#"{"type":"progress","n":2}"#
        ]
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn events_are_read_forward_and_backward_page_by_page() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    aws.logs("CreateLogGroup", json!({"logGroupName": "g"}))
        .await
        .unwrap();
    aws.logs(
        "CreateLogStream",
        json!({"logGroupName": "g", "logStreamName": "s"}),
    )
    .await
    .unwrap();
    let lines: Vec<Value> = (0..5)
        .map(|n| json!({"timestamp": 1000 + n, "message": n.to_string()}))
        .collect();
    let put = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": lines});
    aws.logs("PutLogEvents", put).await.unwrap();
    let get = |more: Value| {
        let mut input = json!({"logGroupName": "g", "logStreamName": "s", "limit": 2});
        for (member, value) in more.as_object().unwrap() {
            input[member] = value.clone();
        }
        let aws = &aws;
        async move {
            let page = aws.logs("GetLogEvents", input).await.unwrap();
            let texts: Vec<String> = page["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["message"].as_str().unwrap().to_owned())
                .collect();
            (
                texts.join(" "),
                page["nextForwardToken"].clone(),
                page["nextBackwardToken"].clone(),
            )
        }
    };
    let (latest, _, backward) = get(json!({})).await;
    let (before, ..) = get(json!({"nextToken": backward})).await;
    assert_eq!((latest.as_str(), before.as_str()), ("3 4", "1 2"));
    let (head, forward, _) = get(json!({"startFromHead": true})).await;
    let (next, forward, _) = get(json!({"nextToken": forward})).await;
    let (last, forward, _) = get(json!({"nextToken": forward})).await;
    let (end, same, _) = get(json!({"nextToken": forward.clone()})).await;
    assert_eq!(
        (head.as_str(), next.as_str(), last.as_str(), end.as_str()),
        ("0 1", "2 3", "4", "")
    );
    assert_eq!(same, forward, "at the end the token stays");
    let missing = refused(
        aws.logs(
            "GetLogEvents",
            json!({"logGroupName": "none", "logStreamName": "s"}),
        )
        .await,
    );
    assert_eq!(missing.1, "ResourceNotFoundException");
    aws.server.shutdown().await;
}

#[tokio::test]
async fn invocations_and_errors_become_metrics() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("measured", json!({})).await;
    aws.invoke("measured", json!({"act": "look"})).await;
    aws.invoke("measured", json!({"act": "fail"})).await;
    let query = |id: &str, metric: &str| {
        let dimensions = json!([{"Name": "FunctionName", "Value": "measured"}]);
        let metric =
            json!({"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions});
        json!({"Id": id, "MetricStat": {"Metric": metric, "Period": 31_536_000, "Stat": "Sum"}})
    };
    let input = json!({
        "StartTime": 0, "EndTime": 4_102_444_800_u64,
        "MetricDataQueries": [query("i", "Invocations"), query("e", "Errors")],
    });
    let values = eventually("both metrics", || async {
        let got = aws
            .call("GraniteServiceVersion20100801.GetMetricData", input.clone())
            .await
            .unwrap();
        let value = |at: usize| got["MetricDataResults"][at]["Values"][0].as_f64();
        (value(0) == Some(2.0)).then(|| value(1))
    })
    .await;
    assert_eq!(values, Some(1.0));
    aws.server.shutdown().await;
}
