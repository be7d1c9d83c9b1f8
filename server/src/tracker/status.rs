//! The status queue: EventBridge puts each change of an execution's status on it. Messages are received by as many
//! long polls as there is something to do for, applied by hundreds in one write, and deleted once that is durable.
//! What they say is [`event`]'s; that they come twice, late and in any order is for the store to sort out.

use std::{collections::HashSet, sync::Arc};

use futures::{StreamExt, stream};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};

use self::event::{Told, told};
use super::{
    Pause,
    adopt::{Unknown, learn},
    hear::{ends, hear, hear_all},
};
use crate::{
    aws::Message,
    clock,
    control::{Control, Failure, causes},
    store::{Applied, StatusChange},
};

mod event;

/// Long polls at one time while there is much to receive; SQS answers each with ten messages.
const POLLS_MAX: usize = 16;
/// Messages of a full answer, and of one DeleteMessageBatch.
const ANSWER: usize = 10;
/// Messages applied in one write.
const BATCH_MAX: usize = 500;
/// DeleteMessageBatch at one time.
const DELETES_MAX: usize = 8;
/// Ends read ahead at one time: of jobs that somebody watches, and of others. Those beyond are told at once.
const AHEAD_WATCHED: u32 = 32;
const AHEAD: u32 = 4;

pub(super) async fn run(control: Control) {
    let (sender, mut received) = mpsc::channel(BATCH_MAX);
    let busy = Arc::new(Notify::new());
    let mut polls = JoinSet::new();
    for number in 0..POLLS_MAX {
        polls.spawn(poll(control.clone(), number, busy.clone(), sender.clone()));
    }
    let intake = Intake::new(control.clone());
    let mut pause = Pause::default();
    loop {
        let mut messages = Vec::new();
        tokio::select! {
            () = control.ending.cancelled() => return,
            _ = received.recv_many(&mut messages, BATCH_MAX) => {}
        }
        match intake.take(messages).await {
            Ok(()) => pause.reset(),
            // They stay in the queue and come again.
            Err(failure) => {
                let waited = pause.after_failure(&control, "apply status events", &failure);
                if waited.await.is_break() {
                    return;
                }
            }
        }
    }
}

/// Receives messages: the first one always, the others while answers are full.
async fn poll(control: Control, number: usize, busy: Arc<Notify>, sender: mpsc::Sender<Message>) {
    let mut pause = Pause::default();
    let mut is_full = false;
    loop {
        let received = async {
            if number > 0 && !is_full {
                busy.notified().await;
            }
            control.aws.queue.receive().await
        };
        let received = tokio::select! {
            () = control.ending.cancelled() => return,
            received = received => received,
        };
        match received {
            Ok(messages) => {
                pause.reset();
                is_full = messages.len() >= ANSWER;
                if is_full {
                    busy.notify_one();
                }
                for message in messages {
                    if sender.send(message).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                is_full = false;
                let waited = pause.after_failure(&control, "receive status events", &error);
                if waited.await.is_break() {
                    return;
                }
            }
        }
    }
}

/// What takes messages in.
pub(super) struct Intake {
    control: Control,
    ahead_watched: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
}

impl Intake {
    pub(super) fn new(control: Control) -> Intake {
        Intake {
            control,
            ahead_watched: Arc::new(Semaphore::new(AHEAD_WATCHED as usize)),
            ahead: Arc::new(Semaphore::new(AHEAD as usize)),
        }
    }

    /// Applies messages and deletes them. Ends that are read ahead are told, and deleted, a little later.
    pub(super) async fn take(&self, messages: Vec<Message>) -> Result<(), Failure> {
        let control = &self.control;
        let now_ms = clock::now().0;
        let (mut events, mut done) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            match told(&message.body, now_ms) {
                Some(event) => events.push((event, message.receipt)),
                None => {
                    tracing::warn!(
                        "a message in the status queue is no status event; it is dropped"
                    );
                    control.aws.metrics().event("malformed");
                    done.push(message.receipt);
                }
            }
        }
        let mut known = control.store.executions_known(&arns(&events)).await?;
        let mut named = HashSet::new();
        let unknown: Vec<Unknown> = events
            .iter()
            .filter(|(event, _)| {
                let arn = event.change.arn.as_str();
                !known.contains_key(arn)
                    && control.aws.states.name_of(arn).is_some()
                    && named.insert(arn.to_owned())
            })
            .map(|(event, _)| Unknown {
                arn: event.change.arn.clone(),
                started_at_ms: event.change.started_at_ms.unwrap_or(now_ms),
                input: event.input.clone(),
            })
            .collect();
        if !unknown.is_empty() {
            learn(control, unknown).await?;
            known = control.store.executions_known(&arns(&events)).await?;
        }
        let watched = control.live.watched_jobs(now_ms);
        let (mut changes, mut receipts) = (Vec::new(), Vec::new());
        for (event, receipt) in events {
            let Some(execution) = known.get(&event.change.arn) else {
                tracing::debug!(
                    arn = event.change.arn,
                    "an event of an execution not of Gantry's"
                );
                control.aws.metrics().event("unknown");
                done.push(receipt);
                continue;
            };
            let place = match ends(&event.change, execution) {
                true if watched.contains(&execution.job) => &self.ahead_watched,
                true => &self.ahead,
                false => {
                    changes.push(event.change);
                    receipts.push(receipt);
                    continue;
                }
            };
            match place.clone().try_acquire_owned() {
                Ok(permit) => self.read_ahead(event.change, receipt, permit),
                Err(_) => {
                    changes.push(event.change);
                    receipts.push(receipt);
                }
            }
        }
        for applied in hear_all(control, &changes, &known).await? {
            counted(control, applied);
        }
        done.extend(receipts);
        delete(control, &done).await;
        Ok(())
    }

    /// Tells an end beside everything else, once what it ended with is read.
    fn read_ahead(&self, change: StatusChange, receipt: String, permit: OwnedSemaphorePermit) {
        let control = self.control.clone();
        tokio::spawn(async move {
            match hear(&control, &change).await {
                Ok(applied) => {
                    counted(&control, applied);
                    delete(&control, &[receipt]).await;
                }
                // It stays in the queue and comes again.
                Err(failure) => {
                    tracing::warn!(arn = change.arn, causes = %causes(&failure), "a status event waits");
                }
            }
            drop(permit);
        });
    }

    /// Waits until no end is being read ahead.
    #[cfg(test)]
    pub(super) async fn settled(&self) {
        let _all = self
            .ahead_watched
            .acquire_many(AHEAD_WATCHED)
            .await
            .unwrap();
        let _others = self.ahead.acquire_many(AHEAD).await.unwrap();
    }
}

fn arns(events: &[(Told, String)]) -> Vec<&str> {
    let arns = events.iter().map(|(event, _)| event.change.arn.as_str());
    arns.collect()
}

fn counted(control: &Control, applied: Applied) {
    control.aws.metrics().event(match applied {
        Applied::Changed => "applied",
        Applied::Stale => "stale",
        Applied::Unknown => "unknown",
    });
}

/// Deletes what is durable. What is not deleted comes again, and changes nothing then.
async fn delete(control: &Control, receipts: &[String]) {
    stream::iter(receipts.chunks(ANSWER))
        .for_each_concurrent(DELETES_MAX, |some| async move {
            if let Err(error) = control.aws.queue.delete(some).await {
                tracing::debug!(causes = %causes(&error), "status events were not deleted");
            }
        })
        .await;
}

#[cfg(test)]
mod tests;
