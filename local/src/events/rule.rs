//! Rules and their targets: making, describing, listing, removing.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::Row;

use super::{Events, Pattern};
use crate::store::has_more;
use crate::wire::{ACCOUNT, AwsError, REGION};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRule {
    name: String,
    event_pattern: Option<String>,
    schedule_expression: Option<String>,
    state: Option<String>,
    description: Option<String>,
    event_bus_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfRule {
    #[serde(alias = "Rule")]
    name: String,
    event_bus_name: Option<String>,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    targets: Vec<PutTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutTarget {
    id: String,
    arn: String,
    input: Option<String>,
    input_path: Option<Value>,
    input_transformer: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRules {
    name_prefix: Option<String>,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Events {
    pub(super) async fn put_rule(&self, ask: PutRule) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if ask.name.is_empty() || ask.name.len() > 64 || !ask.name.chars().all(allowed) {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value '{}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+",
                ask.name
            )));
        }
        let Some(pattern) = ask
            .event_pattern
            .filter(|_| ask.schedule_expression.as_deref().is_none_or(str::is_empty))
        else {
            return Err(AwsError::validation(
                "local plays rules with an EventPattern only; use AWS itself for schedules.",
            ));
        };
        Pattern::parse(&pattern).map_err(|reason| {
            AwsError::bad_request(
                "InvalidEventPatternException",
                format!("Event pattern is not valid. Reason: {reason}"),
            )
        })?;
        sqlx::query(
            "INSERT INTO events_rules (name, pattern, enabled, description) VALUES (?, ?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET pattern = excluded.pattern,
                enabled = excluded.enabled, description = excluded.description",
        )
        .bind(&ask.name)
        .bind(pattern)
        .bind(ask.state.as_deref() != Some("DISABLED"))
        .bind(ask.description)
        .execute(&self.store.db)
        .await?;
        self.load_routes().await?;
        Ok(json!({"RuleArn": arn(&ask.name)}))
    }

    pub(super) async fn describe_rule(&self, ask: OfRule) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let row = sqlx::query(
            "SELECT name, pattern, enabled, description FROM events_rules WHERE name = ?",
        )
        .bind(&ask.name)
        .fetch_optional(&self.store.db)
        .await?;
        let mut rule = describe(&row.ok_or_else(|| no_such_rule(&ask.name))?)?;
        rule["CreatedBy"] = json!(ACCOUNT);
        Ok(rule)
    }

    pub(super) async fn list_rules(&self, ask: ListRules) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let limit = ask.limit.unwrap_or(100).clamp(1, 100);
        let prefix = ask.name_prefix.unwrap_or_default();
        let rows = sqlx::query(
            "SELECT name, pattern, enabled, description FROM events_rules
             WHERE name > ? AND substr(name, 1, length(?)) = ? ORDER BY name LIMIT ?",
        )
        .bind(ask.next_token.unwrap_or_default())
        .bind(&prefix)
        .bind(&prefix)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?;
        let mut rules: Vec<Value> = rows.iter().map(describe).collect::<Result<_, _>>()?;
        let mut answer = json!({});
        if has_more(&mut rules, limit) {
            answer["NextToken"] = rules
                .last()
                .map_or(Value::Null, |rule| rule["Name"].clone());
        }
        answer["Rules"] = json!(rules);
        Ok(answer)
    }

    pub(super) async fn enable_rule(&self, ask: OfRule, enabled: bool) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let changed = sqlx::query("UPDATE events_rules SET enabled = ? WHERE name = ?")
            .bind(enabled)
            .bind(&ask.name)
            .execute(&self.store.db)
            .await?;
        if changed.rows_affected() == 0 {
            return Err(no_such_rule(&ask.name));
        }
        self.load_routes().await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_rule(&self, ask: OfRule) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let mut transaction = self.store.begin().await?;
        let targets: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM events_targets WHERE rule = ?")
            .bind(&ask.name)
            .fetch_one(&mut *transaction)
            .await?;
        if targets > 0 {
            return Err(AwsError::validation(
                "Rule can't be deleted since it has targets.",
            ));
        }
        sqlx::query("DELETE FROM events_rules WHERE name = ?")
            .bind(&ask.name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.load_routes().await?;
        Ok(json!({}))
    }

    pub(super) async fn put_targets(&self, ask: OfRule) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let mut transaction = self.store.begin().await?;
        rule_exists(&mut transaction, &ask.name).await?;
        for target in &ask.targets {
            if !target.arn.starts_with("arn:aws:sqs:") {
                return Err(AwsError::validation(format!(
                    "local sends events to SQS queues only, not to {}.",
                    target.arn
                )));
            }
            if target.input_path.is_some() || target.input_transformer.is_some() {
                return Err(AwsError::validation(
                    "local sends the whole event or a constant Input; it plays no InputPath or InputTransformer.",
                ));
            }
            sqlx::query(
                "INSERT INTO events_targets (rule, id, arn, input) VALUES (?, ?, ?, ?)
                 ON CONFLICT (rule, id) DO UPDATE SET arn = excluded.arn, input = excluded.input",
            )
            .bind(&ask.name)
            .bind(&target.id)
            .bind(&target.arn)
            .bind(&target.input)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        self.load_routes().await?;
        Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
    }

    pub(super) async fn list_targets_by_rule(&self, ask: OfRule) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let mut connection = self.store.db.acquire().await?;
        rule_exists(&mut connection, &ask.name).await?;
        let rows =
            sqlx::query("SELECT id, arn, input FROM events_targets WHERE rule = ? ORDER BY id")
                .bind(&ask.name)
                .fetch_all(&mut *connection)
                .await?;
        let mut targets = Vec::new();
        for row in rows {
            let (id, arn): (&str, &str) = (row.try_get("id")?, row.try_get("arn")?);
            let mut target = json!({"Id": id, "Arn": arn});
            if let Some(input) = row.try_get::<Option<&str>, _>("input")? {
                target["Input"] = json!(input);
            }
            targets.push(target);
        }
        Ok(json!({"Targets": targets}))
    }

    pub(super) async fn remove_targets(&self, ask: OfRule) -> Result<Value, AwsError> {
        check_bus(ask.event_bus_name.as_deref())?;
        let mut transaction = self.store.begin().await?;
        rule_exists(&mut transaction, &ask.name).await?;
        for id in &ask.ids {
            sqlx::query("DELETE FROM events_targets WHERE rule = ? AND id = ?")
                .bind(&ask.name)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.load_routes().await?;
        Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
    }
}

async fn rule_exists(connection: &mut sqlx::SqliteConnection, name: &str) -> Result<(), AwsError> {
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM events_rules WHERE name = ?)")
            .bind(name)
            .fetch_one(connection)
            .await?;
    if there {
        Ok(())
    } else {
        Err(no_such_rule(name))
    }
}

fn describe(row: &sqlx::sqlite::SqliteRow) -> Result<Value, sqlx::Error> {
    let (name, pattern): (&str, &str) = (row.try_get("name")?, row.try_get("pattern")?);
    let state = if row.try_get("enabled")? {
        "ENABLED"
    } else {
        "DISABLED"
    };
    let mut rule = json!({
        "Name": name, "Arn": arn(name), "EventPattern": pattern, "State": state, "EventBusName": "default",
    });
    if let Some(description) = row.try_get::<Option<&str>, _>("description")? {
        rule["Description"] = json!(description);
    }
    Ok(rule)
}

fn arn(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}")
}

fn check_bus(name: Option<&str>) -> Result<(), AwsError> {
    match name {
        None => Ok(()),
        Some(name) if name == "default" || name.ends_with(":event-bus/default") => Ok(()),
        Some(name) => Err(AwsError::bad_request(
            "ResourceNotFoundException",
            format!("Event bus {name} does not exist."),
        )),
    }
}

fn no_such_rule(name: &str) -> AwsError {
    AwsError::bad_request(
        "ResourceNotFoundException",
        format!("Rule {name} does not exist on EventBus default."),
    )
}
