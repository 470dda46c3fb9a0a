//! The arithmetic: a wish in, what a host needs for it out. Knows no host and no file.

use serde::Serialize;

use super::costs::{
    DESCRIPTOR_BYTES, ECHO_NS, FRAME_HEADER_BYTES, HANDSHAKE_NS, KERNEL_SOCKET_BYTES, PAGE_BYTES,
    PROCESS_BYTES, PROCESS_FILES, SEGMENT_BYTES, SEGMENT_OVERHEAD_BYTES, SOCKET_BUFFERS_BYTES,
    TLS_HANDSHAKE_BYTES, TLS_HANDSHAKE_NS, TLS_SIDE_BYTES, TLS_SIDE_NS, TUNNEL_BYTES, WORKER_BYTES,
    WORKER_FILES, at_length,
};
use super::sum::Sum;
use super::wish::Wish;
use crate::access_log::Record;
use crate::limits;

/// What a host needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Need {
    pub(super) files: Sum,
    pub(super) kernel_bytes: Sum,
    pub(super) our_bytes: Sum,
    /// Both together.
    pub(super) memory_bytes: u64,
    pub(super) ports: Ports,
    pub(super) cores: Cores,
    pub(super) network: Network,
    /// Entries in the table of connection tracking, where it is loaded.
    pub(super) conntrack_entries: u64,
    pub(super) settings: Settings,
}

/// Local ports towards one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Ports {
    pub(super) tunnels_per_backend: u64,
    pub(super) per_source_address: u64,
    pub(super) source_addresses_needed: u64,
    /// How many it would be with the widest range.
    pub(super) source_addresses_with_widest: u64,
    /// What is planned with: those that are there, or else those that are needed.
    pub(super) source_addresses: u64,
    pub(super) used_percent: u64,
}

/// Processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Cores {
    pub(super) messages_per_second: u64,
    pub(super) message_ns: u64,
    pub(super) connects_per_second: u64,
    pub(super) handshake_ns: u64,
    /// Nanoseconds of work in a second.
    pub(super) busy_ns_per_second: u64,
    /// Workers by that work.
    pub(super) by_work: u64,
    /// Workers by how many tunnels one may hold.
    pub(super) by_tunnels: u64,
    pub(super) workers_needed: u64,
    /// What is planned with: those that are wished for, or else those that are needed.
    pub(super) workers: u64,
}

/// Bits in a second over the wire, each way: what comes in from one side goes out to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Network {
    pub(super) wire_bytes_per_message: u64,
    pub(super) bits_per_second: u64,
}

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Settings {
    pub(super) tunnels_max: u64,
    pub(super) files_limit: u64,
    pub(super) files_of_all: u64,
    pub(super) locked_bytes: u64,
}

/// What this load needs. More tunnels never need less of anything.
pub(super) fn reckon(wish: &Wish) -> Need {
    let ports = ports(wish);
    let cores = cores(wish);
    let files = files(wish, cores.workers);
    let kernel_bytes = kernel_bytes(wish, &files);
    let our_bytes = our_bytes(wish, cores.workers);
    Need {
        memory_bytes: kernel_bytes.total.saturating_add(our_bytes.total),
        ports,
        cores,
        network: network(wish, cores.messages_per_second),
        conntrack_entries: wish.tunnels.saturating_mul(2),
        settings: settings(wish, cores.workers, files.total),
        files,
        kernel_bytes,
        our_bytes,
    }
}

fn ports(wish: &Wish) -> Ports {
    let tunnels_per_backend = wish.tunnels.div_ceil(wish.backends.max(1));
    let per_source_address = wish.ports.max(1);
    let needed = tunnels_per_backend.div_ceil(per_source_address).max(1);
    let source_addresses = wish.source_addresses.unwrap_or(needed).max(1);
    let there = per_source_address.saturating_mul(source_addresses);
    Ports {
        tunnels_per_backend,
        per_source_address,
        source_addresses_needed: needed,
        source_addresses_with_widest: tunnels_per_backend
            .div_ceil(limits::WIDEST_PORTS.into())
            .max(1),
        source_addresses,
        used_percent: percent(tunnels_per_backend, there),
    }
}

fn cores(wish: &Wish) -> Cores {
    let sides = wish.tls.count();
    let echo_ns = wish.echo_ns.unwrap_or_else(|| {
        let tls_ns = at_length(&TLS_SIDE_NS, wish.message_bytes).saturating_mul(sides);
        at_length(&ECHO_NS, wish.message_bytes).saturating_add(tls_ns)
    });
    let handshake_ns = wish
        .handshake_ns
        .unwrap_or(HANDSHAKE_NS + sides * TLS_HANDSHAKE_NS);
    // An echo is a message there and one back; messages of both ways are counted together.
    let message_ns = echo_ns.div_ceil(2);
    let messages_per_second =
        narrow((u128::from(wish.tunnels) * u128::from(wish.message_rate_milli)).div_ceil(1000));
    let busy = u128::from(messages_per_second) * u128::from(message_ns)
        + u128::from(wish.connects_per_second) * u128::from(handshake_ns);
    let of_a_core = u128::from(NANOS_PER_SECOND * limits::PLAN_CORE_PERCENT / 100);
    let by_work = narrow(busy.div_ceil(of_a_core)).max(1);
    let by_tunnels = with_spare(wish.tunnels)
        .div_ceil(limits::TUNNELS_MAX.most.into())
        .max(1);
    let workers_needed = by_work.max(by_tunnels);
    Cores {
        messages_per_second,
        message_ns,
        connects_per_second: wish.connects_per_second,
        handshake_ns,
        busy_ns_per_second: narrow(busy),
        by_work,
        by_tunnels,
        workers_needed,
        // No configuration takes more.
        workers: wish
            .workers
            .unwrap_or(workers_needed)
            .clamp(1, limits::CORES_MAX.into()),
    }
}

fn files(wish: &Wish, workers: u64) -> Sum {
    Sum::default()
        .with(
            "tunnels",
            wish.tunnels,
            limits::FILES_PER_TUNNEL,
            "a socket on each side",
        )
        .with(
            "handshakes under way",
            wish.handshakes_max.saturating_mul(workers),
            limits::FILES_PER_TUNNEL,
            "workers.handshakes_max",
        )
        .with(
            "refusals under way",
            workers,
            limits::REFUSALS_MAX.into(),
            "limits::REFUSALS_MAX",
        )
        .with(
            "listeners",
            wish.listener_addresses.saturating_mul(workers),
            1,
            "one for each worker and address",
        )
        .with(
            "workers",
            workers,
            WORKER_FILES,
            "rings, eventfds, executor",
        )
        .with(
            "probes",
            limits::PROBES_AT_ONCE as u64,
            1,
            "limits::PROBES_AT_ONCE",
        )
        .with(
            "control connections",
            limits::ADMIN_CONNECTIONS_MAX as u64,
            1,
            "limits::ADMIN_CONNECTIONS_MAX",
        )
        .with("the process", 1, PROCESS_FILES, "runtime, signals, log")
}

fn kernel_bytes(wish: &Wish, files: &Sum) -> Sum {
    let slow = slow_readers(wish);
    Sum::default()
        .with(
            "sockets of idle tunnels",
            wish.tunnels.saturating_mul(limits::FILES_PER_TUNNEL),
            KERNEL_SOCKET_BYTES,
            "benches/kernel_memory.py, measured",
        )
        .with(
            "descriptor table",
            files.total,
            DESCRIPTOR_BYTES,
            "a pointer a file, twice",
        )
        .with(
            "a message to everybody",
            wish.tunnels,
            PAGE_BYTES,
            "a page a socket that has something to send",
        )
        .with(
            "buffers of slow readers",
            slow,
            SOCKET_BUFFERS_BYTES,
            "tcp_rmem, tcp_wmem: what they begin with",
        )
}

fn our_bytes(wish: &Wish, workers: u64) -> Sum {
    let of_tunnels = with_tunnels(Sum::default(), wish);
    with_workers(of_tunnels, wish, workers)
        .with(
            "slot table",
            limits::SLOT_ROWS_MAX as u64,
            SLOT_ROW_BYTES,
            "limits::SLOT_ROWS_MAX",
        )
        .with(
            "the process",
            1,
            PROCESS_BYTES,
            "program, control thread, runtime",
        )
}

fn with_tunnels(sum: Sum, wish: &Wish) -> Sum {
    sum.with(
        "idle tunnels",
        wish.tunnels,
        TUNNEL_BYTES,
        "benches/kernel_memory.py, measured",
    )
    .with(
        "TLS of idle tunnels",
        wish.tunnels.saturating_mul(wish.tls.count()),
        TLS_SIDE_BYTES,
        "ARCHITECTURE.md, measured",
    )
    .with(
        "queues of slow readers",
        slow_readers(wish),
        u64::from(limits::OUTBOX_HIGH_BYTES) + u64::from(limits::RECEIVE_TURN_BYTES),
        "limits::OUTBOX_HIGH_BYTES and one turn",
    )
}

/// What each worker has, whatever it carries. Handshakes are counted as a storm would have them.
fn with_workers(sum: Sum, wish: &Wish, workers: u64) -> Sum {
    let flows = wish
        .backends
        .min(limits::FLOWS_MAX as u64)
        .saturating_mul(workers);
    let tls = u64::from(wish.tls.count() > 0);
    let log_ring = limits::ACCESS_LOG_RECORDS_MAX as u64 * size_of::<Record>() as u64;
    let ledger = limits::SLOT_ROWS_MAX as u64 * LEDGER_ROW_BYTES;
    sum.with(
        "receive buffers",
        workers,
        wish.receive_bytes,
        "their number times their size",
    )
    .with(
        "heads of handshakes",
        workers.saturating_mul(wish.handshakes_max),
        limits::HEAD_BYTES_MAX as u64,
        "limits::HEAD_BYTES_MAX, in a storm",
    )
    .with(
        "TLS handshakes",
        workers * tls * limits::TLS_HANDSHAKES_AT_ONCE,
        TLS_HANDSHAKE_BYTES,
        "limits::TLS_HANDSHAKES_AT_ONCE",
    )
    .with(
        "log rings",
        workers,
        log_ring,
        "limits::ACCESS_LOG_RECORDS_MAX",
    )
    .with("ledgers", workers, ledger, "limits::SLOT_ROWS_MAX")
    .with(
        "counters of backends",
        flows,
        limits::FLOW_BYTES_MAX as u64,
        "limits::FLOW_BYTES_MAX",
    )
    .with(
        "the rest of a worker",
        workers,
        WORKER_BYTES.saturating_sub(log_ring + ledger),
        "at rest, measured, less its log ring and ledger",
    )
}

fn network(wish: &Wish, messages_per_second: u64) -> Network {
    let framed = wish.message_bytes.saturating_add(FRAME_HEADER_BYTES);
    let segments = framed.div_ceil(SEGMENT_BYTES).max(1);
    let wire = framed.saturating_add(segments.saturating_mul(SEGMENT_OVERHEAD_BYTES));
    Network {
        wire_bytes_per_message: wire,
        bits_per_second: narrow(u128::from(messages_per_second) * u128::from(wire) * 8),
    }
}

fn settings(wish: &Wish, workers: u64, files: u64) -> Settings {
    let share = with_spare(wish.tunnels).div_ceil(workers);
    let files_limit = files.next_multiple_of(FILES_STEP);
    Settings {
        tunnels_max: share.next_multiple_of(TUNNELS_STEP).clamp(
            limits::TUNNELS_MAX.default.into(),
            limits::TUNNELS_MAX.most.into(),
        ),
        files_limit,
        files_of_all: files_limit.saturating_add(FILES_OF_OTHERS),
        // Planned for a service without CAP_IPC_LOCK: it then holds for one with it, too.
        locked_bytes: limits::locked_bytes(usize::try_from(workers).unwrap_or(usize::MAX), false),
    }
}

const fn slow_readers(wish: &Wish) -> u64 {
    wish.tunnels.saturating_mul(wish.slow_percent).div_ceil(100)
}

const fn with_spare(tunnels: u64) -> u64 {
    tunnels
        .saturating_mul(100 + limits::PLAN_SPARE_PERCENT)
        .div_ceil(100)
}

fn percent(part: u64, whole: u64) -> u64 {
    narrow((u128::from(part) * 100).div_ceil(u128::from(whole.max(1))))
}

fn narrow(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// A worker's account of a row of the slot table (`limits::SLOT_ROWS_MAX`).
const LEDGER_ROW_BYTES: u64 = 8;
/// A row of the slot table: a pair of cache lines.
const SLOT_ROW_BYTES: u64 = 128;
/// Limits are written as round numbers, and with some room.
const FILES_STEP: u64 = 65_536;
const TUNNELS_STEP: u64 = 1024;
/// What all other processes of a host have open.
const FILES_OF_OTHERS: u64 = 1 << 20;
