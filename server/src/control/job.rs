//! Jobs: submitting, listing, looking at, running again and stopping them.

use model::{
    ApiError, ErrorCode, ExecutionStatus, JobFilter, JobId, JobPage, JobStatus, JobSummary,
    JobView, RerunOffer, SubmitJob,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Control, Failure,
    execution::Folded,
    pipeline::{pipeline, shown_source, title_of},
};
use crate::{
    clock,
    store::{ExecutionRecord, JobRecord, NewJob, RerunMode, StopOutcome},
};

/// Jobs on one page of the list.
pub const PAGE_JOBS: u32 = 50;

impl Control {
    /// An id for a job to be: known before the job so that an upload can go where it belongs.
    pub fn new_job_id(&self) -> JobId {
        JobId(Uuid::now_v7())
    }

    /// Stores a job and promises its start; waits for no AWS.
    pub async fn submit(&self, request: SubmitJob) -> Result<JobSummary, Failure> {
        self.submit_as(self.new_job_id(), request, None).await
    }

    /// Like [`Control::submit`], under an id made before; `upload` is the key of the file uploaded for it.
    pub async fn submit_as(
        &self,
        id: JobId,
        request: SubmitJob,
        upload: Option<&str>,
    ) -> Result<JobSummary, Failure> {
        let pipeline = pipeline(&request.pipeline)?;
        let input = pipeline.input(request.input)?;
        let source = input["source"].as_str().unwrap_or_default();
        let title = match input["title"].as_str().map(str::trim) {
            Some(title) if !title.is_empty() => title.to_owned(),
            _ => title_of(source),
        };
        let job = NewJob {
            id,
            pipeline: pipeline.name.to_owned(),
            title,
            source: shown_source(source),
            input,
            submitted_at: clock::now(),
        };
        self.store.submit(&job, upload).await?;
        self.outbox.notify_one();
        self.live.touch(id);
        tracing::info!(job = %id, source = job.source, "job submitted");
        Ok(self.record(id).await?.summary)
    }

    /// One page of jobs, newest first.
    pub async fn jobs(&self, filter: JobFilter) -> Result<JobPage, Failure> {
        // One more than a page shows whether there is a next page.
        let mut jobs = self.store.jobs(&filter, PAGE_JOBS + 1).await?;
        let more = jobs.len() > PAGE_JOBS as usize;
        jobs.truncate(PAGE_JOBS as usize);
        Ok(JobPage {
            next: jobs.last().filter(|_| more).map(|job| job.id),
            jobs,
            counts: self.store.job_counts().await?,
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
        let (view, rerun) = match &execution {
            Some(execution) => {
                let folded = self.folded(&job.summary.pipeline, execution).await?;
                let progress = self.store.progress(&execution.arn).await?;
                let folded = folded.lock().await;
                let view = folded.view(execution, &progress);
                let offer = rerun_offer(job.summary.status, Some(execution), Some(&folded));
                (Some(view), offer)
            }
            None => (None, rerun_offer(job.summary.status, None, None)),
        };
        Ok(JobView {
            artifacts: self.store.artifacts(id).await?,
            job: job.summary,
            input: job.input,
            execution: view,
            rerun,
            as_of_ms: clock::now(),
        })
    }

    /// Promises to run a job again as its offer says, or, with `restart`, from its beginning.
    pub async fn rerun(&self, id: JobId, restart: bool) -> Result<JobSummary, Failure> {
        let view = self.job(id).await?;
        let mode = match (view.rerun, &view.execution) {
            (RerunOffer::Unavailable { reason }, _) => {
                return Err(ApiError::new(ErrorCode::Conflict, reason).into());
            }
            (RerunOffer::Redrive { .. }, Some(execution)) if !restart => RerunMode::Redrive {
                arn: execution.arn.clone(),
                redrive_count: execution.redrive_count,
            },
            _ => RerunMode::Restart,
        };
        if !self.store.rerun(id, &mode, clock::now().0).await? {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                "The job is queued or running already: somebody was faster.",
            )
            .into());
        }
        self.outbox.notify_one();
        self.live.touch(id);
        tracing::info!(job = %id, mode = ?mode, "rerun promised");
        Ok(self.record(id).await?.summary)
    }

    /// Promises to stop a job.
    pub async fn stop(&self, id: JobId) -> Result<JobSummary, Failure> {
        self.record(id).await?;
        if self.store.stop(id, clock::now().0).await? == StopOutcome::Over {
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

/// What pressing Rerun would do now.
/// AWS redrives from the states that were entered and not left: when a Catch led to a Fail state, that is
/// the Fail state alone, and redriving would only fail there again.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>
pub(super) fn rerun_offer(
    status: JobStatus,
    execution: Option<&ExecutionRecord>,
    folded: Option<&Folded>,
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
    let (Some(execution), Some(folded)) = (execution, folded) else {
        return restart("The job was never started.".to_owned());
    };
    if execution.status == ExecutionStatus::Running {
        return restart("The job was stopped before its rerun began.".to_owned());
    }
    if let Some(state) = folded.ended_in_fail_state() {
        return restart(format!(
            "The execution cleaned up and ended in “{state}”: redriving would only fail there again, so the job runs again from the beginning."
        ));
    }
    if !folded.has_ended() {
        return unavailable("The execution's history is being read; try again in a moment.");
    }
    match (execution.redrive_status.as_deref(), folded.resumes_from()) {
        (Some("REDRIVABLE"), Some(state)) => RerunOffer::Redrive {
            from_state: state.to_owned(),
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
