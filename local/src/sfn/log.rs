//! What executions write to CloudWatch Logs: which of their events, where to, in which form.
//!
//! Owns the levels and the lines. Refuses to wait: as on AWS, logs are best effort and never hold up an execution.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html>

use std::sync::Arc;

use asl::{EventType, HistoryEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Sfn;
use crate::logs::Line;
use crate::wire::{AwsError, now_ms};

/// The stream that AWS makes when it sets a destination up.
const VALIDATION_STREAM: &str = "log_stream_created_by_aws_to_validate_log_delivery_subscriptions";
/// What AWS writes there.
const VALIDATION_LINE: &str = "Permissions are set correctly to allow AWS CloudWatch Logs to write into your logs while creating a subscription.";

/// Which events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Fatal,
    Error,
    All,
}

/// Where a revision of a state machine logs to.
#[derive(Debug)]
pub struct Destination {
    level: Level,
    with_data: bool,
    group: Arc<str>,
    machine: String,
}

/// One execution's way into its log stream.
#[derive(Debug, Clone)]
pub struct ExecutionLog {
    destination: Arc<Destination>,
    stream: Arc<str>,
}

impl Destination {
    /// Reads a logging configuration; `None` when nothing is to be logged.
    pub fn of(logging: &str, machine: &str) -> Option<Arc<Destination>> {
        let logging: Value = serde_json::from_str(logging).ok()?;
        let level = match logging["level"].as_str()? {
            "ALL" => Level::All,
            "ERROR" => Level::Error,
            "FATAL" => Level::Fatal,
            _ => return None,
        };
        Some(Arc::new(Destination {
            level,
            with_data: logging["includeExecutionData"] == true,
            group: group_of(&logging)?.into(),
            machine: machine.to_owned(),
        }))
    }

    /// A new stream for an execution.
    pub fn begin(self: &Arc<Self>) -> ExecutionLog {
        let minute = jiff::Timestamp::now().strftime("%Y-%m-%d-%H-%M");
        let unique = &Uuid::new_v4().simple().to_string()[..8];
        ExecutionLog {
            destination: self.clone(),
            stream: format!("states/{}/{minute}/{unique}", self.machine).into(),
        }
    }
}

impl ExecutionLog {
    /// The line for an event; `None` if the level leaves it out.
    pub fn line(&self, arn: &str, redrives: i64, event: &HistoryEvent) -> Option<Line> {
        let destination = &self.destination;
        if level_of(event.kind) > destination.level {
            return None;
        }
        let wire = event.to_wire(destination.with_data);
        let details = wire
            .as_object()
            .into_iter()
            .flatten()
            .find(|(name, _)| name.ends_with("EventDetails"))
            .map_or_else(|| json!({}), |(_, details)| details.clone());
        let message = json!({
            "id": event.id.to_string(),
            "type": event.kind.as_str(),
            "details": details,
            "redrive_count": redrives.to_string(),
            "previous_event_id": event.previous_event_id.to_string(),
            "event_timestamp": event.timestamp_ms.to_string(),
            "execution_arn": arn,
        });
        Some(Line {
            group: destination.group.clone(),
            stream: self.stream.clone(),
            timestamp_ms: event.timestamp_ms,
            message: message.to_string(),
        })
    }
}

impl Sfn {
    /// The log group of a configuration must be there.
    pub(super) async fn check_log_group(&self, given: Option<&Value>) -> Result<(), AwsError> {
        let Some(destination) = given.filter(|given| given["destinations"][0].is_object()) else {
            return Ok(());
        };
        let exists = match group_of(destination) {
            Some(group) => self.driver.peers.logs.has_group(&group).await?,
            None => false,
        };
        if exists {
            return Ok(());
        }
        Err(AwsError::bad_request(
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Log Destination not found.",
        ))
    }

    /// Writes what AWS writes when a state machine is created that logs.
    pub(super) async fn subscribe_log(&self, logging: &str) {
        if let Some(destination) = Destination::of(logging, "") {
            let line = Line {
                group: destination.group.clone(),
                stream: VALIDATION_STREAM.into(),
                timestamp_ms: now_ms(),
                message: VALIDATION_LINE.to_owned(),
            };
            self.driver.peers.logs.append_soon(vec![line]).await;
        }
    }
}

/// The name of the log group that a configuration names by its ARN.
fn group_of(logging: &Value) -> Option<String> {
    let destination = &logging["destinations"][0]["cloudWatchLogsLogGroup"];
    let arn = destination["logGroupArn"].as_str()?;
    let (_, group) = arn.split_once(":log-group:")?;
    Some(group.strip_suffix(":*").unwrap_or(group).to_owned())
}

/// The lowest level that an event is written at.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-log-level>
fn level_of(kind: EventType) -> Level {
    let name = kind.as_str();
    let troubled = ["Failed", "TimedOut", "Aborted"]
        .iter()
        .any(|end| name.ends_with(end));
    match name {
        "FailStateEntered" => Level::Error,
        _ if troubled && name.starts_with("Execution") => Level::Fatal,
        _ if troubled => Level::Error,
        _ => Level::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        assert_eq!(level_of(EventType::ExecutionFailed), Level::Fatal);
        assert_eq!(level_of(EventType::ExecutionSucceeded), Level::All);
        assert_eq!(level_of(EventType::TaskTimedOut), Level::Error);
        assert_eq!(level_of(EventType::FailStateEntered), Level::Error);
        assert_eq!(level_of(EventType::PassStateEntered), Level::All);
    }

    #[test]
    fn configurations() {
        let of = |level: &str| {
            let group =
                json!({"logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/a/b:*"});
            let logging =
                json!({"level": level, "destinations": [{"cloudWatchLogsLogGroup": group}]});
            Destination::of(&logging.to_string(), "m")
        };
        assert_eq!(&*of("ERROR").unwrap().group, "/a/b");
        assert!(of("OFF").is_none());
        assert!(Destination::of(r#"{"level":"ALL"}"#, "m").is_none());
    }
}
