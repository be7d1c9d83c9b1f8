//! Which jobs a bulk rerun or stop can be done to, what is done to each, and exactly why not.

use model::{ApiError, InputChange, JobStatus, RerunChoice};
use serde_json::Value;

use crate::{
    control::{
        input::{Edit, changes},
        job::{Way, rerun_offer, way},
        pipeline::{Pipeline, pipeline},
    },
    store::{BulkAction, ExecutionRecord, JobRecord, NewBulkItem},
};

/// What a rerun does to a job.
pub(super) fn rerun(
    job: &JobRecord,
    execution: Option<&ExecutionRecord>,
    mode: RerunChoice,
    edit: Option<&Edit>,
    now_ms: i64,
) -> NewBulkItem {
    let offer = rerun_offer(job.summary.status, execution, now_ms);
    let (action, refusal) = match way(offer, mode, edit.is_some()) {
        Ok(Way::Redrive) => (BulkAction::Redrive, None),
        Ok(Way::Restart) => (BulkAction::Restart, None),
        Err(reason) if mode == RerunChoice::Redrive => (BulkAction::Redrive, Some(reason)),
        Err(reason) => (BulkAction::Restart, Some(reason)),
    };
    let is_as_it_was = edit.is_none() && job.summary.adopted;
    let mut item = item(job, action, refusal);
    if is_as_it_was && item.refusal.is_none() && item.action == BulkAction::Restart {
        match adopted_input(job) {
            Ok(input) => item.input = Some(input),
            Err(error) => item.refusal = Some(said(&error)),
        }
    }
    if let Some(edit) = edit {
        match edited(job, edit) {
            Ok((input, changes)) => {
                item.input = Some(input);
                item.changes = changes;
            }
            Err(error) => {
                item.refusal.get_or_insert_with(|| said(&error));
            }
        }
    }
    item
}

/// What a stop does to a job.
pub(super) fn stop(job: &JobRecord) -> NewBulkItem {
    let refusal = job
        .summary
        .status
        .is_final()
        .then(|| "It is over, so there is nothing to stop.".to_owned());
    item(job, BulkAction::Stop, refusal)
}

fn item(job: &JobRecord, action: BulkAction, refusal: Option<String>) -> NewBulkItem {
    NewBulkItem {
        job: Some(job.summary.id),
        title: job.summary.title.clone(),
        action,
        refusal,
        before: failure(job),
        input: None,
        changes: Vec::new(),
    }
}

/// What a job failed with, as a bulk operation's items say it.
fn failure(job: &JobRecord) -> Option<String> {
    let job = &job.summary;
    if !job.status.is_final() || job.status == JobStatus::Succeeded {
        return None;
    }
    let error = job.error.as_deref().unwrap_or(job.status.as_str());
    Some(match &job.failed_state {
        Some(state) => format!("{error} in {state}"),
        None => error.to_owned(),
    })
}

/// What an adopted job was started with, as its pipeline takes it: nobody checked that before.
pub(in crate::control) fn adopted_input(job: &JobRecord) -> Result<Value, ApiError> {
    if job.input.is_null() {
        return Err(ApiError::new(
            model::ErrorCode::Conflict,
            "The job was started outside Gantry, and what it was started with is not known (yet).",
        ));
    }
    pipeline_of(job)?.input(job.input.clone()).map_err(|error| ApiError {
        message: "The job was started outside Gantry with an input that its pipeline does not take. Run it again with an edited one."
            .to_owned(),
        ..error
    })
}

fn pipeline_of(job: &JobRecord) -> Result<&'static Pipeline, ApiError> {
    pipeline(&job.summary.pipeline).map_err(|failure| match failure {
        crate::control::Failure::Refused(error) => error,
        other => ApiError::new(model::ErrorCode::Internal, other.to_string()),
    })
}

/// A job's edited input, valid under its pipeline's schema, and what that changes.
pub(in crate::control) fn edited(
    job: &JobRecord,
    edit: &Edit,
) -> Result<(Value, Vec<InputChange>), ApiError> {
    let input = pipeline_of(job)?.input(edit.applied(&job.input))?;
    let changes = changes(&job.input, &input);
    Ok((input, changes))
}

/// An error with its fields in one sentence.
pub(super) fn said(error: &ApiError) -> String {
    let fields: Vec<_> = error
        .fields
        .iter()
        .map(|field| {
            format!(
                "{}: {}",
                field.pointer.trim_start_matches('/'),
                field.message
            )
        })
        .collect();
    match fields.is_empty() {
        true => error.message.clone(),
        false => fields.join(" "),
    }
}
