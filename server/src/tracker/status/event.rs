//! What a message of the status queue says. Owns EventBridge's format; knows no store.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>

use serde::Deserialize;
use serde_json::Value;

use crate::store::StatusChange;

/// A change, and what its execution was started with where the event tells that.
#[derive(Debug)]
pub(super) struct Told {
    pub change: StatusChange,
    pub input: Option<Value>,
}

/// An EventBridge event, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Value,
}

/// The detail of a *Step Functions Execution Status Change*. Dates are milliseconds since 1970. An input too large
/// for an event is left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: model::ExecutionStatus,
    start_date: Option<i64>,
    stop_date: Option<i64>,
    input: Option<String>,
    error: Option<String>,
    cause: Option<String>,
    redrive_count: Option<u32>,
    redrive_status: Option<String>,
    redrive_status_reason: Option<String>,
}

/// The end of the year 9999, the last that RFC 3339 can write.
const DATE_MAX: i64 = 253_402_300_799_999;

/// What an event tells; none when it tells of something else, or of what cannot be: one event that a database
/// refuses would hold up all that are written with it.
pub(super) fn told(body: &str, now_ms: i64) -> Option<Told> {
    let event: Event = serde_json::from_str(body).ok()?;
    if event.detail_type != "Step Functions Execution Status Change" {
        return None;
    }
    let detail: Detail = serde_json::from_value(event.detail).ok()?;
    let dates = [detail.start_date, detail.stop_date];
    let can_be = dates
        .iter()
        .flatten()
        .all(|date| (0..=DATE_MAX).contains(date));
    if !can_be || detail.execution_arn.contains(char::is_control) {
        return None;
    }
    Some(Told {
        input: detail
            .input
            .and_then(|input| serde_json::from_str(&input).ok()),
        change: StatusChange {
            arn: detail.execution_arn,
            status: detail.status,
            redrive_count: detail.redrive_count,
            started_at_ms: detail.start_date,
            ended_at_ms: detail.stop_date,
            error: detail.error,
            cause: detail.cause,
            redrive_status: detail.redrive_status,
            redrive_reason: detail.redrive_status_reason,
            heard_at_ms: now_ms,
        },
    })
}
