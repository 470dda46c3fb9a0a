//! What `doctor` looks at, one function each: what was found, what is wanted, why, and the command that closes the gap.

mod limits;
mod memory;
mod network;
mod processors;
mod sockets;
#[cfg(test)]
mod tests;

use super::RING;
use super::finding::Finding;
use super::scene::Scene;
use crate::sys::host::Host;
use crate::sys::proc::KernelVersion;

/// Everything that is looked at, in the order it is printed.
pub(in crate::cli) fn examine(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = vec![
        kernel(scene.host),
        io_uring(scene.host),
        limits::open_files(scene),
        limits::files_of_all(scene),
        limits::locked_memory(scene),
        sockets::accept_queue(scene),
        sockets::syn_queue(scene),
        sockets::ports(scene),
        sockets::time_wait(scene),
        sockets::buffers(scene),
        sockets::congestion_control(scene),
        sockets::busy_polling(scene),
        memory::memory(scene),
        memory::tcp_memory(scene),
        memory::huge_pages(scene),
        memory::conntrack(scene),
        processors::machine(scene),
        processors::processors(scene),
        processors::governor(scene),
        processors::sleeps(scene),
        processors::numa_balancing(scene),
        processors::irqbalance(scene),
    ];
    for card in &scene.host.cards {
        findings.extend(network::examine(scene, card));
    }
    findings
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
        .because("rings that complete only when asked (DEFER_TASKRUN) came with 6.1")
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
        .because("every byte passes through a ring")
        .or_fail(host.io_uring_disabled.is_none_or(|level| level < 2), fix)
        .or_warn(host.io_uring_disabled.is_none_or(|level| level < 1), fix)
}

/// What the ring's probe found. Only the ring itself is needed, and its note says what stands in the way;
/// the rest makes it faster.
pub(super) fn feature((name, there, note): (String, bool, String)) -> Finding {
    let found = if there { "available" } else { "missing" };
    if name == RING {
        Finding::ok(&name, found, "Linux 6.1")
            .because("every byte passes through a ring")
            .or_fail(there, || note)
    } else {
        Finding::ok(&name, found, note)
            .because("it makes receiving cheaper")
            .or_warn(there, || {
                "boot a newer kernel; Ringway runs without it".to_owned()
            })
    }
}

/// The instructions that unmask payloads where something looks into them. Without wide ones all runs, only slower.
pub(super) fn simd(kernels: &str) -> Finding {
    let wide = !["sse2", "scalar"].contains(&kernels);
    Finding::ok("SIMD kernels", kernels, "avx512, avx2 or neon")
        .because("routes that look into messages unmask them")
        .or_warn(wide, || {
            "in a virtual machine, pass the processor through: qemu -cpu host".to_owned()
        })
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

/// Numbers as a list that scripts and `taskset` take.
fn listed<'a>(numbers: impl IntoIterator<Item = &'a u16>) -> String {
    let numbers: Vec<String> = numbers.into_iter().map(u16::to_string).collect();
    numbers.join(",")
}

const UNKNOWN: &str = "unknown";
const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
