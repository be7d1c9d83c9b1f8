//! From the SDK's history event, with a struct for each kind of details, to `asl`'s, with one for all.

use asl::{Details, HistoryEvent};
use aws_sdk_sfn::types;

use super::moment_ms;

/// The event; none when it is of a type that AWS added after this was written.
pub fn event_of(event: types::HistoryEvent) -> Option<HistoryEvent> {
    Some(HistoryEvent {
        id: event.id,
        previous_event_id: event.previous_event_id,
        timestamp_ms: moment_ms(&event.timestamp),
        kind: event.r#type.as_str().parse().ok()?,
        details: details(event),
    })
}

/// Fills the fields that error details have, wherever they are.
macro_rules! failure {
    ($into:ident, $event:ident, $($details:ident),*) => {
        $(if let Some(found) = $event.$details {
            $into.error = found.error;
            $into.cause = found.cause;
        })*
    };
}

fn details(event: types::HistoryEvent) -> Details {
    let mut into = Details::default();
    if let Some(found) = event.state_entered_event_details {
        into.name = Some(found.name);
        into.input = found.input;
    }
    if let Some(found) = event.state_exited_event_details {
        into.name = Some(found.name);
        into.output = found.output;
        into.assigned_variables = found
            .assigned_variables
            .map(|variables| variables.into_iter().collect());
    }
    if let Some(found) = event.execution_started_event_details {
        into.input = found.input;
        into.role_arn = found.role_arn;
        into.state_machine_alias_arn = found.state_machine_alias_arn;
        into.state_machine_version_arn = found.state_machine_version_arn;
    }
    if let Some(found) = event.execution_succeeded_event_details {
        into.output = found.output;
    }
    if let Some(found) = event.execution_redriven_event_details {
        into.redrive_count = found.redrive_count.map(i64::from);
    }
    if let Some(found) = event.lambda_function_scheduled_event_details {
        into.resource = Some(found.resource);
        into.input = found.input;
        into.timeout_in_seconds = found.timeout_in_seconds;
        into.task_role_arn = found.task_credentials.and_then(|role| role.role_arn);
    }
    if let Some(found) = event.lambda_function_succeeded_event_details {
        into.output = found.output;
    }
    if let Some(found) = event.map_state_started_event_details {
        into.length = Some(i64::from(found.length));
    }
    for found in [
        event.map_iteration_started_event_details,
        event.map_iteration_succeeded_event_details,
        event.map_iteration_failed_event_details,
        event.map_iteration_aborted_event_details,
    ]
    .into_iter()
    .flatten()
    {
        into.name = found.name;
        into.index = Some(i64::from(found.index));
    }
    if let Some(found) = event.map_run_started_event_details {
        into.map_run_arn = found.map_run_arn;
    }
    if let Some(found) = event.map_run_redriven_event_details {
        into.map_run_arn = found.map_run_arn;
        into.redrive_count = found.redrive_count.map(i64::from);
    }
    if let Some(found) = event.evaluation_failed_event_details {
        into.error = found.error;
        into.cause = found.cause;
        into.location = found.location;
        into.state = Some(found.state);
    }
    if let Some(found) = event.activity_scheduled_event_details {
        into.resource = Some(found.resource);
        into.input = found.input;
        into.timeout_in_seconds = found.timeout_in_seconds;
        into.heartbeat_in_seconds = found.heartbeat_in_seconds;
    }
    if let Some(found) = event.activity_started_event_details {
        into.worker_name = found.worker_name;
    }
    if let Some(found) = event.activity_succeeded_event_details {
        into.output = found.output;
    }
    task(
        &mut into,
        TaskDetails {
            scheduled: event.task_scheduled_event_details,
            started: event.task_started_event_details,
            submitted: event.task_submitted_event_details,
            succeeded: event.task_succeeded_event_details,
            failed: event.task_failed_event_details,
            start_failed: event.task_start_failed_event_details,
            submit_failed: event.task_submit_failed_event_details,
            timed_out: event.task_timed_out_event_details,
        },
    );
    failure!(
        into,
        event,
        execution_failed_event_details,
        execution_aborted_event_details,
        execution_timed_out_event_details,
        lambda_function_failed_event_details,
        lambda_function_schedule_failed_event_details,
        lambda_function_start_failed_event_details,
        lambda_function_timed_out_event_details,
        map_run_failed_event_details,
        activity_failed_event_details,
        activity_schedule_failed_event_details,
        activity_timed_out_event_details
    );
    into
}

/// The details of tasks on integrated services, of which an event has one.
struct TaskDetails {
    scheduled: Option<types::TaskScheduledEventDetails>,
    started: Option<types::TaskStartedEventDetails>,
    submitted: Option<types::TaskSubmittedEventDetails>,
    succeeded: Option<types::TaskSucceededEventDetails>,
    failed: Option<types::TaskFailedEventDetails>,
    start_failed: Option<types::TaskStartFailedEventDetails>,
    submit_failed: Option<types::TaskSubmitFailedEventDetails>,
    timed_out: Option<types::TaskTimedOutEventDetails>,
}

fn task(into: &mut Details, details: TaskDetails) {
    if let Some(found) = details.scheduled {
        into.resource_type = Some(found.resource_type);
        into.resource = Some(found.resource);
        into.region = Some(found.region);
        into.parameters = Some(found.parameters);
        into.timeout_in_seconds = found.timeout_in_seconds;
        into.heartbeat_in_seconds = found.heartbeat_in_seconds;
        into.task_role_arn = found.task_credentials.and_then(|role| role.role_arn);
    }
    if let Some(found) = details.started {
        into.resource_type = Some(found.resource_type);
        into.resource = Some(found.resource);
    }
    if let Some(found) = details.submitted {
        into.resource_type = Some(found.resource_type);
        into.resource = Some(found.resource);
        into.output = found.output;
    }
    if let Some(found) = details.succeeded {
        into.resource_type = Some(found.resource_type);
        into.resource = Some(found.resource);
        into.output = found.output;
    }
    macro_rules! failed {
        ($($kind:ident),*) => {
            $(if let Some(found) = details.$kind {
                into.resource_type = Some(found.resource_type);
                into.resource = Some(found.resource);
                into.error = found.error;
                into.cause = found.cause;
            })*
        };
    }
    failed!(failed, start_failed, submit_failed, timed_out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn an_event_keeps_what_its_details_say() {
        let event = types::HistoryEvent::builder()
            .id(7)
            .previous_event_id(6)
            .timestamp(DateTime::from_millis(1_700_000_000_250))
            .r#type(types::HistoryEventType::LambdaFunctionFailed)
            .lambda_function_failed_event_details(
                types::LambdaFunctionFailedEventDetails::builder()
                    .error("Source.NotMedia")
                    .cause("no video")
                    .build(),
            )
            .build()
            .unwrap();
        let event = event_of(event).unwrap();
        assert_eq!((event.id, event.previous_event_id), (7, 6));
        assert_eq!(event.timestamp_ms, 1_700_000_000_250);
        assert_eq!(event.details.error.as_deref(), Some("Source.NotMedia"));
        // The store keeps events in the wire's format, and the fold reads them from there.
        let again = HistoryEvent::from_wire(&event.to_wire(true));
        assert_eq!(again, Some(event));
    }

    #[test]
    fn an_event_of_a_type_not_known_yet_is_left_out() {
        let event = types::HistoryEvent::builder()
            .id(1)
            .timestamp(DateTime::from_secs(0))
            .r#type(types::HistoryEventType::from("SomethingNew"))
            .build()
            .unwrap();
        assert_eq!(event_of(event), None);
    }
}
