//! Each kind of trouble has its sentence, and the worst one is told.

use super::*;
use crate::aws::{AwsErrorKind, Budget, CallError, Seen};

/// 2026-11-26 14:10 UTC.
const NOW_MS: i64 = 1_795_702_200_000;
const SINCE_MS: i64 = NOW_MS - 7 * 60_000;

fn report(api: Api, trouble: Option<(AwsErrorKind, &str)>) -> ApiReport {
    let budget = Budget {
        burst: 10,
        per_second: 1,
    };
    ApiReport {
        api,
        budget,
        tokens: 10.0,
        per_second: 1.0,
        waiting: [0; 4],
        throttled_since_ms: None,
        seen: Seen {
            calls: 1,
            troubled_since_ms: trouble.map(|_| SINCE_MS),
            last_error: trouble.map(|(kind, said)| CallError {
                said: said.to_owned(),
                kind,
                at_ms: NOW_MS - 1_000,
            }),
            ..Seen::default()
        },
    }
}

fn say(troubles: &[(Api, AwsErrorKind, &str)]) -> Verdict {
    let reports: Vec<_> = troubles
        .iter()
        .map(|(api, kind, said)| report(*api, Some((*kind, *said))))
        .collect();
    verdict(&reports, &Inner::default(), NOW_MS)
}

#[test]
fn what_works_is_said_too() {
    let reports = [report(Api::StartExecution, None)];
    let verdict = verdict(&reports, &Inner::default(), NOW_MS);
    assert_eq!(verdict.level, HealthLevel::Good);
    assert_eq!(verdict.sentence, "Everything works.");
}

#[test]
fn throttling_waits_and_names_the_service_and_the_time() {
    let verdict = say(&[(
        Api::StartExecution,
        AwsErrorKind::Throttled,
        "ThrottlingException",
    )]);
    assert_eq!(verdict.level, HealthLevel::Waiting);
    assert_eq!(
        verdict.sentence,
        "Step Functions asks to call less often since 14:03 UTC: work waits, nothing is lost."
    );
}

#[test]
fn a_bucket_that_a_person_named_and_may_not_list_is_no_fault_of_gantrys() {
    let verdict = say(&[(Api::ListObjectsV2, AwsErrorKind::Denied, "AccessDenied")]);
    assert_eq!(verdict.level, HealthLevel::Good);
}

#[test]
fn credentials_that_ran_out_are_told_apart_from_a_policy_that_lacks_an_action() {
    let expired = say(&[
        (
            Api::StartExecution,
            AwsErrorKind::Throttled,
            "ThrottlingException",
        ),
        (Api::ReceiveMessage, AwsErrorKind::Denied, "ExpiredToken"),
    ]);
    assert_eq!(expired.level, HealthLevel::Broken);
    assert!(
        expired.sentence.contains("as they have expired"),
        "{expired:?}"
    );
    let none = say(&[(Api::GetObject, AwsErrorKind::Denied, error::NO_CREDENTIALS)]);
    assert!(
        none.sentence.contains("found no AWS credentials"),
        "{none:?}"
    );
    let policy = say(&[
        (
            Api::StopExecution,
            AwsErrorKind::Denied,
            "AccessDeniedException",
        ),
        (Api::UploadPart, AwsErrorKind::Denied, "AccessDenied"),
    ]);
    assert!(
        policy
            .sentence
            .contains("call StopExecution and UploadPart since"),
        "{policy:?}"
    );
    let advice = policy.advice.unwrap();
    assert!(
        advice.contains("Allow states:StopExecution and s3:PutObject in"),
        "{advice}"
    );
}

#[test]
fn one_service_that_is_away_is_not_aws() {
    let away = |api| (api, AwsErrorKind::Unreachable, "no answer");
    let one = say(&[away(Api::ReceiveMessage), away(Api::GetQueueAttributes)]);
    assert!(one.sentence.starts_with("SQS has not answered"), "{one:?}");
    let all = say(&[
        away(Api::StartExecution),
        away(Api::ReceiveMessage),
        away(Api::ListShards),
    ]);
    assert!(all.sentence.starts_with("AWS has not answered"), "{all:?}");
}

#[test]
fn an_old_failure_of_what_nobody_calls_is_not_how_things_are() {
    let reports = [report(
        Api::DescribeImages,
        Some((AwsErrorKind::Unreachable, "no answer")),
    )];
    let later = verdict(&reports, &Inner::default(), NOW_MS + 3_600_000);
    assert_eq!(later.level, HealthLevel::Good);
}

#[test]
fn what_waits_long_is_told_with_its_number() {
    let mut signs = Inner::default();
    signs.backlog.outbox_rows = 3;
    signs.backlog.outbox_oldest_ms = Some(NOW_MS - 26 * 3_600_000);
    let late = verdict(&[], &signs, NOW_MS);
    assert_eq!(
        late.sentence,
        "3 promised calls have waited since 2026-11-25 12:10 UTC."
    );
    signs.store_away_since_ms = Some(SINCE_MS);
    assert_eq!(verdict(&[], &signs, NOW_MS).level, HealthLevel::Broken);
}
