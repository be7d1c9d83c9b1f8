//! CPU time: on a shared machine it tells more than the clock on the wall.

use anyhow::Context;

/// Nanoseconds that this thread has run on a CPU. Linux only: `proc_pid_schedstat`.
pub fn thread_ns() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("the kernel tells no CPU times")?;
    let first = text
        .split_whitespace()
        .next()
        .context("the kernel tells no CPU time")?;
    Ok(first.parse()?)
}
