//! CloudWatch Logs' operations.
//!
//! Owns reading inputs and shaping answers. Refuses Logs Insights.
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/>

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::pattern::Pattern;
use super::{Line, Logs, subscription};
use crate::wire::{ACCOUNT, AwsError, REGION, now_ms};

const OPERATIONS: &[&str] = &[
    "CreateLogGroup",
    "DeleteLogGroup",
    "DescribeLogGroups",
    "PutRetentionPolicy",
    "CreateLogStream",
    "DescribeLogStreams",
    "PutLogEvents",
    "GetLogEvents",
    "FilterLogEvents",
    "PutSubscriptionFilter",
    "DescribeSubscriptionFilters",
    "DeleteSubscriptionFilter",
];

/// Most events in one answer, as on AWS.
const EVENTS_MAX: i64 = 10_000;
pub(super) async fn call(logs: &Logs, operation: &str, input: Value) -> Result<Value, AwsError> {
    match operation {
        "CreateLogGroup" => create_group(logs, &input).await,
        "DeleteLogGroup" => delete_group(logs, &input).await,
        "DescribeLogGroups" => describe_groups(logs, &input).await,
        "PutRetentionPolicy" => put_retention(logs, &input).await,
        "CreateLogStream" => create_stream(logs, &input).await,
        "DescribeLogStreams" => describe_streams(logs, &input).await,
        "PutLogEvents" => put_events(logs, &input).await,
        "GetLogEvents" => get_events(logs, &input).await,
        "FilterLogEvents" => filter_events(logs, &input).await,
        "PutSubscriptionFilter" => subscription::put(logs, &input).await,
        "DescribeSubscriptionFilters" => subscription::describe(logs, &input).await,
        "DeleteSubscriptionFilter" => subscription::delete(logs, &input).await,
        _ => Err(AwsError::unknown_operation(
            "CloudWatch Logs",
            operation,
            OPERATIONS,
        )),
    }
}

async fn create_group(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let made = sqlx::query("INSERT OR IGNORE INTO logs_groups (name, created_at_ms) VALUES (?, ?)")
        .bind(group(input)?)
        .bind(now_ms())
        .execute(&logs.store.db)
        .await?;
    if made.rows_affected() == 0 {
        return Err(already_exists("log group"));
    }
    Ok(json!({}))
}

async fn delete_group(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let gone = sqlx::query("DELETE FROM logs_groups WHERE name = ?")
        .bind(group(input)?)
        .execute(&logs.store.db)
        .await?;
    if gone.rows_affected() == 0 {
        Err(not_found("log group"))
    } else {
        Ok(json!({}))
    }
}

async fn describe_groups(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let limit = limit(input, 50);
    let rows = sqlx::query(
        "SELECT * FROM logs_groups WHERE substr(name, 1, length(?1)) = ?1 AND instr(name, ?2) > 0 AND name > ?3
         ORDER BY name LIMIT ?4",
    )
    .bind(input["logGroupNamePrefix"].as_str().unwrap_or(""))
    .bind(input["logGroupNamePattern"].as_str().unwrap_or(""))
    .bind(input["nextToken"].as_str().unwrap_or(""))
    .bind(limit)
    .fetch_all(&logs.store.db)
    .await?;
    let next = full(&rows, limit).map(|row| row.get::<String, _>("name"));
    let groups: Vec<Value> = rows
        .iter()
        .map(|row| {
            let name: String = row.get("name");
            let arn = group_arn(&name);
            let mut group = json!({
                "logGroupName": name,
                "creationTime": row.get::<i64, _>("created_at_ms"),
                "metricFilterCount": 0,
                "arn": format!("{arn}:*"),
                "logGroupArn": arn,
                "storedBytes": 0,
                "logGroupClass": "STANDARD",
            });
            if let Some(days) = row.get::<Option<i64>, _>("retention_days") {
                group["retentionInDays"] = json!(days);
            }
            group
        })
        .collect();
    Ok(page(json!({"logGroups": groups}), next))
}

async fn put_retention(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let changed = sqlx::query("UPDATE logs_groups SET retention_days = ? WHERE name = ?")
        .bind(input["retentionInDays"].as_i64())
        .bind(group(input)?)
        .execute(&logs.store.db)
        .await?;
    if changed.rows_affected() == 0 {
        Err(not_found("log group"))
    } else {
        Ok(json!({}))
    }
}

async fn create_stream(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let made = sqlx::query(
        "INSERT OR IGNORE INTO logs_streams (log_group, name, created_at_ms) VALUES (?, ?, ?)",
    )
    .bind(group)
    .bind(text(input, "logStreamName")?)
    .bind(now_ms())
    .execute(&logs.store.db)
    .await?;
    if made.rows_affected() == 0 {
        Err(already_exists("log stream"))
    } else {
        Ok(json!({}))
    }
}

async fn describe_streams(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let limit = limit(input, 50);
    let skip: i64 = input["nextToken"]
        .as_str()
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let order = match (
        input["orderBy"].as_str(),
        input["descending"].as_bool().unwrap_or(false),
    ) {
        (Some("LastEventTime"), false) => "last_event_ms, name",
        (Some("LastEventTime"), true) => "last_event_ms DESC, name DESC",
        (_, false) => "name",
        (_, true) => "name DESC",
    };
    let sql = format!(
        "SELECT * FROM logs_streams WHERE log_group = ?1 AND substr(name, 1, length(?2)) = ?2
         ORDER BY {order} LIMIT ?3 OFFSET ?4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(group)
        .bind(input["logStreamNamePrefix"].as_str().unwrap_or(""))
        .bind(limit)
        .bind(skip)
        .fetch_all(&logs.store.db)
        .await?;
    let next = full(&rows, limit).map(|_| (skip + limit).to_string());
    let streams: Vec<Value> = rows
        .iter()
        .map(|row| {
            let name: String = row.get("name");
            let mut stream = json!({
                "logStreamName": name,
                "creationTime": row.get::<i64, _>("created_at_ms"),
                "arn": format!("{}:log-stream:{name}", group_arn(group)),
                "storedBytes": 0,
            });
            for (member, column) in [
                ("firstEventTimestamp", "first_event_ms"),
                ("lastEventTimestamp", "last_event_ms"),
                ("lastIngestionTime", "last_ingestion_ms"),
            ] {
                if let Some(at) = row.get::<Option<i64>, _>(column) {
                    stream[member] = json!(at);
                }
            }
            stream
        })
        .collect();
    Ok(page(json!({"logStreams": streams}), next))
}

async fn put_events(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let stream = text(input, "logStreamName")?;
    known_stream(logs, group, stream).await?;
    let events = input["logEvents"]
        .as_array()
        .filter(|events| !events.is_empty() && events.len() <= 10_000);
    let events = events.ok_or_else(|| invalid("logEvents must hold between 1 and 10000 events"))?;
    let (group, stream): (std::sync::Arc<str>, std::sync::Arc<str>) = (group.into(), stream.into());
    let mut lines = Vec::with_capacity(events.len());
    for event in events {
        lines.push(Line {
            group: group.clone(),
            stream: stream.clone(),
            timestamp_ms: event["timestamp"]
                .as_i64()
                .ok_or_else(|| invalid("an event needs a timestamp"))?,
            message: text(event, "message")?.to_owned(),
        });
    }
    if lines
        .windows(2)
        .any(|pair| pair[0].timestamp_ms > pair[1].timestamp_ms)
    {
        return Err(invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    logs.append(lines).await?;
    Ok(json!({"nextSequenceToken": now_ms().to_string()}))
}

async fn get_events(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let stream = known_stream(logs, group, text(input, "logStreamName")?).await?;
    let limit = limit(input, EVENTS_MAX);
    // A token is a place between two events: direction, time, id.
    let token = input["nextToken"].as_str().map(place).transpose()?;
    let forward = token.map_or_else(
        || input["startFromHead"].as_bool().unwrap_or(false),
        |(forward, ..)| forward,
    );
    let (at, id) = match token {
        Some((_, at, id)) => (at, id),
        None if forward => (i64::MIN, i64::MIN),
        None => (i64::MAX, i64::MAX),
    };
    let (beyond, order) = if forward { (">", "ASC") } else { ("<", "DESC") };
    let sql = format!(
        "SELECT id, timestamp_ms, ingestion_ms, message FROM logs_events WHERE stream = ?1
         AND timestamp_ms >= ?2 AND timestamp_ms < ?3 AND (timestamp_ms, id) {beyond} (?4, ?5)
         ORDER BY timestamp_ms {order}, id {order} LIMIT ?6"
    );
    let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(stream)
        .bind(input["startTime"].as_i64().unwrap_or(i64::MIN))
        .bind(input["endTime"].as_i64().unwrap_or(i64::MAX))
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(&logs.store.db)
        .await?;
    if !forward {
        rows.reverse();
    }
    let token_of = |direction: &str, row: Option<&SqliteRow>| match row {
        Some(row) => format!(
            "{direction}/{}/{}",
            row.get::<i64, _>("timestamp_ms"),
            row.get::<i64, _>("id")
        ),
        None => format!("{direction}/{at}/{id}"),
    };
    let events: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "timestamp": row.get::<i64, _>("timestamp_ms"),
                "message": row.get::<String, _>("message"),
                "ingestionTime": row.get::<i64, _>("ingestion_ms"),
            })
        })
        .collect();
    Ok(json!({
        "events": events,
        "nextForwardToken": token_of("f", rows.last()),
        "nextBackwardToken": token_of("b", rows.first()),
    }))
}

async fn filter_events(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let pattern = Pattern::parse(input["filterPattern"].as_str().unwrap_or(""))
        .map_err(|why| invalid(&why))?;
    let names = input["logStreamNames"]
        .as_array()
        .map(|_| input["logStreamNames"].to_string());
    let limit = usize::try_from(limit(input, EVENTS_MAX)).unwrap_or(1);
    let (mut at, mut id) = match input["nextToken"].as_str() {
        Some(token) => place(token).map(|(_, at, id)| (at, id))?,
        None => (i64::MIN, i64::MIN),
    };
    let mut events = Vec::new();
    let mut next = None;
    // The pattern is not SQL's: read on until the answer is full or the log ends.
    'reading: loop {
        let rows = sqlx::query(
            "SELECT e.id, e.timestamp_ms, e.ingestion_ms, e.message, s.name FROM logs_events e
             JOIN logs_streams s ON s.id = e.stream WHERE s.log_group = ?1
             AND (?2 IS NULL OR s.name IN (SELECT value FROM json_each(?2)))
             AND substr(s.name, 1, length(?3)) = ?3 AND e.timestamp_ms >= ?4 AND e.timestamp_ms < ?5
             AND (e.timestamp_ms, e.id) > (?6, ?7) ORDER BY e.timestamp_ms, e.id LIMIT ?8",
        )
        .bind(group)
        .bind(&names)
        .bind(input["logStreamNamePrefix"].as_str().unwrap_or(""))
        .bind(input["startTime"].as_i64().unwrap_or(i64::MIN))
        .bind(input["endTime"].as_i64().unwrap_or(i64::MAX))
        .bind(at)
        .bind(id)
        .bind(EVENTS_MAX)
        .fetch_all(&logs.store.db)
        .await?;
        for row in &rows {
            (at, id) = (row.get("timestamp_ms"), row.get("id"));
            let message: String = row.get("message");
            if !pattern.matches(&message) {
                continue;
            }
            events.push(json!({
                "logStreamName": row.get::<String, _>("name"),
                "timestamp": at,
                "message": message,
                "ingestionTime": row.get::<i64, _>("ingestion_ms"),
                "eventId": format!("{id:056}"),
            }));
            if events.len() == limit {
                next = Some(format!("f/{at}/{id}"));
                break 'reading;
            }
        }
        if i64::try_from(rows.len()).is_ok_and(|count| count < EVENTS_MAX) {
            break;
        }
    }
    Ok(page(
        json!({"events": events, "searchedLogStreams": []}),
        next,
    ))
}

/// The log group's name, also when it is given by ARN.
fn group(input: &Value) -> Result<&str, AwsError> {
    let given = input["logGroupName"]
        .as_str()
        .or_else(|| input["logGroupIdentifier"].as_str());
    let given = given.ok_or_else(|| invalid("logGroupName must be given"))?;
    let name = match given.split_once(":log-group:") {
        Some((_, name)) => name.strip_suffix(":*").unwrap_or(name),
        None => given,
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    if name.is_empty() || name.len() > 512 || !name.chars().all(legal) {
        return Err(invalid(&format!("invalid log group name {name:?}")));
    }
    Ok(name)
}

pub(super) async fn known_group<'a>(logs: &Logs, input: &'a Value) -> Result<&'a str, AwsError> {
    let name = group(input)?;
    if logs.has_group(name).await? {
        Ok(name)
    } else {
        Err(not_found("log group"))
    }
}

async fn known_stream(logs: &Logs, group: &str, stream: &str) -> Result<i64, AwsError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM logs_streams WHERE log_group = ? AND name = ?")
            .bind(group)
            .bind(stream)
            .fetch_optional(&logs.store.db)
            .await?;
    found.ok_or_else(|| not_found("log stream"))
}

fn group_arn(name: &str) -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}")
}

pub(super) fn text<'a>(input: &'a Value, member: &str) -> Result<&'a str, AwsError> {
    input[member]
        .as_str()
        .ok_or_else(|| invalid(&format!("{member} must be given")))
}

/// Reads a paging token: direction, time, id.
fn place(token: &str) -> Result<(bool, i64, i64), AwsError> {
    let mut parts = token.split('/');
    match (
        parts.next(),
        parts.next().and_then(|at| at.parse().ok()),
        parts.next().and_then(|id| id.parse().ok()),
    ) {
        (Some(direction @ ("f" | "b")), Some(at), Some(id)) => Ok((direction == "f", at, id)),
        _ => Err(invalid("The specified nextToken is invalid.")),
    }
}

fn limit(input: &Value, most: i64) -> i64 {
    input["limit"].as_i64().unwrap_or(most).clamp(1, most)
}

fn full(rows: &[SqliteRow], limit: i64) -> Option<&SqliteRow> {
    rows.last()
        .filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count >= limit))
}

fn page(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}

pub(super) fn invalid(message: &str) -> AwsError {
    AwsError::bad_request("InvalidParameterException", message)
}

pub(super) fn not_found(what: &str) -> AwsError {
    AwsError::bad_request(
        "ResourceNotFoundException",
        format!("The specified {what} does not exist."),
    )
}

fn already_exists(what: &str) -> AwsError {
    AwsError::bad_request(
        "ResourceAlreadyExistsException",
        format!("The specified {what} already exists"),
    )
}
