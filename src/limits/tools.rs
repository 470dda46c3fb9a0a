//! Bounds of the commands around the balancer: the echo fleet, the load generator, the questions to a running one.

use std::time::Duration;

use super::settings::{HOUR, SECOND, millis};
use super::{BACKENDS_MAX, HEAD_BYTES_MAX, Setting};

// --- The echo fleet of `demo`, the tests and the benches (`cli::echo`) ---

/// The one receive buffer that all connections of a fleet share. A read that fills less of it has drained its
/// socket, so it is as large as a socket's usual receive window; it still fits in a core's second-level cache.
pub const ECHO_BUFFER_BYTES: usize = 256 * 1024;
/// Full reads that one connection may take before the others get their turn.
pub const ECHO_READS_PER_TURN: usize = 4;
/// Connections accepted in one go before those already open get their turn.
pub const ECHO_ACCEPTS_PER_TURN: usize = 256;
/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
pub const ECHO_BACKLOG: i32 = 16 * 1024;
/// How long a connection that has said goodbye may wait for its peer to do the same.
pub const ECHO_GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a fleet that ran out of file descriptors tries to accept again.
pub const ECHO_ACCEPT_RETRY: Duration = Duration::from_millis(50);

const _: () = assert!(ECHO_BUFFER_BYTES > HEAD_BYTES_MAX);

// --- Commands that ask a running Ringway (`cli::remote`, `cli::top`) ---

/// How long it may take for its whole answer.
pub const REMOTE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer: `/backends` of a full table is some 600 bytes a backend, `/metrics` some 2 KiB.
pub const REMOTE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How often `top` may ask; more often only costs the control thread.
pub const TOP_INTERVAL: Setting<Duration> = millis(SECOND, 100, HOUR);
/// How often `top` looks for keys and signals.
pub const TOP_TICK: Duration = Duration::from_millis(100);
/// Between the two readings of `top --once`, from which it tells rates.
pub const TOP_ONCE_PAUSE: Duration = Duration::from_secs(1);

const _: () = assert!(REMOTE_BYTES_MAX >= BACKENDS_MAX * 4096);

// --- The load generator (`cli::bench`) ---

/// Tunnels one run may ask for; the file limit usually says no earlier.
pub const BENCH_TUNNELS_MAX: usize = 4 * 1024 * 1024;
/// The longest payload. A prebuilt frame of this size is kept by every thread.
pub const BENCH_PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Messages that may be under way on one tunnel; each keeps the 8 bytes that say when it was sent.
pub const BENCH_IN_FLIGHT_MAX: usize = 64 * 1024;
/// Messages per second one run may ask for, some ten times what a core can send; every one that is due is accounted for.
pub const BENCH_RATE_MAX: u64 = 10_000_000;
/// Threads of one run.
pub const BENCH_THREADS_MAX: usize = 1024;
/// The one receive buffer of a thread; see `ECHO_BUFFER_BYTES`.
pub const BENCH_BUFFER_BYTES: usize = 256 * 1024;
/// Prebuilt frames that go out in one write. More in one write only queues in the kernel.
pub const BENCH_BATCH_BYTES: usize = 256 * 1024;
/// Prebuilt frames, one set for each masking key, that a thread keeps; beyond it they would push each other out of
/// the first caches.
pub const BENCH_TEMPLATE_BYTES: usize = 64 * 1024;
/// Full reads that one tunnel may take before the others get their turn.
pub const BENCH_READS_PER_TURN: usize = 4;
/// Handshakes a thread has under way while it opens its tunnels; well below a usual accept queue.
pub const BENCH_GREETINGS_MAX: usize = 256;
/// The longest latency the histogram tells apart from longer ones.
pub const BENCH_LATENCY_MAX: Duration = Duration::from_mins(10);
/// How long a thread waits for the answers to its Close frames.
pub const BENCH_GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a thread looks for tunnels that time out.
pub const BENCH_SWEEP: Duration = Duration::from_millis(250);

const _: () = assert!(BENCH_BUFFER_BYTES > HEAD_BYTES_MAX);
const _: () = assert!(BENCH_GREETINGS_MAX < ECHO_BACKLOG as usize);
