//! What was measured: the constants that a plan multiplies, each with its source. They are of named machines, so they are
//! a beginning; `--cost-ns` and `--handshake-ns` take what a machine of your own measured.

use crate::limits::FILES_PER_TUNNEL;

/// Kernel memory of one quiet socket with its file and its armed read: 4,974 B with 9,000 tunnels and 4,927 B with 4,500
/// (`benches/kernel_memory.py`, 2026-11-26, Linux 6.18.44), rounded up.
pub(super) const KERNEL_SOCKET_BYTES: u64 = 5_000;
/// A page for each socket that has anything waiting: the kernel charges buffers by pages.
pub(super) const PAGE_BYTES: u64 = 4096;
/// The buffers a socket begins with, receiving and sending: the second values of `tcp_rmem` and `tcp_wmem`
/// (Documentation/networking/ip-sysctl.rst).
pub(super) const SOCKET_BUFFERS_BYTES: u64 = 128 * 1024 + 16 * 1024;
/// A descriptor in the table of its process: a pointer; the table doubles when it is full, so twice that.
pub(super) const DESCRIPTOR_BYTES: u64 = 2 * 8;

/// Our memory of an idle tunnel in the clear: 918 to 941 B resident (`benches/kernel_memory.py`, as above). README.md has
/// 0.44 KiB, of an earlier build and by another way of counting.
pub(super) const TUNNEL_BYTES: u64 = 941;
/// What it takes more with a client over TLS: 1.25 KiB in all, 8,000 of them (ARCHITECTURE.md, TLS, 2026-11-26). That
/// was with backends in the clear; a backend over TLS is taken to need as much again.
pub(super) const TLS_SIDE_BYTES: u64 = 1_280 - TUNNEL_BYTES;
/// A TLS handshake under way: some 8 KiB (ARCHITECTURE.md, Limits).
pub(super) const TLS_HANDSHAKE_BYTES: u64 = 8 * 1024;

/// Processor time of a message there and one back, in the clear, by its length: bytes and nanoseconds, README.md,
/// 2026-11-26, 2 cores of an AMD EPYC, Linux 6.18.44. For 64 B the row of 4,000 tunnels, the largest that was measured;
/// for 16 KiB that and what they cost more than 64 B with 64 tunnels (14,857 and 10,642); 256 KiB with 16 tunnels.
pub(super) const ECHO_NS: [(u64, u64); 3] = [
    (64, 15_525),
    (16 * 1024, 15_525 + 14_857 - 10_642),
    (256 * 1024, 178_086),
];
/// The same with clients over TLS 1.3, less what it is in the clear, with 64 tunnels: 64 B 13,008 and 10,642 ns, 16 KiB
/// 22,615 and 14,857 ns (ARCHITECTURE.md, TLS, and README.md, the same hour and machine).
pub(super) const TLS_SIDE_NS: [(u64, u64); 2] =
    [(64, 13_008 - 10_642), (16 * 1024, 22_615 - 14_857)];
/// A handshake with its end, in the clear (README.md, as above).
pub(super) const HANDSHAKE_NS: u64 = 56_900;
/// What a full handshake over TLS takes more: 228.2 µs (ARCHITECTURE.md, TLS, as above).
pub(super) const TLS_HANDSHAKE_NS: u64 = 228_200 - HANDSHAKE_NS;

/// Descriptors of one worker but for its listeners and tunnels: rings, eventfds, what glommio opens. With one worker
/// and one listener Ringway has 22 open, with two 32 (`benches/kernel_memory.py`, as above).
pub(super) const WORKER_FILES: u64 = 9;
/// Those of the process: standard streams, runtime, signals, log, control listener.
pub(super) const PROCESS_FILES: u64 = 12;
/// What a worker has resident at rest: 33,988 KiB with one and 42,688 KiB with two (the same).
pub(super) const WORKER_BYTES: u64 = (42_688 - 33_988) * 1024;
/// The program, the control thread and its runtime: what is left of the first number.
pub(super) const PROCESS_BYTES: u64 = 33_988 * 1024 - WORKER_BYTES;

/// What goes over the wire besides the payload: an Ethernet frame with its gap (38 bytes), IP (20) and TCP with time
/// stamps (32), for each segment of 1,448 bytes, and a frame header of 8.
pub(super) const SEGMENT_BYTES: u64 = 1_448;
pub(super) const SEGMENT_OVERHEAD_BYTES: u64 = 38 + 20 + 32;
pub(super) const FRAME_HEADER_BYTES: u64 = 8;

/// What so many idle tunnels in the clear take, in the kernel and here.
pub(in crate::cli) const fn idle_bytes(tunnels: u64) -> u64 {
    tunnels.saturating_mul(FILES_PER_TUNNEL * KERNEL_SOCKET_BYTES + TUNNEL_BYTES)
}

/// What waits in the kernel when a message to everybody is on its way.
pub(in crate::cli) const fn broadcast_bytes(tunnels: u64) -> u64 {
    tunnels.saturating_mul(PAGE_BYTES)
}

/// A cost between the lengths that were measured, along a straight line; beyond the last two along their line, and below
/// the first as the first.
pub(super) fn at_length(points: &[(u64, u64)], bytes: u64) -> u64 {
    let after = points.partition_point(|&(at, _)| at < bytes);
    let right = after.clamp(1, points.len() - 1);
    let ((from, low), (to, high)) = (points[right - 1], points[right]);
    let over = u128::from(bytes.saturating_sub(from));
    let rise = u128::from(high.saturating_sub(low)) * over / u128::from(to - from);
    low.saturating_add(u64::try_from(rise).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_lies_on_the_line_between_what_was_measured() {
        let points = [(10, 100), (20, 200), (120, 300)];
        for (bytes, cost) in [
            (0, 100),
            (10, 100),
            (15, 150),
            (20, 200),
            (70, 250),
            (120, 300),
            (220, 400),
        ] {
            assert_eq!(at_length(&points, bytes), cost, "{bytes}");
        }
        assert_eq!(at_length(&ECHO_NS, 64), 15_525);
        assert_eq!(at_length(&ECHO_NS, 256 * 1024), 178_086);
    }
}
