//! Asks now and then what nobody else asks: how much is in the status queue, and how much waits in the store, so
//! that the mark on every page is right though nobody opens the Health page.

use std::time::Duration;

use super::Pause;
use crate::control::{Control, Failure};

/// How often to ask.
const LOOK: Duration = Duration::from_secs(15);

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    loop {
        let result = round(&control).await;
        if pause
            .after_round(
                &control,
                LOOK,
                "ask how much is in the status queue",
                result,
            )
            .await
            .is_break()
        {
            return;
        }
    }
}

async fn round(control: &Control) -> Result<(), Failure> {
    control.count_backlog().await;
    control.signs.queue(control.aws.queue.depth().await?);
    Ok(())
}
