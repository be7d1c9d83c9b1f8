//! Owns a case: a machine and what befalls it, both made from a seed, and the running of it with every check.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use asl::{Fold, HistoryEvent, Outcome, VisitStatus, parse};
use serde_json::Value;

use super::coverage::Coverage;
use super::definition::definition;
use super::effort;
use super::ensure;
use super::faults::Faults;
use super::history;
use super::journal::Beginning;
use super::outline::Outline;
use super::world::World;
use super::{START_MS, shown, start};

/// A machine and what befalls it.
#[derive(Debug, Clone)]
pub struct Case {
    pub definition: Value,
    pub faults: Faults,
}

/// What went wrong.
#[derive(Debug, Default)]
pub struct Broken {
    pub message: String,
    pub inputs: Vec<String>,
    pub history: Vec<String>,
}

impl Case {
    pub fn new(seed: u64) -> Case {
        Case {
            definition: definition(seed),
            faults: Faults::new(seed),
        }
    }

    /// Runs the case; what it came across.
    pub fn run(&self) -> Result<Coverage, Box<Broken>> {
        let mut broken = Broken::default();
        let run = || self.run_into(&mut broken);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(coverage)) => Ok(coverage),
            Ok(Err(message)) => Err(Box::new(Broken { message, ..broken })),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let message = format!("panic: {}", text.unwrap_or_default());
                Err(Box::new(Broken { message, ..broken }))
            }
        }
    }

    fn run_into(&self, broken: &mut Broken) -> Result<Coverage, String> {
        let parsed = parse(&self.definition.to_string());
        ensure!(parsed.is_valid(), "definition: {:?}", parsed.diagnostics);
        let machine = Arc::new(parsed.machine.ok_or("definition: no machine")?);
        let whole = Outline::of(&self.definition);
        let processor = whole.distributed().filter(|_| self.faults.processor);
        let outline = match processor {
            Some(map) => Outline::of_processor(&self.definition, map).ok_or("no processor")?,
            None => Outline::of(&self.definition),
        };
        let mut start = start(self.faults.input.clone());
        start.seed = self.faults.seed;
        let beginning = Beginning {
            machine,
            processor: processor.map(str::to_owned),
            start,
            at_ms: START_MS,
        };
        let mut world = World::new(&self.faults, &outline, beginning)?;
        if processor.is_some() {
            world.coverage.see("processor");
        }
        // A panic leaves the world here, and what it was about to those who look at it.
        let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
        let done = match ran {
            Ok(Ok(())) => finish(&mut world),
            Ok(Err(message)) => Err(message),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(format!("panic: {}", text.unwrap_or_default()))
            }
        };
        if done.is_err() {
            broken.inputs = world.journal.shown();
            broken.history = shown(&world.history);
        }
        done.map(|()| world.coverage)
    }
}

/// What holds once everything has happened.
fn finish(world: &mut World<'_>) -> Result<(), String> {
    let (again, _) = world.journal.replay(&world.beginning)?;
    ensure!(
        again.status() == world.execution.status(),
        "replay: another outcome"
    );
    history::check(world)?;
    effort::check(world)?;
    fold(world)
}

/// What people are shown agrees with the history.
fn fold(world: &World<'_>) -> Result<(), String> {
    let mut fold = Fold::new(Some(&world.beginning.machine));
    for event in &world.history {
        if world.faults.seed.is_multiple_of(16) {
            let wire = HistoryEvent::from_wire(&event.to_wire(true));
            ensure!(
                wire.as_ref() == Some(event),
                "the wire loses something of {event:?}"
            );
        }
        fold.apply(event);
    }
    let succeeded = matches!(world.execution.status(), Outcome::Succeeded { .. });
    for visit in fold.visits() {
        let open = matches!(visit.status, VisitStatus::Running | VisitStatus::Retrying);
        ensure!(!open, "fold: {visit:?} goes on");
        ensure!(
            !succeeded || visit.exited_at_ms.is_some(),
            "fold: {visit:?} has no end"
        );
    }
    Ok(())
}
