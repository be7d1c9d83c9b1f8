//! Subscription filters: events go to Kinesis, gzipped, at least once and in order.
//!
//! Owns the cursor: it moves in the store after Kinesis has the record, so that a killed `local`
//! delivers again what it may have delivered, and never skips. As on AWS, a destination that refuses
//! for good loses the events; the reason is logged.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::sync::Notify;

use super::pattern::Pattern;
use crate::kinesis::Kinesis;
use crate::store::Store;
use crate::wire::{ACCOUNT, AwsError, now_ms};

/// Events read in one pass.
const EVENTS_MAX: i64 = 2000;
/// Text in one record before compression, bytes: stays under Kinesis's 1 MiB whatever it holds.
const RECORD_BYTES_MAX: usize = 700_000;
/// Lets events gather, so that each record carries more than one.
const GATHER: Duration = Duration::from_millis(50);
/// Pause after the store or Kinesis failed.
const RETRY: Duration = Duration::from_secs(2);

struct Subscription {
    group: String,
    name: String,
    pattern: Pattern,
    destination: String,
    delivered: i64,
}

struct Event {
    id: i64,
    timestamp_ms: i64,
    message: String,
}

/// Delivers until the store closes.
pub(super) async fn run(store: Store, kinesis: Arc<Kinesis>, written: Arc<Notify>) {
    loop {
        tokio::select! {
            () = written.notified() => {}
            () = store.stopping.cancelled() => return,
        }
        loop {
            match pass(&store, &kinesis).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if store.stopping.is_cancelled() => return,
                Err(error) => {
                    tracing::warn!(%error, "delivery of log events will be tried again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// One pass over what is new; `true` when there may be more.
async fn pass(store: &Store, kinesis: &Kinesis) -> Result<bool, AwsError> {
    let subscriptions = subscriptions(store).await?;
    let Some(from) = subscriptions
        .iter()
        .map(|subscription| subscription.delivered)
        .min()
    else {
        return Ok(false);
    };
    let rows = sqlx::query(
        "SELECT e.id, e.timestamp_ms, e.message, s.log_group, s.name FROM logs_events e
         JOIN logs_streams s ON s.id = e.stream WHERE e.id > ? ORDER BY e.id LIMIT ?",
    )
    .bind(from)
    .bind(EVENTS_MAX)
    .fetch_all(&store.db)
    .await?;
    let Some(last) = rows.last().map(|row| row.get::<i64, _>("id")) else {
        return Ok(false);
    };
    let more = i64::try_from(rows.len()).is_ok_and(|count| count == EVENTS_MAX);
    let mut streams: BTreeMap<(String, String), Vec<Event>> = BTreeMap::new();
    for row in rows {
        let event = Event {
            id: row.get("id"),
            timestamp_ms: row.get("timestamp_ms"),
            message: row.get("message"),
        };
        streams
            .entry((row.get("log_group"), row.get("name")))
            .or_default()
            .push(event);
    }
    for subscription in &subscriptions {
        for ((group, stream), events) in &streams {
            if *group == subscription.group {
                deliver(kinesis, subscription, stream, events).await?;
            }
        }
    }
    sqlx::query("UPDATE logs_subscriptions SET delivered_id = ?1 WHERE delivered_id < ?1")
        .bind(last)
        .execute(&store.db)
        .await?;
    Ok(more)
}

async fn subscriptions(store: &Store) -> Result<Vec<Subscription>, AwsError> {
    let rows = sqlx::query("SELECT * FROM logs_subscriptions")
        .fetch_all(&store.db)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Subscription {
                group: row.get("log_group"),
                name: row.get("name"),
                // Refused when it was put; what cannot be read matches nothing.
                pattern: Pattern::parse(row.get("pattern")).ok()?,
                destination: row.get("destination_arn"),
                delivered: row.get("delivered_id"),
            })
        })
        .collect())
}

async fn deliver(
    kinesis: &Kinesis,
    subscription: &Subscription,
    stream: &str,
    events: &[Event],
) -> Result<(), AwsError> {
    let mut chosen: Vec<Value> = Vec::new();
    let mut size = 0;
    for event in events
        .iter()
        .filter(|event| event.id > subscription.delivered)
    {
        if !subscription.pattern.matches(&event.message) {
            continue;
        }
        if size + event.message.len() > RECORD_BYTES_MAX && !chosen.is_empty() {
            send(kinesis, subscription, stream, std::mem::take(&mut chosen)).await?;
            size = 0;
        }
        size += event.message.len() + 100;
        chosen.push(json!({
            "id": format!("{:056}", event.id), "timestamp": event.timestamp_ms, "message": event.message,
        }));
    }
    if chosen.is_empty() {
        Ok(())
    } else {
        send(kinesis, subscription, stream, chosen).await
    }
}

async fn send(
    kinesis: &Kinesis,
    subscription: &Subscription,
    stream: &str,
    events: Vec<Value>,
) -> Result<(), AwsError> {
    let payload = json!({
        "messageType": "DATA_MESSAGE",
        "owner": ACCOUNT,
        "logGroup": subscription.group,
        "logStream": stream,
        "subscriptionFilters": [subscription.name],
        "logEvents": events,
    });
    match kinesis
        .put(&subscription.destination, stream, gzip(&payload)?)
        .await
    {
        Err(error) if error.status < 500 => {
            tracing::warn!(%error, destination = subscription.destination, "the subscription's destination refused events");
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

/// The record that AWS sends when a subscription filter is put, to see whether the destination takes it.
pub(super) async fn check(kinesis: &Kinesis, destination: &str) -> Result<(), AwsError> {
    let payload = json!({
        "messageType": "CONTROL_MESSAGE",
        "owner": "CloudwatchLogs",
        "logGroup": "",
        "logStream": "",
        "subscriptionFilters": [],
        "logEvents": [{
            "id": "",
            "timestamp": now_ms(),
            "message": "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream.",
        }],
    });
    kinesis
        .put(destination, "CloudwatchLogs", gzip(&payload)?)
        .await
        .map(|_| ())
}

fn gzip(payload: &Value) -> Result<Bytes, AwsError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(payload.to_string().as_bytes())?;
    Ok(encoder.finish()?.into())
}
