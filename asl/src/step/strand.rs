//! Owns strands: the threads of an execution, one for each scope being run.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::data::Data;
use crate::event::Details;
use crate::machine::StateId;

use super::map_run::Awaited;
use super::{Execution, TaskId, TimerId};

/// A strand of an execution; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StrandId(pub(super) usize);

/// One thread of an execution.
#[derive(Debug, Clone)]
pub(super) struct Strand {
    /// The strand whose Parallel or Map state started it, and as which branch or item.
    pub(super) parent: Option<(StrandId, usize)>,
    /// `$$.Map` as the strand's states see it.
    pub(super) map: Option<Arc<Value>>,
    /// The variables in reach: those from outside, and what the strand's states assigned.
    pub(super) variables: Arc<Map<String, Value>>,
    /// The strand's latest event, to which the next one points back.
    pub(super) last_event: i64,
    /// The state it is in.
    pub(super) visit: Option<Visit>,
    /// What it does there.
    pub(super) doing: Doing,
    /// What it does next.
    pub(super) todo: Option<Todo>,
    /// It failed or was stopped, and only a redrive can set it going again.
    pub(super) stopped: bool,
}

/// What a strand does next.
#[derive(Debug, Clone)]
pub(super) enum Todo {
    /// Enter a state.
    Enter(StateId, Data),
    /// Do what the state it is in does (again).
    Run,
}

/// A stay in a state.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) state: StateId,
    pub(super) entered_event: i64,
    /// The event to which that one points back.
    pub(super) before_event: i64,
    /// `$$.State.EnteredTime`.
    pub(super) entered_at_ms: i64,
    /// The input as it came in.
    pub(super) input: Data,
    /// How often each retrier was used.
    pub(super) retries: Vec<u64>,
    /// `$$.State.RetryCount`.
    pub(super) retry_count: u64,
    /// `$$.Task.Token`, of a task that somebody is to report on.
    pub(super) token: Option<String>,
    /// The Map Run that a redrive goes on with, and how often it was redriven.
    pub(super) map_run: Option<(String, u32)>,
}

/// What a strand does in its state.
#[derive(Debug, Clone)]
pub(super) enum Doing {
    /// Nothing: about to do something, or stopped.
    Nothing,
    /// Waits for a task.
    Task(TaskRun),
    /// Waits for time to pass.
    Wait(TimerId),
    /// Waits to retry.
    Retry(TimerId),
    /// Waits for other strands.
    Fork(Box<Fork>),
    /// Waits for a Map Run.
    MapRun(Awaited),
}

/// A task being done.
#[derive(Debug, Clone)]
pub(super) struct TaskRun {
    pub(super) task: TaskId,
    /// By which it is reported on, if it can be.
    pub(super) token: Option<String>,
    /// The `ActivityScheduled` event that is still to be recorded.
    pub(super) scheduled: Option<Box<Details>>,
    pub(super) started: bool,
    pub(super) submitted: bool,
    pub(super) timeout: Option<TimerId>,
    pub(super) heartbeat: Option<TimerId>,
    pub(super) timeout_ms: Option<i64>,
    pub(super) heartbeat_ms: Option<i64>,
}

/// A Parallel or Map state being run.
#[derive(Debug, Clone)]
pub(super) struct Fork {
    /// The elements of a Map; empty for a Parallel.
    pub(super) items: Arc<Vec<Value>>,
    /// What the state works on, after `InputPath` (and `Parameters` of a Parallel).
    pub(super) input: Data,
    /// One for each branch or item.
    pub(super) slots: Vec<Slot>,
    /// Branches or items that wait to be started (again).
    pub(super) queue: VecDeque<usize>,
    /// How many strands run.
    pub(super) running: usize,
    /// How many strands may run.
    pub(super) limit: usize,
    /// How many bytes the outputs take together, in an array.
    pub(super) bytes: usize,
    /// How many may fail; `None`: the first error ends it all.
    pub(super) tolerated: Option<usize>,
    pub(super) failed: usize,
    /// The `…StateStarted` event.
    pub(super) started_event: i64,
}

/// A branch or item of a fork.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    /// Its strand, while it runs and after it failed or was stopped.
    pub(super) strand: Option<StrandId>,
    /// Its output, once it ended well.
    pub(super) output: Option<Data>,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Alarm {
    /// The machine's `TimeoutSeconds`.
    Machine,
    /// A Wait state.
    Wait(StrandId),
    /// A retrier.
    Retry(StrandId),
    /// A task's `TimeoutSeconds`.
    Timeout(TaskId),
    /// A task's `HeartbeatSeconds`.
    Heartbeat(TaskId),
}

impl Strand {
    pub(super) fn new(
        parent: Option<(StrandId, usize)>,
        last_event: i64,
        map: Option<Arc<Value>>,
        variables: Arc<Map<String, Value>>,
    ) -> Strand {
        Strand {
            parent,
            map,
            variables,
            last_event,
            visit: None,
            doing: Doing::Nothing,
            todo: None,
            stopped: false,
        }
    }

    pub(super) fn visit(&self) -> &Visit {
        self.visit.as_ref().expect("the strand is in a state")
    }
}

/// The strand every execution begins with.
pub(super) const ROOT: StrandId = StrandId(0);

impl Execution {
    pub(super) fn add_strand(&mut self, strand: Strand) -> StrandId {
        self.strands.push(Some(Box::new(strand)));
        StrandId(self.strands.len() - 1)
    }

    pub(super) fn strand(&self, id: StrandId) -> &Strand {
        self.strands[id.0]
            .as_deref()
            .expect("strands are named only while they are there")
    }

    pub(super) fn strand_mut(&mut self, id: StrandId) -> &mut Strand {
        self.strands[id.0]
            .as_deref_mut()
            .expect("strands are named only while they are there")
    }

    pub(super) fn fork_mut(&mut self, id: StrandId) -> &mut Fork {
        match &mut self.strand_mut(id).doing {
            Doing::Fork(fork) => fork,
            other => unreachable!("a strand with children forks, and is not {other:?}"),
        }
    }

    /// Puts a strand into the queue of those that can go on.
    pub(super) fn go(&mut self, id: StrandId, todo: Todo) {
        let strand = self.strand_mut(id);
        strand.todo = Some(todo);
        strand.doing = Doing::Nothing;
        self.ready.push_back(id);
    }

    /// Forgets the strands of a fork, all the way down; they must have ended or been stopped.
    pub(super) fn drop_children(&mut self, id: StrandId) {
        let mut open = self.take_children(id);
        while let Some(child) = open.pop() {
            open.extend(self.take_children(child));
            self.strands[child.0] = None;
        }
    }

    fn take_children(&mut self, id: StrandId) -> Vec<StrandId> {
        match std::mem::replace(&mut self.strand_mut(id).doing, Doing::Nothing) {
            Doing::Fork(fork) => fork.slots.iter().filter_map(|slot| slot.strand).collect(),
            _ => Vec::new(),
        }
    }
}
