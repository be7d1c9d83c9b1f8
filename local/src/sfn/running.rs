//! An execution that is not over, in memory: what the driver holds of it, and what a step of it is to write.

use std::collections::{HashMap, HashSet};

use asl::{Command, Execution, Input};
use tokio::task::AbortHandle;

use super::change::{self, Facts};
use super::input;
use super::journal::{Row, Step};
use super::recorded::Recorded;
use crate::logs::Line;

/// An execution that is not over.
pub struct Running {
    pub(super) facts: Facts,
    pub(super) execution: Execution,
    /// The number of its next step.
    pub(super) seq: i64,
    pub(super) last_event_id: i64,
    /// Its time does not go back, whatever the wall clock does.
    pub(super) clock_ms: i64,
    /// How often it was redriven, and when last.
    pub(super) redrives: (i64, Option<i64>),
    pub(super) tasks: HashMap<u64, AbortHandle>,
    pub(super) timers: HashSet<u64>,
    /// It was let go of: whoever still holds it must look it up again.
    pub(super) rests: bool,
    /// The executions that its tasks have started and wait for, by task.
    pub(super) nested: HashMap<u64, String>,
    /// Which of its tasks are Map Runs.
    pub(super) map_runs: HashSet<u64>,
}

impl Running {
    /// An execution as it was after its last step.
    pub fn new(
        facts: Facts,
        execution: Execution,
        next_seq: i64,
        last_event_id: i64,
        clock_ms: i64,
        redrives: (i64, Option<i64>),
    ) -> Running {
        Running {
            facts,
            execution,
            seq: next_seq,
            last_event_id,
            clock_ms,
            redrives,
            tasks: HashMap::new(),
            timers: HashSet::new(),
            rests: false,
            nested: HashMap::new(),
            map_runs: HashSet::new(),
        }
    }

    /// Why it cannot be redriven, if so.
    pub fn redrive_refusal(&self) -> Option<String> {
        self.execution.can_redrive().err()
    }

    /// What to write for a step, and what to do after that.
    pub(super) fn step(
        &mut self,
        at_ms: i64,
        input: Option<&Input>,
        commands: Vec<Command>,
    ) -> (Vec<Row>, Vec<Command>, Vec<Line>) {
        let mut lines = Vec::new();
        let mut events = Recorded::default();
        let mut rows = Vec::new();
        let mut acts = Vec::new();
        for command in commands {
            match command {
                Command::Record(mut event) => {
                    self.last_event_id = event.id;
                    if event.kind == asl::EventType::ExecutionStarted {
                        let facts = &self.facts;
                        let details = &mut event.details;
                        details
                            .state_machine_version_arn
                            .clone_from(&facts.version_arn);
                        details.state_machine_alias_arn.clone_from(&facts.alias_arn);
                    }
                    let facts = &self.facts;
                    let log = facts.log.as_ref();
                    lines.extend(log.and_then(|log| log.line(&facts.arn, self.redrives.0, &event)));
                    events.push(&event);
                }
                Command::Finished(outcome) => {
                    let refusal = self.execution.can_redrive().err();
                    let status = change::status(self.facts.id, at_ms, &outcome, refusal);
                    if !change::is_express(&self.facts.arn) {
                        let event = change::event(&self.facts, &status, self.redrives);
                        rows.push(Row::Event(event));
                    }
                    rows.push(Row::Status(status));
                    acts.push(Command::Finished(outcome));
                }
                other => acts.push(other),
            }
        }
        let step = Step {
            execution: self.facts.id,
            seq: self.seq,
            at_ms,
            input: input.map(input::write),
            events: events.kept(),
            last_event_id: self.last_event_id,
        };
        rows.insert(0, Row::Step(step));
        self.seq += 1;
        (rows, acts, lines)
    }
}
