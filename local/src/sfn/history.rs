//! GetExecutionHistory: pages of events, forwards or backwards.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::execution::page_size;
use super::{Sfn, recorded, token};
use crate::wire::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetExecutionHistory {
    execution_arn: String,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    reverse_order: bool,
    include_execution_data: Option<bool>,
}

/// The event with which the next page begins.
#[derive(Serialize, Deserialize)]
struct Place {
    event: i64,
    reverse: bool,
}

impl Sfn {
    pub(super) async fn get_execution_history(
        &self,
        ask: GetExecutionHistory,
    ) -> Result<Value, AwsError> {
        let limit = usize::try_from(page_size(ask.max_results)?).unwrap_or(usize::MAX);
        let row = self.execution(&ask.execution_arn).await?;
        let reverse = ask.reverse_order;
        let first = match &ask.next_token {
            None if reverse => i64::MAX,
            None => 1,
            Some(text) => match token::read(text)? {
                Place {
                    event,
                    reverse: same,
                } if same == reverse => event,
                // A token is good for the order it was given for.
                Place { .. } => {
                    return Err(token::invalid());
                }
            },
        };
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT CAST(events AS BLOB) AS events FROM sfn_steps WHERE execution = ",
        );
        query.push_bind(row.id).push(" AND events IS NOT NULL");
        if reverse {
            query.push(" ORDER BY last_event_id DESC");
        } else {
            query.push(" AND last_event_id >= ").push_bind(first);
            query.push(" ORDER BY last_event_id");
        }
        let mut steps = query.build().fetch(&self.store.db);
        let mut events: Vec<Value> = Vec::new();
        // One more than asked for tells whether there is another page.
        'pages: while let Some(step) = steps.try_next().await? {
            let mut recorded = recorded::read(step.try_get("events")?);
            if reverse {
                recorded.reverse();
            }
            for event in recorded {
                let id = event["id"].as_i64().unwrap_or_default();
                if (reverse && id > first) || (!reverse && id < first) {
                    continue;
                }
                events.push(event);
                if events.len() > limit {
                    break 'pages;
                }
            }
        }
        drop(steps);
        let mut answer = json!({});
        if events.len() > limit
            && let Some(next) = events.pop()
        {
            let event = next["id"].as_i64().unwrap_or_default();
            answer["nextToken"] = json!(token::write(&Place { event, reverse }));
        }
        if ask.include_execution_data == Some(false) {
            for event in &mut events {
                if let Some(known) = asl::HistoryEvent::from_wire(event) {
                    *event = known.to_wire(false);
                }
            }
        }
        answer["events"] = json!(events);
        Ok(answer)
    }
}
