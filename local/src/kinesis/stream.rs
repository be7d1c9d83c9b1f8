//! Streams: creating, describing, listing, deleting, and how long they keep records.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::Row;

use super::shard::{Choice, Shard};
use super::{Kinesis, arn, invalid_argument, shard};
use crate::store::{Store, has_more};
use crate::wire::{ACCOUNT, AwsError, epoch_seconds, now_ms};

/// Shards of a stream that is created on demand, as AWS begins.
const ON_DEMAND_SHARDS: i64 = 4;
/// Most shards of a stream here.
pub(super) const SHARDS_MAX: i64 = 1000;
/// Hours that records are kept unless told otherwise.
const RETENTION_HOURS: i64 = 24;

/// A stream as the store has it.
#[derive(Debug)]
pub struct Stream {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How long it keeps records, hours.
    pub retention_hours: i64,
    mode: String,
    created_at_ms: i64,
}

impl Stream {
    /// Records that arrived earlier are gone, even where they have not been removed yet.
    pub fn kept_since_ms(&self, now_ms: i64) -> i64 {
        now_ms - self.retention_hours * 3_600_000
    }

    fn describe(&self) -> Value {
        json!({
            "StreamName": self.name,
            "StreamARN": arn(&self.name),
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": self.mode},
            "RetentionPeriodHours": self.retention_hours,
            "StreamCreationTimestamp": epoch_seconds(self.created_at_ms),
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
        })
    }

    /// Whether AWS decides itself how many shards it has.
    pub fn is_on_demand(&self) -> bool {
        self.mode == "ON_DEMAND"
    }

    /// It was deleted in the meantime.
    pub fn not_found(&self) -> AwsError {
        not_found(&self.name)
    }

    /// The shards that a filter of ListShards chooses.
    fn chosen(&self, filter: Option<ShardFilter>) -> Result<Choice, AwsError> {
        let all = Choice::all(self);
        let Some(filter) = filter else {
            return Ok(all);
        };
        let horizon_ms = all.closed_after_ms.max(self.created_at_ms);
        let missing = |member: &str| {
            invalid_argument(format!(
                "{member} must be given with the ShardFilter type {}.",
                filter.kind
            ))
        };
        let at_ms = || match filter.timestamp {
            Some(at) => Ok((at * 1000.0) as i64),
            None => Err(missing("Timestamp")),
        };
        let mut choice = all;
        match filter.kind.as_str() {
            "FROM_TRIM_HORIZON" => {}
            "AT_TRIM_HORIZON" => {
                (choice.opened_by_ms, choice.closed_after_ms) = (horizon_ms, horizon_ms);
            }
            "AT_LATEST" => choice.closed_after_ms = i64::MAX,
            "FROM_TIMESTAMP" => choice.closed_after_ms = at_ms()?.max(all.closed_after_ms),
            "AT_TIMESTAMP" => {
                let at_ms = at_ms()?.max(horizon_ms);
                (choice.opened_by_ms, choice.closed_after_ms) = (at_ms, at_ms);
            }
            "AFTER_SHARD_ID" => {
                let id = filter.shard_id.as_deref();
                choice.after = number(id.ok_or_else(|| missing("ShardId"))?)?;
            }
            other => {
                return Err(AwsError::validation(format!(
                    "1 validation error detected: Value '{other}' at 'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: [AT_TIMESTAMP, FROM_TIMESTAMP, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AFTER_SHARD_ID]"
                )));
            }
        }
        Ok(choice)
    }
}

/// The number of the shard that a list begins after.
fn number(id: &str) -> Result<i64, AwsError> {
    shard::number_of(id).ok_or_else(|| invalid_argument(format!("Shard {id} does not exist")))
}

fn not_found(name: &str) -> AwsError {
    AwsError::bad_request(
        "ResourceNotFoundException",
        format!("Stream {name} under account {ACCOUNT} not found."),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateStream {
    stream_name: String,
    shard_count: Option<i64>,
    stream_mode_details: Option<StreamModeDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamModeDetails {
    stream_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfStream {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
    retention_period_hours: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListShards {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    next_token: Option<String>,
    exclusive_start_shard_id: Option<String>,
    max_results: Option<i64>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    #[serde(rename = "Type")]
    kind: String,
    shard_id: Option<String>,
    /// Epoch seconds.
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListStreams {
    limit: Option<i64>,
    exclusive_start_stream_name: Option<String>,
    next_token: Option<String>,
}

impl Kinesis {
    pub(super) async fn create_stream(&self, ask: CreateStream) -> Result<Value, AwsError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let name = &ask.stream_name;
        if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value '{name}' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
            )));
        }
        let mode = ask
            .stream_mode_details
            .map_or("PROVISIONED".to_owned(), |mode| mode.stream_mode);
        let shards = match (mode.as_str(), ask.shard_count) {
            ("ON_DEMAND", None) => ON_DEMAND_SHARDS,
            ("PROVISIONED", Some(shards)) if (1..=SHARDS_MAX).contains(&shards) => shards,
            _ => {
                return Err(AwsError::validation(
                    "ShardCount must be between 1 and 1000 for PROVISIONED streams and must not be given for ON_DEMAND streams.",
                ));
            }
        };
        let created_at_ms = now_ms();
        let mut transaction = self.store.begin().await?;
        let made = sqlx::query(
            "INSERT INTO kinesis_streams (name, mode, shards, retention_hours, created_at_ms)
             VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(&mode)
        .bind(shards)
        .bind(RETENTION_HOURS)
        .bind(created_at_ms)
        .execute(&mut *transaction)
        .await?;
        if made.rows_affected() == 0 {
            return Err(AwsError::bad_request(
                "ResourceInUseException",
                format!("Stream {name} under account {ACCOUNT} already exists."),
            ));
        }
        for shard in shard::equal(shards) {
            shard::add(
                &mut transaction,
                made.last_insert_rowid(),
                &shard,
                created_at_ms,
            )
            .await?;
        }
        transaction.commit().await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_stream(&self, ask: OfStream) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        sqlx::query("DELETE FROM kinesis_streams WHERE id = ?")
            .bind(stream.id)
            .execute(&self.store.db)
            .await?;
        Ok(json!({}))
    }

    pub(super) async fn describe_stream(&self, ask: OfStream) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        let limit = ask.limit.unwrap_or(100).clamp(1, 10_000);
        let mut choice = Choice::all(&stream);
        if let Some(start) = &ask.exclusive_start_shard_id {
            choice.after = number(start)?;
        }
        let (shards, last) = self.shards(&stream, choice, limit).await?;
        let mut description = stream.describe();
        description["Shards"] = json!(shards);
        description["HasMoreShards"] = json!(last.is_some());
        Ok(json!({"StreamDescription": description}))
    }

    pub(super) async fn describe_stream_summary(&self, ask: OfStream) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        let mut connection = self.store.db.acquire().await?;
        let open = shard::open(&mut connection, stream.id).await?;
        let mut description = stream.describe();
        description["OpenShardCount"] = json!(open.len());
        description["ConsumerCount"] = json!(0);
        Ok(json!({"StreamDescriptionSummary": description}))
    }

    pub(super) async fn list_shards(&self, ask: ListShards) -> Result<Value, AwsError> {
        let limit = ask.max_results.unwrap_or(1000).clamp(1, 10_000);
        // A token names the stream and what is chosen of it: `stream/after/opened by/closed after`.
        let (stream, choice) = match &ask.next_token {
            Some(token) => {
                let (name, choice) =
                    read_token(token).ok_or_else(|| invalid_argument("NextToken is not valid."))?;
                (self.stream(None, Some(name)).await?, choice)
            }
            None => {
                let stream = self
                    .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
                    .await?;
                let mut choice = stream.chosen(ask.shard_filter)?;
                if let Some(start) = &ask.exclusive_start_shard_id {
                    choice.after = number(start)?;
                }
                (stream, choice)
            }
        };
        let (shards, last) = self.shards(&stream, choice, limit).await?;
        let mut answer = json!({"Shards": shards});
        if let Some(last) = last {
            answer["NextToken"] = json!(format!(
                "{}/{last}/{}/{}",
                stream.name, choice.opened_by_ms, choice.closed_after_ms
            ));
        }
        Ok(answer)
    }

    /// Shards as they are described, and the last one's number where there are more.
    async fn shards(
        &self,
        stream: &Stream,
        choice: Choice,
        limit: i64,
    ) -> Result<(Vec<Value>, Option<i64>), AwsError> {
        let mut connection = self.store.db.acquire().await?;
        let mut shards = shard::list(&mut connection, stream.id, choice, limit + 1).await?;
        let more = has_more(&mut shards, limit);
        let last = shards.last().filter(|_| more).map(|shard| shard.number);
        Ok((shards.iter().map(Shard::describe).collect(), last))
    }

    pub(super) async fn list_streams(&self, ask: ListStreams) -> Result<Value, AwsError> {
        let limit = ask.limit.unwrap_or(100).clamp(1, 10_000);
        let after = ask
            .next_token
            .or(ask.exclusive_start_stream_name)
            .unwrap_or_default();
        let mut streams: Vec<Stream> = sqlx::query(
            "SELECT id, name, mode, retention_hours, created_at_ms FROM kinesis_streams
             WHERE name > ? ORDER BY name LIMIT ?",
        )
        .bind(after)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_, _>>()?;
        let more = has_more(&mut streams, limit);
        let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
        let summaries: Vec<Value> = streams
            .iter()
            .map(|stream| {
                json!({
                    "StreamName": stream.name,
                    "StreamARN": arn(&stream.name),
                    "StreamStatus": "ACTIVE",
                    "StreamModeDetails": {"StreamMode": stream.mode},
                    "StreamCreationTimestamp": epoch_seconds(stream.created_at_ms),
                })
            })
            .collect();
        let mut answer = json!({
            "StreamNames": names, "HasMoreStreams": more, "StreamSummaries": summaries,
        });
        if more {
            answer["NextToken"] = json!(names.last());
        }
        Ok(answer)
    }

    pub(super) async fn change_retention(&self, ask: OfStream) -> Result<Value, AwsError> {
        let stream = self
            .stream(ask.stream_arn.as_deref(), ask.stream_name.as_deref())
            .await?;
        let hours = ask.retention_period_hours.unwrap_or_default();
        if !(RETENTION_HOURS..=8760).contains(&hours) {
            return Err(invalid_argument(
                "RetentionPeriodHours must be between 24 and 8760.",
            ));
        }
        sqlx::query("UPDATE kinesis_streams SET retention_hours = ? WHERE id = ?")
            .bind(hours)
            .bind(stream.id)
            .execute(&self.store.db)
            .await?;
        Ok(json!({}))
    }

    /// The stream of that ARN or name.
    pub(super) async fn stream(
        &self,
        arn: Option<&str>,
        name: Option<&str>,
    ) -> Result<Stream, AwsError> {
        let name = match (arn, name) {
            (Some(arn), _) => arn.rsplit('/').next().unwrap_or_default(),
            (None, Some(name)) => name,
            (None, None) => return Err(invalid_argument("StreamName or StreamARN must be given.")),
        };
        let row = sqlx::query(
            "SELECT id, name, mode, retention_hours, created_at_ms
             FROM kinesis_streams WHERE name = ?",
        )
        .bind(name)
        .fetch_optional(&self.store.db)
        .await?;
        match row {
            Some(row) => Ok(read(&row)?),
            None => Err(not_found(name)),
        }
    }
}

/// Gives shards to the streams of a store that was made when shards had no rows: those they had.
pub(super) async fn add_missing_shards(store: &Store) -> Result<(), AwsError> {
    let mut transaction = store.begin().await?;
    let streams = sqlx::query(
        "SELECT id, shards, created_at_ms FROM kinesis_streams
         WHERE id NOT IN (SELECT stream FROM kinesis_shards)",
    )
    .fetch_all(&mut *transaction)
    .await?;
    for stream in streams {
        let (id, created_at_ms) = (stream.try_get("id")?, stream.try_get("created_at_ms")?);
        for shard in shard::equal(stream.try_get("shards")?) {
            shard::add(&mut transaction, id, &shard, created_at_ms).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

fn read_token(token: &str) -> Option<(&str, Choice)> {
    let mut parts = token.split('/');
    let name = parts.next()?;
    let mut number = || parts.next()?.parse().ok();
    let choice = Choice {
        after: number()?,
        opened_by_ms: number()?,
        closed_after_ms: number()?,
    };
    Some((name, choice))
}

fn read(row: &sqlx::sqlite::SqliteRow) -> Result<Stream, sqlx::Error> {
    Ok(Stream {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        retention_hours: row.try_get("retention_hours")?,
        mode: row.try_get("mode")?,
        created_at_ms: row.try_get("created_at_ms")?,
    })
}
