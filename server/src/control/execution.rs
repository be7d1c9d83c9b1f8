//! Executions as pages show them: histories folded by `asl`, kept in memory and carried on as events come,
//! joined with progress. What a definition's states are comes from the definition that the execution runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use asl::{Fold, HistoryEvent, Layout, StateMachine};
use model::{ApiError, ErrorCode, JobId, StateDetail};
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;

use super::{Control, Failure, causes, pipeline::pipeline};
use crate::store::{ExecutionRecord, ProgressRow};

pub(crate) mod archive;
mod detail;
#[cfg(test)]
mod tests;
mod tree;
mod view;

use tree::Tree;

/// Folded histories kept in memory; the ones looked at longest ago go first.
const FOLDS_MAX: usize = 64;
/// Definitions kept parsed; there is one for each deployed version of a pipeline.
const DRAWINGS_MAX: usize = 32;
/// Invocations of one state, in one iteration, that are looked at.
const INVOCATIONS_MAX: u32 = 200;
/// Events taken from the store at a time.
const EVENTS_PAGE: u32 = 1_000;

/// A parsed definition with what is drawn of it.
pub struct Drawing {
    machine: Option<StateMachine>,
    tree: Tree,
    pub layout: Layout,
}

impl Drawing {
    fn of(definition: &str) -> Drawing {
        let parsed = asl::parse(definition);
        match parsed.machine {
            Some(machine) => {
                let graph = asl::graph(&machine);
                Drawing {
                    layout: asl::layout(&graph),
                    tree: Tree::of(&graph),
                    machine: Some(machine),
                }
            }
            None => {
                let first = parsed
                    .diagnostics
                    .first()
                    .map(|found| found.message.as_str());
                tracing::warn!(first, "a definition cannot be drawn");
                Drawing {
                    machine: None,
                    tree: Tree::default(),
                    layout: Layout::default(),
                }
            }
        }
    }
}

/// A history folded as far as it was read.
pub struct Folded {
    fold: Fold,
    drawing: Arc<Drawing>,
    /// The definition that was folded with: folding starts anew when the execution's own becomes known.
    own_definition: bool,
    /// What was read from S3.
    archive: Archive,
}

/// What of an execution was read from S3, and need not be read again.
#[derive(Default)]
struct Archive {
    /// The redrive count up to which the archived history was folded.
    folded: Option<u32>,
    /// The progress that went to S3; none while that was not read.
    progress: Option<Vec<ProgressRow>>,
}

impl Folded {
    /// Folds those of the events that come after the ones folded so far.
    fn apply(&mut self, events: &[Value], arn: &str) {
        for event in events {
            match HistoryEvent::from_wire(event) {
                Some(event) if event.id <= self.fold.last_event_id() => {}
                Some(event) => self.fold.apply(&event),
                None => tracing::warn!(arn, "a kept event is unreadable"),
            }
        }
    }

    /// The state in which the error that ended the execution arose first.
    pub fn failed_state(&self) -> Option<&str> {
        self.fold.failed_state()
    }

    /// Whether the event that ended the execution was read.
    pub fn has_ended(&self) -> bool {
        self.fold.outcome().is_some()
    }

    /// The state from which a redrive would go on: the one that failed, or, of an execution that was
    /// stopped or timed out, the one it was in.
    pub fn resumes_from(&self) -> Option<&str> {
        self.failed_state().or_else(|| {
            let unfinished = |visit: &&asl::Visit| {
                visit.parent.is_none()
                    && !matches!(
                        visit.status,
                        asl::VisitStatus::Succeeded | asl::VisitStatus::Caught
                    )
            };
            let visits = self.fold.visits();
            visits
                .iter()
                .rfind(unfinished)
                .map(|visit| visit.state.as_str())
        })
    }

    /// The Fail state that ended the execution, if one did.
    pub fn ended_in_fail_state(&self) -> Option<&str> {
        self.fold.ended_in_fail_state()
    }
}

/// Folded histories by execution ARN, with when each was last asked for.
#[derive(Default)]
pub struct Folds {
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    folded: Arc<AsyncMutex<Folded>>,
    used: u64,
}

impl Folds {
    /// The fold of an execution, made by `new` when there is none that will do.
    fn of(
        &self,
        arn: &str,
        own_definition: bool,
        new: impl FnOnce() -> Folded,
    ) -> Arc<AsyncMutex<Folded>> {
        let mut kept = self
            .kept
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let turn = kept.values().map(|kept| kept.used).max().unwrap_or(0) + 1;
        if let Some(found) = kept.get_mut(arn) {
            let outdated = own_definition
                && found
                    .folded
                    .try_lock()
                    .is_ok_and(|folded| !folded.own_definition);
            if !outdated {
                found.used = turn;
                return found.folded.clone();
            }
        }
        if kept.len() >= FOLDS_MAX
            && let Some(oldest) = kept
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(arn, _)| arn.clone())
        {
            kept.remove(&oldest);
        }
        let folded = Arc::new(AsyncMutex::new(new()));
        kept.insert(
            arn.to_owned(),
            Kept {
                folded: folded.clone(),
                used: turn,
            },
        );
        folded
    }
}

impl Control {
    /// The drawing of a definition.
    pub(crate) fn drawing(&self, definition: &str) -> Arc<Drawing> {
        let mut drawings = self
            .drawings
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        if let Some(found) = drawings.get(definition) {
            return found.clone();
        }
        if drawings.len() >= DRAWINGS_MAX {
            drawings.clear();
        }
        let drawing = Arc::new(Drawing::of(definition));
        drawings.insert(definition.to_owned(), drawing.clone());
        drawing
    }

    /// The drawing of what an execution runs; of what its pipeline runs now, as long as that is not known.
    fn drawing_for(
        &self,
        pipeline_name: &str,
        execution: Option<&ExecutionRecord>,
    ) -> Result<Arc<Drawing>, Failure> {
        match execution.and_then(|execution| execution.definition.as_deref()) {
            Some(definition) => Ok(self.drawing(definition)),
            None => Ok(self.drawing(pipeline(pipeline_name)?.definition)),
        }
    }

    /// An execution's history, folded up to the newest event in the store.
    pub(crate) async fn folded(
        &self,
        pipeline_name: &str,
        execution: &ExecutionRecord,
    ) -> Result<Arc<AsyncMutex<Folded>>, Failure> {
        let drawing = self.drawing_for(pipeline_name, Some(execution))?;
        let own_definition = execution.definition.is_some();
        let folded = self.folds.of(&execution.arn, own_definition, || Folded {
            fold: Fold::new(drawing.machine.as_ref()),
            drawing: drawing.clone(),
            own_definition,
            archive: Archive::default(),
        });
        let mut guard = folded.lock().await;
        if execution.archived && guard.archive.folded != Some(execution.redrive_count) {
            self.fold_archived(&mut guard, execution).await?;
        }
        loop {
            let after = guard.fold.last_event_id();
            let events = self
                .store
                .history_after(&execution.arn, after, EVENTS_PAGE)
                .await?;
            guard.apply(&events, &execution.arn);
            if events.len() < EVENTS_PAGE as usize || guard.fold.last_event_id() <= after {
                break;
            }
        }
        drop(guard);
        Ok(folded)
    }

    /// Folds the part of an archived history that was not in the store when it was folded last.
    async fn fold_archived(
        &self,
        folded: &mut Folded,
        execution: &ExecutionRecord,
    ) -> Result<(), Failure> {
        let Some(key) = &execution.history_key else {
            return Ok(());
        };
        match self.archived::<Value>(key).await {
            Ok(Some(events)) => folded.apply(&events, &execution.arn),
            // Somebody deleted it: what the index knows is still shown.
            Ok(None) => tracing::warn!(key, "an archived history is not in the bucket any more"),
            // So it is while S3 is away; the next look asks again.
            Err(Failure::Aws(error)) => {
                tracing::warn!(key, causes = %causes(&error), "an archived history was not read");
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
        folded.archive = Archive {
            folded: Some(execution.redrive_count),
            progress: None,
        };
        Ok(())
    }

    /// The last progress of each unit of an execution's work, wherever it is kept; oldest line first.
    pub(crate) async fn progress(
        &self,
        execution: &ExecutionRecord,
        folded: &AsyncMutex<Folded>,
    ) -> Result<Vec<ProgressRow>, Failure> {
        let kept = self.store.progress(&execution.arn).await?;
        let Some(key) = &execution.history_key else {
            return Ok(kept);
        };
        let mut folded = folded.lock().await;
        let archived = match &folded.archive.progress {
            Some(rows) => rows.clone(),
            None => {
                let key = archive::progress_key(key);
                match self.archived(&key).await {
                    Ok(rows) => folded
                        .archive
                        .progress
                        .insert(rows.unwrap_or_default())
                        .clone(),
                    Err(Failure::Aws(_)) => Vec::new(),
                    Err(failure) => return Err(failure),
                }
            }
        };
        Ok(archive::joined(archived, kept))
    }

    /// The drawing of what a job's newest execution runs, or will run.
    pub async fn job_layout(&self, id: JobId) -> Result<Layout, Failure> {
        let job = self.record(id).await?;
        let execution = match &job.execution_arn {
            Some(arn) => self.store.execution(arn).await?,
            None => None,
        };
        let drawing = self.drawing_for(&job.summary.pipeline, execution.as_ref())?;
        if drawing.machine.is_none() {
            return Err(Failure::Fault("a definition cannot be drawn"));
        }
        Ok(drawing.layout.clone())
    }

    /// One state of a job's newest execution, with the visit asked for.
    pub async fn state_detail(
        &self,
        id: JobId,
        state: &str,
        visit: Option<i64>,
    ) -> Result<StateDetail, Failure> {
        let job = self.record(id).await?;
        let execution = match &job.execution_arn {
            Some(arn) => self.store.execution(arn).await?,
            None => None,
        };
        let missing = || {
            Failure::Refused(ApiError::new(
                ErrorCode::NotFound,
                format!("This job's pipeline has no state “{state}”."),
            ))
        };
        let Some(execution) = execution else {
            let drawing = self.drawing_for(&job.summary.pipeline, None)?;
            return detail::unvisited(&drawing.tree, state).ok_or_else(missing);
        };
        let folded = self.folded(&job.summary.pipeline, &execution).await?;
        let progress = self.progress(&execution, &folded).await?;
        let detail = folded.lock().await.detail(state, visit, &progress);
        let mut detail = detail.ok_or_else(missing)?;
        if let Some(visit) = &detail.visit {
            let told = self
                .store
                .invocations_of(&execution.arn, state, visit.iteration, INVOCATIONS_MAX)
                .await?;
            detail.invocations = folded.lock().await.invocations_of(visit, state, told);
        }
        Ok(detail)
    }

    /// Keeps the definition that an execution runs, so that it is drawn as it was when it ran.
    pub(crate) async fn learn_definition(
        &self,
        execution: &ExecutionRecord,
    ) -> Result<(), Failure> {
        if execution.definition.is_some() {
            return Ok(());
        }
        match self.aws.states.definition(&execution.arn).await {
            Ok(definition) => Ok(self
                .store
                .keep_definition(&execution.arn, &definition)
                .await?),
            Err(error) => {
                // The pipeline's own definition is nearly always the same: no reason to show nothing.
                tracing::debug!(causes = %causes(&error), "an execution's definition is not known");
                Ok(())
            }
        }
    }
}

/// A cause for people: where Lambda put JSON there, the function's own message.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>
pub(crate) fn readable_cause(cause: &str) -> String {
    serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|value| value["errorMessage"].as_str().map(str::to_owned))
        .unwrap_or_else(|| cause.to_owned())
}
