//! Owns crashes: the execution is lost, made anew from its journal, and what is outstanding is taken up again.

use asl::{Command, Input};

use super::ensure;
use super::faults::{Crash, Kind};
use super::world::{Happening, World};

impl World<'_> {
    /// Breaks off; whether what was about to happen is lost with it.
    pub fn crash(&mut self, crash: Crash, next: &Happening) -> Result<bool, String> {
        let (execution, outstanding) = self.journal.replay(&self.beginning)?;
        ensure!(
            execution.status() == self.execution.status(),
            "crash: another outcome"
        );
        ensure!(
            execution.last_event_id() == self.execution.last_event_id(),
            "crash: another history"
        );
        if self.is_running() {
            let timers: Vec<(u64, i64)> =
                outstanding.timers.values().filter_map(timer_of).collect();
            let set: Vec<(u64, i64)> = self
                .timers
                .iter()
                .map(|(timer, open)| (*timer, open.at_ms))
                .collect();
            ensure!(
                timers == set,
                "crash: timers {timers:?} are outstanding, and {set:?} are set"
            );
            let tasks: Vec<&Command> = outstanding.tasks.values().collect();
            let open = self.tasks.values();
            // What somebody has in hand is not begun again.
            let in_hand =
                |kind, started, submitted| (kind == Kind::Activity && started) || submitted;
            let open = open.filter(|open| !in_hand(open.kind, open.started, open.submitted));
            let open: Vec<&Command> = open.map(|open| &open.command).collect();
            ensure!(
                tasks == open,
                "crash: {tasks:#?} are outstanding, and {open:#?} are open"
            );
        }
        let before = std::mem::replace(&mut self.execution, execution);
        if crash == Crash::Seamless {
            self.coverage.see("crash without a trace");
            self.shadow = Some(before);
            return Ok(false);
        }
        self.coverage.see("crash with work redone");
        self.shadow = None;
        if !self.is_running() {
            return Ok(false);
        }
        self.true_ms += self.dice.between(0, 2000);
        for (timer, at_ms) in outstanding.timers.values().filter_map(timer_of) {
            if let Some(open) = self.timers.get(&timer) {
                self.agenda.remove(&open.planned);
            }
            let planned = self.plan_timer(timer, at_ms);
            if let Some(open) = self.timers.get_mut(&timer) {
                open.planned = planned;
            }
        }
        for &number in outstanding.tasks.keys() {
            let Some(open) = self.tasks.get_mut(&number) else {
                continue;
            };
            open.attempt += 1;
            let planned = std::mem::take(&mut open.planned);
            // Who was called to report back may do so twice.
            let goes_on = open.kind == Kind::Callback;
            for when in planned.into_iter().filter(|_| !goes_on) {
                self.agenda.remove(&when);
            }
            self.plan_answers(number);
        }
        // The input that came as everything broke off is lost; what it was about is begun again or told again.
        let lost = match next {
            Happening::Jump(_) => false,
            Happening::Input(Input::TimerFired { timer }) => self.timers.contains_key(&timer.0),
            Happening::Input(input) => match input.task().map(|task| task.0) {
                Some(task) => outstanding.tasks.contains_key(&task),
                None => self.dice.percent(50),
            },
        };
        Ok(lost)
    }
}

fn timer_of(command: &Command) -> Option<(u64, i64)> {
    match command {
        Command::SetTimer { timer, at_ms } => Some((timer.0, *at_ms)),
        _ => None,
    }
}
