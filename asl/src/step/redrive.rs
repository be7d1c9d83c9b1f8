//! Owns redrive: going on where an execution failed, was stopped or timed out.
//!
//! States that were entered and not left are run again with the same input. Of Parallel and Map
//! states, only the branches and iterations that did not end well are.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>

use serde_json::Value;

use crate::event::{Details, EventType};
use crate::timestamp;

use super::strand::{Doing, ROOT, StrandId, Todo};
use super::{Execution, Outcome};

impl Execution {
    pub(super) fn redrive(&mut self) {
        if self.can_redrive().is_err() {
            return;
        }
        self.redrive_count += 1;
        self.outcome = Outcome::Running;
        self.full = false;
        if let Value::Object(execution) = &mut self.execution {
            execution.insert("RedriveCount".to_owned(), self.redrive_count.into());
            execution.insert(
                "RedriveTime".to_owned(),
                timestamp::format(self.now_ms).into(),
            );
        }
        let details = Details {
            redrive_count: Some(i64::from(self.redrive_count)),
            ..Details::default()
        };
        let id = self.record(EventType::ExecutionRedriven, self.last_event, details);
        self.strand_mut(ROOT).last_event = id;
        self.set_machine_timer();
        self.resume(ROOT);
    }

    /// Sets a stopped strand going again, and those below it.
    pub(super) fn resume(&mut self, id: StrandId) {
        let strand = self.strand_mut(id);
        strand.stopped = false;
        if let Some(visit) = &mut strand.visit {
            visit.retries.clear();
            visit.retry_count = 0;
        }
        match (&mut strand.doing, &strand.todo, &strand.visit) {
            (Doing::Fork(fork), ..) => {
                fork.running = 0;
                fork.failed = 0;
                let unfinished = fork
                    .slots
                    .iter()
                    .enumerate()
                    .filter(|(_, slot)| slot.output.is_none());
                fork.queue = unfinished.map(|(index, _)| index).collect();
                let started = fork.started_event;
                self.start_children(id, started);
            }
            (_, Some(_), _) => self.ready.push_back(id),
            (_, None, Some(_)) => self.go(id, Todo::Run),
            (_, None, None) => unreachable!("a strand that ended well is not resumed"),
        }
    }
}
