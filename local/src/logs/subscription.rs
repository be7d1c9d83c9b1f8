//! Subscription filters as the API sees them: put, described, deleted.
//!
//! Owns their rows in `logs_subscriptions`; [`super::delivery`] acts on them.

use serde_json::{Value, json};
use sqlx::Row;

use super::api::{invalid, known_group, not_found, text};
use super::pattern::Pattern;
use super::{Logs, delivery};
use crate::wire::{AwsError, now_ms};

/// Subscription filters that a log group may have, as on AWS.
const SUBSCRIPTIONS_MAX: i64 = 2;

pub(super) async fn put(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let name = text(input, "filterName")?;
    let pattern = input["filterPattern"].as_str().unwrap_or("");
    Pattern::parse(pattern).map_err(|why| invalid(&why))?;
    let destination = text(input, "destinationArn")?;
    if !destination.starts_with("arn:aws:kinesis:") {
        return Err(invalid(
            "local delivers to Kinesis streams: destinationArn must be a stream's ARN",
        ));
    }
    delivery::check(&logs.kinesis, destination).await.map_err(|error| {
        invalid(&format!("Could not deliver test message to specified Kinesis stream. Check if the given Kinesis stream is in ACTIVE state. ({error})"))
    })?;
    let mut transaction = logs.store.begin().await?;
    let others: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM logs_subscriptions WHERE log_group = ? AND name <> ?",
    )
    .bind(group)
    .bind(name)
    .fetch_one(&mut *transaction)
    .await?;
    if others >= SUBSCRIPTIONS_MAX {
        return Err(AwsError::bad_request(
            "LimitExceededException",
            "Resource limit exceeded.",
        ));
    }
    // A new filter is owed what is written from now on; a changed one keeps its place.
    sqlx::query(
        "INSERT INTO logs_subscriptions VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(id), 0) FROM logs_events))
         ON CONFLICT (log_group, name) DO UPDATE SET pattern = excluded.pattern,
           destination_arn = excluded.destination_arn, role_arn = excluded.role_arn, distribution = excluded.distribution",
    )
    .bind(group)
    .bind(name)
    .bind(pattern)
    .bind(destination)
    .bind(input["roleArn"].as_str())
    .bind(input["distribution"].as_str().unwrap_or("ByLogStream"))
    .bind(now_ms())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    logs.written.notify_one();
    Ok(json!({}))
}

pub(super) async fn describe(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let group = known_group(logs, input).await?;
    let rows = sqlx::query("SELECT * FROM logs_subscriptions WHERE log_group = ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name")
        .bind(group)
        .bind(input["filterNamePrefix"].as_str().unwrap_or(""))
        .fetch_all(&logs.store.db)
        .await?;
    let filters: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut filter = json!({
                "filterName": row.get::<String, _>("name"),
                "logGroupName": group,
                "filterPattern": row.get::<String, _>("pattern"),
                "destinationArn": row.get::<String, _>("destination_arn"),
                "distribution": row.get::<String, _>("distribution"),
                "creationTime": row.get::<i64, _>("created_at_ms"),
            });
            if let Some(role) = row.get::<Option<String>, _>("role_arn") {
                filter["roleArn"] = json!(role);
            }
            filter
        })
        .collect();
    Ok(json!({"subscriptionFilters": filters}))
}

pub(super) async fn delete(logs: &Logs, input: &Value) -> Result<Value, AwsError> {
    let gone = sqlx::query("DELETE FROM logs_subscriptions WHERE log_group = ? AND name = ?")
        .bind(known_group(logs, input).await?)
        .bind(text(input, "filterName")?)
        .execute(&logs.store.db)
        .await?;
    if gone.rows_affected() == 0 {
        Err(not_found("subscription filter"))
    } else {
        Ok(json!({}))
    }
}
