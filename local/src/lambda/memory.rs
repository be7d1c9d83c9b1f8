//! How much memory a sandbox used: its first process and everything it started.
//!
//! Owns reading `/proc`. The peak of one process the kernel remembers (`VmHWM`); that of a whole group
//! nobody does without a cgroup, so the group's sum is sampled. On systems without `/proc` it is 0.

use std::collections::HashMap;

/// Peak resident memory of one process so far, KiB.
pub fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok())
        .unwrap_or(0)
}

/// Resident memory of each process group now, KiB. Blocking, about a millisecond.
pub fn groups_kib() -> HashMap<u32, u64> {
    let page_kib = rustix::param::page_size() as u64 / 1024;
    let mut groups = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name
            .as_encoded_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit)
        {
            continue;
        }
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The command's name, in parentheses, may hold spaces: count fields after it.
        let Some((_, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let group = fields.get(2).and_then(|field| field.parse::<u32>().ok());
        let pages = fields.get(21).and_then(|field| field.parse::<u64>().ok());
        if let (Some(group), Some(pages)) = (group, pages) {
            *groups.entry(group).or_insert(0) += pages * page_kib;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_memory_and_is_in_a_group() {
        assert!(peak_kib(std::process::id()) > 1000);
        let group = rustix::process::getpgrp()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
        assert!(groups_kib()[&group] > 1000);
    }
}
