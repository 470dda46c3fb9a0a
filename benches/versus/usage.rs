//! What processes of this machine have used so far, from `/proc`.

use std::fs;

use ringway::sys::proc;

/// Processor time of these processes so far.
pub(crate) fn ran_ns(pids: &[u32]) -> u64 {
    // A process that has ended is found out elsewhere.
    let ran = pids
        .iter()
        .map(|pid| proc::cpu_ns(&pid.to_string()).unwrap_or(0));
    ran.sum()
}

/// How long the threads of these processes have waited for a core so far.
pub(crate) fn waited_ns(pids: &[u32]) -> u64 {
    let threads = pids
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
    let waited = threads.flatten().flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    waited.sum()
}

/// Memory of these processes that is resident now.
pub(crate) fn resident_bytes(pids: &[u32]) -> u64 {
    let bytes = pids
        .iter()
        .map(|pid| proc::resident_bytes(&pid.to_string()).unwrap_or(0));
    bytes.sum()
}
