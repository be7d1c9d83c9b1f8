//! EventBridge: the default bus, from events to SQS queues.
//!
//! Owns rules, their targets and the matching. An event is delivered in the transaction that made it, so
//! neither a crash between the two nor a lost event is possible. Refuses other buses, schedules, targets
//! other than SQS, and input transformers.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/Welcome.html>

mod pattern;
mod rule;

use std::sync::{Arc, PoisonError, RwLock};

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::sqs::{Sent, Sqs};
use crate::store::Store;
use crate::wire::{ACCOUNT, AwsError, REGION, input, now_ms};

use pattern::Pattern;

/// What this module answers.
const OPERATIONS: &[&str] = &[
    "DeleteRule",
    "DescribeRule",
    "DisableRule",
    "EnableRule",
    "ListRules",
    "ListTargetsByRule",
    "PutEvents",
    "PutRule",
    "PutTargets",
    "RemoveTargets",
];

/// The default bus, its rules and their targets.
pub struct Events {
    store: Store,
    sqs: Arc<Sqs>,
    /// What the tables say, ready for matching.
    routes: RwLock<Arc<Vec<Route>>>,
}

/// An enabled rule with somewhere to send to.
struct Route {
    pattern: Pattern,
    targets: Vec<Target>,
}

#[derive(Debug, Clone)]
struct Target {
    arn: String,
    /// A constant that is sent instead of the event.
    input: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<PutEventsEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEventsEntry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    /// Epoch seconds.
    time: Option<f64>,
}

impl Events {
    /// Opens the rules in the store.
    pub async fn open(store: Store, sqs: Arc<Sqs>) -> Result<Events, AwsError> {
        for statement in [
            "CREATE TABLE IF NOT EXISTS events_rules (
                name TEXT PRIMARY KEY,
                pattern TEXT NOT NULL,
                enabled INTEGER NOT NULL,
                description TEXT)",
            "CREATE TABLE IF NOT EXISTS events_targets (
                rule TEXT NOT NULL REFERENCES events_rules (name) ON DELETE CASCADE,
                id TEXT NOT NULL,
                arn TEXT NOT NULL,
                input TEXT,
                PRIMARY KEY (rule, id))",
        ] {
            sqlx::query(statement).execute(&store.db).await?;
        }
        let events = Events {
            store,
            sqs,
            routes: RwLock::default(),
        };
        events.load_routes().await?;
        Ok(events)
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        match operation {
            "PutRule" => self.put_rule(input(body)?).await,
            "DescribeRule" => self.describe_rule(input(body)?).await,
            "ListRules" => self.list_rules(input(body)?).await,
            "EnableRule" => self.enable_rule(input(body)?, true).await,
            "DisableRule" => self.enable_rule(input(body)?, false).await,
            "DeleteRule" => self.delete_rule(input(body)?).await,
            "PutTargets" => self.put_targets(input(body)?).await,
            "ListTargetsByRule" => self.list_targets_by_rule(input(body)?).await,
            "RemoveTargets" => self.remove_targets(input(body)?).await,
            "PutEvents" => self.put_events(input(body)?).await,
            _ => Err(AwsError::unknown_operation(
                "EventBridge",
                operation,
                OPERATIONS,
            )),
        }
    }

    /// Sends an event to the targets of every rule that matches it. Durable when it returns.
    pub async fn emit(&self, event: Value) -> Result<(), AwsError> {
        let mut transaction = self.store.begin().await?;
        let sent = self.emit_in(&mut transaction, &event).await?;
        transaction.commit().await?;
        self.emitted(sent);
        Ok(())
    }

    /// Sends an event as a part of the caller's transaction; after its commit the caller hands the answer
    /// to [`Events::emitted`].
    pub async fn emit_in(
        &self,
        connection: &mut SqliteConnection,
        event: &Value,
    ) -> Result<Sent, AwsError> {
        let routes = self.routes();
        let mut sent = Sent::default();
        for route in routes.iter().filter(|route| route.pattern.matches(event)) {
            for target in &route.targets {
                let body = target.input.clone().unwrap_or_else(|| event.to_string());
                match self.sqs.send_in(connection, &target.arn, &body).await {
                    Ok(more) => sent.and(more),
                    // AWS gives such an event up as well, after a day of trying.
                    Err(error) if error.status < 500 => {
                        tracing::warn!(target = %target.arn, %error, "an event has no queue to go to");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(sent)
    }

    /// Wakes those who wait for events that have just been committed.
    pub fn emitted(&self, sent: Sent) {
        self.sqs.arrived(sent);
    }

    async fn put_events(&self, ask: PutEvents) -> Result<Value, AwsError> {
        if ask.entries.is_empty() || ask.entries.len() > 10 {
            return Err(AwsError::validation(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and 10",
            ));
        }
        let mut transaction = self.store.begin().await?;
        let mut sent = Sent::default();
        let (mut entries, mut failed) = (Vec::new(), 0);
        for entry in ask.entries {
            match entry.event() {
                Ok(event) => {
                    sent.and(self.emit_in(&mut transaction, &event).await?);
                    entries.push(json!({"EventId": event["id"]}));
                }
                Err(refusal) => {
                    failed += 1;
                    entries.push(refusal);
                }
            }
        }
        transaction.commit().await?;
        self.emitted(sent);
        Ok(json!({"FailedEntryCount": failed, "Entries": entries}))
    }

    fn routes(&self) -> Arc<Vec<Route>> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.clone()
    }

    /// Reads the tables again after a change.
    async fn load_routes(&self) -> Result<(), AwsError> {
        let rows = sqlx::query(
            "SELECT events_rules.name, pattern, arn, input FROM events_rules
             JOIN events_targets ON rule = name WHERE enabled ORDER BY name, id",
        )
        .fetch_all(&self.store.db)
        .await?;
        let mut routes: Vec<Route> = Vec::new();
        let mut last = String::new();
        for row in rows {
            let name: String = row.try_get("name")?;
            if name != last {
                let text: &str = row.try_get("pattern")?;
                let Ok(pattern) = Pattern::parse(text) else {
                    tracing::warn!(rule = %name, "a stored pattern cannot be read; the rule is left out");
                    continue;
                };
                routes.push(Route {
                    pattern,
                    targets: Vec::new(),
                });
                last = name;
            }
            if let Some(route) = routes.last_mut() {
                route.targets.push(Target {
                    arn: row.try_get("arn")?,
                    input: row.try_get("input")?,
                });
            }
        }
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
        Ok(())
    }
}

impl PutEventsEntry {
    /// The event that goes over the bus, or the entry's refusal.
    fn event(self) -> Result<Value, Value> {
        let refuse =
            |message: &str| json!({"ErrorCode": "InvalidArgument", "ErrorMessage": message});
        let source = self.source.ok_or_else(|| {
            refuse("Parameter Source is not valid. Reason: Source is a required argument.")
        })?;
        let detail_type = self.detail_type.ok_or_else(|| {
            refuse("Parameter DetailType is not valid. Reason: DetailType is a required argument.")
        })?;
        let detail = self.detail.unwrap_or_default();
        let detail: Value = serde_json::from_str(&detail)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(
                || json!({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}),
            )?;
        let at_ms = self.time.map_or_else(now_ms, |time| (time * 1000.0) as i64);
        Ok(envelope(
            &source,
            &detail_type,
            at_ms,
            &self.resources,
            detail,
        ))
    }
}

/// An event as it goes over the bus.
pub fn envelope(
    source: &str,
    detail_type: &str,
    at_ms: i64,
    resources: &[String],
    detail: Value,
) -> Value {
    // Whole seconds, as AWS writes the envelope's time.
    let time = jiff::Timestamp::from_second(at_ms.div_euclid(1000)).unwrap_or_default();
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": time.to_string(),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    })
}
