//! The driver: gives executions their inputs, journals what came of it, then does what they command.
//!
//! An execution is a value behind a lock and nothing else: no task of its own; one that only waits is not even
//! that ([`super::rest`]). The order is always apply → append to the journal → (commit) → act.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asl::{
    Command, Execution, HistoryEvent, Input, Outcome, Resource, Start, StateMachine, TaskId,
};
use tokio::sync::{oneshot, watch};

use super::Sfn;
use super::activity::{Offer, Offers};
use super::change::{self, Facts};
use super::integration::{Caller, Peers};
use super::journal::{Entry, Journal, NewExecution, Row, Step};
use super::map_run::{Begin, MapRuns};
use super::recorded::Recorded;
use super::rest::Slot;
use super::running::Running;
use super::timer::Timers;
use crate::wire::now_ms;

/// Drives every execution.
pub struct Driver {
    pub(super) peers: Peers,
    pub(super) journal: Journal,
    /// For how long an execution must have nothing to do to rest.
    pub(super) rest_ms: i64,
    pub(super) timers: Arc<Timers>,
    /// What activities' workers may take.
    pub(super) offers: Offers,
    /// Who waits for the end of an execution, by its ARN.
    pub(super) map_runs: MapRuns,
    /// Everything that was running has been taken up again.
    pub(super) ready: watch::Sender<bool>,
    pub(super) ends: Mutex<HashMap<String, Vec<oneshot::Sender<()>>>>,
    pub(super) running: Mutex<HashMap<i64, Slot>>,
}

impl Driver {
    /// A driver without executions.
    pub fn new(peers: Peers, journal: Journal, rest: Duration) -> Arc<Driver> {
        let timers = Arc::new(Timers::default());
        let driver = Arc::new(Driver {
            peers,
            journal,
            rest_ms: i64::try_from(rest.as_millis()).unwrap_or(i64::MAX),
            timers: timers.clone(),
            offers: Offers::default(),
            ends: Mutex::default(),
            map_runs: MapRuns::default(),
            ready: watch::Sender::new(false),
            running: Mutex::default(),
        });
        let waiting = Arc::downgrade(&driver);
        tokio::spawn(async move {
            loop {
                let due = timers.due().await;
                let Some(driver) = waiting.upgrade() else {
                    return;
                };
                for (execution, timer) in due {
                    let timer = asl::TimerId(timer);
                    driver.apply(execution, Input::TimerFired { timer });
                }
            }
        });
        driver
    }

    /// Starts an execution; the answer is false when there is one of that ARN already, or no machine any more.
    pub fn start(
        self: &Arc<Self>,
        new: NewExecution,
        machine: Arc<StateMachine>,
        start: Start,
    ) -> oneshot::Receiver<bool> {
        self.start_in(new, machine, None, start)
    }

    /// Starts an execution of a machine, or of the processor of one of its Map states.
    pub fn start_in(
        self: &Arc<Self>,
        mut new: NewExecution,
        machine: Arc<StateMachine>,
        map_state: Option<&str>,
        start: Start,
    ) -> oneshot::Receiver<bool> {
        let (id, at_ms, child) = (new.id, new.started_at_ms, new.child);
        let facts = Facts::of(&new, &start.state_machine_arn);
        let begins = (!change::is_express(&facts.arn)).then(|| {
            let running = change::status(id, at_ms, &Outcome::Running, None);
            Row::Event(change::event(&facts, &running, (0, None)))
        });
        let (answer, started) = oneshot::channel();
        let begun = match map_state {
            None => Some(Execution::start(machine, start, at_ms)),
            Some(state) => Execution::start_processor(machine, state, start, at_ms),
        };
        let Some((execution, commands)) = begun else {
            // The caller sees that nothing answers.
            return started;
        };
        let mut running = Running::new(facts, execution, 0, 0, at_ms, (0, None));
        let (mut step, acts, lines) = running.step(at_ms, None, commands);
        // One that ends at once is written once.
        if let Some(at) = step.iter().position(|row| matches!(row, Row::Status(_)))
            && let Row::Status(status) = step.remove(at)
        {
            new.ended = Some(status);
        }
        let rows = [Row::Started(Box::new(new))]
            .into_iter()
            .chain(begins)
            .chain(step)
            .collect();
        let driver = self.clone();
        self.journal.append(Entry {
            rows,
            committed: Box::new(move |written| {
                if written {
                    driver.peers.logs.offer(lines);
                    driver.take(running, acts);
                } else if let Some(child) = child {
                    driver.map_runs.ended(child, false);
                }
                let _ = answer.send(written);
            }),
        });
        started
    }

    /// Goes on with an execution that was replayed.
    pub fn take(self: &Arc<Self>, running: Running, acts: Vec<Command>) {
        let (id, seq) = (running.facts.id, running.seq);
        let running = Arc::new(Mutex::new(running));
        lock(&self.running).insert(id, Slot::Awake(running));
        self.act(id, seq, acts);
    }

    /// Makes Step Functions known to the tasks that call it.
    pub fn meet(&self, sfn: &Arc<Sfn>) {
        // It is set once, when it opens.
        let _ = self.peers.sfn.set(Arc::downgrade(sfn));
    }

    /// Goes on with an ended execution from where it failed. The answer comes when that is written.
    pub fn redrive(
        self: &Arc<Self>,
        mut running: Running,
        token: Option<String>,
    ) -> oneshot::Receiver<i64> {
        let at_ms = now_ms().max(running.clock_ms);
        running.clock_ms = at_ms;
        running.redrives = (running.redrives.0 + 1, Some(at_ms));
        let mut status = change::status(running.facts.id, at_ms, &Outcome::Running, None);
        status.redrive = Some((running.redrives.0, token));
        let event = change::event(&running.facts, &status, running.redrives);
        let commands = running.execution.apply(at_ms, Input::Redrive);
        let (step, acts, lines) = running.step(at_ms, Some(&Input::Redrive), commands);
        // The execution may end in this very step: then its end is the last thing told.
        let mut rows = vec![Row::Status(status), Row::Event(event)];
        rows.extend(step);
        let (answer, redriven) = oneshot::channel();
        let driver = self.clone();
        self.journal.append(Entry {
            rows,
            committed: Box::new(move |_| {
                driver.peers.logs.offer(lines);
                driver.take(running, acts);
                let _ = answer.send(at_ms);
            }),
        });
        redriven
    }

    /// Stops an execution; waits until its end is written. Does nothing if it is over.
    pub async fn stop(self: &Arc<Self>, id: i64, error: Option<String>, cause: Option<String>) {
        // An execution can be seen a moment before it can be found here.
        self.written().await;
        self.tell(id, |_| Some(Input::Stop { error, cause })).await;
        self.written().await;
    }

    /// Ends an execution that cannot go on, with an event that says so.
    pub fn give_up(self: &Arc<Self>, facts: &Facts, seq: i64, last_event_id: i64, cause: &str) {
        let (driver, child) = (self.clone(), facts.child);
        let at_ms = now_ms();
        let outcome = Outcome::Failed {
            error: Some("States.Runtime".into()),
            cause: Some(cause.to_owned()),
        };
        let event = HistoryEvent {
            id: last_event_id + 1,
            previous_event_id: last_event_id,
            timestamp_ms: at_ms,
            kind: asl::EventType::ExecutionFailed,
            details: asl::Details {
                error: Some("States.Runtime".into()),
                cause: Some(cause.to_owned()),
                ..asl::Details::default()
            },
        };
        let status = change::status(facts.id, at_ms, &outcome, Some(cause.to_owned()));
        let mut events = Recorded::default();
        events.push(&event);
        self.journal.append(Entry {
            rows: vec![
                Row::Step(Step {
                    execution: facts.id,
                    seq,
                    at_ms,
                    input: None,
                    events: events.kept(),
                    last_event_id: event.id,
                }),
                Row::Event(change::event(facts, &status, (0, None))),
                Row::Status(status),
            ],
            committed: Box::new(move |_| {
                if let Some(child) = child {
                    driver.map_runs.ended(child, false);
                }
            }),
        });
    }

    /// Lets go of everything: from here on nothing happens to executions until they are restored.
    pub fn shutdown(&self) {
        let all = std::mem::take(&mut *lock(&self.running));
        for slot in all.into_values() {
            let Slot::Awake(running) = slot else { continue };
            for work in std::mem::take(&mut lock(&running).tasks).into_values() {
                work.abort();
            }
        }
    }

    /// Waits until everything appended so far is written.
    pub async fn written(&self) {
        let (done, written) = oneshot::channel();
        self.journal.append(Entry {
            rows: Vec::new(),
            committed: Box::new(move |_| {
                let _ = done.send(());
            }),
        });
        let _ = written.await;
    }

    /// Gives an execution what the bearer of a task's token says; whether it still waits for that.
    pub async fn report(
        self: &Arc<Self>,
        id: i64,
        task: TaskId,
        token: &str,
        input: Input,
    ) -> bool {
        self.tell(id, |running| {
            running.execution.awaits(task, token).then_some(input)
        })
        .await
    }

    pub(super) fn give(self: &Arc<Self>, id: i64, running: &mut Running, input: Input) {
        if let Some(task) = input.ended_task() {
            running.map_runs.remove(&task.0);
            running.tasks.remove(&task.0);
        }
        if let Input::TimerFired { timer } = &input {
            running.timers.remove(&timer.0);
        }
        let at_ms = now_ms().max(running.clock_ms);
        running.clock_ms = at_ms;
        let apply = || running.execution.apply(at_ms, input.clone());
        let Ok(commands) = catch_unwind(AssertUnwindSafe(apply)) else {
            tracing::error!(execution = %running.facts.arn, ?input, "the engine broke off");
            let cause = "The engine of local broke off; see its log.";
            self.give_up(&running.facts, running.seq, running.last_event_id, cause);
            lock(&self.running).remove(&id);
            return;
        };
        if commands.is_empty() {
            return;
        }
        let (rows, acts, lines) = running.step(at_ms, Some(&input), commands);
        let (driver, seq) = (self.clone(), running.seq);
        // Still under the execution's lock, so that its steps are appended in their order.
        self.journal.append(Entry {
            rows,
            committed: Box::new(move |_| {
                driver.peers.logs.offer(lines);
                driver.act(id, seq, acts);
            }),
        });
    }

    /// The execution of that number, if it is not over and does not rest; those with tasks do not.
    pub(super) fn find(&self, id: i64) -> Option<Arc<Mutex<Running>>> {
        match lock(&self.running).get(&id) {
            Some(Slot::Awake(running)) => Some(running.clone()),
            _ => None,
        }
    }

    /// Does what an execution commands in a step, the one before the number `seq`.
    fn act(self: &Arc<Self>, id: i64, seq: i64, commands: Vec<Command>) {
        let Some(running) = self.find(id) else {
            return;
        };
        let mut running = lock(&running);
        for command in commands {
            match command {
                Command::InvokeTask {
                    task,
                    resource,
                    parameters,
                    token,
                    ..
                } => {
                    let driver = self.clone();
                    let work = match (Resource::of(&resource), token) {
                        (Resource::Activity, Some(token)) => {
                            let offer = Offer {
                                execution: id,
                                task,
                                token,
                                input: parameters.to_string(),
                            };
                            tokio::spawn(async move { driver.offer(&resource, offer).await })
                        }
                        _ => {
                            let caller = Caller {
                                execution_arn: running.facts.arn.clone(),
                                machine_arn: running.facts.machine_arn.clone(),
                                task: task.0,
                            };
                            tokio::spawn(async move {
                                driver.perform(id, task, caller, resource, parameters).await;
                            })
                        }
                    };
                    running.tasks.insert(task.0, work.abort_handle());
                }
                Command::StartMapRun { task, run } => {
                    self.begin_map_run(id, &mut running, task, Begin::New(run));
                }
                Command::RedriveMapRun { task, map_run_arn } => {
                    self.begin_map_run(id, &mut running, task, Begin::Again(map_run_arn));
                }
                Command::CancelTask { task } => {
                    if running.map_runs.remove(&task.0) {
                        self.abort_map_run(id, task);
                    }
                    self.offers.withdraw(id, Some(task));
                    if let Some(nested) = running.nested.remove(&task.0) {
                        self.stop_nested(nested);
                    }
                    if let Some(work) = running.tasks.remove(&task.0) {
                        work.abort();
                    }
                }
                Command::SetTimer { timer, at_ms } => {
                    running.timers.insert(timer.0);
                    self.timers.set(id, timer.0, at_ms);
                }
                Command::CancelTimer { timer } => {
                    running.timers.remove(&timer.0);
                    self.timers.cancel(id, timer.0);
                }
                Command::Finished(outcome) => {
                    if let Some(child) = running.facts.child {
                        let succeeded = matches!(outcome, Outcome::Succeeded { .. });
                        self.map_runs.ended(child, succeeded);
                    }
                    self.offers.withdraw(id, None);
                    for work in std::mem::take(&mut running.tasks).into_values() {
                        work.abort();
                    }
                    for timer in std::mem::take(&mut running.timers) {
                        self.timers.cancel(id, timer);
                    }
                    lock(&self.running).remove(&id);
                    // Whoever waits looks at the store.
                    lock(&self.ends).remove(&running.facts.arn);
                }
                // Recorded with the step.
                Command::Record(_) => {}
            }
        }
        self.rest(id, seq, &mut running);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
