//! Owns what the world does when it is commanded, and what must hold of each command.

use asl::{Command, EventType, HistoryEvent, Input, Outcome, Pattern, Resource, TaskId, TaskToken};
use serde_json::Value;

use super::ensure;
use super::faults::Kind;
use super::world::{Happening, OpenTask, OpenTimer, World};

/// Most iterations that AWS runs of an inline Map at once.
const CONCURRENCY_MAX: u64 = 40;

fn kind_of(resource: &str) -> Kind {
    match (Resource::of(resource), Resource::of(resource).pattern()) {
        (Resource::Function, _) => Kind::Function,
        (Resource::Activity, _) => Kind::Activity,
        (_, Pattern::Callback) => Kind::Callback,
        (_, Pattern::Sync(_)) => Kind::Nested,
        (_, Pattern::Response) => Kind::Service,
    }
}

/// The name that a task tells of its state.
fn state_of(parameters: &Value) -> String {
    let places = [
        parameters,
        &parameters["MessageBody"],
        &parameters["Payload"],
        &parameters["Input"],
    ];
    let told = places.iter().find_map(|place| place["state"].as_str());
    told.unwrap_or_default().to_owned()
}

impl World<'_> {
    pub fn obey(&mut self, commands: &[Command]) -> Result<(), String> {
        let mut finished = false;
        let mut begins = false;
        for (index, command) in commands.iter().enumerate() {
            ensure!(!finished, "a command after the end");
            match command {
                Command::Record(event) => {
                    begins = matches!(
                        event.kind,
                        EventType::ExecutionStarted | EventType::ExecutionRedriven
                    );
                    let before = index.checked_sub(1).map(|index| &commands[index]);
                    self.recorded(event, before)?;
                    continue;
                }
                Command::InvokeTask {
                    task,
                    resource,
                    parameters,
                    token,
                    timeout_seconds,
                    heartbeat_seconds,
                } => {
                    let kind = kind_of(resource);
                    let wants_token = matches!(kind, Kind::Activity | Kind::Callback);
                    ensure!(
                        token.is_some() == wants_token,
                        "a token of {resource}: {token:?}"
                    );
                    let now_ms = self.clock_ms;
                    let ms = |seconds: &Option<u64>| seconds.map(|seconds| seconds as i64 * 1000);
                    let runs = kind != Kind::Activity;
                    let deadline =
                        |delay: Option<i64>| delay.filter(|_| runs).map(|delay| now_ms + delay);
                    let (timeout_ms, heartbeat_ms) = (ms(timeout_seconds), ms(heartbeat_seconds));
                    let open = OpenTask {
                        state: state_of(parameters),
                        token: token.clone(),
                        timeout_ms,
                        heartbeat_ms,
                        deadline: deadline(timeout_ms),
                        heartbeat_deadline: deadline(heartbeat_ms),
                        ..open_task(kind, command.clone())
                    };
                    self.begun(*task, open)?;
                }
                Command::StartMapRun { task, run } => {
                    // What a child is given may be asked for at any time, and changes nothing.
                    let item = serde_json::json!(1);
                    let first = self.execution.map_item(*task, 0, &item);
                    ensure!(
                        first == self.execution.map_item(*task, 0, &item),
                        "an item is selected twice, and not the same"
                    );
                    let open = OpenTask {
                        state: run.state.clone(),
                        ..open_task(Kind::MapRun, command.clone())
                    };
                    self.begun(*task, open)?;
                }
                Command::RedriveMapRun { task, .. } => {
                    self.coverage.see("map run redriven");
                    let open = OpenTask {
                        started: true,
                        ..open_task(Kind::MapRun, command.clone())
                    };
                    self.begun(*task, open)?;
                }
                Command::CancelTask { task } => {
                    let open = self.tasks.remove(&task.0);
                    let open = open.ok_or(format!("{command:?} is about no open task"))?;
                    if open.kind == Kind::MapRun {
                        self.coverage.see("map run cancelled");
                    }
                    self.given_up = (open.deadline, open.heartbeat_deadline);
                    for when in open.planned {
                        if !self.dice.percent(self.faults.stray) {
                            self.agenda.remove(&when);
                        }
                    }
                }
                Command::SetTimer { timer, at_ms } => {
                    ensure!(timer.0 > self.last_timer, "{command:?} is not new");
                    self.last_timer = timer.0;
                    ensure!(*at_ms >= self.clock_ms, "{command:?} is in the past");
                    let planned = self.plan_timer(timer.0, *at_ms);
                    let of_machine = begins && self.has_timeout();
                    let open = OpenTimer {
                        at_ms: *at_ms,
                        planned,
                        of_machine,
                    };
                    self.timers.insert(timer.0, open);
                }
                Command::CancelTimer { timer } => {
                    let open = self.timers.remove(&timer.0);
                    let open = open.ok_or(format!("{command:?} is about no open timer"))?;
                    if !self.dice.percent(self.faults.stray) {
                        self.agenda.remove(&open.planned);
                    }
                }
                Command::Finished(outcome) => {
                    finished = true;
                    self.finished(outcome)?;
                }
            }
            begins = false;
        }
        ensure!(
            finished || self.is_running() || commands.is_empty(),
            "it ended in silence"
        );
        if self.is_running() {
            let waits = self.timers.values().any(|timer| !timer.of_machine);
            ensure!(
                waits || !self.tasks.is_empty(),
                "it runs and waits for nothing"
            );
        }
        for (number, open) in &self.tasks {
            if let Some(token) = &open.token {
                let read = TaskToken::read(token);
                ensure!(
                    read.is_some_and(|read| read.task.0 == *number)
                        && self.execution.awaits(TaskId(*number), token),
                    "the token of task {number} does not stand for it"
                );
            }
        }
        Ok(())
    }

    /// Whether the whole execution is given up some time.
    fn has_timeout(&self) -> bool {
        self.beginning.processor.is_none() && self.beginning.machine.timeout_seconds.is_some()
    }

    /// Plans that a timer fires.
    pub fn plan_timer(&mut self, timer: u64, at_ms: i64) -> (i64, u64) {
        let late = match self.faults.late_timers {
            true => self.dice.between(0, 3000),
            false => 0,
        };
        let at_ms = (at_ms - self.offset_ms).max(self.true_ms) + late;
        let timer = asl::TimerId(timer);
        self.plan(at_ms, Happening::Input(Input::TimerFired { timer }))
    }

    fn begun(&mut self, task: TaskId, open: OpenTask) -> Result<(), String> {
        ensure!(task.0 > self.last_task, "task {} is not new", task.0);
        self.last_task = task.0;
        self.tasks.insert(task.0, open);
        self.plan_answers(task.0);
        self.check_concurrency(task.0)
    }

    /// Plans what is heard of a task.
    pub fn plan_answers(&mut self, number: u64) {
        let open = &self.tasks[&number];
        let redriven = matches!(open.command, Command::RedriveMapRun { .. });
        let answers = self.faults.answers(TaskId(number), open.attempt, open.kind);
        let mut planned = Vec::new();
        for (after_ms, input) in answers {
            if redriven && matches!(input, Input::MapRunStarted { .. }) {
                continue;
            }
            planned.push(self.plan(self.true_ms + after_ms, Happening::Input(input)));
        }
        if let Some(open) = self.tasks.get_mut(&number) {
            open.planned.extend(planned);
        }
    }

    /// Of a Map state that runs once and whose iterations do one thing at a time, there are never more tasks than
    /// iterations that may run at once.
    fn check_concurrency(&mut self, number: u64) -> Result<(), String> {
        let name = &self.tasks[&number].state;
        let Some(map) = self
            .outline
            .find(name)
            .and_then(|state| self.outline.get(state).owner)
        else {
            return Ok(());
        };
        let fields = &self.outline.get(map).fields;
        let given = fields.get("MaxConcurrency").or(fields
            .get("MaxConcurrencyPath")
            .map(|_| &self.faults.input["t"]));
        let limit = given.map_or(Some(0), Value::as_u64);
        let (Some(limit), None, "Map") = (
            limit,
            self.outline.get(map).owner,
            self.outline.get(map).kind.as_str(),
        ) else {
            return Ok(());
        };
        let limit = if limit == 0 {
            CONCURRENCY_MAX
        } else {
            limit.min(CONCURRENCY_MAX)
        };
        let open = self
            .tasks
            .values()
            .filter_map(|open| self.outline.find(&open.state));
        let at_once = open
            .filter(|&state| self.outline.get(state).owner == Some(map))
            .count() as u64;
        ensure!(
            at_once <= limit,
            "{at_once} iterations at once, and {limit} may be"
        );
        if at_once == limit {
            self.coverage.see("map concurrency reached");
        }
        Ok(())
    }

    fn recorded(&mut self, event: &HistoryEvent, before: Option<&Command>) -> Result<(), String> {
        ensure!(
            event.id == self.history.len() as i64 + 1,
            "{event:?} has another id"
        );
        ensure!(
            (0..event.id).contains(&event.previous_event_id),
            "{event:?} does not look back"
        );
        ensure!(
            event.timestamp_ms == self.clock_ms,
            "{event:?} is at another time"
        );
        if matches!(
            event.kind,
            EventType::TaskTimedOut
                | EventType::LambdaFunctionTimedOut
                | EventType::ActivityTimedOut
        ) {
            ensure!(
                matches!(before, Some(Command::CancelTask { .. })),
                "{event:?} gives no task up"
            );
            self.timed_out(event)?;
        }
        self.history.push(event.clone());
        Ok(())
    }

    fn timed_out(&mut self, event: &HistoryEvent) -> Result<(), String> {
        if !self.faults.is_exact() {
            return Ok(());
        }
        let (deadline, heartbeat) = self.given_up;
        let first = deadline.into_iter().chain(heartbeat).min();
        ensure!(
            first == Some(event.timestamp_ms),
            "{event:?} was due at {first:?}"
        );
        // When both are due at once, either may have come first.
        if deadline != heartbeat {
            self.heartbeats.insert(event.id, first == heartbeat);
        }
        self.coverage.see(match first == heartbeat {
            true => "heartbeat missed",
            false => "timed out",
        });
        Ok(())
    }

    fn finished(&mut self, outcome: &Outcome) -> Result<(), String> {
        ensure!(
            outcome == self.execution.status(),
            "{outcome:?} is not how it ended"
        );
        ensure!(
            self.tasks.is_empty(),
            "tasks are left open: {:?}",
            self.tasks.keys()
        );
        ensure!(
            self.timers.is_empty(),
            "timers are left open: {:?}",
            self.timers.keys()
        );
        self.coverage.see(match outcome {
            Outcome::Running => return Err("it ended and runs".to_owned()),
            Outcome::Succeeded { .. } => "end succeeded",
            Outcome::Failed { .. } => "end failed",
            Outcome::TimedOut { .. } => "end timed out",
            Outcome::Aborted { .. } => "end aborted",
        });
        if self.redrives_left > 0 && self.execution.can_redrive().is_ok() && self.dice.percent(60) {
            self.redrives_left -= 1;
            let at_ms = self.true_ms + self.dice.between(0, 5000);
            self.plan(at_ms, Happening::Input(Input::Redrive));
        }
        Ok(())
    }
}

fn open_task(kind: Kind, command: Command) -> OpenTask {
    OpenTask {
        kind,
        state: String::new(),
        command,
        planned: Vec::new(),
        attempt: 0,
        scheduled: false,
        started: false,
        submitted: false,
        token: None,
        timeout_ms: None,
        heartbeat_ms: None,
        deadline: None,
        heartbeat_deadline: None,
    }
}
