//! Jobs: submitting, listing, looking at, running again and stopping them.

use model::{
    ApiError, ErrorCode, ExecutionStatus, JobFilter, JobId, JobPage, JobStatus, JobSummary,
    JobView, PRIORITY_DEFAULT, PRIORITY_MAX, RerunChoice, RerunOffer, SubmitJob,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Control, Failure,
    bulk::{
        checked_reason,
        eligible::{adopted_input, edited},
    },
    input::{self, Edit},
    pipeline::{pipeline, shown_source, title_of},
};
use crate::{
    clock,
    store::{Asked, ExecutionRecord, JobRecord, NewJob, RerunMode, StopOutcome, Submitted},
};

/// Jobs on one page of the list.
pub const PAGE_JOBS: u32 = 50;
/// The shortest text to search for: search knows every three characters.
const TEXT_LENGTH_MIN: usize = 3;
/// The longest idempotency key, in bytes.
const KEY_LENGTH_MAX: usize = 200;
/// For how long Step Functions redrives what has ended.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>
const REDRIVE_WITHIN_MS: i64 = 14 * 86_400_000;

/// A job as a person or program wants it to run again.
#[derive(Debug, Clone)]
pub struct Rerun {
    pub mode: RerunChoice,
    /// Only a new execution can have another input.
    pub edit: Option<Edit>,
    pub reason: String,
}

impl Default for Rerun {
    fn default() -> Self {
        Rerun {
            mode: RerunChoice::Auto,
            edit: None,
            reason: String::new(),
        }
    }
}

impl Control {
    /// An id for a job to be: known before the job so that an upload can go where it belongs.
    pub fn new_job_id(&self) -> JobId {
        JobId(Uuid::now_v7())
    }

    /// Stores a job and promises its start; waits for no AWS. A request that came before gives the first one's job.
    pub async fn submit(&self, request: SubmitJob, actor: &str) -> Result<JobSummary, Failure> {
        self.submit_as(self.new_job_id(), request, None, actor)
            .await
    }

    /// Like [`Control::submit`], under an id made before; `upload` is the key of the file uploaded for it.
    pub async fn submit_as(
        &self,
        id: JobId,
        request: SubmitJob,
        upload: Option<&str>,
        actor: &str,
    ) -> Result<JobSummary, Failure> {
        let mut job = new_job(id, &request.pipeline, request.input, request.priority)?;
        let digest = digest(&job);
        job.idempotency_key = match (request.idempotency_key, request.once) {
            (Some(key), _) => Some(checked_key(key)?),
            (None, true) => Some(digest.clone()),
            (None, false) => None,
        };
        job.request_digest = Some(digest);
        let asked = Asked {
            actor: actor.to_owned(),
            ..Asked::default()
        };
        let submitted = self.store.submit(&job, upload, &asked).await?;
        self.outbox.notify_one();
        Ok(match submitted {
            Submitted::Made(id) => {
                self.live.touch(id);
                tracing::info!(job = %id, source = job.source, "job submitted");
                job.summary()
            }
            Submitted::Repeated(first) => {
                tracing::info!(job = %first, "job submitted again");
                self.record(first).await?.summary
            }
            Submitted::KeyTaken(first) => {
                return Err(ApiError::new(
                    ErrorCode::Conflict,
                    format!("The idempotency key was used before, with another input, for job {first}. Use a new key."),
                )
                .into());
            }
        })
    }

    /// One page of jobs, newest first.
    pub async fn jobs(&self, filter: JobFilter) -> Result<JobPage, Failure> {
        let filter = checked_filter(filter)?;
        // One more than a page shows whether there is a next page.
        let listed = self.store.jobs_and_counts(&filter, PAGE_JOBS + 1);
        let (mut jobs, counts) = listed.await?;
        let more = jobs.len() > PAGE_JOBS as usize;
        jobs.truncate(PAGE_JOBS as usize);
        Ok(JobPage {
            next: jobs.last().filter(|_| more).map(|job| job.id),
            jobs,
            counts,
            as_of_ms: clock::now(),
        })
    }

    /// A job as its page shows it.
    pub async fn job(&self, id: JobId) -> Result<JobView, Failure> {
        self.live.looked_at(id, clock::now().0);
        let job = self.record(id).await?;
        let execution = match &job.execution_arn {
            Some(arn) => self.store.execution(arn).await?,
            None => None,
        };
        let view = match &execution {
            Some(execution) => {
                let folded = self.folded(&job.summary.pipeline, execution).await?;
                let progress = self.progress(execution, &folded).await?;
                Some(folded.lock().await.view(execution, &progress))
            }
            None => None,
        };
        let now = clock::now();
        Ok(JobView {
            rerun: rerun_offer(job.summary.status, execution.as_ref(), now.0),
            lineage: self.lineage(id).await?,
            artifacts: self.store.artifacts(id).await?,
            job: job.summary,
            input: job.input,
            input_cut: false,
            execution: view,
            as_of_ms: now,
        })
    }

    /// The same for a page and its live stream, which a large input would weigh down.
    pub async fn job_shown(&self, id: JobId) -> Result<JobView, Failure> {
        let mut view = self.job(id).await?;
        view.input_cut = input::cut(&mut view.input);
        Ok(view)
    }

    /// Promises to run a job again as its offer says, or as is asked for.
    pub async fn rerun(&self, id: JobId, rerun: Rerun, actor: &str) -> Result<JobSummary, Failure> {
        let job = self.record(id).await?;
        let execution = match &job.execution_arn {
            Some(arn) => self.store.execution(arn).await?,
            None => None,
        };
        let now_ms = clock::now().0;
        let mut asked = Asked {
            actor: actor.to_owned(),
            reason: checked_reason(&rerun.reason)?,
            ..Asked::default()
        };
        let conflict = |reason: String| Failure::from(ApiError::new(ErrorCode::Conflict, reason));
        let offer = rerun_offer(job.summary.status, execution.as_ref(), now_ms);
        let way = way(offer, rerun.mode, rerun.edit.is_some()).map_err(conflict)?;
        let mode = match (way, &execution, &rerun.edit) {
            (Way::Redrive, Some(execution), _) => RerunMode::Redrive {
                arn: execution.arn.clone(),
                redrive_count: execution.redrive_count,
            },
            (_, _, Some(edit)) => {
                let (input, changes) = edited(&job, edit)?;
                asked.changes = changes;
                RerunMode::Restart { input: Some(input) }
            }
            (_, _, None) if job.summary.adopted => RerunMode::Restart {
                input: Some(adopted_input(&job)?),
            },
            _ => RerunMode::Restart { input: None },
        };
        if !self.store.rerun(id, &mode, &asked, now_ms).await? {
            return Err(conflict(
                "The job is queued or running already: somebody was faster.".to_owned(),
            ));
        }
        self.outbox.notify_one();
        self.live.touch(id);
        tracing::info!(job = %id, mode = ?mode, "rerun promised");
        Ok(self.record(id).await?.summary)
    }

    /// Promises to stop a job.
    pub async fn stop(&self, id: JobId, reason: &str, actor: &str) -> Result<JobSummary, Failure> {
        self.record(id).await?;
        let asked = Asked {
            actor: actor.to_owned(),
            reason: checked_reason(reason)?,
            ..Asked::default()
        };
        if self.store.stop(id, &asked, clock::now().0).await? == StopOutcome::Over {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                "The job is over, so there is nothing to stop.",
            )
            .into());
        }
        self.outbox.notify_one();
        self.live.touch(id);
        tracing::info!(job = %id, "stop promised");
        Ok(self.record(id).await?.summary)
    }

    /// What was asked of a job and what came of it.
    async fn lineage(&self, id: JobId) -> Result<Vec<model::LineageEvent>, Failure> {
        Ok(self.store.lineage(id).await?)
    }

    /// The JSON Schema of a pipeline's input.
    pub fn pipeline_schema(&self, name: &str) -> Result<Value, Failure> {
        Ok(pipeline(name)?.schema.clone())
    }

    pub(crate) async fn record(&self, id: JobId) -> Result<JobRecord, Failure> {
        self.store.job(id).await?.ok_or_else(|| {
            Failure::not_found(format!(
                "There is no job {id}. It may have been made in another installation."
            ))
        })
    }
}

/// A job of this input, valid under its pipeline's schema.
pub(crate) fn new_job(
    id: JobId,
    pipeline_name: &str,
    input: Value,
    priority: Option<u8>,
) -> Result<NewJob, Failure> {
    let pipeline = pipeline(pipeline_name)?;
    let input = pipeline.input(input)?;
    let priority = checked_priority(priority)?;
    let source = input["source"].as_str().unwrap_or_default();
    let title = title_of(&input);
    Ok(NewJob {
        id,
        pipeline: pipeline.name.to_owned(),
        title,
        source: shown_source(source),
        input,
        submitted_at: clock::now(),
        priority,
        idempotency_key: None,
        request_digest: None,
    })
}

/// The priority asked for, or that of who asks for none.
pub(crate) fn checked_priority(priority: Option<u8>) -> Result<u8, Failure> {
    match priority.unwrap_or(PRIORITY_DEFAULT) {
        priority @ 0..=PRIORITY_MAX => Ok(priority),
        _ => Err(Failure::invalid(format!(
            "`priority` must be from 0 to {PRIORITY_MAX}."
        ))),
    }
}

/// What tells a request from another: pipeline and input. The order of fields does not matter.
fn digest(job: &NewJob) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{} {}", job.pipeline, sorted(&job.input)));
    let bytes = hash.finalize();
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hexadecimal}")
}

/// The same value with the fields of its objects in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let sorted_fields = fields
                .into_iter()
                .map(|(name, value)| (name.clone(), sorted(value)));
            Value::Object(sorted_fields.collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A key as it is kept. <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
fn checked_key(key: String) -> Result<String, Failure> {
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if key.trim().is_empty() || key.len() > KEY_LENGTH_MAX || !printable {
        return Err(ApiError::new(
            ErrorCode::Invalid,
            format!("An idempotency key has 1 to {KEY_LENGTH_MAX} printable ASCII characters."),
        )
        .into());
    }
    Ok(key)
}

/// A filter whose text can be searched for.
pub(super) fn checked_filter(mut filter: JobFilter) -> Result<JobFilter, Failure> {
    let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    filter.text = said(filter.text).map(|text| text.trim().to_owned());
    filter.pipeline = said(filter.pipeline);
    filter.error = said(filter.error);
    filter.failed_state = said(filter.failed_state);
    match &filter.text {
        Some(text) if text.chars().count() < TEXT_LENGTH_MIN => Err(ApiError::new(
            ErrorCode::Invalid,
            format!("“{text}” is too short: search for {TEXT_LENGTH_MIN} characters or more."),
        )
        .into()),
        _ => Ok(filter),
    }
}

/// The way in which a job runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Redrive,
    Restart,
}

/// The way that fits what is offered and what is asked for, or why there is none.
pub(super) fn way(offer: RerunOffer, mode: RerunChoice, is_edited: bool) -> Result<Way, String> {
    match (offer, mode) {
        (RerunOffer::Unavailable { reason }, _)
        | (RerunOffer::Restart { reason }, RerunChoice::Redrive) => Err(reason),
        (RerunOffer::Redrive { .. }, RerunChoice::Redrive) if is_edited => Err(
            "A redrive goes on with the input it has; only a new execution can have another."
                .to_owned(),
        ),
        (RerunOffer::Redrive { .. }, RerunChoice::Auto | RerunChoice::Redrive) if !is_edited => {
            Ok(Way::Redrive)
        }
        _ => Ok(Way::Restart),
    }
}

/// What pressing Rerun would do now.
/// AWS redrives from the states that were entered and not left: when a Catch led to a Fail state, that is
/// the Fail state alone, and redriving would only fail there again.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>
pub(super) fn rerun_offer(
    status: JobStatus,
    execution: Option<&ExecutionRecord>,
    now_ms: i64,
) -> RerunOffer {
    let unavailable = |reason: &str| RerunOffer::Unavailable {
        reason: reason.to_owned(),
    };
    let restart = |reason: String| RerunOffer::Restart { reason };
    match status {
        JobStatus::Queued => return unavailable("The job waits for its start already."),
        JobStatus::Running => return unavailable("The job is running; stop it first."),
        JobStatus::Succeeded => {
            return restart(
                "The job succeeded, so there is nothing to go on from: it runs again from the beginning."
                    .to_owned(),
            );
        }
        JobStatus::Failed | JobStatus::TimedOut | JobStatus::Aborted => {}
    }
    let Some(execution) = execution else {
        return restart("The job was never started.".to_owned());
    };
    if execution.status == ExecutionStatus::Running {
        return restart("The job was stopped before its rerun began.".to_owned());
    }
    if let Some(state) = &execution.ended_in {
        return restart(format!(
            "The execution cleaned up and ended in “{state}”: redriving would only fail there again, so the job runs again from the beginning."
        ));
    }
    if execution
        .ended_at
        .is_some_and(|ended| now_ms - ended.0 > REDRIVE_WITHIN_MS)
    {
        return restart(
            "It ended more than 14 days ago, and Step Functions redrives no longer than that."
                .to_owned(),
        );
    }
    if !execution.history_complete {
        return unavailable("The execution's history is being read; try again in a moment.");
    }
    match (execution.redrive_status.as_deref(), &execution.resumes_from) {
        (Some("REDRIVABLE"), Some(state)) => RerunOffer::Redrive {
            from_state: state.clone(),
        },
        (Some("REDRIVABLE"), None) => {
            restart("The execution ended before it entered a state.".to_owned())
        }
        (Some(_), _) => restart(match &execution.redrive_reason {
            Some(reason) => format!("Step Functions does not redrive it: {reason}"),
            None => "Step Functions does not redrive it.".to_owned(),
        }),
        (None, _) => unavailable(
            "Step Functions is being asked whether it can be redriven; try again in a moment.",
        ),
    }
}
