//! Which image each invoked function version ran: asked of Lambda once for each version, apart from the
//! telemetry itself so that a slow answer holds up no progress. Keeps the tags of images at hand for it, and
//! forgets invocations that are old.

use std::time::Duration;

use super::Pause;
use crate::{
    clock,
    control::{Control, Failure},
};

/// How often to look for invocations whose image is not known.
const LOOK: Duration = Duration::from_secs(1);
/// Versions asked about in one round.
const ROUND_MAX: u32 = 50;
/// How long invocations are kept, and how many are forgotten in one round.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;
const FORGOTTEN_MAX: u32 = 1_000;
/// What the digest of a version that is gone is noted as, so that it is not asked for again.
const GONE: &str = "unknown";

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    // After a start nothing is known of images yet; what a page calls a digest waits for no page to ask.
    let mut is_news = true;
    loop {
        let result = round(&control, &mut is_news).await;
        if pause
            .after_round(&control, LOOK, "resolve function versions", result)
            .await
            .is_break()
        {
            return;
        }
    }
}

async fn round(control: &Control, is_news: &mut bool) -> Result<(), Failure> {
    for (function, version) in control.store.versions_unresolved(ROUND_MAX).await? {
        let digest = control.aws.functions.digest(&function, &version).await?;
        control
            .store
            .version_resolved(&function, &version, digest.as_deref().unwrap_or(GONE))
            .await?;
        *is_news = true;
    }
    if *is_news {
        control.images().await?;
        *is_news = false;
    }
    control
        .store
        .forget_invocations(clock::now().0 - KEPT_MS, FORGOTTEN_MAX)
        .await?;
    Ok(())
}
