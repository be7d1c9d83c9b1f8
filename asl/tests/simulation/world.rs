//! Owns the world around one execution: virtual time, what is yet to happen, and what holds after each step.
//! What commands do is in [`super::obey`], what an input may lead to in [`super::expect`], crashes in
//! [`super::crash`].

use std::collections::BTreeMap;

use asl::{Command, Execution, HistoryEvent, Input, Outcome};

use super::coverage::Coverage;
use super::dice::Dice;
use super::expect::Expected;
use super::faults::{Faults, Kind};
use super::journal::{Beginning, Journal, told};
use super::outline::Outline;
use super::{START_MS, ensure};

/// How long an execution may go on, in inputs.
const STEPS_MAX: usize = 100_000;

/// When something happens, and in which order at the same time.
pub type When = (i64, u64);

/// Something that is yet to happen.
#[derive(Debug, Clone)]
pub enum Happening {
    Input(Input),
    /// The wall clock is set.
    Jump(i64),
}

/// A task or Map Run that is being done.
pub struct OpenTask {
    pub kind: Kind,
    pub state: String,
    pub command: Command,
    pub planned: Vec<When>,
    pub attempt: u64,
    pub scheduled: bool,
    pub started: bool,
    pub submitted: bool,
    pub token: Option<String>,
    pub timeout_ms: Option<i64>,
    pub heartbeat_ms: Option<i64>,
    /// When it is given up.
    pub deadline: Option<i64>,
    /// When it is given up for want of a heartbeat.
    pub heartbeat_deadline: Option<i64>,
}

/// A timer that is set.
pub struct OpenTimer {
    pub at_ms: i64,
    pub planned: When,
    /// It is the machine's `TimeoutSeconds`.
    pub of_machine: bool,
}

pub struct World<'a> {
    pub faults: &'a Faults,
    pub outline: &'a Outline,
    pub beginning: Beginning,
    pub dice: Dice,
    pub coverage: Coverage,
    pub execution: Execution,
    /// The execution as it would be without the last seamless crash.
    pub shadow: Option<Execution>,
    /// Time as it passes.
    pub true_ms: i64,
    /// What the wall clock shows beyond that.
    pub offset_ms: i64,
    /// The execution's own time.
    pub clock_ms: i64,
    pub agenda: BTreeMap<When, Happening>,
    pub came_up: u64,
    pub tasks: BTreeMap<u64, OpenTask>,
    pub timers: BTreeMap<u64, OpenTimer>,
    pub last_task: u64,
    pub last_timer: u64,
    pub history: Vec<HistoryEvent>,
    /// Of each event that tells of a timeout, whether it was for want of a heartbeat, if that is certain.
    pub heartbeats: BTreeMap<i64, bool>,
    /// The deadlines of the task that was cancelled last: for its end, and for a heartbeat.
    pub given_up: (Option<i64>, Option<i64>),
    pub journal: Journal,
    pub redrives_left: usize,
    steps: usize,
    crashed: usize,
}

impl<'a> World<'a> {
    pub fn new(
        faults: &'a Faults,
        outline: &'a Outline,
        beginning: Beginning,
    ) -> Result<World<'a>, String> {
        let (execution, commands) = beginning.begin().ok_or("there is no such processor")?;
        let mut world = World {
            faults,
            outline,
            beginning,
            dice: Dice::of(faults.seed, 2),
            coverage: Coverage::default(),
            execution,
            shadow: None,
            true_ms: START_MS,
            offset_ms: 0,
            clock_ms: START_MS,
            agenda: BTreeMap::new(),
            came_up: 0,
            tasks: BTreeMap::new(),
            timers: BTreeMap::new(),
            last_task: 0,
            last_timer: 0,
            history: Vec::new(),
            heartbeats: BTreeMap::new(),
            given_up: (None, None),
            journal: Journal::default(),
            redrives_left: faults.redrives,
            steps: 0,
            crashed: 0,
        };
        for (at, by) in &faults.jumps {
            world.plan(START_MS + at, Happening::Jump(*by));
        }
        for at in &faults.stops {
            world.plan(START_MS + at, Happening::Input(world.stopping()));
        }
        for at in &faults.strange_redrives {
            world.plan(START_MS + at, Happening::Input(Input::Redrive));
        }
        world.obey(&commands)?;
        world.journal.begun(commands);
        Ok(world)
    }

    pub fn stopping(&self) -> Input {
        Input::Stop {
            error: Some("Stopped".to_owned()),
            cause: None,
        }
    }

    pub fn plan(&mut self, at_ms: i64, happening: Happening) -> When {
        self.came_up += 1;
        let when = (at_ms, self.came_up);
        self.agenda.insert(when, happening);
        when
    }

    pub fn is_running(&self) -> bool {
        *self.execution.status() == Outcome::Running
    }

    /// Lets everything happen.
    pub fn run(&mut self) -> Result<(), String> {
        loop {
            self.steps += 1;
            ensure!(self.steps < STEPS_MAX, "the execution does not end");
            let Some((when, happening)) = self.agenda.pop_first() else {
                if !self.is_running()
                    && (self.redrives_left == 0 || self.execution.can_redrive().is_err())
                {
                    return Ok(());
                }
                self.true_ms += 1000;
                if self.is_running() {
                    self.coverage.see("nobody answers");
                    self.give(self.stopping())?;
                } else {
                    self.redrives_left -= 1;
                    self.give(Input::Redrive)?;
                }
                continue;
            };
            self.true_ms = self.true_ms.max(when.0);
            let next = self.faults.crashes.get(self.crashed);
            if let Some((step, crash)) = next
                && *step <= self.steps
            {
                self.crashed += 1;
                if self.crash(*crash, &happening)? {
                    continue;
                }
            }
            match happening {
                Happening::Input(input) => self.give(input)?,
                Happening::Jump(by) => {
                    self.offset_ms += by;
                    if by < 0 {
                        self.coverage.see("clock set back");
                    }
                }
            }
        }
    }

    /// Gives the execution an input and does what it commands.
    fn give(&mut self, input: Input) -> Result<(), String> {
        let wall_ms = self.true_ms + self.offset_ms;
        // As `local` does it: its time does not go back. The engine must bear it in any case.
        let at_ms = match self.faults.journals_all {
            true => wall_ms,
            false => wall_ms.max(self.clock_ms),
        };
        if wall_ms < self.clock_ms {
            self.coverage.see("timer set back");
        }
        let expected = self.expect(&input, at_ms.max(self.clock_ms))?;
        let before = self.history.len();
        let commands = self.execution.apply(at_ms, input.clone());
        if let Some(shadow) = &mut self.shadow {
            let without = shadow.apply(at_ms, input.clone());
            ensure!(
                without == commands && shadow.status() == self.execution.status(),
                "crash: {input:?} leads to\n  {}\nand without a crash to\n  {}",
                told(&commands),
                told(&without)
            );
        }
        self.clock_ms = self.clock_ms.max(at_ms);
        match expected {
            Expected::Nothing => {
                self.coverage.see("input of nothing");
                ensure!(
                    commands.is_empty(),
                    "what does not fit led to something: {input:?}\n  {}",
                    told(&commands)
                );
            }
            Expected::Something => {
                ensure!(!commands.is_empty(), "nothing came of {input:?}");
            }
            Expected::End(task) => {
                ensure!(!commands.is_empty(), "nothing came of {input:?}");
                self.tasks.remove(&task.0);
            }
            Expected::Timer(timer) => {
                ensure!(!commands.is_empty(), "nothing came of {input:?}");
                self.timers.remove(&timer.0);
            }
        }
        self.note_started(&input);
        self.obey(&commands).map_err(|error| {
            format!(
                "{error}; after {before} events, {input:?} led to\n  {}",
                told(&commands)
            )
        })?;
        if self.faults.journals_all || !commands.is_empty() {
            self.journal.note(at_ms, input, commands);
        }
        Ok(())
    }
}
