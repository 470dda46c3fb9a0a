//! Keeps what stands in memory from files and from other programs: no core dump holds the keys of TLS.
#![expect(
    unsafe_code,
    reason = "prctl(2) and setrlimit(2) have no safe wrapper in the standard library"
)]

use std::io;

/// Turns core dumps of this process off, until its end. Two things, as each leaves something open: a process that is not
/// dumpable gives no dump to a program either (`kernel.core_pattern` with a pipe, which looks at no limit), and other
/// programs of the same user cannot read its memory (ptrace(2)). The limit also holds for what it executes.
pub fn forbid_dumps() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `none` is a whole rlimit that lives through the call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let no: libc::c_ulong = 0;
    // SAFETY: PR_SET_DUMPABLE takes a number and touches no memory of ours.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, no) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether the kernel gives no dump of this process, whatever its limit.
pub fn dumps_are_off() -> bool {
    // SAFETY: PR_GET_DUMPABLE answers with a number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_forbids_dumps_gives_none() {
        forbid_dumps().unwrap();
        assert!(dumps_are_off());
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file"));
        let core: Vec<_> = core.unwrap().split_whitespace().collect();
        assert_eq!(core, ["Max", "core", "file", "size", "0", "0", "bytes"]);
    }
}
