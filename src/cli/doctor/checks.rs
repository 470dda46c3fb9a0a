//! What `doctor` looks at, one function each: what was found, what is wanted, and the command that closes the gap.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::{DoctorArgs, RING};
use crate::limits;
use crate::sys::proc::{Host, KernelVersion, Limit};

/// Everything that is looked at, in the order it is printed.
pub(super) fn examine(host: &Host, args: &DoctorArgs) -> Vec<Finding> {
    vec![
        kernel(host),
        io_uring(host),
        open_files(host, args),
        locked_memory(host),
        accept_queue(host),
        syn_queue(host),
        ports(host, args),
        processors(host),
        governor(host),
        huge_pages(host),
        conntrack(host, args),
        memory(host, args),
    ]
}

fn kernel(host: &Host) -> Finding {
    let wants = "6.1; from 6.12 incremental buffers, from 6.17 capped multishot reads";
    let found = host.kernel.map_or_else(
        || UNKNOWN.to_owned(),
        |kernel| format!("{}.{}", kernel.major, kernel.minor),
    );
    let at_least = |major, minor| {
        host.kernel
            .is_none_or(|kernel| kernel >= KernelVersion { major, minor })
    };
    let newer = || {
        "boot a newer kernel; on Debian 12: apt-get install -t bookworm-backports linux-image-amd64"
            .to_owned()
    };
    Finding::ok("kernel", found, wants)
        .or_fail(at_least(6, 1), newer)
        .or_warn(at_least(6, 12), newer)
}

fn io_uring(host: &Host) -> Finding {
    let found = match host.io_uring_disabled {
        None | Some(0) => "allowed for everyone",
        Some(1) => "allowed for one group only (kernel.io_uring_disabled = 1)",
        Some(_) => "forbidden (kernel.io_uring_disabled = 2)",
    };
    let fix = || "sudo sysctl -w kernel.io_uring_disabled=0".to_owned();
    Finding::ok("io_uring", found, "allowed")
        .or_fail(host.io_uring_disabled.is_none_or(|level| level < 2), fix)
        .or_warn(host.io_uring_disabled.is_none_or(|level| level < 1), fix)
}

fn open_files(host: &Host, args: &DoctorArgs) -> Finding {
    let wants = u64::from(args.tunnels) * FILES_PER_TUNNEL + FILES_SPARE;
    let finding = Finding::ok(
        "open files",
        limit_text(host.files, |count| count.to_string()),
        format!("{wants} for {} tunnels", args.tunnels),
    );
    // `run` raises the soft limit by itself, so the hard one decides.
    finding
        .or_fail(reaches(host.files, FILES_SPARE), || {
            raise_limit("nofile", wants)
        })
        .or_warn(reaches(host.files, wants), || {
            let limit = raise_limit("nofile", wants);
            match host.files_ceiling {
                Some(ceiling) if ceiling < wants => {
                    format!("sudo sysctl -w fs.nr_open={wants} && {limit}")
                }
                _ => limit,
            }
        })
}

fn locked_memory(host: &Host) -> Finding {
    let workers = host.cpus_allowed.len().max(1);
    let wants = limits::locked_bytes(workers, host.may_lock_memory);
    let needs = if host.may_lock_memory {
        "whatever the workers (CAP_IPC_LOCK)".to_owned()
    } else {
        format!("for {workers} workers")
    };
    Finding::ok(
        "locked memory",
        limit_text(host.locked_memory, size),
        format!("{} {needs}", size(wants)),
    )
    // `run` raises the soft limit by itself, so the hard one decides.
    .or_fail(reaches(host.locked_memory, wants), || {
        raise_limit("memlock", wants)
    })
}

fn accept_queue(host: &Host) -> Finding {
    queue(
        "accept queue",
        host.accept_queue_max,
        "net.core.somaxconn",
        ACCEPT_QUEUE,
    )
}

fn syn_queue(host: &Host) -> Finding {
    queue(
        "SYN queue",
        host.syn_queue_max,
        "net.ipv4.tcp_max_syn_backlog",
        SYN_QUEUE,
    )
}

/// Both queues hold a reconnect storm until workers get to it.
fn queue(check: &str, found: Option<u64>, setting: &str, wants: u64) -> Finding {
    Finding::ok(check, number(found), format!("{wants} ({setting})"))
        .or_warn(found.is_none_or(|found| found >= wants), || {
            format!("sudo sysctl -w {setting}={wants}")
        })
}

/// A tunnel needs a local port of its own for each backend address, so backends multiply the range.
fn ports(host: &Host, args: &DoctorArgs) -> Finding {
    let per_backend = args.tunnels.div_ceil(args.backends);
    let whose = match args.backends {
        1 => "one backend".to_owned(),
        count => format!("each of {count} backends"),
    };
    let wants = format!("{per_backend} for {whose} (net.ipv4.ip_local_port_range)");
    let Some(ports) = &host.ports else {
        return Finding::ok("local ports", UNKNOWN, wants);
    };
    let found = format!("{} ({} to {})", ports.len(), ports.start(), ports.end());
    Finding::ok("local ports", found, wants).or_warn(ports.len() >= per_backend as usize, || {
        if per_backend as usize <= WIDEST_PORTS {
            "sudo sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"".to_owned()
        } else {
            let backends = (args.tunnels as usize).div_ceil(WIDEST_PORTS);
            format!("spread the tunnels over {backends} backend addresses or ports, and sudo sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"")
        }
    })
}

fn processors(host: &Host) -> Finding {
    let (allowed, online) = (host.cpus_allowed.len(), host.cpus_online.len());
    Finding::ok(
        "processors",
        format!("{allowed} allowed of {online}"),
        "2: one for a worker, one for everything else",
    )
    .or_warn(allowed >= 2 || online < 2, || {
        let list: Vec<String> = host.cpus_online.iter().map(u16::to_string).collect();
        format!(
            "taskset -acp {} $$   # or CPUAffinity= in the service unit",
            list.join(",")
        )
    })
}

fn governor(host: &Host) -> Finding {
    let distinct: BTreeSet<&str> = host.governors.iter().map(String::as_str).collect();
    let found = if distinct.is_empty() {
        "none to be seen, as in a virtual machine".to_owned()
    } else {
        distinct.iter().copied().collect::<Vec<_>>().join(", ")
    };
    Finding::ok("frequency governor", found, "performance").or_warn(
        distinct.iter().all(|governor| *governor == "performance"),
        || "sudo cpupower frequency-set --governor performance".to_owned(),
    )
}

/// `always` rounds the sparse heaps of idle tunnels up to 2 MiB pages.
fn huge_pages(host: &Host) -> Finding {
    Finding::ok(
        "huge pages",
        host.huge_pages.as_deref().unwrap_or(UNKNOWN),
        "madvise or never",
    )
    .or_warn(host.huge_pages.as_deref() != Some("always"), || {
        "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled".to_owned()
    })
}

fn conntrack(host: &Host, args: &DoctorArgs) -> Finding {
    let Some((now, max)) = host.conntrack else {
        return Finding::ok("connection tracking", "off", "off, or room for the tunnels");
    };
    let wants = now + u64::from(args.tunnels) * 2;
    Finding::ok(
        "connection tracking",
        format!("{now} of {max} entries used"),
        format!("off, or {wants} entries: two a tunnel"),
    )
    .or_warn(max >= wants, || {
        format!("sudo sysctl -w net.netfilter.nf_conntrack_max={wants}")
    })
}

fn memory(host: &Host, args: &DoctorArgs) -> Finding {
    let wants = u64::from(args.tunnels) * MEMORY_PER_TUNNEL;
    let available = host.memory_available_bytes;
    Finding::ok(
        "memory",
        available.map_or_else(
            || UNKNOWN.to_owned(),
            |bytes| format!("{} available", size(bytes)),
        ),
        format!("{} for {} idle tunnels", size(wants), args.tunnels),
    )
    .or_warn(available.is_none_or(|bytes| bytes >= wants), || {
        "add memory, or plan for fewer tunnels: ringway doctor --tunnels NUMBER".to_owned()
    })
}

/// What the ring's probe found. Only the ring itself is needed, and its note says what stands in the way;
/// the rest makes it faster.
pub(super) fn feature((name, there, note): (String, bool, String)) -> Finding {
    let found = if there { "available" } else { "missing" };
    if name == RING {
        Finding::ok(&name, found, "Linux 6.1").or_fail(there, || note)
    } else {
        Finding::ok(&name, found, note).or_warn(there, || {
            "boot a newer kernel; Ringway runs without it".to_owned()
        })
    }
}

/// The instructions that unmask payloads where something looks into them. Without wide ones all runs, only slower.
pub(super) fn simd(kernels: &str) -> Finding {
    let wide = !["sse2", "scalar"].contains(&kernels);
    Finding::ok("SIMD kernels", kernels, "avx512, avx2 or neon").or_warn(wide, || {
        "in a virtual machine, pass the processor through: qemu -cpu host".to_owned()
    })
}

/// Raises both values of a limit for the shell that starts Ringway; it needs no restart of the session.
fn raise_limit(name: &str, wants: u64) -> String {
    let unit = name.to_uppercase();
    format!(
        "sudo prlimit --pid $$ --{name}={wants}:{wants}   # or Limit{unit}={wants} in the service unit"
    )
}

fn reaches(limit: Option<Limit>, wants: u64) -> bool {
    limit.is_none_or(|limit| limit.hard.is_none_or(|hard| hard >= wants))
}

fn limit_text(limit: Option<Limit>, show: impl Fn(u64) -> String) -> String {
    let Some(limit) = limit else {
        return UNKNOWN.to_owned();
    };
    let one = |value: Option<u64>| value.map_or_else(|| "no limit".to_owned(), &show);
    if limit.soft == limit.hard {
        one(limit.hard)
    } else {
        format!("{}, may rise to {}", one(limit.soft), one(limit.hard))
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

/// Bytes in the largest unit that leaves at least one whole.
fn size(bytes: u64) -> String {
    match bytes {
        0..MIB => format!("{} KiB", bytes / 1024),
        MIB..GIB => format!("{} MiB", bytes / MIB),
        GIB.. => format!("{} GiB", bytes / GIB),
    }
}

const UNKNOWN: &str = "unknown";
const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
/// A tunnel is two sockets.
const FILES_PER_TUNNEL: u64 = 2;
/// Rings, listeners, logs, the control thread, and handshakes under way.
const FILES_SPARE: u64 = 1_024;
const ACCEPT_QUEUE: u64 = 4_096;
const SYN_QUEUE: u64 = 4_096;
/// From 1024 to 65535, the widest range that leaves the well-known ports alone.
const WIDEST_PORTS: usize = 64_512;
/// Two sockets with their armed reads in the kernel (some 4.5 KiB each), and 1 KiB of ours.
const MEMORY_PER_TUNNEL: u64 = 10 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::{Status, fails};

    const ARGS: DoctorArgs = DoctorArgs {
        tunnels: 10_000,
        backends: 1,
        config: None,
        json: false,
    };

    fn good() -> Host {
        let enough = Some(Limit {
            soft: Some(1 << 20),
            hard: Some(1 << 30),
        });
        Host {
            kernel: KernelVersion::parse("6.18.1"),
            io_uring_disabled: Some(0),
            files: enough,
            files_ceiling: Some(1 << 30),
            locked_memory: enough,
            accept_queue_max: Some(4_096),
            syn_queue_max: Some(4_096),
            ports: Some(32_768..=60_999),
            cpus_allowed: vec![0, 1],
            cpus_online: vec![0, 1],
            governors: vec!["performance".into()],
            huge_pages: Some("madvise".into()),
            conntrack: Some((10, 262_144)),
            memory_available_bytes: Some(GIB),
            ..Host::default()
        }
    }

    /// What one check says about a machine that is good but for one thing.
    fn one(check: &str, spoil: impl FnOnce(&mut Host)) -> Finding {
        let mut host = good();
        spoil(&mut host);
        let mut all = examine(&host, &ARGS);
        all.retain(|finding| finding.check == check);
        all.pop().unwrap()
    }

    #[test]
    fn a_good_machine_and_one_that_tells_nothing_have_no_complaints() {
        for host in [good(), Host::default()] {
            for finding in examine(&host, &ARGS) {
                assert_eq!(finding.status, Status::Ok, "{finding:?}");
                assert_eq!(finding.fix, None);
            }
        }
    }

    fn complains(finding: &Finding, status: Status, found: &str, fix: &str) {
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.found.contains(found), "{finding:?}");
        assert!(finding.fix.as_ref().unwrap().contains(fix), "{finding:?}");
    }

    #[test]
    fn what_stops_ringway_fails_with_the_command_that_allows_it() {
        let low = Some(Limit {
            soft: Some(1_024),
            hard: Some(4_096),
        });
        let kernel = one("kernel", |host| host.kernel = KernelVersion::parse("5.15"));
        complains(&kernel, Status::Fail, "5.15", "linux-image");
        let ring = one("io_uring", |host| host.io_uring_disabled = Some(2));
        complains(
            &ring,
            Status::Fail,
            "forbidden",
            "kernel.io_uring_disabled=0",
        );
        let locked = one("locked memory", |host| host.locked_memory = low);
        complains(
            &locked,
            Status::Fail,
            "1 KiB, may rise to 4 KiB",
            "--memlock=786432:786432",
        );
    }

    #[test]
    fn what_bounds_ringway_warns_with_the_command_that_raises_it() {
        let low = Some(Limit {
            soft: Some(1_024),
            hard: Some(4_096),
        });
        let kernel = one("kernel", |host| host.kernel = KernelVersion::parse("6.11"));
        complains(&kernel, Status::Warn, "6.11", "linux-image");
        let files = one("open files", |host| host.files = low);
        complains(
            &files,
            Status::Warn,
            "1024, may rise to 4096",
            "--nofile=21024:21024",
        );
        let queue = one("accept queue", |host| host.accept_queue_max = Some(128));
        complains(
            &queue,
            Status::Warn,
            "128",
            "sysctl -w net.core.somaxconn=4096",
        );
        let ports = one("local ports", |host| host.ports = Some(1_000..=1_100));
        complains(&ports, Status::Warn, "101", "\"1024 65535\"");
        let tracked = one("connection tracking", |host| {
            host.conntrack = Some((10, 20));
        });
        complains(&tracked, Status::Warn, "10 of 20", "nf_conntrack_max=20010");
    }

    #[test]
    fn what_slows_ringway_warns_with_the_command_that_changes_it() {
        let governor = one("frequency governor", |host| {
            host.governors = vec!["powersave".into(), "performance".into()];
        });
        complains(
            &governor,
            Status::Warn,
            "performance, powersave",
            "cpupower",
        );
        let pages = one("huge pages", |host| host.huge_pages = Some("always".into()));
        complains(&pages, Status::Warn, "always", "echo madvise");
        let processors = one("processors", |host| host.cpus_allowed = vec![1]);
        complains(
            &processors,
            Status::Warn,
            "1 allowed of 2",
            "taskset -acp 0,1 $$",
        );
    }

    #[test]
    fn who_may_lock_memory_needs_no_more_than_the_executor_asks_for() {
        let with = |bytes| {
            one("locked memory", |host| {
                host.cpus_allowed = (0..64).collect();
                host.locked_memory = Some(Limit {
                    soft: Some(0),
                    hard: Some(bytes),
                });
                host.may_lock_memory = true;
            })
        };
        assert_eq!(with(limits::LOCKED_BYTES_LEAST).status, Status::Ok);
        let low = with(limits::LOCKED_BYTES_LEAST - 1);
        complains(
            &low,
            Status::Fail,
            "may rise to 511 KiB",
            "--memlock=524288:524288",
        );
    }

    #[test]
    fn more_tunnels_than_any_range_of_ports_ask_for_more_backends() {
        let args = DoctorArgs {
            tunnels: 200_000,
            ..ARGS
        };
        let fix = ports(&good(), &args).fix.unwrap();
        assert!(fix.contains("4 backend addresses"), "{fix}");
        let spread = DoctorArgs {
            backends: 8,
            ..args
        };
        assert_eq!(ports(&good(), &spread).status, Status::Ok);
    }

    #[test]
    fn narrow_kernels_warn_and_wide_ones_do_not() {
        for wide in ["avx512", "avx2", "neon"] {
            assert_eq!(simd(wide).status, Status::Ok, "{wide}");
        }
        complains(&simd("sse2"), Status::Warn, "sse2", "-cpu host");
        complains(&simd("scalar"), Status::Warn, "scalar", "-cpu host");
    }

    #[test]
    fn a_missing_feature_warns_and_a_missing_ring_fails() {
        let lacks = |name: &str| feature((name.to_owned(), false, "a note".to_owned()));
        assert_eq!(lacks("incremental buffers").status, Status::Warn);
        assert!(fails(&[lacks(RING)]));
        assert_eq!(lacks(RING).fix.as_deref(), Some("a note"));
        assert!(!fails(&[lacks("incremental buffers")]));
    }
}
