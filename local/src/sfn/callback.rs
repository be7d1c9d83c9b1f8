//! Task tokens: what the bearers of tokens say about their tasks.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token>

use asl::{Input, TaskId, TaskToken};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Sfn, token};
use crate::wire::AwsError;

/// Most bytes of an output, and most characters of an error and of a cause.
const OUTPUT_BYTES_MAX: usize = 262_144;
const ERROR_MAX: usize = 256;
const CAUSE_MAX: usize = 32_768;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendTaskSuccess {
    task_token: String,
    output: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendTaskFailure {
    task_token: String,
    error: Option<String>,
    cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendTaskHeartbeat {
    task_token: String,
}

impl Sfn {
    pub(super) async fn send_task_success(&self, ask: SendTaskSuccess) -> Result<Value, AwsError> {
        bounded("output", ask.output.len(), OUTPUT_BYTES_MAX)?;
        let known = read(&ask.task_token)?;
        let output = serde_json::from_str(&ask.output).map_err(|error| {
            AwsError::bad_request("InvalidOutput", format!("Invalid Output: '{error}'"))
        })?;
        let report = |task| Input::TaskSucceeded { task, output };
        self.told(&ask.task_token, known, report).await
    }

    pub(super) async fn send_task_failure(&self, ask: SendTaskFailure) -> Result<Value, AwsError> {
        let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
        bounded("error", length(&ask.error), ERROR_MAX)?;
        bounded("cause", length(&ask.cause), CAUSE_MAX)?;
        let known = read(&ask.task_token)?;
        let SendTaskFailure { error, cause, .. } = ask;
        let report = |task| Input::TaskFailed { task, error, cause };
        self.told(&ask.task_token, known, report).await
    }

    pub(super) async fn send_task_heartbeat(
        &self,
        ask: SendTaskHeartbeat,
    ) -> Result<Value, AwsError> {
        let known = read(&ask.task_token)?;
        self.told(&ask.task_token, known, |task| Input::TaskHeartbeat { task })
            .await
    }

    /// Gives an execution what was told about one of its tasks; durable when it returns.
    async fn told(
        &self,
        token: &str,
        known: TaskToken,
        report: impl FnOnce(TaskId) -> Input,
    ) -> Result<Value, AwsError> {
        let execution: Option<i64> =
            sqlx::query_scalar("SELECT id FROM sfn_executions WHERE arn = ?")
                .bind(&known.execution_arn)
                .fetch_optional(&self.store.db)
                .await?;
        let Some(execution) = execution else {
            return Err(AwsError::bad_request(
                "TaskDoesNotExist",
                "Task Does Not Exist: 'Provided task does not exist'",
            ));
        };
        let input = report(known.task);
        let awaited = self.driver.report(execution, known.task, token, input);
        if !awaited.await {
            return Err(AwsError::bad_request(
                "TaskTimedOut",
                "Task Timed Out: 'Provided task does not exist anymore'",
            ));
        }
        self.driver.written().await;
        Ok(json!({}))
    }
}

fn read(token: &str) -> Result<TaskToken, AwsError> {
    TaskToken::read(token).ok_or_else(token::invalid)
}

fn bounded(member: &str, length: usize, most: usize) -> Result<(), AwsError> {
    if length <= most {
        return Ok(());
    }
    Err(AwsError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length less than or equal to {most}"
    )))
}
