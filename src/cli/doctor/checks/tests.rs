//! Each finding on a forged machine that is good but for one thing, and each script that the findings name.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::cli::doctor::finding::{Status, fails};
use crate::cli::doctor::tuning::{Profile, Script, Tuning};
use crate::config::Cores;

use super::super::scene::worker_cores;

/// A machine with two processors, two nodes and a card, on which nothing is wrong.
const GOOD: &[(&str, &str)] = &[
    ("proc/sys/kernel/osrelease", "6.18.1"),
    ("proc/sys/kernel/io_uring_disabled", "0"),
    ("proc/sys/kernel/numa_balancing", "0"),
    (
        LIMITS,
        "Max open files  1048576  1073741824  files\nMax locked memory  67108864  67108864  bytes\n",
    ),
    (
        "proc/self/status",
        "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\n",
    ),
    (
        "proc/meminfo",
        "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n",
    ),
    ("proc/cpuinfo", "flags : fpu\n"),
    ("proc/7/comm", "sshd"),
    ("proc/sys/fs/nr_open", "1073741816"),
    ("proc/sys/fs/file-max", "9223372036854775807"),
    ("proc/sys/net/core/somaxconn", "4096"),
    ("proc/sys/net/core/busy_read", "0"),
    ("proc/sys/net/ipv4/tcp_max_syn_backlog", "2048"),
    ("proc/sys/net/ipv4/tcp_syncookies", "1"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999"),
    ("proc/sys/net/ipv4/tcp_tw_reuse", "2"),
    ("proc/sys/net/ipv4/tcp_mem", "187500 250000 375000"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456"),
    ("proc/sys/net/ipv4/tcp_wmem", "4096 16384 4194304"),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "10"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "262144"),
    ("proc/irq/40/smp_affinity_list", "0"),
    ("proc/irq/41/smp_affinity_list", "1"),
    ("sys/devices/system/cpu/online", "0-1"),
    (
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "performance",
    ),
    (
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
        "performance",
    ),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "C1"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "2"),
    ("sys/devices/system/node/node0/cpulist", "0-1"),
    ("sys/devices/system/node/node1/cpulist", "2-3"),
    (
        "sys/kernel/mm/transparent_hugepage/enabled",
        "always [madvise] never",
    ),
    ("sys/class/net/eth0/device/numa_node", "0"),
    ("sys/class/net/eth0/device/msi_irqs/40", "msix"),
    ("sys/class/net/eth0/device/msi_irqs/41", "msix"),
    ("sys/class/net/eth0/queues/rx-0/rps_cpus", "0"),
    ("sys/class/net/eth0/queues/rx-1/rps_cpus", "0"),
];

const LIMITS: &str = "proc/self/limits";
const LOW_LIMITS: &str =
    "Max open files  1024  4096  files\nMax locked memory  1024  4096  bytes\n";

/// The good machine with some files of its own.
fn machine(changed: &[(&str, &str)]) -> Host {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in GOOD.iter().chain(changed) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Host::read_under(root.path())
}

fn scene(host: &Host, profile: Profile) -> Scene<'_> {
    Scene {
        host,
        tunnels: 10_000,
        backends: 1,
        sources: 1,
        cores: worker_cores(&Cores::Auto, &host.cpus_allowed),
        tuning: Tuning::of_the_tree(profile),
    }
}

/// A check, what is changed for it, what it then says, and the command that helps.
struct Bad {
    check: &'static str,
    changed: &'static [(&'static str, &'static str)],
    profile: Profile,
    status: Status,
    found: &'static str,
    fix: &'static str,
}

const fn bad(
    check: &'static str,
    changed: &'static [(&'static str, &'static str)],
    found: &'static str,
    fix: &'static str,
) -> Bad {
    Bad {
        check,
        changed,
        profile: Profile::ManyIdle,
        status: Status::Warn,
        found,
        fix,
    }
}

impl Bad {
    const fn fails(self) -> Self {
        Self {
            status: Status::Fail,
            ..self
        }
    }

    const fn in_low_latency(self) -> Self {
        Self {
            profile: Profile::LowLatency,
            ..self
        }
    }
}

/// Every finding that a host can have.
const BAD: &[Bad] = &[
    bad("kernel", &[("proc/sys/kernel/osrelease", "5.15")], "5.15", "linux-image").fails(),
    bad("kernel", &[("proc/sys/kernel/osrelease", "6.11")], "6.11", "linux-image"),
    bad("io_uring", &[("proc/sys/kernel/io_uring_disabled", "2")], "forbidden", "kernel.io_uring_disabled=0").fails(),
    bad("io_uring", &[("proc/sys/kernel/io_uring_disabled", "1")], "one group", "kernel.io_uring_disabled=0"),
    bad("open files", &[(LIMITS, LOW_LIMITS)], "1024, may rise to 4096", "sudo tuning/limits.sh apply --profile many-idle --tunnels 10000   # or, for this shell: sudo prlimit --pid $$ --nofile=21024:21024"),
    bad("open files", &[(LIMITS, "Max open files  64  64  files\n")], "64", "limits.sh apply").fails(),
    bad("open files", &[(LIMITS, LOW_LIMITS), ("proc/sys/fs/nr_open", "8192")], "1024", "sudo sysctl -w fs.nr_open=21024 && sudo prlimit"),
    bad("files of the system", &[("proc/sys/fs/file-max", "20000")], "fs.file-max 20000", "limits.sh apply"),
    bad("files of the system", &[("proc/sys/fs/nr_open", "20000")], "fs.nr_open 20000", "limits.sh apply"),
    bad("locked memory", &[(LIMITS, LOW_LIMITS)], "1 KiB, may rise to 4 KiB", "limits.sh apply --profile many-idle --tunnels 10000   # or, for this shell: sudo prlimit --pid $$ --memlock=786432:786432").fails(),
    bad("accept queue", &[("proc/sys/net/core/somaxconn", "128")], "128", "sudo tuning/sockets.sh apply --profile many-idle"),
    bad("SYN queue", &[("proc/sys/net/ipv4/tcp_max_syn_backlog", "512"), ("proc/sys/net/ipv4/tcp_syncookies", "0")], "512, without cookies", "sockets.sh apply"),
    bad("local ports", &[("proc/sys/net/ipv4/ip_local_port_range", "1000 1100")], "101", "sudo tuning/ports.sh apply"),
    bad("TIME_WAIT", &[("proc/sys/net/ipv4/tcp_tw_reuse", "0")], "never", "ports.sh apply"),
    bad("TIME_WAIT", &[("proc/sys/net/ipv4/ip_local_port_range", "1000 20000")], "loopback only", "ports.sh apply"),
    bad("socket buffers", &[("proc/sys/net/ipv4/tcp_rmem", "4096 65536 65536")], "receive 64 KiB", "tcp-memory.sh apply --profile throughput"),
    bad("socket buffers", &[("proc/sys/net/ipv4/tcp_wmem", "4096 65536 65536")], "send 64 KiB", "tcp-memory.sh apply --profile throughput"),
    bad("congestion control", &[("proc/sys/net/ipv4/tcp_congestion_control", "reno")], "reno", "congestion.sh apply --profile throughput"),
    bad("busy polling", &[("proc/sys/net/core/busy_read", "50")], "50 µs", "busy-poll.sh apply --profile many-idle"),
    bad("memory", &[("proc/meminfo", "MemAvailable: 1024 kB\n")], "1 MiB", "ringway plan"),
    bad("TCP memory", &[("proc/sys/net/ipv4/tcp_mem", "1 2 3")], "at most", "tcp-memory.sh apply"),
    bad("huge pages", &[("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never")], "always", "hugepages.sh apply"),
    bad("connection tracking", &[("proc/sys/net/netfilter/nf_conntrack_max", "20")], "10 of 20", "sudo tuning/conntrack.sh apply --profile many-idle --tunnels 10000   # or, if they must be tracked: sudo sysctl -w net.netfilter.nf_conntrack_max=20010"),
    bad("processors", &[("proc/self/status", "Cpus_allowed_list: 1\n")], "1 allowed of 2", "taskset -acp 0,1 $$"),
    bad("frequency governor", &[("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave")], "performance, powersave", "cpu.sh apply --profile low-latency").in_low_latency(),
    bad("idle states", &[("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C6"), ("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "133")], "C6 (133 µs to wake)", "cpu.sh apply --profile low-latency").in_low_latency(),
    bad("NUMA balancing", &[("proc/sys/kernel/numa_balancing", "1")], "on, 2 nodes", "numa.sh apply"),
    bad("irqbalance", &[("proc/8/comm", "irqbalance")], "runs", "sudo systemctl disable --now irqbalance && sudo tuning/irq.sh apply"),
    bad("eth0 queues", &[("proc/self/status", "Cpus_allowed_list: 0-3\n")], "2", "sudo tuning/nic.sh apply --profile many-idle --interface eth0 --cores 0,1,2,3"),
    bad("eth0 RPS", &[("sys/class/net/eth0/queues/rx-1/rps_cpus", "3")], "on for 1 of 2", "nic.sh apply"),
    bad("eth0 interrupts", &[("proc/irq/41/smp_affinity_list", "0")], "2 on processors 0", "sudo tuning/irq.sh apply --profile many-idle --interface eth0 --cores 0,1"),
    bad("eth0 node", &[("sys/class/net/eth0/device/numa_node", "1")], "node 1; workers 0,1 are elsewhere", "numa.sh apply --profile many-idle --interface eth0 --cores 0,1   # and workers.cores = [2,3]"),
];

#[test]
fn a_good_machine_and_one_that_tells_nothing_have_no_complaints() {
    for host in [machine(&[]), Host::default()] {
        for finding in examine(&scene(&host, Profile::ManyIdle)) {
            assert_eq!(finding.status, Status::Ok, "{finding:?}");
            assert_eq!(finding.fix, None);
        }
    }
}

#[test]
fn each_gap_is_found_with_the_command_that_closes_it() {
    for bad in BAD {
        let host = machine(bad.changed);
        let all = examine(&scene(&host, bad.profile));
        let finding = all
            .iter()
            .find(|one| one.check == bad.check)
            .expect(bad.check);
        assert_eq!(finding.status, bad.status, "{finding:?}");
        assert!(finding.found.contains(bad.found), "{finding:?}");
        assert!(
            finding.fix.as_ref().unwrap().contains(bad.fix),
            "{finding:?}"
        );
        assert!(!finding.why.is_empty(), "{finding:?}");
    }
}

#[test]
fn every_check_that_a_machine_can_fail_is_seen_to_fail() {
    let seen: BTreeSet<&str> = BAD.iter().map(|bad| bad.check).collect();
    let host = machine(&[]);
    for finding in examine(&scene(&host, Profile::ManyIdle)) {
        // A note, which never complains.
        if finding.check != "machine" {
            assert!(
                seen.contains(&*finding.check),
                "no test of {}",
                finding.check
            );
        }
    }
}

/// The scripts that a fix names.
fn scripts_in(fix: &str) -> Vec<String> {
    fix.split_whitespace()
        .filter(|word| Path::new(word).extension().is_some_and(|end| end == "sh"))
        .map(|word| word.rsplit('/').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_scripts_that_are_named_are_those_that_there_are() {
    let mut named = BTreeSet::new();
    for bad in BAD {
        let host = machine(bad.changed);
        for finding in examine(&scene(&host, bad.profile)) {
            named.extend(finding.fix.iter().flat_map(|fix| scripts_in(fix)));
        }
    }
    // `all.sh` stands below the table.
    named.insert(Script::All.file().to_owned());
    let known: BTreeSet<String> = Script::EVERY.map(|script| script.file().to_owned()).into();
    assert_eq!(named, known, "each is named by a finding, and no other is");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning");
    if folder.is_dir() {
        let there = fs::read_dir(&folder).unwrap();
        let paths: Vec<PathBuf> = there.map(|entry| entry.unwrap().path()).collect();
        for name in &known {
            assert!(
                folder.join(name).is_file(),
                "tuning/{name} is named and not there"
            );
        }
        // What the scripts share is sourced, and cannot be run.
        let is_script = |path: &&PathBuf| {
            path.extension().is_some_and(|end| end == "sh")
                && path.metadata().unwrap().permissions().mode() & 0o111 != 0
        };
        for path in paths.iter().filter(is_script) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(known.contains(name), "no check names tuning/{name}");
        }
    }
}

#[test]
fn who_may_lock_memory_needs_no_more_than_the_executor_asks_for() {
    let with = |bytes: u64| {
        let text = format!("Max locked memory  0  {bytes}  bytes\n");
        let status = "CapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-63\n";
        let host = machine(&[(LIMITS, &text), ("proc/self/status", status)]);
        limits::locked_memory(&scene(&host, Profile::ManyIdle))
    };
    assert_eq!(with(crate::limits::LOCKED_BYTES_LEAST).status, Status::Ok);
    let low = with(crate::limits::LOCKED_BYTES_LEAST - 1);
    assert_eq!(low.status, Status::Fail);
    assert!(low.found.contains("may rise to 511 KiB"), "{low:?}");
    assert!(low.fix.unwrap().contains("--memlock=524288:524288"));
}

#[test]
fn more_tunnels_than_any_range_of_ports_ask_for_more_addresses() {
    let host = machine(&[]);
    let many = Scene {
        tunnels: 200_000,
        ..scene(&host, Profile::ManyIdle)
    };
    let fix = sockets::ports(&many).fix.unwrap();
    assert!(
        fix.contains("from 4 source addresses, or spread the tunnels over 4 backend addresses"),
        "{fix}"
    );
    let spread = Scene {
        backends: 8,
        ..many
    };
    assert_eq!(sockets::ports(&spread).status, Status::Ok);
    let from_many = Scene {
        backends: 1,
        sources: 8,
        ..spread
    };
    let finding = sockets::ports(&from_many);
    assert_eq!(finding.status, Status::Ok, "{finding:?}");
    assert!(finding.found.contains("from 8 source addresses"));
}

#[test]
fn one_queue_with_packets_moved_on_is_as_good_as_it_gets() {
    let host = machine(&[
        ("proc/self/status", "Cpus_allowed_list: 0-3\n"),
        ("sys/class/net/eth0/queues/rx-1/rps_cpus", "f"),
    ]);
    let all = examine(&scene(&host, Profile::ManyIdle));
    let moved = all.iter().find(|one| one.check == "eth0 RPS").unwrap();
    assert_eq!(moved.status, Status::Ok, "{moved:?}");
}

#[test]
fn a_virtual_machine_is_noted_and_never_complained_of() {
    let host = machine(&[("proc/cpuinfo", "flags : fpu hypervisor\n")]);
    let finding = processors::machine(&scene(&host, Profile::ManyIdle));
    assert_eq!((finding.status, &*finding.found), (Status::Ok, "virtual"));
}

#[test]
fn workers_are_where_the_configuration_puts_them() {
    let allowed = [1, 3, 5];
    let cores = |wish| {
        worker_cores(&wish, &allowed)
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(cores(Cores::Auto), allowed);
    assert_eq!(cores(Cores::Count(2)), [1, 3]);
    assert_eq!(cores(Cores::List(vec![5, 1])), [1, 5]);
}

#[test]
fn narrow_kernels_warn_and_wide_ones_do_not() {
    for wide in ["avx512", "avx2", "neon"] {
        assert_eq!(simd(wide).status, Status::Ok, "{wide}");
    }
    for narrow in ["sse2", "scalar"] {
        assert_eq!(simd(narrow).status, Status::Warn);
        assert!(simd(narrow).fix.unwrap().contains("-cpu host"));
    }
}

#[test]
fn a_missing_feature_warns_and_a_missing_ring_fails() {
    let lacks = |name: &str| feature((name.to_owned(), false, "a note".to_owned()));
    assert_eq!(lacks("incremental buffers").status, Status::Warn);
    assert!(fails(&[lacks(RING)]));
    assert_eq!(lacks(RING).fix.as_deref(), Some("a note"));
    assert!(!fails(&[lacks("incremental buffers")]));
}
