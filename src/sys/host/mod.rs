//! The machine as it is set up, read from /proc and /sys below any root, so that a forged tree does for a test.

mod network;
mod processors;
mod tree;

pub use network::{Card, Interrupt, Tcp};
pub use processors::{IdleState, Node};

use std::ops::RangeInclusive;
use std::path::Path;

use super::proc::{KernelVersion, Limit, field, field_text, has_ipc_lock};
use tree::{Tree, chosen, cpu_list};

/// What `doctor` and `plan` judge. A value is absent where the kernel does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The running kernel.
    pub kernel: Option<KernelVersion>,
    /// Whether this is a virtual machine (the processor says so).
    pub is_virtual: bool,
    /// `kernel.io_uring_disabled`: 0 allows all, 1 only a group, 2 nobody. Absent before 6.6.
    pub io_uring_disabled: Option<u64>,
    /// The limit on descriptors.
    pub files: Option<Limit>,
    /// The highest limit on descriptors that anyone may set (`fs.nr_open`).
    pub files_ceiling: Option<u64>,
    /// Descriptors of all processes together (`fs.file-max`).
    pub files_of_all: Option<u64>,
    /// The limit on locked memory.
    pub locked_memory: Option<Limit>,
    /// Whether this process may lock memory beyond its limit (`CAP_IPC_LOCK`).
    pub may_lock_memory: bool,
    /// The longest accept queue a listener may ask for (`net.core.somaxconn`).
    pub accept_queue_max: Option<u64>,
    /// The longest queue of half-open connections (`net.ipv4.tcp_max_syn_backlog`).
    pub syn_queue_max: Option<u64>,
    /// The ports an outgoing connection may use.
    pub ports: Option<RangeInclusive<u16>>,
    /// What is set for TCP.
    pub tcp: Tcp,
    /// The network cards: interfaces with a device behind them.
    pub cards: Vec<Card>,
    /// The processors this process may use.
    pub cpus_allowed: Vec<u16>,
    /// The processors that are online.
    pub cpus_online: Vec<u16>,
    /// The frequency governor of each allowed processor that has one.
    pub governors: Vec<String>,
    /// How the first allowed processor may sleep.
    pub idle_states: Vec<IdleState>,
    /// The nodes of memory and their processors.
    pub nodes: Vec<Node>,
    /// Whether the kernel moves memory to where it is used (`kernel.numa_balancing`).
    pub numa_balancing: Option<u64>,
    /// Whether irqbalance runs.
    pub has_irqbalance: bool,
    /// The mode of transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// Tracked connections now and at most, if connection tracking is loaded.
    pub conntrack: Option<(u64, u64)>,
    /// Memory in all, in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory that can be had without swapping, in bytes.
    pub memory_available_bytes: Option<u64>,
}

impl Host {
    /// Reads everything; what cannot be read is absent.
    pub fn read() -> Self {
        Self::read_under(Path::new("/"))
    }

    /// The same below another root than `/`.
    pub fn read_under(root: &Path) -> Self {
        let tree = Tree::at(root);
        let file = |path| tree.text(path).unwrap_or_default();
        let (status, memory) = (file("proc/self/status"), file("proc/meminfo"));
        let limits = file("proc/self/limits");
        let cpus_allowed = field_text(&status, "Cpus_allowed_list:")
            .map(cpu_list)
            .unwrap_or_default();
        Self {
            kernel: KernelVersion::parse(&file("proc/sys/kernel/osrelease")),
            is_virtual: is_virtual(&file("proc/cpuinfo")),
            io_uring_disabled: tree.number("proc/sys/kernel/io_uring_disabled"),
            files: limit(&limits, "Max open files"),
            files_ceiling: tree.number("proc/sys/fs/nr_open"),
            files_of_all: tree.number("proc/sys/fs/file-max"),
            locked_memory: limit(&limits, "Max locked memory"),
            may_lock_memory: field_text(&status, "CapEff:").is_some_and(has_ipc_lock),
            accept_queue_max: tree.number("proc/sys/net/core/somaxconn"),
            syn_queue_max: tree.number("proc/sys/net/ipv4/tcp_max_syn_backlog"),
            ports: network::ports(&tree),
            tcp: Tcp::read(&tree),
            cards: Card::read_all(&tree),
            governors: processors::governors(&tree, &cpus_allowed),
            idle_states: IdleState::read_all(&tree, &cpus_allowed),
            nodes: Node::read_all(&tree),
            numa_balancing: tree.number("proc/sys/kernel/numa_balancing"),
            has_irqbalance: processors::has_irqbalance(&tree),
            cpus_allowed,
            cpus_online: cpu_list(&file("sys/devices/system/cpu/online")),
            huge_pages: chosen(&file("sys/kernel/mm/transparent_hugepage/enabled"))
                .map(str::to_owned),
            conntrack: tree
                .number("proc/sys/net/netfilter/nf_conntrack_count")
                .zip(tree.number("proc/sys/net/netfilter/nf_conntrack_max")),
            memory_bytes: field(&memory, "MemTotal:").map(|kib| kib * 1024),
            memory_available_bytes: field(&memory, "MemAvailable:").map(|kib| kib * 1024),
        }
    }
}

/// `Max open files            1024                 524288               files`
fn limit(limits: &str, name: &str) -> Option<Limit> {
    let mut values = field_text(limits, name)?.split_whitespace();
    // What is no number is `unlimited`.
    let mut value = || values.next().map(|text| text.parse().ok());
    Some(Limit {
        soft: value()?,
        hard: value()?,
    })
}

/// Hypervisors set a flag of the processor that no processor of metal has.
fn is_virtual(cpuinfo: &str) -> bool {
    field_text(cpuinfo, "flags")
        .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_answers() {
        let host = Host::read();
        assert!(host.kernel.is_some());
        assert!(!host.cpus_allowed.is_empty());
        assert!(host.files.is_some());
        assert!(host.tcp.memory_bytes.is_some());
    }

    #[test]
    fn an_empty_tree_tells_nothing() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(Host::read_under(empty.path()), Host::default());
    }

    #[test]
    fn a_limit_has_two_values_and_each_may_be_missing() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n\
                    Max locked memory         unlimited            unlimited            bytes\n";
        let files = limit(text, "Max open files").unwrap();
        assert_eq!((files.soft, files.hard), (Some(1024), Some(524_288)));
        let locked = limit(text, "Max locked memory").unwrap();
        assert_eq!((locked.soft, locked.hard), (None, None));
        assert_eq!(limit(text, "Max pending signals"), None);
    }

    #[test]
    fn a_virtual_machine_is_told_by_a_flag() {
        assert!(is_virtual("processor : 0\nflags\t\t: fpu hypervisor lm\n"));
        assert!(!is_virtual("processor : 0\nflags\t\t: fpu lm\n"));
        assert!(!is_virtual(""));
    }
}
