//! What is set for TCP, and how the network cards spread their work.

use std::ops::RangeInclusive;

use super::tree::{Tree, cpu_list};
use crate::limits::CARD_INTERRUPTS_MAX;
use crate::sys::proc::page_bytes;

/// Settings of `net.ipv4` and `net.core`. Three values are least, ordinary and most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tcp {
    /// What the buffers of all sockets may hold, in bytes (`tcp_mem` counts pages): from the second value on the kernel
    /// saves, over the third it drops.
    pub memory_bytes: Option<[u64; 3]>,
    /// The receive buffer of one socket, in bytes (`tcp_rmem`).
    pub receive_bytes: Option<[u64; 3]>,
    /// The send buffer of one socket, in bytes (`tcp_wmem`).
    pub send_bytes: Option<[u64; 3]>,
    /// Whether a port in `TIME_WAIT` may be used again: 0 no, 1 yes, 2 on loopback only (`tcp_tw_reuse`).
    pub reuse_time_wait: Option<u64>,
    /// Whether half-open connections beyond the queue get a cookie (`tcp_syncookies`); 0 is no.
    pub syn_cookies: Option<u64>,
    /// What new connections control congestion with (`tcp_congestion_control`).
    pub congestion_control: Option<String>,
    /// Microseconds that a read polls the card for (`net.core.busy_read`).
    pub busy_read_us: Option<u64>,
}

impl Tcp {
    pub(super) fn read(tree: &Tree<'_>) -> Self {
        let page = page_bytes();
        Self {
            memory_bytes: tree
                .three("proc/sys/net/ipv4/tcp_mem")
                .map(|pages| pages.map(|count| count.saturating_mul(page))),
            receive_bytes: tree.three("proc/sys/net/ipv4/tcp_rmem"),
            send_bytes: tree.three("proc/sys/net/ipv4/tcp_wmem"),
            reuse_time_wait: tree.number("proc/sys/net/ipv4/tcp_tw_reuse"),
            syn_cookies: tree.number("proc/sys/net/ipv4/tcp_syncookies"),
            congestion_control: tree.text("proc/sys/net/ipv4/tcp_congestion_control"),
            busy_read_us: tree.number("proc/sys/net/core/busy_read"),
        }
    }
}

/// One network card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The interface: `eth0`.
    pub name: String,
    /// Receive queues.
    pub queues: usize,
    /// Those of them whose packets the kernel moves to other processors (RPS).
    pub moved_queues: usize,
    /// The node of memory it is next to; absent where there is only one.
    pub node: Option<u16>,
    /// Its interrupts.
    pub interrupts: Vec<Interrupt>,
}

/// One interrupt of a card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interrupt {
    /// Its number.
    pub number: u32,
    /// The processors that take it.
    pub cpus: Vec<u16>,
}

impl Card {
    pub(super) fn read_all(tree: &Tree<'_>) -> Vec<Self> {
        tree.names("sys/class/net")
            .into_iter()
            .filter(|name| tree.exists(&format!("sys/class/net/{name}/device")))
            .map(|name| Self::read(tree, name))
            .collect()
    }

    fn read(tree: &Tree<'_>, name: String) -> Self {
        let folder = format!("sys/class/net/{name}");
        let mut queues = tree.names(&format!("{folder}/queues"));
        queues.retain(|queue| queue.starts_with("rx-"));
        let is_moved = |queue: &&String| {
            tree.text(&format!("{folder}/queues/{queue}/rps_cpus"))
                .is_some_and(|mask| mask.contains(|digit: char| !matches!(digit, '0' | ',')))
        };
        Self {
            queues: queues.len(),
            moved_queues: queues.iter().filter(is_moved).count(),
            // Without nodes the kernel says -1.
            node: tree
                .text(&format!("{folder}/device/numa_node"))
                .and_then(|text| text.parse().ok()),
            interrupts: interrupts(tree, &folder),
            name,
        }
    }
}

/// The interrupts of a card. A virtual card is a device of its own below the one that has them.
fn interrupts(tree: &Tree<'_>, folder: &str) -> Vec<Interrupt> {
    let mut numbers = tree.names(&format!("{folder}/device/msi_irqs"));
    if numbers.is_empty() {
        numbers = tree.names(&format!("{folder}/device/../msi_irqs"));
    }
    numbers
        .iter()
        .filter_map(|number| number.parse().ok())
        .take(CARD_INTERRUPTS_MAX)
        .filter_map(|number: u32| {
            let list = |file| tree.text(&format!("proc/irq/{number}/{file}"));
            let cpus = list("effective_affinity_list")
                .filter(|text| !text.is_empty())
                .or_else(|| list("smp_affinity_list"))?;
            Some(Interrupt {
                number,
                cpus: cpu_list(&cpus),
            })
        })
        .collect()
}

pub(super) fn ports(tree: &Tree<'_>) -> Option<RangeInclusive<u16>> {
    port_range(&tree.text("proc/sys/net/ipv4/ip_local_port_range")?)
}

/// `32768\t60999`.
fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once(char::is_whitespace)?;
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_range_of_ports_is_two_numbers() {
        assert_eq!(port_range("32768\t60999"), Some(32768..=60999));
        assert_eq!(port_range("32768"), None);
    }

    /// A tree with these files; a folder ends with a slash.
    fn forged(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !text.is_empty() {
                fs::write(path, text).unwrap();
            }
        }
        root
    }

    #[test]
    fn a_card_has_queues_a_node_and_interrupts() {
        let root = forged(&[
            ("sys/class/net/lo/mtu", "65536"),
            ("sys/class/net/eth0/device/numa_node", "1\n"),
            ("sys/class/net/eth0/device/msi_irqs/40", "msix"),
            ("sys/class/net/eth0/device/msi_irqs/41", "msix"),
            ("sys/class/net/eth0/queues/rx-0/rps_cpus", "00,00000003\n"),
            ("sys/class/net/eth0/queues/rx-1/rps_cpus", "00,00000000\n"),
            ("sys/class/net/eth0/queues/tx-0/xps_cpus", "1\n"),
            ("proc/irq/40/smp_affinity_list", "0-1\n"),
            ("proc/irq/40/effective_affinity_list", "1\n"),
            ("proc/irq/41/smp_affinity_list", "0-1\n"),
        ]);
        let interrupt = |number, cpus: &[u16]| Interrupt {
            number,
            cpus: cpus.to_vec(),
        };
        assert_eq!(
            Card::read_all(&Tree::at(root.path())),
            [Card {
                name: "eth0".to_owned(),
                queues: 2,
                moved_queues: 1,
                node: Some(1),
                interrupts: vec![interrupt(40, &[1]), interrupt(41, &[0, 1])],
            }]
        );
    }

    #[test]
    fn a_virtual_card_has_the_interrupts_of_the_device_above_it() {
        let root = forged(&[
            ("sys/class/net/eth0/device/numa_node", "-1\n"),
            ("sys/class/net/eth0/msi_irqs/24", "msix"),
            ("sys/class/net/eth0/queues/rx-0/rps_cpus", "0\n"),
            ("proc/irq/24/smp_affinity_list", "0\n"),
        ]);
        let cards = Card::read_all(&Tree::at(root.path()));
        assert_eq!((cards[0].node, cards[0].moved_queues), (None, 0));
        assert_eq!(cards[0].interrupts[0].number, 24);
    }
}
