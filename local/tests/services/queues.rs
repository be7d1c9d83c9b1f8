//! SQS and EventBridge.

use std::time::Instant;

use serde_json::{Value, json};

use crate::aws::{Aws, refused};
use crate::states::States;

async fn queue(aws: &Aws, name: &str, attributes: Value) -> String {
    let input = json!({"QueueName": name, "Attributes": attributes});
    let made = aws.sqs("CreateQueue", input).await.unwrap();
    made["QueueUrl"].as_str().unwrap().to_owned()
}

async fn receive(aws: &Aws, url: &str, more: Value) -> Vec<Value> {
    let mut ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"], "MessageAttributeNames": ["All"]});
    for (member, value) in more.as_object().unwrap() {
        ask[member] = value.clone();
    }
    let received = aws.sqs("ReceiveMessage", ask).await.unwrap();
    received["Messages"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_message_comes_until_it_is_deleted() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let url = queue(&aws, "q", json!({})).await;
    let attributes = json!({"k": {"DataType": "String", "StringValue": "v"}});
    let sent = aws
        .sqs(
            "SendMessage",
            json!({"QueueUrl": url, "MessageBody": "hello", "MessageAttributes": attributes}),
        )
        .await
        .unwrap();
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    let first = receive(&aws, &url, json!({"VisibilityTimeout": 0})).await;
    assert_eq!(
        (&first[0]["Body"], &first[0]["MessageId"]),
        (&json!("hello"), &sent["MessageId"])
    );
    assert_eq!(first[0]["MD5OfBody"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(first[0]["MessageAttributes"], attributes);
    assert_eq!(
        first[0]["MD5OfMessageAttributes"],
        sent["MD5OfMessageAttributes"]
    );
    assert_eq!(first[0]["Attributes"]["ApproximateReceiveCount"], "1");
    let second = receive(&aws, &url, json!({})).await;
    assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
    assert!(
        receive(&aws, &url, json!({})).await.is_empty(),
        "somebody has it"
    );

    // The first receiver's handle is no longer good for anything.
    let delete =
        |message: &Value| json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
    aws.sqs("DeleteMessage", delete(&first[0])).await.unwrap();
    let mut show = delete(&second[0]);
    show["VisibilityTimeout"] = json!(0);
    aws.sqs("ChangeMessageVisibility", show).await.unwrap();
    let third = receive(&aws, &url, json!({})).await;
    assert_eq!(third[0]["Attributes"]["ApproximateReceiveCount"], "3");
    aws.sqs("DeleteMessage", delete(&third[0])).await.unwrap();
    let ask = json!({"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]});
    let counts = aws.sqs("GetQueueAttributes", ask).await.unwrap();
    assert_eq!(
        counts["Attributes"],
        json!({"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"})
    );
}

#[tokio::test]
async fn a_waiting_receiver_gets_what_is_sent_and_what_becomes_visible() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let url = queue(&aws, "q", json!({})).await;
    let begun = Instant::now();
    let (received, ()) = tokio::join!(
        receive(
            &aws,
            &url,
            json!({"WaitTimeSeconds": 20, "VisibilityTimeout": 1})
        ),
        async {
            let batch = json!({"QueueUrl": url, "Entries": [{"Id": "a", "MessageBody": "one"}]});
            aws.sqs("SendMessageBatch", batch).await.unwrap();
        }
    );
    assert_eq!(received[0]["Body"], "one");
    let again = receive(&aws, &url, json!({"WaitTimeSeconds": 20})).await;
    assert_eq!(
        again[0]["Body"], "one",
        "its second of invisibility is over"
    );
    assert!(
        begun.elapsed().as_secs() < 20,
        "neither waited its whole time"
    );
}

#[tokio::test]
async fn batches_fail_entry_by_entry() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let url = queue(&aws, "q", json!({})).await;
    let entries = json!([{"Id": "a", "MessageBody": "one"}, {"Id": "b", "MessageBody": ""}]);
    let sent = aws
        .sqs(
            "SendMessageBatch",
            json!({"QueueUrl": url, "Entries": entries}),
        )
        .await
        .unwrap();
    assert_eq!(
        (&sent["Successful"][0]["Id"], &sent["Failed"][0]["Id"]),
        (&json!("a"), &json!("b"))
    );
    let received = receive(&aws, &url, json!({})).await;
    let entries = json!([{"Id": "x", "ReceiptHandle": received[0]["ReceiptHandle"]}, {"Id": "y", "ReceiptHandle": "nonsense"}]);
    let gone = aws
        .sqs(
            "DeleteMessageBatch",
            json!({"QueueUrl": url, "Entries": entries}),
        )
        .await
        .unwrap();
    assert_eq!(
        (&gone["Successful"][0]["Id"], &gone["Failed"][0]["Code"]),
        (&json!("x"), &json!("ReceiptHandleIsInvalid"))
    );
    let none = refused(
        aws.sqs("SendMessageBatch", json!({"QueueUrl": url, "Entries": []}))
            .await,
    );
    assert_eq!(none.1, "EmptyBatchRequest");
    let twice = json!([{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}]);
    let twice = refused(
        aws.sqs(
            "SendMessageBatch",
            json!({"QueueUrl": url, "Entries": twice}),
        )
        .await,
    );
    assert_eq!(twice.1, "BatchEntryIdsNotDistinct");
}

#[tokio::test]
async fn what_is_received_too_often_goes_to_the_dead_letters() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let dead = queue(&aws, "dead", json!({})).await;
    let policy = json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 2}).to_string();
    let url = queue(&aws, "q", json!({"RedrivePolicy": policy})).await;
    aws.sqs(
        "SendMessage",
        json!({"QueueUrl": url, "MessageBody": "poison"}),
    )
    .await
    .unwrap();
    for _ in 0..2 {
        assert_eq!(
            receive(&aws, &url, json!({"VisibilityTimeout": 0}))
                .await
                .len(),
            1
        );
    }
    assert!(receive(&aws, &url, json!({})).await.is_empty());
    assert_eq!(receive(&aws, &dead, json!({})).await[0]["Body"], "poison");
}

#[tokio::test]
async fn queues_are_made_once_and_missed_by_name() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let url = queue(&aws, "q", json!({"VisibilityTimeout": "60"})).await;
    assert_eq!(
        queue(&aws, "q", json!({"VisibilityTimeout": "60"})).await,
        url
    );
    let other = json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "61"}});
    assert_eq!(
        refused(aws.sqs("CreateQueue", other).await).1,
        "QueueNameExists"
    );
    let set = json!({"QueueUrl": url, "Attributes": {"VisibilityTimeout": "99999"}});
    assert_eq!(
        refused(aws.sqs("SetQueueAttributes", set).await).1,
        "InvalidAttributeValue"
    );
    let response = aws
        .client
        .post(&aws.endpoint)
        .header("x-amz-target", "AmazonSQS.GetQueueUrl")
        .body(r#"{"QueueName":"nobody"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(
        response.headers()["x-amzn-query-error"],
        "AWS.SimpleQueueService.NonExistentQueue;Sender"
    );
    aws.sqs("DeleteQueue", json!({"QueueUrl": url}))
        .await
        .unwrap();
    let list = aws.sqs("ListQueues", json!({})).await.unwrap();
    assert_eq!(list.get("QueueUrls"), None);
}

#[tokio::test]
async fn events_go_where_the_rules_say() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let url = queue(&aws, "q", json!({})).await;
    let rule = json!({"Name": "r", "EventPattern": json!({"source": [{"prefix": "test."}], "detail": {"n": [1]}}).to_string()});
    aws.events("PutRule", rule).await.unwrap();
    let target = json!({"Rule": "r", "Targets": [{"Id": "t", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}]});
    aws.events("PutTargets", target).await.unwrap();
    let entry = |source: &str, n: i64| json!({"Source": source, "DetailType": "d", "Detail": json!({"n": n}).to_string()});
    let put = json!({"Entries": [entry("test.a", 1), entry("test.a", 2), entry("other", 1), {"Source": "test.a"}]});
    let answer = aws.events("PutEvents", put.clone()).await.unwrap();
    assert_eq!(
        (
            &answer["FailedEntryCount"],
            answer["Entries"].as_array().unwrap().len()
        ),
        (&json!(1), 4)
    );
    let received = receive(&aws, &url, json!({})).await;
    assert_eq!(received.len(), 1);
    let event: Value = serde_json::from_str(received[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&event["id"], &event["detail"]),
        (&answer["Entries"][0]["EventId"], &json!({"n": 1}))
    );

    let refusal = refused(aws.events("DeleteRule", json!({"Name": "r"})).await);
    assert_eq!(refusal.2, "Rule can't be deleted since it has targets.");
    aws.events("DisableRule", json!({"Name": "r"}))
        .await
        .unwrap();
    aws.events("PutEvents", put).await.unwrap();
    assert!(receive(&aws, &url, json!({})).await.is_empty());
    aws.events("RemoveTargets", json!({"Rule": "r", "Ids": ["t"]}))
        .await
        .unwrap();
    aws.events("DeleteRule", json!({"Name": "r"}))
        .await
        .unwrap();
    assert_eq!(
        refused(aws.events("DescribeRule", json!({"Name": "r"})).await).1,
        "ResourceNotFoundException"
    );
    let bad = json!({"Name": "b", "EventPattern": r#"{"a":[{"numeric":[">",1]}]}"#});
    assert_eq!(
        refused(aws.events("PutRule", bad).await).1,
        "InvalidEventPatternException"
    );
}
