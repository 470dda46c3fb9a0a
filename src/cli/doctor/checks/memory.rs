//! Memory, and what of it the kernel gives to sockets and tables.

use super::{Finding, Scene, UNKNOWN, size};
use crate::cli::doctor::tuning::{Profile, Script};
use crate::cli::plan::{broadcast_bytes, idle_bytes};

pub(super) fn memory(scene: &Scene<'_>) -> Finding {
    let wants = idle_bytes(scene.tunnels);
    let available = scene.host.memory_available_bytes;
    Finding::ok(
        "memory",
        available.map_or_else(
            || UNKNOWN.to_owned(),
            |bytes| format!("{} available", size(bytes)),
        ),
        format!("{} for {} idle tunnels", size(wants), scene.tunnels),
    )
    .because("two sockets in the kernel, and what Ringway knows of a tunnel")
    .or_warn(available.is_none_or(|bytes| bytes >= wants), || {
        "add memory, or plan for fewer tunnels: ringway plan --tunnels NUMBER".to_owned()
    })
}

/// What waits in the buffers of all sockets: enough for a message to everybody.
pub(super) fn tcp_memory(scene: &Scene<'_>) -> Finding {
    let wants = broadcast_bytes(scene.tunnels);
    let most = scene.host.tcp.memory_bytes.map(|[_, _, most]| most);
    Finding::ok(
        "TCP memory",
        most.map_or_else(
            || UNKNOWN.to_owned(),
            |most| format!("{} at most", size(most)),
        ),
        format!(
            "{} for a message to all of {} tunnels (net.ipv4.tcp_mem)",
            size(wants),
            scene.tunnels
        ),
    )
    .because("over it the kernel drops what arrives and shrinks every window")
    .or_warn(most.is_none_or(|most| most >= wants), || {
        // A quarter of the memory; low-latency keeps what is there.
        scene.apply_as_one_of(Script::TcpMemory, &[Profile::ManyIdle, Profile::Throughput])
    })
}

/// `always` rounds the sparse heaps of idle tunnels up to 2 MiB pages.
pub(super) fn huge_pages(scene: &Scene<'_>) -> Finding {
    let found = scene.host.huge_pages.as_deref();
    Finding::ok("huge pages", found.unwrap_or(UNKNOWN), "madvise or never")
        .because("with always the sparse heaps of idle tunnels are rounded up to 2 MiB pages")
        .or_warn(found != Some("always"), || {
            scene.apply_as_one_of(Script::HugePages, &[Profile::ManyIdle, Profile::LowLatency])
        })
}

pub(super) fn conntrack(scene: &Scene<'_>) -> Finding {
    let check = "connection tracking";
    let Some((now, max)) = scene.host.conntrack else {
        return Finding::ok(check, "off", "off, or room for the tunnels");
    };
    let wants = now.saturating_add(scene.tunnels * 2);
    Finding::ok(
        check,
        format!("{now} of {max} entries used"),
        format!("off, or {wants} entries: two a tunnel"),
    )
    .because("when its table is full the kernel drops new connections")
    .or_warn(max >= wants, || {
        format!(
            "{}   # or, if they must be tracked: sudo sysctl -w net.netfilter.nf_conntrack_max={wants}",
            scene.apply_for_tunnels(Script::Conntrack)
        )
    })
}
