//! Status events: EventBridge puts each change of an execution's status on the queue. They come at least
//! once and in any order; the store sorts that out.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>

use std::str::FromStr;

use futures::{StreamExt, stream};
use model::JobId;
use serde::Deserialize;

use super::{
    Pause,
    dispatch::{UUID_LENGTH, number_of},
    hear::hear,
};
use crate::{
    aws::Message,
    clock,
    control::{Control, Failure},
    store::{Applied, NewExecution, StatusChange},
};

/// Events applied at one time: as many as SQS answers at once.
const MESSAGES_MAX: usize = 10;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    loop {
        let received = tokio::select! {
            () = control.ending.cancelled() => return,
            received = control.aws.queue.receive() => received,
        };
        let messages = match received {
            Ok(messages) => messages,
            Err(error) => {
                if pause
                    .after_failure(&control, "receive status events", &error)
                    .await
                    .is_break()
                {
                    return;
                }
                continue;
            }
        };
        pause.reset();
        let applied: Vec<_> = stream::iter(messages)
            .map(|message| {
                let control = &control;
                async move { (apply(control, &message).await, message.receipt) }
            })
            .buffer_unordered(MESSAGES_MAX)
            .collect()
            .await;
        let mut done = Vec::with_capacity(applied.len());
        for (result, receipt) in applied {
            match result {
                Ok(()) => done.push(receipt),
                // It stays in the queue and comes again.
                Err(failure) => {
                    if pause
                        .after_failure(&control, "apply a status event", &failure)
                        .await
                        .is_break()
                    {
                        return;
                    }
                }
            }
        }
        if let Err(error) = control.aws.queue.delete(&done).await {
            // They come again, and change nothing then.
            tracing::debug!(causes = %crate::control::causes(&error), "status events were not deleted");
        }
    }
}

/// An EventBridge event, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: serde_json::Value,
}

/// The detail of a *Step Functions Execution Status Change*. Dates are milliseconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    name: String,
    status: model::ExecutionStatus,
    start_date: Option<i64>,
    stop_date: Option<i64>,
    error: Option<String>,
    cause: Option<String>,
    redrive_count: Option<u32>,
    redrive_status: Option<String>,
    redrive_status_reason: Option<String>,
}

/// The change that an event tells of; none when it tells of something else.
fn change_of(body: &str, now_ms: i64) -> Option<(StatusChange, String)> {
    let event: Event = serde_json::from_str(body).ok()?;
    if event.detail_type != "Step Functions Execution Status Change" {
        return None;
    }
    let detail: Detail = serde_json::from_value(event.detail).ok()?;
    Some((
        StatusChange {
            arn: detail.execution_arn,
            status: detail.status,
            redrive_count: detail.redrive_count,
            started_at_ms: detail.start_date,
            ended_at_ms: detail.stop_date,
            error: detail.error,
            cause: detail.cause,
            redrive_status: detail.redrive_status,
            redrive_reason: detail.redrive_status_reason,
            heard_at_ms: now_ms,
        },
        detail.name,
    ))
}

pub(super) async fn apply(control: &Control, message: &Message) -> Result<(), Failure> {
    let Some((change, name)) = change_of(&message.body, clock::now().0) else {
        tracing::warn!("a message in the status queue is no status event; it is dropped");
        control.aws.metrics().event("malformed");
        return Ok(());
    };
    let result = match learn(control, &change, &name).await? {
        Some((job, applied)) => {
            tracing::debug!(%job, status = ?change.status, ?applied, "status event");
            match applied {
                Applied::Stale => "stale",
                _ => "applied",
            }
        }
        None => {
            tracing::debug!(arn = change.arn, "an event of an execution not of Gantry's");
            "unknown"
        }
    };
    control.aws.metrics().event(result);
    Ok(())
}

/// Applies a change, of an execution that was not known yet too: an event may be faster than the answer to
/// StartExecution. Returns its job and whether it was news; none when it is nobody's.
async fn learn(
    control: &Control,
    change: &StatusChange,
    name: &str,
) -> Result<Option<(JobId, Applied)>, Failure> {
    let Some(job) = name
        .get(..UUID_LENGTH)
        .and_then(|id| JobId::from_str(id).ok())
    else {
        return Ok(None);
    };
    let mut applied = hear(control, change).await?;
    if applied == Applied::Unknown {
        let started_at_ms = change.started_at_ms.unwrap_or(change.heard_at_ms);
        let execution = NewExecution::new(job, &change.arn, number_of(name), started_at_ms);
        control
            .store
            .started(None, &execution, change.heard_at_ms)
            .await?;
        applied = hear(control, change).await?;
        if applied == Applied::Unknown {
            return Ok(None);
        }
    }
    Ok(Some((job, applied)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::testing::control,
        store::{self, testing::on_each_database},
    };
    use model::JobStatus;
    use serde_json::json;

    on_each_database!(
        an_event_faster_than_the_starts_answer_is_not_lost,
        events_of_others_and_other_messages_are_passed_over,
    );

    fn event(name: &str, status: &str) -> Message {
        let detail = json!({
            "executionArn": format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{name}"),
            "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:gantry-media",
            "name": name, "status": status, "startDate": 1_000, "stopDate": 2_000,
            "input": "{}", "output": null, "error": "Source.Empty", "cause": "no bytes",
            "redriveCount": 0, "redriveDate": null, "redriveStatus": "REDRIVABLE", "redriveStatusReason": null,
        });
        Message {
            body: json!({"version": "0", "source": "aws.states",
                "detail-type": "Step Functions Execution Status Change", "detail": detail})
            .to_string(),
            receipt: "r".to_owned(),
        }
    }

    async fn an_event_faster_than_the_starts_answer_is_not_lost() {
        let (_folder, control) = control().await;
        let job = store::testing_submit(&control.store, 1).await;
        apply(&control, &event(&job.to_string(), "FAILED"))
            .await
            .unwrap();
        let summary = control.store.job(job).await.unwrap().unwrap().summary;
        assert_eq!(summary.status, JobStatus::Failed);
        assert_eq!(summary.error.as_deref(), Some("Source.Empty"));
        assert_eq!(summary.ended_at_ms.map(|at| at.0), Some(2_000));
    }

    async fn events_of_others_and_other_messages_are_passed_over() {
        let (_folder, control) = control().await;
        let foreign = [
            event("someone-elses", "FAILED"),
            event("01890a5d-ac96-774b-bcce-b302099a8057", "FAILED"),
        ];
        for message in &foreign {
            apply(&control, message).await.unwrap();
        }
        let garbage = Message {
            body: "garbage".to_owned(),
            receipt: String::new(),
        };
        apply(&control, &garbage).await.unwrap();
        assert_eq!(control.store.job_counts().await.unwrap().total(), 0);
    }
}
