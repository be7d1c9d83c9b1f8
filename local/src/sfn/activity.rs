//! Activities: their API, and the tasks that wait for a worker to ask for them.
//!
//! Owns which tasks wait at which activity. That list is in memory only: after a restart the executions offer
//! again what no worker has taken. Refuses to decide what becomes of a task; its execution does.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html>

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asl::{Input, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::execution::page_size;
use super::tags::{Tag, to_map};
use super::{Sfn, arn, token};
use crate::store::has_more;
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// How long a worker waits for a task before it is told that there is none.
const POLL: Duration = Duration::from_secs(60);
/// Most workers that may wait at one activity.
const WORKERS_MAX: usize = 1000;
/// Most characters of a worker's name.
const WORKER_NAME_MAX: usize = 80;

/// What waits to be taken by a worker.
#[derive(Debug)]
pub struct Offer {
    /// The execution's number.
    pub execution: i64,
    /// Which of its tasks.
    pub task: TaskId,
    /// By which the worker reports.
    pub token: String,
    /// JSON.
    pub input: String,
}

/// Tasks that wait, by the ARN of their activity.
#[derive(Default)]
pub struct Offers {
    activities: Mutex<HashMap<String, Arc<Waiting>>>,
}

/// The tasks and workers that wait at one activity.
#[derive(Default)]
struct Waiting {
    offers: Mutex<VecDeque<Offer>>,
    offered: Notify,
    /// Each worker that waits holds a clone.
    workers: Arc<()>,
}

impl Offers {
    /// Offers a task to the activity's workers.
    pub fn add(&self, activity: &str, offer: Offer) {
        let waiting = self.at(activity);
        lock(&waiting.offers).push_back(offer);
        waiting.offered.notify_one();
    }

    /// Takes back what an execution has offered, be it one task or all.
    pub fn withdraw(&self, execution: i64, task: Option<TaskId>) {
        for waiting in lock(&self.activities).values() {
            lock(&waiting.offers).retain(|offer| {
                offer.execution != execution || task.is_some_and(|task| offer.task != task)
            });
        }
    }

    fn at(&self, activity: &str) -> Arc<Waiting> {
        let mut activities = lock(&self.activities);
        activities.entry(activity.to_owned()).or_default().clone()
    }
}

impl Waiting {
    fn take(&self) -> Option<Offer> {
        let mut offers = lock(&self.offers);
        let next = offers.pop_front();
        if !offers.is_empty() {
            self.offered.notify_one();
        }
        next
    }

    /// The next task; `None` if there is none in time.
    async fn next(&self, until: Instant) -> Option<Offer> {
        loop {
            let offered = self.offered.notified();
            let next = self.take();
            if next.is_some() {
                return next;
            }
            tokio::time::timeout_at(until, offered).await.ok()?;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateActivity {
    name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfActivity {
    activity_arn: String,
    worker_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListActivities {
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Where a page of activities ended.
#[derive(Serialize, Deserialize)]
struct Place {
    activity: i64,
}

impl Sfn {
    pub(super) async fn create_activity(&self, ask: CreateActivity) -> Result<Value, AwsError> {
        arn::check_name(&ask.name)?;
        let activity_arn = arn::of_activity(&ask.name);
        sqlx::query(
            "INSERT INTO sfn_activities (arn, name, tags, created_at_ms) VALUES (?, ?, ?, ?)
             ON CONFLICT (arn) DO NOTHING",
        )
        .bind(&activity_arn)
        .bind(&ask.name)
        .bind(json!(to_map(&ask.tags)).to_string())
        .bind(now_ms())
        .execute(&self.store.db)
        .await?;
        let (_, created_at_ms) = self.activity(&activity_arn).await?;
        let created = epoch_seconds(created_at_ms);
        Ok(json!({"activityArn": activity_arn, "creationDate": created}))
    }

    pub(super) async fn describe_activity(&self, ask: OfActivity) -> Result<Value, AwsError> {
        let (name, created_at_ms) = self.activity(&ask.activity_arn).await?;
        Ok(json!({
            "activityArn": ask.activity_arn,
            "name": name,
            "creationDate": epoch_seconds(created_at_ms),
            "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
        }))
    }

    pub(super) async fn delete_activity(&self, ask: OfActivity) -> Result<Value, AwsError> {
        arn::check(&ask.activity_arn, "activity")?;
        sqlx::query("DELETE FROM sfn_activities WHERE arn = ?")
            .bind(&ask.activity_arn)
            .execute(&self.store.db)
            .await?;
        Ok(json!({}))
    }

    pub(super) async fn list_activities(&self, ask: ListActivities) -> Result<Value, AwsError> {
        let limit = page_size(ask.max_results)?;
        let after = match &ask.next_token {
            Some(text) => token::read::<Place>(text)?.activity,
            None => 0,
        };
        let mut rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
            "SELECT id, arn, name, created_at_ms FROM sfn_activities WHERE id > ?
             ORDER BY id LIMIT ?",
        )
        .bind(after)
        .bind(limit + 1)
        .fetch_all(&self.store.db)
        .await?;
        let more = has_more(&mut rows, limit);
        let activities: Vec<Value> = rows
            .iter()
            .map(|(_, arn, name, created_at_ms)| {
                let created = epoch_seconds(*created_at_ms);
                json!({"activityArn": arn, "name": name, "creationDate": created})
            })
            .collect();
        let mut answer = json!({"activities": activities});
        if let Some((activity, ..)) = rows.last().filter(|_| more) {
            let activity = *activity;
            answer["nextToken"] = json!(token::write(&Place { activity }));
        }
        Ok(answer)
    }

    pub(super) async fn get_activity_task(&self, ask: OfActivity) -> Result<Value, AwsError> {
        self.activity(&ask.activity_arn).await?;
        if let Some(name) = &ask.worker_name
            && !(1..=WORKER_NAME_MAX).contains(&name.chars().count())
        {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value at 'workerName' failed to satisfy constraint: Member must have length less than or equal to {WORKER_NAME_MAX} and greater than or equal to 1"
            )));
        }
        let waiting = self.driver.offers.at(&ask.activity_arn);
        let worker = waiting.workers.clone();
        if Arc::strong_count(&worker) > WORKERS_MAX + 1 {
            return Err(AwsError::bad_request(
                "ActivityWorkerLimitExceeded",
                format!("Activity Worker Limit Exceeded: '{WORKERS_MAX}'"),
            ));
        }
        let until = Instant::now() + POLL;
        loop {
            let offer = tokio::select! {
                offer = waiting.next(until) => offer,
                () = self.store.stopping.cancelled() => None,
            };
            let Some(Offer {
                execution,
                task,
                token,
                input,
            }) = offer
            else {
                return Ok(json!({"taskToken": null}));
            };
            let worker = ask.worker_name.clone();
            let started = Input::ActivityStarted { task, worker };
            let taken = self.driver.report(execution, task, &token, started);
            if taken.await {
                self.driver.written().await;
                return Ok(json!({"taskToken": token, "input": input}));
            }
        }
    }

    /// Name and time of creation; errors with `InvalidArn` or `ActivityDoesNotExist`.
    async fn activity(&self, activity_arn: &str) -> Result<(String, i64), AwsError> {
        arn::check(activity_arn, "activity")?;
        let found = sqlx::query_as("SELECT name, created_at_ms FROM sfn_activities WHERE arn = ?")
            .bind(activity_arn)
            .fetch_optional(&self.store.db)
            .await?;
        found.ok_or_else(|| {
            AwsError::bad_request(
                "ActivityDoesNotExist",
                format!("Activity Does Not Exist: '{activity_arn}'"),
            )
        })
    }
}
