//! Other servers over the same PostgreSQL: tells them what changed here and hears what changed there, so that whoever
//! watches any of them sees it; says that this server lives, and gives back what dead ones had taken.

use std::time::Duration;

use super::{Pause, StoreResult};
use crate::{
    clock,
    control::{Control, Failure, causes},
    store::Heard,
};

/// What changed within this time is told together.
const GATHER: Duration = Duration::from_millis(50);
/// How often this server says that it lives, and how long that holds.
const ALIVE: Duration = Duration::from_secs(5);
const ALIVE_MS: i64 = 20_000;

/// Says again and again that this server lives.
pub(super) async fn live(control: Control) {
    let mut pause = Pause::default();
    loop {
        let result = alive(&control).await.map_err(Failure::from);
        let waited = pause.after_round(&control, ALIVE, "say that this server lives", result);
        if waited.await.is_break() {
            return;
        }
    }
}

/// Says once that this server lives, and takes back what others left.
pub(super) async fn alive(control: &Control) -> StoreResult<()> {
    let now_ms = clock::now().0;
    control.store.alive(now_ms, now_ms + ALIVE_MS).await?;
    if control.store.postgres_url().is_some() {
        control.store.outbox_release(now_ms).await?;
    }
    Ok(())
}

/// Tells others what changed here.
pub(super) async fn tell(control: Control) {
    if control.store.postgres_url().is_none() {
        return;
    }
    let mut pause = Pause::default();
    loop {
        let jobs = tokio::select! {
            () = control.ending.cancelled() => return,
            jobs = control.live.untold() => jobs,
        };
        // What is not told is seen when it changes again: nobody waits for it who does not watch.
        let result = control
            .store
            .tell_others(&jobs)
            .await
            .map_err(Failure::from);
        let waited = pause.after_round(&control, GATHER, "tell other servers", result);
        if waited.await.is_break() {
            return;
        }
    }
}

/// Hears what changed elsewhere.
pub(super) async fn listen(control: Control) {
    let mut pause = Pause::default();
    loop {
        match control.store.listen().await {
            Ok(None) => return,
            Ok(Some(mut listener)) => {
                pause.reset();
                // Before this moment nothing was heard.
                heard(&control, Heard::Anything).await;
                loop {
                    let told = tokio::select! {
                        () = control.ending.cancelled() => return,
                        told = listener.hear() => told,
                    };
                    match told {
                        Ok(told) => heard(&control, told).await,
                        Err(error) => {
                            let waited =
                                pause.after_failure(&control, "hear other servers", &error);
                            if waited.await.is_break() {
                                return;
                            }
                            break;
                        }
                    }
                }
            }
            Err(error) => {
                let waited = pause.after_failure(&control, "listen to other servers", &error);
                if waited.await.is_break() {
                    return;
                }
            }
        }
    }
}

async fn heard(control: &Control, told: Heard) {
    match told {
        Heard::Jobs(jobs) => control.live.touch_here(&jobs),
        Heard::Anything => control.live.touch_everything_here(),
    }
    // What the other one promised may be dispatched here, too.
    let due = control.store.outbox_next_due().await.ok().flatten();
    if due.is_some_and(|due| due <= clock::now().0) {
        control.outbox.notify_one();
    }
}

/// Says that this server ends.
pub(super) async fn end(control: Control) {
    control.ending.cancelled().await;
    // Nobody waits long for a server that ends; what is not said here is known when its time is over.
    if let Err(error) = control.store.ends().await {
        tracing::debug!(causes = %causes(&error), "others are not told that this server ends");
    }
}

#[cfg(test)]
mod tests;
