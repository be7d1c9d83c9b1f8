//! Executions at rest: those that wait for time to pass, or for somebody to report, and have nothing going on.
//!
//! They are let go of, for the journal has all there is to know of them: a hundred thousand of them cost a few
//! timers. What comes for one wakes it up, by the same replay that a crash is followed by, and is given to it then.

use std::sync::{Arc, Mutex, Weak};

use asl::{Command, Input};
use tokio::sync::oneshot;

use super::driver::{Driver, lock};
use super::restore::RestoreError;
use super::running::Running;
use crate::wire::{AwsError, now_ms};

/// The place of an execution that is not over.
pub enum Slot {
    /// It is in memory.
    Awake(Arc<Mutex<Running>>),
    /// The journal has it.
    Resting,
    /// It is being read.
    Waking(Box<Waking>),
}

/// What waits for an execution to wake up.
#[derive(Default)]
pub struct Waking {
    /// What it is given then.
    inputs: Vec<Input>,
    /// Who looks it up then.
    waiters: Vec<oneshot::Sender<()>>,
}

impl Driver {
    /// Lets go of an execution that has nothing to do for a while, after its step before the number `seq`.
    pub(super) fn rest(&self, id: i64, seq: i64, running: &mut Running) {
        let busy = running.tasks.values().any(|work| !work.is_finished());
        // What it was given meanwhile is not written yet.
        if busy || !running.nested.is_empty() || !running.map_runs.is_empty() || seq != running.seq
        {
            return;
        }
        let soon_ms = now_ms().saturating_add(self.rest_ms);
        if running
            .timers
            .iter()
            .any(|&timer| self.timers.is_set_before(id, timer, soon_ms))
        {
            return;
        }
        let mut slots = lock(&self.running);
        if let Some(slot) = slots.get_mut(&id) {
            running.rests = true;
            *slot = Slot::Resting;
        }
    }

    /// Gives an execution an input. Nothing happens if it is over or the input means nothing to it any more.
    pub fn apply(self: &Arc<Self>, id: i64, input: Input) {
        loop {
            let running = match lock(&self.running).get_mut(&id) {
                None => return,
                Some(Slot::Awake(running)) => running.clone(),
                Some(slot) => return self.wake(id, slot).inputs.push(input),
            };
            let mut running = lock(&running);
            if !running.rests {
                return self.give(id, &mut running, input);
            }
        }
    }

    /// Gives an execution an input that may depend on it; whether it was given one.
    pub(super) async fn tell(
        self: &Arc<Self>,
        id: i64,
        input: impl FnOnce(&Running) -> Option<Input>,
    ) -> bool {
        loop {
            let woken = match lock(&self.running).get_mut(&id) {
                None => return false,
                Some(Slot::Awake(running)) => Ok(running.clone()),
                Some(slot) => {
                    let (waiter, woken) = oneshot::channel();
                    self.wake(id, slot).waiters.push(waiter);
                    Err(woken)
                }
            };
            let running = match woken {
                Ok(running) => running,
                Err(woken) => {
                    // However that went, it is looked up again.
                    let _ = woken.await;
                    continue;
                }
            };
            let mut running = lock(&running);
            if running.rests {
                continue;
            }
            return match input(&running) {
                Some(input) => {
                    self.give(id, &mut running, input);
                    true
                }
                None => false,
            };
        }
    }

    /// Has an execution woken up, unless that is under way.
    fn wake<'a>(self: &Arc<Self>, id: i64, slot: &'a mut Slot) -> &'a mut Waking {
        if !matches!(slot, Slot::Waking(_)) {
            *slot = Slot::Waking(Box::default());
            let driver = self.clone();
            tokio::spawn(async move { driver.wake_up(id).await });
        }
        match slot {
            Slot::Waking(waking) => waking,
            _ => unreachable!("it was just made so"),
        }
    }

    async fn wake_up(self: Arc<Self>, id: i64) {
        let restored = loop {
            match self.read_again(id).await {
                Ok(restored) => break restored,
                Err(error) => {
                    tracing::error!(%error, "an execution at rest waits for the store");
                    tokio::time::sleep(super::journal::RETRY).await;
                }
            }
        };
        let waking = {
            let mut slots = lock(&self.running);
            let Some(Slot::Waking(waking)) = slots.remove(&id) else {
                // `local` is stopping.
                return;
            };
            if let Some(running) = restored {
                slots.insert(id, Slot::Awake(Arc::new(Mutex::new(running))));
            }
            waking
        };
        for input in waking.inputs {
            self.apply(id, input);
        }
        for waiter in waking.waiters {
            // It may have gone away.
            let _ = waiter.send(());
        }
    }

    /// Reads an execution from the journal; one that cannot go on is ended.
    async fn read_again(self: &Arc<Self>, id: i64) -> Result<Option<Running>, AwsError> {
        let Some(sfn) = self.peers.sfn.get().and_then(Weak::upgrade) else {
            return Ok(None);
        };
        let row = sfn.execution_by_id(id).await?;
        match sfn.restore(&row).await {
            Ok(restored) => {
                let mut running = restored.running;
                // Its timers are still set. Its tasks are in somebody's hands.
                for command in restored.outstanding {
                    if let Command::SetTimer { timer, .. } = command {
                        running.timers.insert(timer.0);
                    }
                }
                Ok(Some(running))
            }
            Err(RestoreError::Store(error)) => Err(error),
            Err(error) => {
                sfn.give_up(&row, &error).await?;
                Ok(None)
            }
        }
    }
}
