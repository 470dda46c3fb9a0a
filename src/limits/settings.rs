//! What holds if nobody says otherwise, and how far one may go.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{CONNECT_TRIES_MAX, HEAD_LINE_BYTES_MAX};

/// A number or a time that the configuration may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<T> {
    /// What holds if nobody says otherwise.
    pub default: T,
    /// The least that is accepted.
    pub least: T,
    /// The most that is accepted.
    pub most: T,
}

pub(super) const fn millis(default: u64, least: u64, most: u64) -> Setting<Duration> {
    Setting {
        default: Duration::from_millis(default),
        least: Duration::from_millis(least),
        most: Duration::from_millis(most),
    }
}

pub(super) const fn count(default: u32, least: u32, most: u32) -> Setting<u32> {
    Setting {
        default,
        least,
        most,
    }
}

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

/// The largest configuration file: 16384 backends at some 100 bytes each, twice over.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The largest core number and the largest count of workers; Linux on x86-64 stops at 8192, machines before 1024.
pub const CORES_MAX: u16 = 1024;
/// The longest name of a listener, a pool or a route. Names become metric labels, a copy for each series.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest path of a route; far below the bound of a request line.
pub const ROUTE_PATH_BYTES_MAX: usize = 1024;
/// Addresses to listen on. Each worker opens a socket for each.
pub const LISTEN_ADDRESSES_MAX: usize = 64;

/// Tunnels of one worker: a million over eight cores. At 1 KiB each the default is 128 MiB.
pub const TUNNELS_MAX: Setting<u32> = count(131_072, 1, 1_048_576);
/// Handshakes of one worker in flight. A head buffer each, so the default may hold 64 MiB while it lasts.
pub const HANDSHAKES_MAX: Setting<u32> = count(4096, 1, 65_536);
/// Receive buffers of one worker. The kernel takes powers of two up to 32768; below four a fast pair of tunnels
/// would wait for each other.
pub const RECEIVE_BUFFERS: (u16, u16) = (4, 32_768);
/// The size of one receive buffer: at least a few frames, at most what one socket buffer holds anyway.
pub const RECEIVE_BUFFER_BYTES: (u32, u32) = (1024, 1024 * 1024);
/// All receive buffers of one worker together, if both their number and their size are set.
pub const RECEIVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where metrics and health are served: on this machine only (security rule 19).
pub const CONTROL_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// The queue of connections not yet accepted. What `net.core.somaxconn` has been since Linux 5.4; the kernel
/// cuts a larger one down to that.
pub const BACKLOG: Setting<u32> = count(4096, 1, 65_535);
/// Silence before a TCP keepalive probe. Under the 4 minutes after which Azure, and the 350 seconds after
/// which AWS, forget a flow without telling anybody. At most what `TCP_KEEPIDLE` takes.
pub const KEEPALIVE_IDLE: Setting<Duration> = millis(120 * SECOND, SECOND, 32_767 * SECOND);

/// The most a bound for one source address may be set to. Whoever wants more wants none: "off".
pub const PER_SOURCE_MAX: u32 = 1_000_000;
/// Handshakes of one source in flight, on one worker: half of what a worker takes, so that no single address
/// keeps the others out. The two other bounds for a source are off by default, since a whole company or a
/// whole mobile network may stand behind one address.
pub const HANDSHAKES_PER_SOURCE: Setting<u32> = count(2048, 1, PER_SOURCE_MAX);
/// The whole request head. A phone on a bad link needs a few seconds; a head held open on purpose costs
/// its buffer no longer than this.
pub const HEAD_TIMEOUT: Setting<Duration> = millis(10 * SECOND, 100, 5 * MINUTE);

/// Over how long the closes of a drain are spread: 100,000 clients then come back at 10,000 a second.
pub const DRAIN_TIME: Setting<Duration> = millis(10 * SECOND, 0, HOUR);
/// When a drain cuts off whoever is left. Below the 90 seconds after which systemd kills.
pub const DRAIN_DEADLINE: Setting<Duration> = millis(30 * SECOND, 0, 2 * HOUR);

/// How long a backend may take to accept. Long enough for one lost SYN, which Linux repeats after a second.
pub const CONNECT_TIMEOUT: Setting<Duration> = millis(3 * SECOND, 10, MINUTE);
/// Other backends to try after the first.
pub const CONNECT_TRIES: Setting<u8> = Setting {
    default: 2,
    least: 0,
    most: CONNECT_TRIES_MAX - 1,
};
/// How long a backend may take to answer a request head; some log a user in before they answer.
pub const ANSWER_TIMEOUT: Setting<Duration> = millis(10 * SECOND, 10, 5 * MINUTE);

/// How long nothing may go either way. Long-lived silence is what WebSockets are for, and a peer that is gone
/// is found by TCP keepalive long before.
pub const IDLE_TIMEOUT: Setting<Duration> = millis(HOUR, SECOND, 7 * 24 * HOUR);
/// How long a side may take nothing of what waits for it. A phone that changes networks is away for seconds.
pub const STALLED_WRITE_TIMEOUT: Setting<Duration> = millis(MINUTE, SECOND, HOUR);
/// How long one half may stay open after the other has ended: enough to send what was queued.
pub const HALF_CLOSE_TIMEOUT: Setting<Duration> = millis(30 * SECOND, SECOND, HOUR);

/// Failed handshakes in a row after which a backend is put out.
pub const EJECTION_FAILURES: Setting<u32> = count(5, 0, 1_000);
/// For how long the first time. Long enough for a process to be started again.
pub const EJECTION_TIME: Setting<Duration> = millis(10 * SECOND, 100, HOUR);
/// For how long at most, however often it failed.
pub const EJECTION_TIME_MAX: Setting<Duration> = millis(5 * MINUTE, 100, 24 * HOUR);
/// By how much an ejection is longer for one backend than for another, in percent at most: those that fell together
/// then do not all return together, and nobody waits noticeably longer.
pub const EJECTION_SPREAD_PERCENT: u32 = 5;
/// The share of a pool that may be out at once: with half of it gone, the other half is not asked to carry more.
pub const EJECTION_SHARE_PERCENT: Setting<u32> = count(50, 0, 100);
/// Ends within a window below which a share of abnormal ones means nothing.
pub const ABNORMAL_ENDS_LEAST: u32 = 10;
/// The window over which the share of abnormal ends is taken.
pub const ABNORMAL_WINDOW: Duration = Duration::from_secs(10);
/// Tunnels of a lost backend that are closed in a second: their clients come back at this rate.
pub const CLOSE_PER_SECOND: Setting<u32> = count(1_000, 1, 1_000_000);
/// Tunnels that one step looks at in search of those of lost backends, a cache miss or two each: a worker with
/// many tunnels goes on serving between two steps.
pub const CLOSE_LOOKS_MAX: usize = 4096;
/// Paces at which a worker closes at the same time; each has its own pass over the tunnels.
pub const CLOSE_PACES_MAX: usize = 16;
/// Clients of one pool that one worker lets wait while every backend is full. 0: refused at once.
pub const WAITING_PLACES: Setting<u32> = count(0, 0, 65_536);
/// How long one may wait. A browser's user gives up soon after.
pub const WAITING_TIMEOUT: Setting<Duration> = millis(5 * SECOND, 10, 5 * MINUTE);
/// Retries for each hundred handshakes. Fleets that retry more make an outage worse.
pub const RETRY_PERCENT: Setting<u32> = count(20, 0, 1_000);
/// Retries a second that one worker may always make.
pub const RETRIES_LEAST_PER_SECOND: Setting<u32> = count(10, 0, 10_000);
/// How little of a tier may be healthy before the next one is called in. At 0 only when nobody is.
pub const PANIC_PERCENT: Setting<u32> = count(0, 0, 100);
/// The share of abnormal ends that puts a backend out; off unless it is set.
pub const EJECTION_ABNORMAL_PERCENT: Setting<u32> = count(50, 1, 100);
/// The most a cap on connections may be set to: what all workers can hold. Whoever wants more wants none: "off".
pub const CONNECTIONS_CAP_MAX: u32 = CORES_MAX as u32 * TUNNELS_MAX.most;
/// The longest name of a header field, cookie, query parameter or subprotocol. Each is compared or sent with every
/// handshake; real ones are far shorter.
pub const KEY_NAME_BYTES_MAX: usize = 128;
/// What a sticky cookie is called if nobody says otherwise.
pub const STICKY_COOKIE: &str = "ringway";
/// How long a sticky cookie lives; until the browser ends unless it is set. No browser keeps one for more than 400
/// days (RFC 6265bis section 5.5).
pub const STICKY_LIFETIME: Setting<Duration> = millis(HOUR, SECOND, 400 * 24 * HOUR);
/// The least a secret that signs cookies may have: as many bytes as the key that SHA-256 makes of it.
pub const STICKY_SECRET_BYTES_LEAST: usize = 32;
/// The largest file that holds a secret. What is longer was not meant to be one.
pub const SECRET_FILE_BYTES_MAX: usize = 4 * 1024;
/// How long a token may be that opens the control listener: too long to be guessed over a network, short enough for
/// a line of a head.
pub const TOKEN_BYTES: (usize, usize) = (16, 1024);
/// The bits of an IPv4 source that count for a hash: all of them.
pub const SOURCE_PREFIX_V4: Setting<u32> = count(32, 1, 32);
/// The bits of an IPv6 source that count for a hash: one network of one customer.
pub const SOURCE_PREFIX_V6: Setting<u32> = count(64, 1, 128);
/// How far above its fair share a hash may load a backend (consistent hashing with bounded loads, Mirrokni et al.).
pub const LOAD_BOUND_PERCENT: Setting<u32> = count(125, 101, 10_000);
/// How often a backend is probed.
pub const PROBE_INTERVAL: Setting<Duration> = millis(5 * SECOND, 50, HOUR);
/// How often while probes contradict the verdict.
pub const PROBE_UNSURE_INTERVAL: Setting<Duration> = millis(SECOND, 10, HOUR);
/// How much of an interval chance adds or takes.
pub const PROBE_JITTER_PERCENT: Setting<u32> = count(10, 0, 90);
/// The shortest pause between two probes of one backend, whatever chance takes: they never spin.
pub const PROBE_PAUSE_LEAST: Duration = Duration::from_millis(1);
/// How long one probe may take.
pub const PROBE_TIMEOUT: Setting<Duration> = millis(2 * SECOND, 10, MINUTE);
/// Good probes in a row that bring a backend up.
pub const PROBE_RISE: Setting<u32> = count(2, 1, 100);
/// Bad probes in a row that take it down.
pub const PROBE_FALL: Setting<u32> = count(3, 1, 100);
/// What of a probe's answer is read: its head and the start of its body.
pub const PROBE_BODY_BYTES_MAX: usize = 64 * 1024;
/// What a WebSocket probe passes over before its pong: a game's first picture of its world fits, and a backend that
/// never stops sending costs the control thread a few milliseconds.
pub const PROBE_SKIPPED_BYTES_MAX: usize = 1024 * 1024;
/// How long a WebSocket probe that is already good waits for the end of its connection, so that the backend can end
/// it first and logs no reset.
pub const PROBE_GOODBYE: Duration = Duration::from_millis(250);
/// The longest text that a probe looks for in a body.
pub const PROBE_EXPECTED_BYTES_MAX: usize = 1024;
/// How long a slow start may take; off unless it is set.
pub const SLOW_START: Setting<Duration> = millis(30 * SECOND, SECOND, HOUR);
/// Names in the DNS of one configuration, all pools together. Each is a question that recurs for ever.
pub const DNS_NAMES_MAX: usize = 1024;
/// How soon a name is asked for again when its answer says nothing, or says less: a TTL below this is taken as this.
pub const DNS_INTERVAL: Setting<Duration> = millis(30 * SECOND, SECOND, 24 * HOUR);
/// How soon after a failed answer it is asked again.
pub const DNS_RETRY: Duration = Duration::from_secs(5);
/// Backends taken from one name; the answer's others are dropped, and that is said.
pub const DNS_MEMBERS_MAX: usize = 1024;
/// How long one question about a name may take, with every follow-up for its SRV targets: three tries of a resolver
/// at its usual 5 seconds.
pub const DNS_ANSWER_MAX: Duration = Duration::from_secs(15);
/// SRV targets that are asked for at once, two questions each; a small resolver drops what comes in bursts.
pub const DNS_TARGETS_AT_ONCE: usize = 8;
/// Tiers of a pool.
pub const PRIORITY_MAX: u8 = 15;

const _: () = assert!(PROBE_BODY_BYTES_MAX < PROBE_SKIPPED_BYTES_MAX);
const _: () = assert!(PROBE_GOODBYE.as_millis() < PROBE_TIMEOUT.default.as_millis());
const _: () = assert!(DNS_ANSWER_MAX.as_millis() < DNS_INTERVAL.default.as_millis());
const _: () = assert!(PROBE_EXPECTED_BYTES_MAX <= PROBE_BODY_BYTES_MAX);
const _: () =
    assert!(KEY_NAME_BYTES_MAX < HEAD_LINE_BYTES_MAX && TOKEN_BYTES.1 < HEAD_LINE_BYTES_MAX);
const _: () = assert!(
    STICKY_SECRET_BYTES_LEAST <= SECRET_FILE_BYTES_MAX && TOKEN_BYTES.1 <= SECRET_FILE_BYTES_MAX
);
const _: () = assert!(EJECTION_TIME.default.as_millis() <= EJECTION_TIME_MAX.default.as_millis());
const _: () = assert!(HANDSHAKES_PER_SOURCE.default < HANDSHAKES_MAX.default);
const _: () = assert!(DRAIN_TIME.default.as_millis() < DRAIN_DEADLINE.default.as_millis());
const _: () = assert!(DRAIN_TIME.most.as_millis() <= DRAIN_DEADLINE.most.as_millis());
const _: () = assert!(ROUTE_PATH_BYTES_MAX < HEAD_LINE_BYTES_MAX);
const _: () =
    assert!(PROBE_UNSURE_INTERVAL.default.as_millis() <= PROBE_INTERVAL.default.as_millis());
const _: () = assert!(
    PROBE_UNSURE_INTERVAL.least.as_millis() * (100 - PROBE_JITTER_PERCENT.most as u128)
        >= PROBE_PAUSE_LEAST.as_millis() * 100
);
const _: () = assert!(RECEIVE_BUFFERS.0.is_power_of_two() && RECEIVE_BUFFERS.1.is_power_of_two());
