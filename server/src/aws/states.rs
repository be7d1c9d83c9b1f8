//! Step Functions: starting, redriving, stopping and reading executions.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html>

use asl::HistoryEvent;
use aws_config::SdkConfig;
use aws_sdk_sfn::{Client, types::ExecutionStatus as SdkStatus};
use model::ExecutionStatus;

use super::{Api, AwsError, call::Calls, event_of, moment_ms};
use crate::store::StatusChange;

/// Events asked for in one call; the API's maximum.
const HISTORY_PAGE_MAX: i32 = 1_000;

/// Executions asked for in one call; the API's maximum.
const LIST_PAGE_MAX: i32 = 1_000;

/// Step Functions, and the one state machine that Gantry starts.
#[derive(Debug, Clone)]
pub struct States {
    client: Client,
    pub(super) calls: Calls,
    state_machine_arn: String,
}

/// A page of a history.
#[derive(Debug)]
pub struct HistoryPage {
    pub events: Vec<HistoryEvent>,
    pub next: Option<String>,
}

/// An execution as ListExecutions tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedExecution {
    pub arn: String,
    pub status: ExecutionStatus,
    pub redrive_count: u32,
    pub started_at_ms: i64,
    pub ended_at_ms: Option<i64>,
    /// When it was redriven last.
    pub redriven_at_ms: Option<i64>,
}

/// A page of a list of executions.
#[derive(Debug)]
pub struct ExecutionPage {
    pub executions: Vec<ListedExecution>,
    pub next: Option<String>,
}

/// A status in Gantry's words; none when AWS has one that is not known here.
fn status_of(status: &SdkStatus) -> Option<ExecutionStatus> {
    Some(match status {
        SdkStatus::Running => ExecutionStatus::Running,
        SdkStatus::Succeeded => ExecutionStatus::Succeeded,
        SdkStatus::Failed => ExecutionStatus::Failed,
        SdkStatus::TimedOut => ExecutionStatus::TimedOut,
        SdkStatus::Aborted => ExecutionStatus::Aborted,
        SdkStatus::PendingRedrive => ExecutionStatus::PendingRedrive,
        _ => return None,
    })
}

impl States {
    pub(super) fn new(shared: &SdkConfig, calls: Calls, state_machine_arn: &str) -> States {
        States {
            client: Client::new(shared),
            calls,
            state_machine_arn: state_machine_arn.to_owned(),
        }
    }

    /// The ARN that an execution of this name has.
    pub fn execution_arn(&self, name: &str) -> String {
        let machine = self
            .state_machine()
            .replacen(":stateMachine:", ":execution:", 1);
        format!("{machine}:{name}")
    }

    /// StartExecution: returns the ARN and when it started, in milliseconds since 1970. With a name and
    /// input that were used before it answers the running execution: trying again is safe.
    pub async fn start(&self, name: &str, input: &str) -> Result<(String, i64), AwsError> {
        let request = self
            .client
            .start_execution()
            .state_machine_arn(&self.state_machine_arn)
            .name(name)
            .input(input);
        let answer = self
            .calls
            .sdk(Api::StartExecution, || request.clone().send())
            .await?;
        Ok((answer.execution_arn, moment_ms(&answer.start_date)))
    }

    /// RedriveExecution; `token` makes trying again safe.
    pub async fn redrive(&self, arn: &str, token: &str) -> Result<(), AwsError> {
        let request = self
            .client
            .redrive_execution()
            .execution_arn(arn)
            .client_token(token);
        self.calls
            .sdk(Api::RedriveExecution, || request.clone().send())
            .await?;
        Ok(())
    }

    /// StopExecution; stopping one that has ended is no error on AWS either.
    pub async fn stop(&self, arn: &str, error: &str, cause: &str) -> Result<(), AwsError> {
        let request = self
            .client
            .stop_execution()
            .execution_arn(arn)
            .error(error)
            .cause(cause);
        self.calls
            .sdk(Api::StopExecution, || request.clone().send())
            .await?;
        Ok(())
    }

    /// DescribeExecution.
    pub async fn describe(&self, arn: &str, now_ms: i64) -> Result<StatusChange, AwsError> {
        Ok(self.describe_whole(arn, now_ms).await?.0)
    }

    /// DescribeExecution, with the input's text; none where AWS does not tell it.
    pub async fn describe_whole(
        &self,
        arn: &str,
        now_ms: i64,
    ) -> Result<(StatusChange, Option<String>), AwsError> {
        let request = self.client.describe_execution().execution_arn(arn);
        let answer = self
            .calls
            .sdk(Api::DescribeExecution, || request.clone().send())
            .await?;
        let change = StatusChange {
            arn: answer.execution_arn,
            status: status_of(&answer.status).ok_or_else(|| {
                AwsError::unreadable(
                    Api::DescribeExecution,
                    format!("unknown status {:?}", answer.status),
                )
            })?,
            redrive_count: Some(u32::try_from(answer.redrive_count.unwrap_or(0)).unwrap_or(0)),
            started_at_ms: Some(moment_ms(&answer.start_date)),
            ended_at_ms: answer.stop_date.as_ref().map(moment_ms),
            error: answer.error,
            cause: answer.cause,
            redrive_status: answer
                .redrive_status
                .map(|status| status.as_str().to_owned()),
            redrive_reason: answer.redrive_status_reason,
            heard_at_ms: now_ms,
        };
        Ok((change, answer.input))
    }

    /// The state machine whose executions are followed, without version or alias.
    pub fn state_machine(&self) -> &str {
        let end = self.state_machine_arn.match_indices(':').nth(6);
        end.map_or(&*self.state_machine_arn, |(end, _)| {
            &self.state_machine_arn[..end]
        })
    }

    /// The name of an execution of the state machine, by its ARN. None of another's, and none of a child of a Map
    /// Run: its ARN has the Map Run's label beside the state machine's name.
    /// <https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html>
    pub fn name_of<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let (before, machine) = self.state_machine().split_once(":stateMachine:")?;
        let rest = arn.strip_prefix(before)?.strip_prefix(":execution:")?;
        let name = rest.strip_prefix(machine)?.strip_prefix(':')?;
        (!name.is_empty() && !name.contains([':', '/'])).then_some(name)
    }

    /// One page of ListExecutions, newest first: of all, or of those that run. What has a status that is not known
    /// here is left out.
    pub async fn list(
        &self,
        running_only: bool,
        next: Option<String>,
    ) -> Result<ExecutionPage, AwsError> {
        let request = self
            .client
            .list_executions()
            .state_machine_arn(self.state_machine())
            .set_status_filter(running_only.then_some(SdkStatus::Running))
            .max_results(LIST_PAGE_MAX)
            .set_next_token(next);
        let answer = self
            .calls
            .sdk(Api::ListExecutions, || request.clone().send())
            .await?;
        let listed = answer.executions.into_iter().filter_map(|item| {
            Some(ListedExecution {
                status: status_of(&item.status)?,
                redrive_count: u32::try_from(item.redrive_count.unwrap_or(0)).unwrap_or(0),
                started_at_ms: moment_ms(&item.start_date),
                ended_at_ms: item.stop_date.as_ref().map(moment_ms),
                redriven_at_ms: item.redrive_date.as_ref().map(moment_ms),
                arn: item.execution_arn,
            })
        });
        Ok(ExecutionPage {
            executions: listed.collect(),
            next: answer.next_token,
        })
    }

    /// The definition that an execution runs, which may be older than its state machine's. AWS answers one such
    /// call a second: fails where it would have to wait, so that histories do not wait behind it.
    pub async fn definition(&self, arn: &str) -> Result<String, AwsError> {
        let request = self
            .client
            .describe_state_machine_for_execution()
            .execution_arn(arn);
        let answer = self
            .calls
            .hasty()
            .sdk(Api::DescribeStateMachineForExecution, || {
                request.clone().send()
            })
            .await?;
        Ok(answer.definition)
    }

    /// One page of GetExecutionHistory, with inputs and outputs.
    pub async fn history(
        &self,
        arn: &str,
        newest_first: bool,
        next: Option<String>,
    ) -> Result<HistoryPage, AwsError> {
        let request = self
            .client
            .get_execution_history()
            .execution_arn(arn)
            .reverse_order(newest_first)
            .include_execution_data(true)
            .max_results(HISTORY_PAGE_MAX)
            .set_next_token(next);
        let answer = self
            .calls
            .sdk(Api::GetExecutionHistory, || request.clone().send())
            .await?;
        Ok(HistoryPage {
            events: answer.events.into_iter().filter_map(event_of).collect(),
            next: answer.next_token,
        })
    }
}
