//! Tags of state machines.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::constraint::Constraints;
use super::{Sfn, arn};
use crate::wire::AwsError;

/// Most tags of a state machine.
const TAGS_MAX: usize = 50;
/// Most characters of a tag's key and of its value.
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfResource {
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// A tag as the API has it.
#[derive(Deserialize)]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// Tags as the store has them.
pub(super) fn to_map(tags: &[Tag]) -> Map<String, Value> {
    tags.iter()
        .map(|tag| (tag.key.clone(), json!(tag.value)))
        .collect()
}

/// Errors unless every tag may be.
pub(super) fn check(tags: &[Tag]) -> Result<(), AwsError> {
    let mut constraints = Constraints::default();
    for (index, Tag { key, value }) in tags.iter().enumerate() {
        let member = format!("tags.{}.member", index + 1);
        constraints.length(&format!("{member}.key"), Some(key), 1, KEY_MAX);
        constraints.length(&format!("{member}.value"), Some(value), 0, VALUE_MAX);
    }
    constraints.check()?;
    if tags.iter().any(|tag| tag.key.starts_with("aws:")) {
        return Err(AwsError::validation(
            "Tag keys that begin with aws: are AWS's own",
        ));
    }
    Ok(())
}

/// Errors with `TooManyTags` if there are.
pub(super) fn check_count(resource_arn: &str, count: usize) -> Result<(), AwsError> {
    if count <= TAGS_MAX {
        return Ok(());
    }
    let message = format!("A state machine has at most {TAGS_MAX} tags");
    Err(AwsError::bad_request("TooManyTags", message).with("resourceName", resource_arn))
}

impl Sfn {
    pub(super) async fn tag_resource(&self, ask: OfResource) -> Result<Value, AwsError> {
        check(&ask.tags)?;
        self.change_tags(&ask.resource_arn, |tags| tags.extend(to_map(&ask.tags)))
            .await
    }

    pub(super) async fn untag_resource(&self, ask: OfResource) -> Result<Value, AwsError> {
        self.change_tags(&ask.resource_arn, |tags| {
            tags.retain(|key, _| !ask.tag_keys.contains(key));
        })
        .await
    }

    pub(super) async fn list_tags_for_resource(&self, ask: OfResource) -> Result<Value, AwsError> {
        let tags = self.tags(&ask.resource_arn, &self.store.db).await?;
        let tags: Vec<Value> = tags
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        Ok(json!({"tags": tags}))
    }

    async fn change_tags(
        &self,
        resource_arn: &str,
        change: impl FnOnce(&mut Map<String, Value>) + Send,
    ) -> Result<Value, AwsError> {
        let mut transaction = self.store.begin().await?;
        let mut tags = self.tags(resource_arn, &mut *transaction).await?;
        change(&mut tags);
        check_count(resource_arn, tags.len())?;
        sqlx::query("UPDATE sfn_machines SET tags = ? WHERE arn = ?")
            .bind(Value::Object(tags).to_string())
            .bind(resource_arn)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(json!({}))
    }

    async fn tags(
        &self,
        resource_arn: &str,
        executor: impl sqlx::SqliteExecutor<'_>,
    ) -> Result<Map<String, Value>, AwsError> {
        arn::check(resource_arn, "stateMachine")?;
        let tags: Option<String> =
            sqlx::query_scalar("SELECT tags FROM sfn_machines WHERE arn = ?")
                .bind(resource_arn)
                .fetch_optional(executor)
                .await?;
        let tags = tags.ok_or_else(|| {
            AwsError::bad_request(
                "ResourceNotFound",
                format!("Resource not found: '{resource_arn}'"),
            )
        })?;
        Ok(serde_json::from_str(&tags).unwrap_or_default())
    }
}
