//! Redrive: going on with an ended execution from where it failed.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>

use serde::Deserialize;
use serde_json::{Value, json};

use super::Sfn;
use super::execution::ExecutionRow;
use super::restore::RestoreError;
use crate::wire::{AwsError, epoch_seconds, now_ms};

/// How long after its end an execution can be redriven: 14 days.
const REDRIVABLE_FOR_MS: i64 = 14 * 24 * 3_600_000;
/// How long a client's token makes a second call the same call.
const TOKEN_GOOD_FOR_MS: i64 = 15 * 60_000;
/// How long an execution may take in all, redrives included: a year.
const EXECUTION_MS_MAX: i64 = 365 * 24 * 3_600_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedriveExecution {
    execution_arn: String,
    client_token: Option<String>,
}

impl ExecutionRow {
    /// Why the execution cannot be redriven at that time, in AWS's words; `None` when it can.
    pub(super) fn refusal(&self, now_ms: i64) -> Option<String> {
        let stopped_at_ms = match self.stopped_at_ms {
            None => return Some("Execution is RUNNING and cannot be redriven".into()),
            Some(at_ms) => at_ms,
        };
        if self.redrive_refusal.is_some() {
            return self.redrive_refusal.clone();
        }
        if self.deleting {
            return Some("State machine is in DELETING status".into());
        }
        if now_ms - self.started_at_ms > EXECUTION_MS_MAX {
            return Some("Execution has exceeded the max execution time".into());
        }
        (now_ms - stopped_at_ms > REDRIVABLE_FOR_MS)
            .then(|| "Execution redrivable period exceeded".into())
    }
}

impl Sfn {
    pub(super) async fn redrive_execution(&self, ask: RedriveExecution) -> Result<Value, AwsError> {
        let _alone = self.redriving.lock().await;
        let row = self.execution(&ask.execution_arn).await?;
        let now_ms = now_ms();
        if let (Some(token), Some(at_ms)) = (&ask.client_token, row.redriven_at_ms) {
            let again = row.redrive_token.as_ref() == Some(token);
            if again && now_ms - at_ms < TOKEN_GOOD_FOR_MS {
                return Ok(json!({"redriveDate": epoch_seconds(at_ms)}));
            }
        }
        if let Some(reason) = row.refusal(now_ms) {
            return Err(refused(&reason));
        }
        if row.map_run.is_some() {
            let reason = "Execution is a child of a Map Run and is redriven with its parent";
            return Err(refused(reason));
        }
        let restored = match self.restore(&row).await {
            Ok(restored) => restored,
            Err(RestoreError::Store(error)) => return Err(error),
            Err(diverged) => return Err(refused(&diverged.to_string())),
        };
        if let Some(reason) = restored.running.redrive_refusal() {
            return Err(refused(&reason));
        }
        let redriven = self.driver.redrive(restored.running, ask.client_token);
        let at_ms = redriven
            .await
            .map_err(|_| AwsError::new(500, "InternalServerError", "local is stopping."))?;
        Ok(json!({"redriveDate": epoch_seconds(at_ms)}))
    }
}

impl Sfn {
    /// Goes on with a child of a Map Run that did not end well; false if that cannot be.
    pub(super) async fn redrive_child(&self, execution: i64) -> Result<bool, AwsError> {
        let _alone = self.redriving.lock().await;
        let row = self.execution_by_id(execution).await?;
        if row.status == "RUNNING" {
            // A crash came between its redrive and what was to be written about that.
            return Ok(true);
        }
        if row.refusal(now_ms()).is_some() {
            return Ok(false);
        }
        let restored = match self.restore(&row).await {
            Ok(restored) => restored,
            Err(RestoreError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(execution = %row.arn, %error, "a child cannot be redriven");
                return Ok(false);
            }
        };
        if restored.running.redrive_refusal().is_some() {
            return Ok(false);
        }
        Ok(self.driver.redrive(restored.running, None).await.is_ok())
    }
}

fn refused(reason: &str) -> AwsError {
    AwsError::bad_request("ExecutionNotRedrivable", reason)
}
