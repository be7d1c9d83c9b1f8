//! The sentence at the top of the Health page: the worst that is true now, since when, and what a person can do.
//! Owns words and thresholds.

use model::{ApiState, HealthLevel, TimestampMs, Verdict};

use super::{Inner, state_of};
use crate::aws::{Api, ApiReport, error};

/// How long a promised call may wait before the verdict says so.
const OUTBOX_LATE_MS: i64 = 60_000;
/// How far behind the telemetry stream's reader may be.
const LAG_LATE_MS: u64 = 60_000;
/// Services in trouble from which on it is AWS that is.
const SERVICES_MANY: usize = 3;

/// What is true now; `now_ms` is the moment.
pub(super) fn verdict(reports: &[ApiReport], signs: &Inner, now_ms: i64) -> Verdict {
    let in_state = |wanted: ApiState| -> Vec<Trouble> {
        reports
            .iter()
            .filter_map(|report| match state_of(report, now_ms) {
                (state, Some(since_ms)) if state == wanted => Some(Trouble {
                    api: report.api,
                    since_ms,
                    said: report.seen.last_error.as_ref().map(|error| &*error.said),
                }),
                _ => None,
            })
            .collect()
    };
    store(signs, now_ms)
        .or_else(|| {
            let mut denied_to_us = in_state(ApiState::Denied);
            // Only a person's preview lists objects, and is told what AWS says of the bucket they named.
            denied_to_us.retain(|trouble| trouble.api != Api::ListObjectsV2);
            denied(&denied_to_us, now_ms)
        })
        .or_else(|| unreachable(&in_state(ApiState::Unreachable), now_ms))
        .or_else(|| throttled(&in_state(ApiState::Throttled), now_ms))
        .or_else(|| late(signs, now_ms))
        .unwrap_or_else(|| Verdict {
            level: HealthLevel::Good,
            sentence: "Everything works.".to_owned(),
            advice: None,
            since_ms: None,
        })
}

/// An API in trouble.
struct Trouble<'a> {
    api: Api,
    since_ms: i64,
    said: Option<&'a str>,
}

fn broken(sentence: String, advice: impl Into<String>, since_ms: i64) -> Verdict {
    Verdict {
        level: HealthLevel::Broken,
        sentence,
        advice: Some(advice.into()),
        since_ms: Some(TimestampMs(since_ms)),
    }
}

fn waiting(sentence: String, advice: &str, since_ms: i64) -> Verdict {
    Verdict {
        level: HealthLevel::Waiting,
        ..broken(sentence, advice, since_ms)
    }
}

fn store(signs: &Inner, now_ms: i64) -> Option<Verdict> {
    let since_ms = signs.store_away_since_ms?;
    let since = since_text(since_ms, now_ms);
    Some(broken(
        format!("The database has not answered {since}: nothing can be submitted or shown."),
        "See that it runs, that its disk has room, and that DATABASE_URL names it; the server's log has the cause.",
        since_ms,
    ))
}

fn denied(troubles: &[Trouble], now_ms: i64) -> Option<Verdict> {
    let since_ms = first(troubles)?;
    let since = since_text(since_ms, now_ms);
    let code = troubles
        .iter()
        .filter_map(|trouble| trouble.said)
        .find(|said| error::is_about_credentials(said));
    Some(match code {
        Some(error::NO_CREDENTIALS) => broken(
            format!(
                "Gantry has found no AWS credentials {since}: work waits for them, nothing is lost."
            ),
            "Give the server a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and start it again.",
            since_ms,
        ),
        Some(code) if error::is_expired(code) => broken(
            format!(
                "AWS has refused Gantry's credentials {since}, as they have expired: work waits for new ones, nothing is lost."
            ),
            "Renew them where the server runs (its role, or aws sso login for a profile). Gantry tries again by itself; credentials in environment variables need a new start.",
            since_ms,
        ),
        Some(code) => broken(
            format!(
                "AWS has refused Gantry's credentials {since} ({code}): work waits for others, nothing is lost."
            ),
            "See which account, region and keys the server was given, and that its clock is right.",
            since_ms,
        ),
        None => broken(
            format!(
                "AWS has not let Gantry call {} {since}: what needs it waits, nothing is lost.",
                names(troubles)
            ),
            format!(
                "Allow {} in the policy of the role that the server runs as. Gantry tries again by itself.",
                actions(troubles)
            ),
            since_ms,
        ),
    })
}

fn unreachable(troubles: &[Trouble], now_ms: i64) -> Option<Verdict> {
    let since_ms = first(troubles)?;
    let since = since_text(since_ms, now_ms);
    let services = services(troubles);
    let who = who(&services, "has", "have");
    Some(broken(
        format!("{who} not answered {since}: work waits, nothing is lost."),
        "See that the server reaches the network and what AWS_ENDPOINT_URL says, then https://health.aws.amazon.com/health/status. Gantry goes on by itself once AWS answers.",
        since_ms,
    ))
}

fn throttled(troubles: &[Trouble], now_ms: i64) -> Option<Verdict> {
    let since_ms = first(troubles)?;
    let services = services(troubles);
    Some(waiting(
        format!(
            "{} to call less often {}: work waits, nothing is lost.",
            who(&services, "asks", "ask"),
            since_text(since_ms, now_ms)
        ),
        "Nothing has to be done. If it comes often, ask AWS for a higher quota and set it in GANTRY_AWS_RATES, or see who else calls AWS from this account.",
        since_ms,
    ))
}

fn late(signs: &Inner, now_ms: i64) -> Option<Verdict> {
    let oldest = signs.backlog.outbox_oldest_ms;
    if let Some(since_ms) = oldest.filter(|at| now_ms - at > OUTBOX_LATE_MS) {
        let calls = match signs.backlog.outbox_rows {
            1 => "1 promised call has waited".to_owned(),
            rows => format!("{rows} promised calls have waited"),
        };
        return Some(waiting(
            format!("{calls} {}.", since_text(since_ms, now_ms)),
            "They go on by themselves. The queued jobs are those that wait.",
            since_ms,
        ));
    }
    let lag = signs
        .slowest(now_ms)
        .filter(|stream| stream.lag_ms > LAG_LATE_MS)?;
    Some(waiting(
        format!(
            "Progress and cold starts come {} late.",
            model::time::duration_text(lag.lag_ms)
        ),
        "The telemetry stream is read on by itself; what jobs do is not held up by it.",
        lag.as_of_ms.0,
    ))
}

fn first(troubles: &[Trouble]) -> Option<i64> {
    troubles.iter().map(|trouble| trouble.since_ms).min()
}

fn services(troubles: &[Trouble]) -> Vec<&'static str> {
    let mut services: Vec<_> = troubles
        .iter()
        .map(|trouble| trouble.api.service())
        .collect();
    services.dedup();
    services
}

/// Some services, or AWS when they are many, with a verb.
fn who(services: &[&str], one: &str, many: &str) -> String {
    match services.len() {
        1 => format!("{} {one}", services[0]),
        SERVICES_MANY.. => format!("AWS {one}"),
        _ => format!("{} {many}", listed(services)),
    }
}

fn names(troubles: &[Trouble]) -> String {
    let names: Vec<_> = troubles.iter().map(|trouble| trouble.api.name()).collect();
    listed(&names)
}

fn actions(troubles: &[Trouble]) -> String {
    let mut actions: Vec<_> = troubles.iter().map(|trouble| action(trouble.api)).collect();
    actions.dedup();
    listed(&actions.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}

/// The action that a policy must allow.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
fn action(api: Api) -> String {
    let prefix = match api.service() {
        "Step Functions" => "states",
        "SQS" => "sqs",
        "Kinesis" => "kinesis",
        "S3" => "s3",
        "Lambda" => "lambda",
        _ => "ecr",
    };
    let name = match api {
        Api::DeleteMessageBatch => "DeleteMessage",
        Api::ListObjectsV2 => "ListBucket",
        Api::CreateMultipartUpload | Api::UploadPart | Api::CompleteMultipartUpload => "PutObject",
        api => api.name(),
    };
    format!("{prefix}:{name}")
}

/// `since 14:03 UTC`, with the day when it was another.
fn since_text(since_ms: i64, now_ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let format = if since_ms.div_euclid(DAY_MS) == now_ms.div_euclid(DAY_MS) {
        "since %H:%M UTC"
    } else {
        "since %Y-%m-%d %H:%M UTC"
    };
    jiff::Timestamp::from_millisecond(since_ms)
        .unwrap_or_default()
        .strftime(format)
        .to_string()
}

#[cfg(test)]
mod tests;
