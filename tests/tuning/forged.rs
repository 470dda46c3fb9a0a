//! A host made of files: /proc, /sys, /etc and the few programs that the scripts ask, as small as they can be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub(crate) const SUBJECTS: &[&str] = &[
    "limits",
    "sockets",
    "tcp-memory",
    "ports",
    "congestion",
    "conntrack",
    "hugepages",
    "cpu",
    "numa",
    "nic",
    "irq",
    "busy-poll",
];

pub(crate) const PROFILES: &[&str] = &["many-idle", "low-latency", "throughput"];

pub(crate) struct Host {
    root: TempDir,
    state: TempDir,
}

/// What a script said and how it ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn succeeded(self) -> String {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        assert_eq!(code, 0, "{stdout}\n{stderr}");
        assert_eq!(stderr, "", "{stdout}");
        stdout
    }
}

impl Host {
    /// Two nodes, four cores with governors and C-states, a card of two queues that could have four.
    pub(crate) fn new() -> Self {
        let host = Self::bare();
        for (path, text) in FILES {
            host.write(path, text);
        }
        for core in 0..4 {
            for (file, text) in CORE {
                host.write(&format!("sys/devices/system/cpu/cpu{core}/{file}"), text);
            }
        }
        for queue in 0..2 {
            let queues = "sys/class/net/eth0/queues";
            host.write(&format!("{queues}/tx-{queue}/xps_cpus"), "0\n");
            host.write(&format!("{queues}/rx-{queue}/rps_cpus"), "0\n");
        }
        for irq in 40..43 {
            host.write(&format!("proc/irq/{irq}/smp_affinity_list"), "0-3\n");
            host.write(
                &format!("sys/class/net/eth0/device/msi_irqs/{irq}"),
                "msix\n",
            );
        }
        for folder in ["etc/sysctl.d", "etc/systemd/system", "nft"] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        for (name, text) in PROGRAMS {
            host.program(name, text);
        }
        host
    }

    /// A host that has none of it.
    pub(crate) fn bare() -> Self {
        Self {
            root: folder(),
            state: folder(),
        }
    }

    pub(crate) fn run(&self, subject: &str, arguments: &[&str]) -> Run {
        self.run_remembering(subject, arguments, self.state.path())
    }

    pub(crate) fn run_remembering(&self, subject: &str, arguments: &[&str], state: &Path) -> Run {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tuning/{subject}.sh"));
        let output = Command::new("bash")
            .arg(script)
            .args(arguments)
            .env("RINGWAY_TUNING_ROOT", self.root.path())
            .env("RINGWAY_TUNING_STATE", state)
            .output()
            .unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Lets the kernel of this host refuse what is written to this file.
    pub(crate) fn refuse(&self, path: &str) {
        self.write("refused", &format!("{path}\n"));
    }

    pub(crate) fn refuse_nothing(&self) {
        fs::remove_file(self.path("refused")).unwrap();
    }

    /// Kills the script when it is about to write this file.
    pub(crate) fn kill_at(&self, path: &str) {
        let text = format!(
            "#!/usr/bin/env bash\nif [[ $1 == *{path} ]]; then\n\
             read -r _ _ _ script _ </proc/$PPID/stat\nkill -KILL $script $PPID\nfi\n"
        );
        self.program("usr/bin/tee", &text);
    }

    /// Every file and folder, a folder with nothing in it.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        gather(self.root.path(), self.root.path(), &mut files);
        files
    }

    /// What the scripts remember.
    pub(crate) fn state(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        gather(self.state.path(), self.state.path(), &mut files);
        files
    }

    pub(crate) fn expect(&self, expected: &BTreeMap<String, String>, context: &str) {
        let found = self.files();
        let all = expected.keys().chain(found.keys());
        for path in all {
            assert_eq!(expected.get(path), found.get(path), "{context}: {path}");
        }
    }
}

/// In memory if that can be: what is remembered goes to the disk value by value, and that disk may be busy.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn gather(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_dir() {
            files.insert(format!("{name}/"), String::new());
            gather(root, &path, files);
        } else {
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

const FILES: &[(&str, &str)] = &[
    (
        "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:        1024 kB\n",
    ),
    ("proc/sys/fs/nr_open", "1048576\n"),
    ("proc/sys/fs/file-max", "1000000\n"),
    ("proc/sys/kernel/numa_balancing", "1\n"),
    ("proc/sys/net/core/somaxconn", "4096\n"),
    ("proc/sys/net/core/busy_poll", "50\n"),
    ("proc/sys/net/core/busy_read", "50\n"),
    ("proc/sys/net/ipv4/tcp_syncookies", "1\n"),
    ("proc/sys/net/ipv4/tcp_mem", "190000\t253334\t380000\n"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
    ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
    ("proc/sys/net/ipv4/tcp_notsent_lowat", "4294967295\n"),
    ("proc/sys/net/ipv4/tcp_max_orphans", "65536\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("proc/sys/net/ipv4/ip_local_reserved_ports", "20000-20001\n"),
    ("proc/sys/net/ipv4/tcp_tw_reuse", "2\n"),
    ("proc/sys/net/ipv4/tcp_max_tw_buckets", "65536\n"),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n"),
    (
        "proc/sys/net/ipv4/tcp_available_congestion_control",
        "reno cubic bbr\n",
    ),
    ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "1\n"),
    ("proc/sys/net/ipv4/tcp_mtu_probing", "0\n"),
    ("proc/sys/net/ipv4/tcp_thin_linear_timeouts", "0\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "12\n"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
    (
        "proc/net/tcp",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
         0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1\n   \
         1: 00000000:4E84 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 2 1\n   \
         2: 0100007F:7530 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 0 0 3 1\n",
    ),
    (
        "proc/interrupts",
        "           CPU0       CPU1       CPU2       CPU3\n \
         40:  1 2 3 4  PCI-MSIX-0000:00:03.0 1-edge eth0-TxRx-0\n \
         41:  1 2 3 4  PCI-MSIX-0000:00:03.0 2-edge eth0-TxRx-1\n \
         42:  1 2 3 4  PCI-MSIX-0000:00:03.0 0-edge eth0-config\n",
    ),
    ("proc/77/comm", "irqbalance\n"),
    (
        "sys/kernel/mm/transparent_hugepage/enabled",
        "[always] madvise never\n",
    ),
    ("sys/devices/system/cpu/online", "0-3\n"),
    ("sys/devices/system/node/node0/cpulist", "0-1\n"),
    ("sys/devices/system/node/node1/cpulist", "2-3\n"),
    ("sys/devices/virtual/workqueue/cpumask", "f\n"),
    ("sys/class/net/eth0/device/numa_node", "1\n"),
    ("sys/class/net/eth0/napi_defer_hard_irqs", "0\n"),
    ("sys/class/net/eth0/gro_flush_timeout", "0\n"),
    ("card/channels.combined", "2\n"),
    ("card/ring.rx", "512\n"),
    ("card/ring.tx", "512\n"),
    ("card/coalesce.adaptive-rx", "off\n"),
    ("card/coalesce.rx-usecs", "50\n"),
    ("card/feature.gro", "off\n"),
    (
        "routes",
        "10.0.0.0/8 via 192.0.2.1 dev eth0 proto static metric 50\n",
    ),
];

const CORE: &[(&str, &str)] = &[
    ("cpufreq/scaling_governor", "schedutil\n"),
    ("cpufreq/energy_performance_preference", "balance_power\n"),
    ("cpuidle/state1/name", "C1\n"),
    ("power/pm_qos_resume_latency_us", "0\n"),
];

const PROGRAMS: &[(&str, &str)] = &[
    ("usr/bin/tee", TEE),
    ("usr/sbin/ethtool", ETHTOOL),
    ("usr/sbin/nft", NFT),
    ("usr/sbin/ip", IP),
];

/// The kernel behind a file: may refuse a value, and puts the chosen word in brackets.
const TEE: &str = r#"#!/usr/bin/env bash
value=$(cat)
if grep -qxF "${1#"$RINGWAY_TUNING_ROOT"}" "$RINGWAY_TUNING_ROOT/refused" 2>/dev/null; then
    echo "tee: $1: Invalid argument" >&2
    exit 1
fi
old=$(<"$1")
if [[ $old == *\[*\]* ]]; then
    old=${old//[\[\]]/}
    value=${old/$value/[$value]}
fi
printf '%s\n' "$value" >"$1"
"#;

/// A card of up to four queues. As drivers do, it forgets what was set for each queue when their number changes.
const ETHTOOL: &str = r#"#!/usr/bin/env bash
card=$RINGWAY_TUNING_ROOT/card queues=$RINGWAY_TUNING_ROOT/sys/class/net/eth0/queues
[[ $2 == eth0 ]] || exit 1
at() { cat "$card/$1"; }
case $1 in
    -l) printf 'Channel parameters for eth0:\nPre-set maximums:\nRX:\t\tn/a\nCombined:\t4\nCurrent hardware settings:\nRX:\t\tn/a\nCombined:\t%d\n' "$(at channels.combined)" ;;
    -g) printf 'Ring parameters for eth0:\nPre-set maximums:\nRX:\t\t4096\nTX:\t\t4096\nCurrent hardware settings:\nRX:\t\t%d\nRX Mini:\tn/a\nTX:\t\t%d\n' "$(at ring.rx)" "$(at ring.tx)" ;;
    -c) printf 'Coalesce parameters for eth0:\nAdaptive RX: %s  TX: off\nrx-usecs:\t%d\nrx-usecs-irq:\tn/a\n' "$(at coalesce.adaptive-rx)" "$(at coalesce.rx-usecs)" ;;
    -k) printf 'Features for eth0:\ngeneric-receive-offload: %s\nrx-gro-hw: off [fixed]\n' "$(at feature.gro)" ;;
    -L)
        echo "$4" >"$card/channels.combined"
        rm -r "$queues"
        for ((queue = 0; queue < $4; queue++)); do
            mkdir -p "$queues/tx-$queue" "$queues/rx-$queue"
            echo 0 >"$queues/tx-$queue/xps_cpus"
            echo 0 >"$queues/rx-$queue/rps_cpus"
        done
        ;;
    -G) echo "$4" >"$card/ring.$3" ;;
    -C) echo "$4" >"$card/coalesce.$3" ;;
    -K) echo "$4" >"$card/feature.$3" ;;
esac
"#;

/// A table is a file.
const NFT: &str = r#"#!/usr/bin/env bash
tables=$RINGWAY_TUNING_ROOT/nft
case "$1 $2" in
    'list ruleset') cat "$tables"/* 2>/dev/null ;;
    'list table') cat "$tables/$4" 2>/dev/null ;;
    '-f -')
        text=$(cat)
        rm -f "$tables/ringway_notrack"
        if [[ $text == *'{'* ]]; then sed 1,2d <<<"$text" >"$tables/ringway_notrack"; fi
        ;;
esac
exit
"#;

/// Routes are lines of a file.
const IP: &str = r#"#!/usr/bin/env bash
routes=$RINGWAY_TUNING_ROOT/routes
case "$2 $3" in
    'route show') grep "^$5 " "$routes" || true ;;
    'route change') sed -i "s|^$4 .*|${*:4}|" "$routes" ;;
esac
"#;
