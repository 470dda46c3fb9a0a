//! What the kernel says about this machine and this process: limits, settings and usage from /proc and /sys.
#![expect(
    unsafe_code,
    reason = "getrlimit(2) and setrlimit(2) have no safe wrapper in the standard library"
)]

use std::{fs, io};

/// A kernel's version, without its patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// The 6 of 6.12.
    pub major: u16,
    /// The 12 of 6.12.
    pub minor: u16,
}

impl KernelVersion {
    /// The running kernel's version.
    pub fn running() -> io::Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Self::parse(&release).ok_or_else(|| {
            io::Error::other(format!(
                "the kernel release {:?} has no major.minor",
                release.trim()
            ))
        })
    }

    /// Reads `6.12.43-cloud-amd64` and the like.
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release
            .trim()
            .split(|letter: char| !letter.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

/// Something the kernel limits for each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Open file descriptors (`RLIMIT_NOFILE`).
    Files,
    /// Bytes that may be locked in memory (`RLIMIT_MEMLOCK`); io_uring's rings are charged to it.
    LockedMemory,
}

/// The two values of a limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What holds now.
    pub soft: Option<u64>,
    /// What the process may raise `soft` to on its own.
    pub hard: Option<u64>,
}

impl Limit {
    /// This process's limit.
    pub fn read(resource: Resource) -> io::Result<Self> {
        let raw = raw_limit(resource)?;
        let known = |value| (value != libc::RLIM_INFINITY).then_some(value);
        Ok(Self {
            soft: known(raw.rlim_cur),
            hard: known(raw.rlim_max),
        })
    }

    /// Raises the soft limit to the hard one, and says what holds then.
    pub fn raise_to_hard(resource: Resource) -> io::Result<Self> {
        let mut raw = raw_limit(resource)?;
        if raw.rlim_cur != raw.rlim_max {
            raw.rlim_cur = raw.rlim_max;
            // SAFETY: `raw` is a whole rlimit that lives through the call, which only reads it.
            let failed = unsafe { libc::setrlimit(number(resource), &raw const raw) };
            if failed != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Self::read(resource)
    }
}

/// What this process uses, for `/metrics`. Floats, because that is what the text format carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessUsage {
    /// Processor time, user and system.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: f64,
    /// When the process started; absent if /proc/stat names no boot time.
    pub start_unix_seconds: Option<f64>,
    /// Open descriptors; absent before kernel 6.2, where counting them means listing them.
    pub files_open: Option<f64>,
    /// The soft limit on descriptors; absent if unlimited.
    pub files_max: Option<f64>,
}

impl ProcessUsage {
    /// Reads this process's usage; a few small files, no listing.
    pub fn read() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let times = StatTimes::parse(&stat)
            .ok_or_else(|| io::Error::other("/proc/self/stat has too few fields"))?;
        let boot = fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|text| field(&text, "btime"));
        let files_open = fs::metadata("/proc/self/fd")?.len();
        Ok(Self {
            cpu_seconds: float(times.cpu_ticks) / TICKS_PER_SECOND,
            resident_bytes: float(resident_bytes("self")?),
            start_unix_seconds: boot
                .map(|seconds| float(seconds) + float(times.start_ticks) / TICKS_PER_SECOND),
            files_open: (files_open > 0).then(|| float(files_open)),
            files_max: Limit::read(Resource::Files)?.soft.map(float),
        })
    }
}

/// Whether this process may lock memory beyond its limit (`CAP_IPC_LOCK`).
pub fn may_lock_memory() -> bool {
    let status = text("/proc/self/status").unwrap_or_default();
    field_text(&status, "CapEff:").is_some_and(has_ipc_lock)
}

/// Resident memory of a process, by its number or `self`.
pub fn resident_bytes(pid: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    field(&status, "VmRSS:")
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no VmRSS")))
}

/// Processor time of every thread that a process has now, in nanoseconds, by its number or `self`.
pub fn cpu_ns(pid: &str) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading: it then adds nothing.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            sum += schedstat_ns(&text).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// How large a page of memory is.
pub(super) fn page_bytes() -> u64 {
    // SAFETY: `sysconf` only reads a constant of the system.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

fn raw_limit(resource: Resource) -> io::Result<libc::rlimit> {
    let mut raw = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `raw` is a whole rlimit that lives through the call and is ours alone to write.
    let failed = unsafe { libc::getrlimit(number(resource), &raw mut raw) };
    if failed == 0 {
        Ok(raw)
    } else {
        Err(io::Error::last_os_error())
    }
}

const fn number(resource: Resource) -> libc::__rlimit_resource_t {
    match resource {
        Resource::Files => libc::RLIMIT_NOFILE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
    }
}

/// A file's text without the white space around it.
fn text(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// What follows `name` on its line, in files of `name value` lines.
pub(super) fn field_text<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// The number that follows `name` on its line; a unit after it is dropped.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    field_text(text, name)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Whether `CAP_IPC_LOCK` (bit 14) is in a mask such as `000001ffffffffff`.
pub(super) fn has_ipc_lock(mask: &str) -> bool {
    u64::from_str_radix(mask, 16).is_ok_and(|bits| bits & (1 << 14) != 0)
}

/// The first field of a schedstat: nanoseconds on a processor.
fn schedstat_ns(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The times in /proc/PID/stat, in ticks.
struct StatTimes {
    cpu_ticks: u64,
    start_ticks: u64,
}

impl StatTimes {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the command in brackets and may hold spaces and brackets itself.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // `rest` starts at field 3: utime is field 14, stime 15, starttime 22 (proc_pid_stat(5)).
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: number(14)? + number(15)?,
            start_ticks: number(22)?,
        })
    }
}

/// `USER_HZ`, which is 100 on every architecture that Ringway is built for.
const TICKS_PER_SECOND: f64 = 100.0;

#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 2^53, which no count here reaches"
)]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_of_every_distribution_parse() {
        for (release, major, minor) in [
            ("6.1.0-40-amd64\n", 6, 1),
            ("6.12.43+deb13-cloud-amd64", 6, 12),
            ("7.0-rc1", 7, 0),
            ("6.18.44", 6, 18),
        ] {
            assert_eq!(
                KernelVersion::parse(release),
                Some(KernelVersion { major, minor })
            );
        }
        assert_eq!(KernelVersion::parse("linux"), None);
        assert_eq!(KernelVersion::parse("6"), None);
    }

    #[test]
    fn versions_compare_by_number_and_not_by_text() {
        let old = KernelVersion { major: 6, minor: 9 };
        let new = KernelVersion {
            major: 6,
            minor: 12,
        };
        assert!(old < new);
    }

    #[test]
    fn the_right_to_lock_memory_is_one_bit() {
        assert!(has_ipc_lock("000001ffffffffff"));
        assert!(!has_ipc_lock("0000000000000000"));
    }

    #[test]
    fn fields_are_found_by_name_and_lose_their_unit() {
        let text = "Name:\tringway\nVmRSS:\t    1234 kB\nCapEff:\t00ff\n";
        assert_eq!(field(text, "VmRSS:"), Some(1234));
        assert_eq!(field_text(text, "CapEff:"), Some("00ff"));
        assert_eq!(field(text, "VmSwap:"), None);
    }

    #[test]
    fn a_command_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 500 0 0 0 150 50 0 0 20 0 3 0 900 1 2 3";
        let times = StatTimes::parse(stat).unwrap();
        assert_eq!(times.cpu_ticks, 200);
        assert_eq!(times.start_ticks, 900);
        assert!(StatTimes::parse("7 (a) S 1").is_none());
    }

    #[test]
    fn schedstat_starts_with_the_time_on_a_processor() {
        assert_eq!(schedstat_ns("123456 789 12\n"), Some(123_456));
        assert_eq!(schedstat_ns(""), None);
    }

    #[test]
    fn this_machine_answers() {
        assert!(KernelVersion::running().is_ok());
        assert!(page_bytes().is_power_of_two());
        let usage = ProcessUsage::read().unwrap();
        assert!(usage.resident_bytes > 0.0);
        assert!(cpu_ns("self").unwrap() > 0);
    }

    #[test]
    fn raising_a_limit_reaches_the_hard_one() {
        let raised = Limit::raise_to_hard(Resource::Files).unwrap();
        assert_eq!(raised.soft, raised.hard);
    }
}
