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

/// Seconds that a process has run on CPUs (`man 5 proc`, stat).
pub fn process_s(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| -> anyhow::Result<u64> {
        Ok(fields.get(at).context("too few fields")?.parse()?)
    };
    // USER_HZ is 100 on every Linux that runs these programs.
    Ok((ticks(11)? + ticks(12)?) as f64 / 100.0)
}
