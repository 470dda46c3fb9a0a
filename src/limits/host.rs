//! Bounds and wishes of the commands that judge a host: `doctor` and `plan`.

use super::settings::count;
use super::{BACKENDS_MAX, CORES_MAX, LISTEN_ADDRESSES_MAX, Setting, TUNNELS_MAX};

// --- What a host is asked for (`cli::doctor`) ---

/// Interrupts of one card that are looked at. Large cards have one a queue, and machines at most [`CORES_MAX`] cores.
pub const CARD_INTERRUPTS_MAX: usize = 2 * CORES_MAX as usize;
/// A tunnel is two sockets.
pub const FILES_PER_TUNNEL: u64 = 2;
/// What the accept queue and the queue of half-open connections want: a storm of reconnects waits there until workers get
/// to it. What Linux gives listeners since 5.4.
pub const QUEUE_WANTED: u64 = 4096;
/// What one socket's buffer should be able to grow to: 100 Mbit/s over 80 ms are 1 MB under way.
pub const SOCKET_BUFFER_WANTED: u64 = 1024 * 1024;
/// The share of the local ports that tunnels may take before `TIME_WAIT` matters, in percent: the rest is what was in use
/// a minute ago.
pub const PORTS_BUSY_PERCENT: u64 = 50;
/// A sleep that takes longer to wake from is deep. The shallow ones of today's processors take 1 to 10 µs.
pub const DEEP_SLEEP_US: u64 = 20;
/// The first port of the widest range, which `tuning/ports.sh` sets: below it most services have theirs.
pub const WIDEST_PORTS_FIRST: u16 = 10_240;
/// The last.
pub const WIDEST_PORTS_LAST: u16 = 65_535;
/// How many ports that is.
pub const WIDEST_PORTS: u32 = (WIDEST_PORTS_LAST - WIDEST_PORTS_FIRST) as u32 + 1;

// --- What may be planned (`cli::plan`) ---

/// Tunnels of one plan. More than the most workers can hold is no plan; the sums stay far inside 64 bits.
pub const PLAN_TUNNELS_MAX: u64 = 100_000_000;
/// Backends of one plan: what one configuration takes.
pub const PLAN_BACKENDS_MAX: u64 = BACKENDS_MAX as u64;
/// Addresses to listen on.
pub const PLAN_LISTENERS_MAX: u64 = LISTEN_ADDRESSES_MAX as u64;
/// Messages a second on one tunnel.
pub const PLAN_MESSAGE_RATE_MAX: u64 = 1_000_000;
/// Bytes of one message.
pub const PLAN_MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// New tunnels a second.
pub const PLAN_CONNECT_RATE_MAX: u64 = 10_000_000;
/// Nanoseconds that a message, or a handshake, may be said to cost.
pub const PLAN_COST_NS_MAX: u64 = 1_000_000_000;
/// Source addresses: an IPv4 /16 is more than any host has.
pub const PLAN_SOURCES_MAX: u64 = 65_536;
/// Tunnels of a hundred whose reader is slow at one time. Nobody knows this of a fleet in advance: one is what a plan
/// begins with.
pub const PLAN_SLOW_PERCENT: Setting<u32> = count(1, 0, 100);
/// How busy a plan lets a core be, in percent. At half, a message waits for one other on average, and there is room for
/// the storm after a deploy.
pub const PLAN_CORE_PERCENT: u64 = 50;
/// How many tunnels more than its even share a worker must be able to hold, in percent: the kernel's hash spreads
/// connections unevenly, and while a worker is down its clients come to the others.
pub const PLAN_SPARE_PERCENT: u64 = 25;

const _: () = assert!(
    PLAN_TUNNELS_MAX * (100 + PLAN_SPARE_PERCENT) / 100
        <= TUNNELS_MAX.most as u64 * CORES_MAX as u64
);
const _: () = assert!(PLAN_BACKENDS_MAX <= PLAN_TUNNELS_MAX);
