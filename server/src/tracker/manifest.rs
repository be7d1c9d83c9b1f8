//! Manifests: read once of each execution that succeeded, so that its job lists what it made.

use std::{str::FromStr, time::Duration};

use model::JobId;

use super::Pause;
use crate::control::{Control, Failure};

/// How often to look for executions that succeeded.
const LOOK: Duration = Duration::from_millis(500);
/// Manifests read in one round.
const ROUND_MAX: u32 = 20;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    loop {
        let result = round(&control).await;
        if pause
            .after_round(&control, LOOK, "read manifests", result)
            .await
            .is_break()
        {
            return;
        }
    }
}

async fn round(control: &Control) -> Result<(), Failure> {
    for (arn, job) in control.store.manifests_unread(ROUND_MAX).await? {
        let Ok(job) = JobId::from_str(&job) else {
            continue;
        };
        control.learn_artifacts(&arn, job).await?;
        control.live.touch(job);
    }
    Ok(())
}
