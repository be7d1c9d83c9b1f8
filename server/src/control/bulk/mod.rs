//! Bulk operations: made with a preview of every item, begun, paused, cancelled. Owns what they are; the tracker
//! carries them out, item by item, wherever a server runs.

use model::{
    ApiError, Bulk, BulkCounts, BulkId, BulkItemState, BulkKind, BulkRerun, BulkState, BulkSubmit,
    BulkView, BulkWhat, CreateBulk, ErrorCode, JobFilter, JobId, RerunChoice,
};
use uuid::Uuid;

use super::{
    Control, Failure,
    input::Edit,
    job::{checked_filter, checked_priority},
    pipeline::{pipeline, title_of},
};
use crate::{
    clock,
    store::{BulkAction, ExecutionRecord, JobRecord, NewBulk, NewBulkItem},
};

pub(super) mod eligible;
mod source;

/// Items of one bulk operation at most.
pub const ITEMS_MAX: usize = 100_000;
/// Items on one page.
pub const PAGE_ITEMS: u32 = 100;
/// Items written, and jobs read, at one time.
const CHUNK: usize = 500;
/// Bulk operations in the list.
const LIST_MAX: u32 = 100;
/// Reasons told with their counts.
const REASONS_MAX: u32 = 20;
/// The longest reason, in characters.
pub(super) const REASON_LENGTH_MAX: usize = 500;

impl Control {
    /// Makes a bulk operation; it waits as a preview unless the request says to begin.
    pub async fn create_bulk(&self, request: CreateBulk, actor: &str) -> Result<Bulk, Failure> {
        let reason = checked_reason(&request.reason)?;
        if request.pace_per_minute == Some(0) {
            return Err(Failure::invalid(
                "`pace_per_minute` must be 1 or more; leave it away for no pace but AWS's.",
            ));
        }
        let mut new = NewBulk {
            id: BulkId(Uuid::now_v7()),
            kind: BulkKind::Submit,
            title: String::new(),
            actor: actor.to_owned(),
            reason,
            canary: request.canary,
            pace_per_minute: request.pace_per_minute,
            pipeline: None,
            priority: None,
            created_at_ms: clock::now().0,
        };
        match &request.what {
            BulkWhat::Submit(submit) => self.make_submit(&mut new, submit).await?,
            BulkWhat::Rerun(rerun) => {
                new.kind = BulkKind::Rerun;
                new.title = format!(
                    "Rerun {} ({})",
                    described(rerun.jobs.as_deref(), rerun.filter.as_ref()),
                    rerun.mode.label().to_lowercase()
                );
                self.make_rerun(&new, rerun).await?;
            }
            BulkWhat::Stop(stop) => {
                new.kind = BulkKind::Stop;
                let what = described(stop.jobs.as_deref(), stop.filter.as_ref());
                new.title = format!("Stop {what}");
                self.make_of_jobs(&new, stop.jobs.as_deref(), stop.filter.as_ref(), |jobs| {
                    jobs.iter().map(|(job, _)| eligible::stop(job)).collect()
                })
                .await?;
            }
        }
        self.store.bulk_made(new.id).await?;
        tracing::info!(bulk = %new.id, title = new.title, "bulk operation made");
        match request.start {
            true => self.start_bulk(new.id).await,
            false => self.bulk_record(new.id).await,
        }
    }

    async fn make_submit(&self, new: &mut NewBulk, submit: &BulkSubmit) -> Result<(), Failure> {
        let pipeline = pipeline(&submit.pipeline)?;
        checked_priority(submit.priority)?;
        let (what, inputs) = source::inputs(self, pipeline, submit, ITEMS_MAX).await?;
        new.title = format!("Submit {what} to {}", pipeline.name);
        new.pipeline = Some(pipeline.name.to_owned());
        new.priority = submit.priority;
        self.store.bulk_making(new).await?;
        let mut first = 1;
        for chunk in inputs.chunks(CHUNK) {
            let items: Vec<_> = chunk
                .iter()
                .map(|input| {
                    let title = title_of(input);
                    let (input, refusal) = match pipeline.input(input.clone()) {
                        Ok(valid) => (valid, None),
                        Err(error) => (input.clone(), Some(eligible::said(&error))),
                    };
                    NewBulkItem {
                        job: None,
                        title,
                        action: BulkAction::Submit,
                        refusal,
                        before: None,
                        input: Some(input),
                        changes: Vec::new(),
                    }
                })
                .collect();
            self.store.bulk_add(new.id, first, &items).await?;
            first += items.len() as u64;
        }
        Ok(())
    }

    async fn make_rerun(&self, new: &NewBulk, rerun: &BulkRerun) -> Result<(), Failure> {
        let edit = match (&rerun.edit, &rerun.input) {
            (None, None) => None,
            (Some(patch), None) if patch.is_object() => Some(Edit::Patch(patch.clone())),
            (Some(_), None) => {
                return Err(Failure::invalid(
                    "`edit` must be a JSON object: a merge patch of each job's input (RFC 7396).",
                ));
            }
            (None, Some(input)) if rerun.jobs.as_ref().is_some_and(|jobs| jobs.len() == 1) => {
                Some(Edit::Whole(input.clone()))
            }
            (None, Some(_)) => {
                return Err(Failure::invalid(
                    "`input` replaces one job's input; for several use `edit`, a merge patch.",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Failure::invalid("Give either `edit` or `input`, not both."));
            }
        };
        let edit = edit.as_ref();
        if edit.is_some() && rerun.mode == RerunChoice::Redrive {
            return Err(Failure::invalid(
                "A redrive goes on with the input it has. Use the mode `restart` to edit inputs.",
            ));
        }
        let now_ms = new.created_at_ms;
        self.make_of_jobs(new, rerun.jobs.as_deref(), rerun.filter.as_ref(), |jobs| {
            jobs.iter()
                .map(|(job, execution)| {
                    eligible::rerun(job, execution.as_ref(), rerun.mode, edit, now_ms)
                })
                .collect()
        })
        .await
    }

    /// Writes an item for each of the jobs, chunk by chunk.
    async fn make_of_jobs(
        &self,
        new: &NewBulk,
        jobs: Option<&[JobId]>,
        filter: Option<&JobFilter>,
        items: impl Fn(&[(JobRecord, Option<ExecutionRecord>)]) -> Vec<NewBulkItem>,
    ) -> Result<(), Failure> {
        let mut which = match (jobs, filter) {
            (Some(jobs), None) if jobs.len() <= ITEMS_MAX => Which::Named(jobs.chunks(CHUNK)),
            (Some(_), None) => {
                return Err(Failure::invalid(format!(
                    "Name at most {ITEMS_MAX} jobs at a time."
                )));
            }
            (None, Some(filter)) => Which::Filtered(checked_filter(filter.clone())?),
            _ => {
                return Err(Failure::invalid(
                    "Say which jobs by exactly one of `jobs` and `filter`; an empty filter means all.",
                ));
            }
        };
        self.store.bulk_making(new).await?;
        let mut written = 0_usize;
        while let Some(found) = self.next_jobs(&mut which).await? {
            if written + found.len() > ITEMS_MAX {
                return Err(Failure::invalid(format!(
                    "The filter admits more than {ITEMS_MAX} jobs. Make it narrower."
                )));
            }
            let items = items(&self.store.with_executions(found).await?);
            self.store
                .bulk_add(new.id, written as u64 + 1, &items)
                .await?;
            written += items.len();
        }
        if written == 0 {
            return Err(Failure::invalid("No job is meant by that."));
        }
        Ok(())
    }

    /// The next chunk of jobs; none when there are no more. Ids of no job are passed over.
    async fn next_jobs(&self, which: &mut Which<'_>) -> Result<Option<Vec<JobRecord>>, Failure> {
        match which {
            Which::Named(chunks) => match chunks.next() {
                Some(ids) => Ok(Some(self.store.job_records(ids).await?)),
                None => Ok(None),
            },
            Which::Filtered(filter) => {
                let found = self.store.jobs(filter, CHUNK as u32).await?;
                let ids: Vec<JobId> = found.iter().map(|job| job.id).collect();
                let Some(last) = ids.last() else {
                    return Ok(None);
                };
                filter.before = Some(*last);
                Ok(Some(self.store.job_records(&ids).await?))
            }
        }
    }

    /// A bulk operation with a page of its items.
    pub async fn bulk_view(
        &self,
        id: BulkId,
        state: Option<BulkItemState>,
        after: u64,
    ) -> Result<BulkView, Failure> {
        let bulk = self.bulk_record(id).await?;
        let mut items = self
            .store
            .bulk_items(id, state, after, PAGE_ITEMS + 1)
            .await?;
        let more = items.len() > PAGE_ITEMS as usize;
        items.truncate(PAGE_ITEMS as usize);
        Ok(BulkView {
            refusals: self
                .store
                .bulk_reasons(id, BulkItemState::Refused, REASONS_MAX)
                .await?,
            failures: self
                .store
                .bulk_reasons(id, BulkItemState::Failed, REASONS_MAX)
                .await?,
            next: items.last().filter(|_| more).map(|item| item.position),
            items,
            bulk,
            as_of_ms: clock::now(),
        })
    }

    /// The newest bulk operations.
    pub async fn bulks(&self) -> Result<Vec<Bulk>, Failure> {
        Ok(self.store.bulks(LIST_MAX).await?)
    }

    /// Begins a preview, or goes on with what was paused.
    pub async fn start_bulk(&self, id: BulkId) -> Result<Bulk, Failure> {
        const FROM: &[BulkState] = &[BulkState::Draft, BulkState::Paused];
        self.move_bulk(id, FROM, BulkState::Running, None).await
    }

    /// Begins no more items until somebody goes on.
    pub async fn pause_bulk(&self, id: BulkId) -> Result<Bulk, Failure> {
        let note = "Somebody paused it.".to_owned();
        self.move_bulk(id, &[BulkState::Running], BulkState::Paused, Some(note))
            .await
    }

    /// Begins no more items, ever. What has begun goes on.
    pub async fn cancel_bulk(&self, id: BulkId) -> Result<Bulk, Failure> {
        const FROM: &[BulkState] = &[BulkState::Draft, BulkState::Running, BulkState::Paused];
        let note = "Somebody cancelled it.".to_owned();
        self.move_bulk(id, FROM, BulkState::Cancelled, Some(note))
            .await
    }

    async fn move_bulk(
        &self,
        id: BulkId,
        from: &'static [BulkState],
        to: BulkState,
        note: Option<String>,
    ) -> Result<Bulk, Failure> {
        let before = self.bulk_record(id).await?;
        let now_ms = clock::now().0;
        if !self.store.bulk_move(id, from, to, note, now_ms).await? {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                format!(
                    "The bulk operation is {}; that cannot be done to it.",
                    before.state.label().to_lowercase()
                ),
            )
            .into());
        }
        self.bulks.notify_one();
        tracing::info!(bulk = %id, state = to.as_str(), "bulk operation moved on");
        self.bulk_record(id).await
    }

    async fn bulk_record(&self, id: BulkId) -> Result<Bulk, Failure> {
        let record = self.store.bulk(id).await?;
        record.map(|record| record.bulk).ok_or_else(|| {
            Failure::not_found(format!(
                "There is no bulk operation {id}. A preview that nobody begins is forgotten after a day."
            ))
        })
    }
}

/// Which jobs a bulk operation is of.
enum Which<'a> {
    Named(std::slice::Chunks<'a, JobId>),
    /// Those of the filter that are older than the last one seen.
    Filtered(JobFilter),
}

/// How many more items may begin now, in the canary's order: 1, then 10, then the rest, each once those before it
/// have their outcome.
pub fn canary_allows(counts: &BulkCounts) -> u64 {
    let gone = counts.begun + counts.failed + counts.succeeded;
    match gone {
        0 => 1,
        1 | CANARY_END if counts.begun > 0 => 0,
        1..CANARY_END => CANARY_END - gone,
        _ => u64::MAX,
    }
}

/// Items of the first two steps together.
const CANARY_END: u64 = 11;

/// A reason as it is kept.
pub(super) fn checked_reason(reason: &str) -> Result<String, Failure> {
    let reason = reason.trim();
    if reason.chars().count() > REASON_LENGTH_MAX {
        return Err(Failure::invalid(format!(
            "The reason must have {REASON_LENGTH_MAX} characters or fewer."
        )));
    }
    Ok(reason.to_owned())
}

/// Which jobs, in words.
fn described(jobs: Option<&[JobId]>, filter: Option<&JobFilter>) -> String {
    match (jobs, filter) {
        (Some(jobs), _) if jobs.len() == 1 => "1 job".to_owned(),
        (Some(jobs), _) => format!("{} jobs", jobs.len()),
        (None, Some(filter)) => filter.in_words(),
        (None, None) => "jobs".to_owned(),
    }
}

#[cfg(test)]
mod tests;
