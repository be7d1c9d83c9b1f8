//! The reconciler: asks AWS about running executions that nothing was heard of for a while, because
//! EventBridge delivers at best effort and a queue may be emptied by somebody else.

use std::{str::FromStr, time::Duration};

use model::JobId;
use serde_json::Value;

use super::{
    Pause,
    adopt::{own_part, source_of},
    hear::{hear, hear_all},
};
use crate::{
    aws::AwsErrorKind,
    clock,
    control::{Control, Failure, causes},
    store::{Applied, StatusChange},
};

/// How often to look for silent executions.
const LOOK: Duration = Duration::from_secs(5);
/// How long an execution may be silent.
const SILENCE_MS: i64 = 15_000;
/// Executions asked about in one round: ten seconds' worth of DescribeExecution's refill.
const ROUND_MAX: u32 = 100;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    // At the start everything that ran counts as silent: the server was away.
    let mut silence_ms = 0;
    loop {
        let result = round(&control, clock::now().0 - silence_ms).await;
        if result.is_ok() {
            silence_ms = SILENCE_MS;
        }
        if pause
            .after_round(&control, LOOK, "reconcile executions", result)
            .await
            .is_break()
        {
            return;
        }
    }
}

/// Whether a failure is of what was asked about, and not of all calls.
pub(super) fn is_of_one(failure: &Failure) -> bool {
    matches!(failure, Failure::Aws(error) if matches!(error.kind, AwsErrorKind::Denied | AwsErrorKind::Refused))
}

async fn round(control: &Control, before_ms: i64) -> Result<(), Failure> {
    let mut refused = Ok(());
    for arn in control
        .store
        .executions_silent(before_ms, ROUND_MAX)
        .await?
    {
        if control.ending.is_cancelled() {
            return Ok(());
        }
        match ask(control, &arn).await {
            Ok(corrected) => control.aws.metrics().corrected(corrected.into()),
            // One that AWS will not tell about must not keep the others waiting.
            Err(failure) if is_of_one(&failure) => {
                tracing::debug!(arn, causes = %causes(&failure), "not told how it is");
                refused = refused.and(Err(failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    explain(control).await?;
    read_inputs(control).await?;
    refused
}

/// Asks about one execution. Whether the store had it otherwise.
pub(super) async fn ask(control: &Control, arn: &str) -> Result<bool, Failure> {
    let now = clock::now().0;
    match control.aws.states.describe(arn, now).await {
        Ok(change) => Ok(hear(control, &change).await? == Applied::Changed),
        Err(error) if error.is("ExecutionDoesNotExist") => {
            gone(control, arn, now).await?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks once more about ends whose news said neither why nor whether they can be redriven.
pub(super) async fn explain(control: &Control) -> Result<(), Failure> {
    let arns = control.store.executions_unexplained(ROUND_MAX).await?;
    let mut explained = Vec::new();
    for arn in &arns {
        match control.aws.states.describe(arn, clock::now().0).await {
            Ok(change) => explained.push(StatusChange {
                redrive_status: change
                    .redrive_status
                    .or_else(|| Some("NOT_REDRIVABLE".to_owned())),
                ..change
            }),
            // AWS has forgotten it.
            Err(error) if error.is("ExecutionDoesNotExist") => {
                gone(control, arn, clock::now().0).await?
            }
            Err(error) => {
                tracing::debug!(arn, causes = %causes(&error), "not told whether it can be redriven");
                if !is_of_one(&error.into()) {
                    break;
                }
            }
        }
    }
    let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
    let known = control.store.executions_known(&arns).await?;
    hear_all(control, &explained, &known).await?;
    // Why and whether it can be redriven is no change of status, and shown all the same.
    let jobs = known.values().map(|known| known.job).collect();
    control.live.touch_all(&jobs);
    Ok(())
}

/// Reads what adopted executions were started with where nothing told it.
pub(super) async fn read_inputs(control: &Control) -> Result<(), Failure> {
    for (job, arn) in control.store.inputs_unread(ROUND_MAX).await? {
        let Ok(job) = JobId::from_str(&job) else {
            continue;
        };
        let states = &control.aws.states;
        let text = match states.describe_whole(&arn, clock::now().0).await {
            Ok((_, text)) => text,
            Err(error) if error.is("ExecutionDoesNotExist") => None,
            Err(error) => return Err(error.into()),
        };
        let input = text
            .and_then(|text| serde_json::from_str(&text).ok())
            .map(own_part);
        let name = arn.rsplit(':').next().unwrap_or(&arn);
        let source = source_of(input.as_ref()).unwrap_or_else(|| name.to_owned());
        let input = input.unwrap_or(Value::Null);
        control.store.keep_input(job, &source, &input).await?;
        control.live.touch(job);
    }
    Ok(())
}

/// AWS has forgotten the execution (90 days after its end, or with its state machine): it does not run.
async fn gone(control: &Control, arn: &str, now_ms: i64) -> Result<(), Failure> {
    tracing::warn!(arn, "AWS knows this execution no more");
    let Some(execution) = control.store.execution(arn).await? else {
        return Ok(());
    };
    let change = StatusChange {
        redrive_count: Some(execution.redrive_count),
        ended_at_ms: Some(now_ms),
        error: Some("ExecutionDoesNotExist".to_owned()),
        cause: Some("Step Functions does not know this execution any more.".to_owned()),
        redrive_status: Some("NOT_REDRIVABLE".to_owned()),
        redrive_reason: Some("it does not exist any more".to_owned()),
        ..StatusChange::new(arn, model::ExecutionStatus::Aborted, now_ms)
    };
    hear(control, &change).await?;
    Ok(())
}
