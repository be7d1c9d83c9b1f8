//! Queues: their names, URLs and attributes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::{Row, SqliteConnection};

use super::{Sqs, arn, invalid_value, no_such_queue};
use crate::wire::{AwsError, now_ms};

/// Attributes that are numbers: name, default, smallest, largest.
const NUMBERS: &[(&str, i64, i64, i64)] = &[
    ("DelaySeconds", 0, 0, 900),
    ("MaximumMessageSize", 1_048_576, 1024, 1_048_576),
    ("MessageRetentionPeriod", 345_600, 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    ("VisibilityTimeout", 30, 0, 43_200),
    ("KmsDataKeyReusePeriodSeconds", 300, 60, 86_400),
];
/// Attributes that are kept as they are given.
const TEXTS: &[&str] = &[
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "SqsManagedSseEnabled",
];
/// Most queues in one answer of ListQueues.
const LIST_MAX: i64 = 1000;

/// A queue as the store has it.
#[derive(Debug)]
pub struct Queue {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    attributes: BTreeMap<String, String>,
    created_at_ms: i64,
    modified_at_ms: i64,
}

/// Where messages go that were received too often.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivePolicy {
    /// The dead-letter queue.
    pub dead_letter_target_arn: String,
    max_receive_count: Value,
}

impl RedrivePolicy {
    /// How often a message may be received; JSON number or string, as AWS takes both.
    pub fn receives_max(&self) -> Option<i64> {
        let count = &self.max_receive_count;
        count
            .as_i64()
            .or_else(|| count.as_str()?.parse().ok())
            .filter(|count| (1..=1000).contains(count))
    }
}

impl Queue {
    /// A numeric attribute, its default when it was never set.
    pub fn number(&self, name: &str) -> i64 {
        let default = NUMBERS.iter().find(|(known, ..)| *known == name);
        self.attributes
            .get(name)
            .and_then(|value| value.parse().ok())
            .or(default.map(|(_, default, ..)| *default))
            .unwrap_or_default()
    }

    /// Where messages go that were received too often, if that is set.
    pub fn redrive_policy(&self) -> Option<RedrivePolicy> {
        serde_json::from_str(self.attributes.get("RedrivePolicy")?).ok()
    }
}

/// The queue of that name.
pub async fn find(connection: &mut SqliteConnection, name: &str) -> Result<Queue, AwsError> {
    let row = sqlx::query(
        "SELECT id, name, attributes, created_at_ms, modified_at_ms FROM sqs_queues WHERE name = ?",
    )
    .bind(name)
    .fetch_optional(connection)
    .await?
    .ok_or_else(no_such_queue)?;
    Ok(Queue {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        attributes: serde_json::from_str(row.try_get("attributes")?).unwrap_or_default(),
        created_at_ms: row.try_get("created_at_ms")?,
        modified_at_ms: row.try_get("modified_at_ms")?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, rename = "tags", alias = "Tags")]
    tags: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfQueue {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    tags: Map<String, Value>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Sqs {
    pub(super) async fn create_queue(&self, ask: CreateQueue) -> Result<Value, AwsError> {
        check_name(&ask.queue_name)?;
        check_attributes(&ask.attributes)?;
        let mut transaction = self.store.begin().await?;
        match find(&mut transaction, &ask.queue_name).await {
            Ok(queue) => {
                let differs = ask.attributes.iter().find(|(name, value)| {
                    let own = queue.attributes.get(*name).cloned();
                    let own = own.or_else(|| default(name));
                    own.as_ref() != Some(*value)
                });
                if let Some((name, _)) = differs {
                    return Err(AwsError::bad_request(
                        "QueueNameExists",
                        format!(
                            "A queue already exists with the same name and a different value for attribute {name}"
                        ),
                    )
                    .query("QueueAlreadyExists"));
                }
            }
            Err(error) if error.code == "QueueDoesNotExist" => {
                let now_ms = now_ms();
                sqlx::query(
                    "INSERT INTO sqs_queues (name, attributes, tags, created_at_ms, modified_at_ms)
                     VALUES (?, ?, ?, ?, ?)",
                )
                .bind(&ask.queue_name)
                .bind(json!(ask.attributes).to_string())
                .bind(Value::Object(ask.tags).to_string())
                .bind(now_ms)
                .bind(now_ms)
                .execute(&mut *transaction)
                .await?;
                transaction.commit().await?;
            }
            Err(error) => return Err(error),
        }
        Ok(json!({"QueueUrl": self.url(&ask.queue_name)}))
    }

    pub(super) async fn get_queue_url(&self, ask: GetQueueUrl) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_name).await?;
        Ok(json!({"QueueUrl": self.url(&queue.name)}))
    }

    pub(super) async fn list_queues(&self, ask: ListQueues) -> Result<Value, AwsError> {
        let limit = ask.max_results.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
        let prefix = ask.queue_name_prefix.unwrap_or_default();
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqs_queues WHERE name > ? AND substr(name, 1, length(?)) = ?
             ORDER BY name LIMIT ?",
        )
        .bind(ask.next_token.unwrap_or_default())
        .bind(&prefix)
        .bind(&prefix)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?;
        let shown = names
            .len()
            .min(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut answer = json!({});
        if shown > 0 {
            answer["QueueUrls"] = names[..shown].iter().map(|name| self.url(name)).collect();
        }
        if names.len() > shown {
            answer["NextToken"] = json!(names[shown - 1]);
        }
        Ok(answer)
    }

    pub(super) async fn get_queue_attributes(&self, ask: OfQueue) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        let mut all: Map<String, Value> = NUMBERS
            .iter()
            .filter(|(name, ..)| !name.starts_with("Kms"))
            .map(|(name, ..)| ((*name).to_owned(), json!(queue.number(name).to_string())))
            .collect();
        all.insert("QueueArn".into(), json!(arn(&queue.name)));
        all.insert("SqsManagedSseEnabled".into(), json!("true"));
        for (name, value) in &queue.attributes {
            all.insert(name.clone(), json!(value));
        }
        for (name, at_ms) in [
            ("CreatedTimestamp", queue.created_at_ms),
            ("LastModifiedTimestamp", queue.modified_at_ms),
        ] {
            all.insert(name.into(), json!((at_ms / 1000).to_string()));
        }
        self.count_messages(&queue, &mut all).await?;
        let wants_all = ask.attribute_names.iter().any(|name| name == "All");
        if !wants_all {
            for name in &ask.attribute_names {
                let known = all.contains_key(name)
                    || TEXTS.contains(&name.as_str())
                    || NUMBERS.iter().any(|(known, ..)| known == name);
                if !known {
                    return Err(unknown_attribute(name));
                }
            }
            all.retain(|name, _| ask.attribute_names.contains(name));
        }
        Ok(if all.is_empty() {
            json!({})
        } else {
            json!({"Attributes": all})
        })
    }

    /// Adds how many messages wait, are with a receiver, or are delayed.
    async fn count_messages(
        &self,
        queue: &Queue,
        attributes: &mut Map<String, Value>,
    ) -> Result<(), AwsError> {
        let now_ms = now_ms();
        let row = sqlx::query(
            "SELECT COUNT(*) FILTER (WHERE visible_at_ms <= ?) AS visible,
                    COUNT(*) FILTER (WHERE visible_at_ms > ? AND received > 0) AS in_flight,
                    COUNT(*) FILTER (WHERE visible_at_ms > ? AND received = 0) AS delayed
             FROM sqs_messages WHERE queue = ? AND sent_at_ms > ?",
        )
        .bind(now_ms)
        .bind(now_ms)
        .bind(now_ms)
        .bind(queue.id)
        .bind(now_ms - queue.number("MessageRetentionPeriod") * 1000)
        .fetch_one(&self.store.db)
        .await?;
        for (name, column) in [
            ("ApproximateNumberOfMessages", "visible"),
            ("ApproximateNumberOfMessagesNotVisible", "in_flight"),
            ("ApproximateNumberOfMessagesDelayed", "delayed"),
        ] {
            let count: i64 = row.try_get(column)?;
            attributes.insert(name.into(), json!(count.to_string()));
        }
        Ok(())
    }

    pub(super) async fn set_queue_attributes(&self, ask: OfQueue) -> Result<Value, AwsError> {
        check_attributes(&ask.attributes)?;
        let mut transaction = self.store.begin().await?;
        let mut queue = find(&mut transaction, name_in(&ask.queue_url)).await?;
        for (name, value) in ask.attributes {
            if value.is_empty() {
                queue.attributes.remove(&name);
            } else {
                queue.attributes.insert(name, value);
            }
        }
        sqlx::query("UPDATE sqs_queues SET attributes = ?, modified_at_ms = ? WHERE id = ?")
            .bind(json!(queue.attributes).to_string())
            .bind(now_ms())
            .bind(queue.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_queue(&self, ask: OfQueue) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        sqlx::query("DELETE FROM sqs_queues WHERE id = ?")
            .bind(queue.id)
            .execute(&self.store.db)
            .await?;
        Ok(json!({}))
    }

    pub(super) async fn purge_queue(&self, ask: OfQueue) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        sqlx::query("DELETE FROM sqs_messages WHERE queue = ?")
            .bind(queue.id)
            .execute(&self.store.db)
            .await?;
        Ok(json!({}))
    }

    pub(super) async fn list_queue_tags(&self, ask: OfQueue) -> Result<Value, AwsError> {
        let queue = self.queue(&ask.queue_url).await?;
        let mut connection = self.store.db.acquire().await?;
        let tags = tags(&mut connection, &queue).await?;
        Ok(if tags.is_empty() {
            json!({})
        } else {
            json!({"Tags": tags})
        })
    }

    pub(super) async fn tag_queue(&self, ask: OfQueue) -> Result<Value, AwsError> {
        self.change_tags(&ask.queue_url, |tags| tags.extend(ask.tags))
            .await
    }

    pub(super) async fn untag_queue(&self, ask: OfQueue) -> Result<Value, AwsError> {
        self.change_tags(&ask.queue_url, |tags| {
            tags.retain(|key, _| !ask.tag_keys.contains(key));
        })
        .await
    }

    async fn change_tags(
        &self,
        url: &str,
        change: impl FnOnce(&mut Map<String, Value>) + Send,
    ) -> Result<Value, AwsError> {
        let mut transaction = self.store.begin().await?;
        let queue = find(&mut transaction, name_in(url)).await?;
        let mut tags = tags(&mut transaction, &queue).await?;
        change(&mut tags);
        sqlx::query("UPDATE sqs_queues SET tags = ? WHERE id = ?")
            .bind(Value::Object(tags).to_string())
            .bind(queue.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(json!({}))
    }

    /// The queue that a URL names (or a bare name, which AWS takes too).
    pub(super) async fn queue(&self, url: &str) -> Result<Queue, AwsError> {
        let mut connection = self.store.db.acquire().await?;
        find(&mut connection, name_in(url)).await
    }
}

async fn tags(
    connection: &mut SqliteConnection,
    queue: &Queue,
) -> Result<Map<String, Value>, AwsError> {
    let tags: String = sqlx::query_scalar("SELECT tags FROM sqs_queues WHERE id = ?")
        .bind(queue.id)
        .fetch_one(connection)
        .await?;
    Ok(serde_json::from_str(&tags).unwrap_or_default())
}

/// The name of the queue that a URL ends with.
pub(super) fn name_in(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

fn default(name: &str) -> Option<String> {
    let number = NUMBERS.iter().find(|(known, ..)| *known == name);
    number.map(|(_, default, ..)| default.to_string())
}

fn check_name(name: &str) -> Result<(), AwsError> {
    if name.ends_with(".fifo") {
        return Err(AwsError::bad_request(
            "UnsupportedOperation",
            "local has no FIFO queues; use a standard queue, or AWS itself.",
        )
        .query("AWS.SimpleQueueService.UnsupportedOperation"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 80 || !name.chars().all(allowed) {
        return Err(invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), AwsError> {
    for (name, value) in attributes {
        if let Some((_, _, least, most)) = NUMBERS.iter().find(|(known, ..)| known == name) {
            let number = value.parse::<i64>();
            if !value.is_empty() && !number.is_ok_and(|number| (*least..=*most).contains(&number)) {
                return Err(bad_attribute(name));
            }
        } else if name == "RedrivePolicy" && !value.is_empty() {
            let policy: Option<RedrivePolicy> = serde_json::from_str(value).ok();
            if policy.and_then(|policy| policy.receives_max()).is_none() {
                return Err(bad_attribute(name));
            }
        } else if !TEXTS.contains(&name.as_str()) {
            return Err(unknown_attribute(name));
        }
    }
    Ok(())
}

fn bad_attribute(name: &str) -> AwsError {
    AwsError::bad_request(
        "InvalidAttributeValue",
        format!("Invalid value for the parameter {name}."),
    )
    .query("InvalidAttributeValue")
}

fn unknown_attribute(name: &str) -> AwsError {
    AwsError::bad_request("InvalidAttributeName", format!("Unknown Attribute {name}."))
        .query("InvalidAttributeName")
}
