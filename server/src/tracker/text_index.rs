//! The index of texts: jobs that wait for it are gathered into blocks, blocks into larger ones, beside everything
//! else and by one server at a time. What waits is found all the same, only job by job.

use std::time::Duration;

use super::{Pause, StoreResult};
use crate::{
    clock,
    control::{Control, Failure},
    store::TextBlockSizes,
};

/// How often to look whether there is something to do.
const LOOK: Duration = Duration::from_millis(500);
/// The lease of the server that makes blocks, and how long it holds: many times what one takes.
const LEASE: &str = "text index";
const LEASE_MS: i64 = 120_000;

pub(super) async fn run(control: Control) {
    let mut pause = Pause::default();
    loop {
        let done = round(&control).await.map_err(Failure::from);
        let waited = pause.after_round(&control, LOOK, "index the texts of jobs", done);
        if waited.await.is_break() {
            return;
        }
    }
}

/// Does all there is to do.
async fn round(control: &Control) -> StoreResult<()> {
    let sizes = TextBlockSizes::default();
    if !control.store.texts_wait(sizes, clock::now().0).await? {
        return Ok(());
    }
    loop {
        let now_ms = clock::now().0;
        let (store, until_ms) = (&control.store, now_ms + LEASE_MS);
        if control.ending.is_cancelled() || !store.lease(LEASE, now_ms, until_ms).await? {
            return Ok(());
        }
        if !store.index_texts(sizes, now_ms).await? {
            return store.lease_end(LEASE).await;
        }
    }
}
