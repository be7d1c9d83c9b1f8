//! Owns how an execution ends: well, by an error, from outside or by time.

use crate::data::Data;
use crate::event::{Details, EventType};
use crate::machine::StateKind;

use super::strand::{Doing, ROOT, StrandId};
use super::{Command, Execution, Outcome};

impl Execution {
    /// StopExecution.
    pub(super) fn aborted(&mut self, error: Option<String>, cause: Option<String>) {
        self.stop(ROOT);
        let details = Details {
            error: error.clone(),
            cause: cause.clone(),
            ..Details::default()
        };
        let last = self.strand(ROOT).last_event;
        self.record(EventType::ExecutionAborted, last, details);
        self.ended(Outcome::Aborted { error, cause });
    }

    /// The machine's `TimeoutSeconds` elapsed.
    pub(super) fn machine_timed_out(&mut self) {
        self.stop(ROOT);
        let last = self.strand(ROOT).last_event;
        self.record(EventType::ExecutionTimedOut, last, Details::default());
        self.ended(Outcome::TimedOut {
            error: None,
            cause: None,
        });
    }

    /// A strand's scope ended with an output.
    pub(super) fn strand_succeeded(&mut self, id: StrandId, output: Data) {
        if let Some((parent, slot)) = self.strand(id).parent {
            return self.child_succeeded(parent, slot, id, output);
        }
        let last = self.strand(id).last_event;
        let output_text = output.text().to_owned();
        let details = Details {
            output: Some(output_text.clone()),
            ..Details::default()
        };
        self.record(EventType::ExecutionSucceeded, last, details);
        self.ended(Outcome::Succeeded {
            output: output.value().clone(),
            output_text,
        });
    }

    pub(super) fn ended(&mut self, outcome: Outcome) {
        self.ready.clear();
        let machine_timer = self.machine_timer.take();
        self.cancel_timer(machine_timer);
        self.outcome = outcome.clone();
        self.commands.push(Command::Finished(outcome));
    }

    /// Stops a strand and all below it, the innermost first. What they would have done next is kept
    /// for a redrive.
    pub(super) fn stop(&mut self, id: StrandId) {
        if std::mem::replace(&mut self.strand_mut(id).stopped, true) {
            return;
        }
        self.stop_children(id);
        let doing = std::mem::replace(&mut self.strand_mut(id).doing, Doing::Nothing);
        match doing {
            Doing::Nothing => {}
            Doing::Task(run) => {
                self.cancel_timer(run.timeout);
                self.cancel_timer(run.heartbeat);
                if self.tasks.remove(&run.task).is_some() {
                    self.commands.push(Command::CancelTask { task: run.task });
                }
            }
            Doing::Wait(timer) | Doing::Retry(timer) => self.cancel_timer(Some(timer)),
            Doing::MapRun(awaited) => self.map_run_aborted(id, &awaited),
            fork @ Doing::Fork(_) => self.strand_mut(id).doing = fork,
        }
        let strand = self.strand(id);
        let (last, parent) = (strand.last_event, strand.parent);
        let kind = strand
            .visit
            .as_ref()
            .map(|visit| self.machine.state(visit.state).kind());
        let aborted = match kind {
            Some(StateKind::Task) => Some(EventType::TaskStateAborted),
            Some(StateKind::Wait) => Some(EventType::WaitStateAborted),
            Some(StateKind::Parallel) => Some(EventType::ParallelStateAborted),
            Some(StateKind::Map) => Some(EventType::MapStateAborted),
            _ => None,
        };
        if let Some(aborted) = aborted {
            self.strand_mut(id).last_event = self.record(aborted, last, Details::default());
        }
        if let Some((parent, slot)) = parent {
            self.iteration_event(EventType::MapIterationAborted, parent, slot, id);
        }
    }

    /// Stops the strands of the fork a strand is at, if it is at one.
    pub(super) fn stop_children(&mut self, id: StrandId) {
        let Doing::Fork(fork) = &self.strand(id).doing else {
            return;
        };
        let children: Vec<StrandId> = fork.slots.iter().filter_map(|slot| slot.strand).collect();
        for child in children {
            self.stop(child);
        }
    }
}
