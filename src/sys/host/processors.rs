//! How the processors run, sleep and stand to memory.

use super::tree::{Tree, cpu_list};

/// One way in which a processor may sleep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdleState {
    /// What it is called: `C6`.
    pub name: String,
    /// How long waking from it takes.
    pub exit_us: u64,
    /// Whether it may be used: it is not disabled, and waking takes no longer than the processor may need to resume.
    pub is_on: bool,
}

impl IdleState {
    pub(super) fn read_all(tree: &Tree<'_>, cpus: &[u16]) -> Vec<Self> {
        let Some(first) = cpus.first() else {
            return Vec::new();
        };
        let processor = format!("sys/devices/system/cpu/cpu{first}");
        let folder = format!("{processor}/cpuidle");
        // 0 stands for no bound.
        let bound = tree.number(&format!("{processor}/power/pm_qos_resume_latency_us"));
        let bound = bound.filter(|&micros| micros > 0).unwrap_or(u64::MAX);
        tree.names(&folder)
            .into_iter()
            .filter_map(|state| {
                let exit_us = tree.number(&format!("{folder}/{state}/latency"))?;
                let is_disabled = tree.number(&format!("{folder}/{state}/disable")) == Some(1);
                Some(Self {
                    name: tree.text(&format!("{folder}/{state}/name"))?,
                    exit_us,
                    is_on: !is_disabled && exit_us <= bound,
                })
            })
            .collect()
    }
}

/// A node of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub number: u16,
    /// The processors next to it.
    pub cpus: Vec<u16>,
}

impl Node {
    pub(super) fn read_all(tree: &Tree<'_>) -> Vec<Self> {
        let folder = "sys/devices/system/node";
        tree.names(folder)
            .into_iter()
            .filter_map(|name| {
                Some(Self {
                    number: name.strip_prefix("node")?.parse().ok()?,
                    cpus: cpu_list(&tree.text(&format!("{folder}/{name}/cpulist"))?),
                })
            })
            .collect()
    }
}

pub(super) fn governors(tree: &Tree<'_>, cpus: &[u16]) -> Vec<String> {
    cpus.iter()
        .filter_map(|cpu| {
            tree.text(&format!(
                "sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
            ))
        })
        .collect()
}

/// It has no file of its own, so it is looked for among the processes.
pub(super) fn has_irqbalance(tree: &Tree<'_>) -> bool {
    tree.names("proc")
        .iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .any(|pid| tree.text(&format!("proc/{pid}/comm")).as_deref() == Some("irqbalance"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sleeps_nodes_and_the_balancer_are_found_where_they_stand() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("sys/devices/system/cpu/cpu2/cpuidle/state0/name", "POLL"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state0/latency", "0"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/name", "C6"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/latency", "133"),
            ("sys/devices/system/cpu/cpu2/cpuidle/state1/disable", "1"),
            (
                "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor",
                "powersave",
            ),
            ("sys/devices/system/node/node0/cpulist", "0-1"),
            ("sys/devices/system/node/node1/cpulist", "2-3"),
            ("sys/devices/system/node/possible", "0-1"),
            ("proc/self/comm", "irqbalance"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = Tree::at(root.path());
        let state = |name: &str, exit_us, is_on| IdleState {
            name: name.to_owned(),
            exit_us,
            is_on,
        };
        assert_eq!(
            IdleState::read_all(&tree, &[2, 3]),
            [state("POLL", 0, true), state("C6", 133, false)]
        );
        let bound = "sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us";
        fs::create_dir_all(root.path().join(bound).parent().unwrap()).unwrap();
        fs::write(root.path().join(bound), "10").unwrap();
        fs::write(
            root.path()
                .join("sys/devices/system/cpu/cpu2/cpuidle/state1/disable"),
            "0",
        )
        .unwrap();
        assert!(!IdleState::read_all(&tree, &[2])[1].is_on, "over the bound");
        assert_eq!(governors(&tree, &[2, 3]), ["powersave"]);
        let nodes = Node::read_all(&tree);
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[1].cpus, [2, 3]);
        assert!(!has_irqbalance(&tree), "a process has a number");
        fs::create_dir_all(root.path().join("proc/77")).unwrap();
        fs::write(root.path().join("proc/77/comm"), "irqbalance\n").unwrap();
        assert!(has_irqbalance(&tree));
    }
}
