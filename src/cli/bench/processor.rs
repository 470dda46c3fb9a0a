//! Reads processor time and memory from `/proc`, for this thread and for watched processes.

use std::fs;
use std::io;

/// Processor time this thread has used, in nanoseconds; 0 where the kernel does not say.
pub(super) fn thread_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    first_number(&text)
}

/// Processor time that all threads of `pid` have used, in nanoseconds.
pub(super) fn process_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading; what it used is then lost to both edges.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += first_number(&text);
    }
    Ok(sum)
}

/// Memory of `pid` that is resident, in bytes.
pub(super) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.map_or(0, first_number) * 1024)
}

fn first_number(text: &str) -> u64 {
    let word = text.split_ascii_whitespace().next();
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_processor_time_and_memory() {
        let before = thread_ns();
        let mut mixed = 1_u64;
        while thread_ns() == before {
            mixed = std::hint::black_box(mixed.wrapping_mul(3));
        }
        let pid = std::process::id();
        assert!(process_ns(pid).unwrap() >= thread_ns() - before);
        assert!(resident_bytes(pid).unwrap() > 100 * 1024);
        assert!(process_ns(u32::MAX).is_err());
    }
}
