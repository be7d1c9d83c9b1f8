//! The real clients against an endpoint that does what AWS does on a bad day.

use super::{
    Api, Aws, AwsErrorKind, QueueDepth,
    call::ATTEMPTS_MAX,
    error::NO_CREDENTIALS,
    testing::{Answer, FakeAws},
};
use crate::config::{self, Config};

const THROTTLED: Answer = Answer::Error(400, "ThrottlingException");
const BROKEN: Answer = Answer::Error(500, "InternalFailure");

async fn fake() -> (FakeAws, Aws, Config) {
    let fake = FakeAws::start().await;
    let config = config::testing::config();
    let aws = fake.clients(&config).await;
    (fake, aws, config)
}

fn report(aws: &Aws, api: Api) -> super::ApiReport {
    aws.report().swap_remove(api.index())
}

#[tokio::test]
async fn every_attempt_is_counted_and_none_is_the_sdks_own() {
    let (fake, aws, _) = fake().await;
    fake.script("StartExecution", &[THROTTLED, BROKEN]);
    let (arn, started_at_ms) = aws.states.start("job-1", "{}").await.unwrap();
    assert!(arn.ends_with(":job-1"), "{arn}");
    assert_eq!(started_at_ms, 1_000_000);
    let seen = report(&aws, Api::StartExecution);
    assert_eq!(fake.calls("StartExecution").len(), 3);
    assert_eq!(seen.seen.calls, 3);
    assert!(
        seen.per_second < 300.0,
        "the throttled attempt cut the rate"
    );
    assert!(seen.throttled_since_ms.is_some());
    // It has succeeded since: what is left is that the rate recovers.
    assert_eq!(seen.seen.troubled_since_ms, None);
    assert_eq!(seen.seen.last_error.unwrap().said, "InternalFailure");
}

#[tokio::test]
async fn attempts_have_an_end() {
    let (fake, aws, _) = fake().await;
    fake.script("StopExecution", &[BROKEN, BROKEN, BROKEN, BROKEN]);
    let error = aws.states.stop("arn", "E", "C").await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::Unreachable);
    assert_eq!(fake.calls("StopExecution").len(), ATTEMPTS_MAX as usize);
}

#[tokio::test]
async fn silence_is_unreachable_and_says_so() {
    let (fake, _, config) = fake().await;
    let aws = fake.clients_impatient(&config).await;
    fake.script(
        "GetQueueAttributes",
        &[Answer::Silence, Answer::Silence, Answer::Silence],
    );
    let error = aws.queue.depth().await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::Unreachable);
    assert_eq!(error.said(), "no answer in time");
    let depth = aws.queue.depth().await.unwrap();
    assert_eq!(
        depth,
        QueueDepth {
            visible: 7,
            in_flight: 2
        }
    );
    assert_eq!(
        report(&aws, Api::GetQueueAttributes).seen.troubled_since_ms,
        None
    );
}

#[tokio::test]
async fn credentials_that_ran_out_are_not_tried_again_at_once() {
    let (fake, aws, _) = fake().await;
    fake.script(
        "StartExecution",
        &[Answer::Error(400, "ExpiredTokenException")],
    );
    let error = aws.states.start("job-1", "{}").await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::Denied);
    assert_eq!(fake.count(), 1);
    let seen = report(&aws, Api::StartExecution).seen;
    assert!(seen.troubled_since_ms.is_some());
    assert_eq!(seen.last_error.unwrap().said, "ExpiredTokenException");
}

#[tokio::test]
async fn no_credentials_are_told_apart_from_no_answer() {
    let (fake, _, config) = fake().await;
    let aws = fake.clients_unsigned(&config).await;
    let error = aws.states.start("job-1", "{}").await.unwrap_err();
    assert_eq!(
        (error.kind, error.said()),
        (AwsErrorKind::Denied, NO_CREDENTIALS)
    );
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn an_object_that_is_not_there_is_no_trouble() {
    let (_fake, aws, _) = fake().await;
    assert_eq!(
        aws.bucket.read("jobs/x/manifest.json", 10).await.unwrap(),
        None
    );
    let seen = report(&aws, Api::GetObject).seen;
    assert_eq!((seen.calls, seen.troubled_since_ms), (1, None));
}
