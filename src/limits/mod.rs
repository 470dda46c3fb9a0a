//! Every bound in the program, with its reason beside it and const assertions that tie neighbours together.

use std::time::Duration;

mod frames;
mod handshakes;
mod host;
mod ports;
mod questions;
mod records;
mod sealing;
mod settings;
mod tls;
mod tools;

pub use frames::*;
pub use handshakes::*;
pub use host::*;
pub use ports::*;
pub use questions::*;
pub use records::*;
pub use sealing::*;
pub use settings::*;
pub use tls::*;
pub use tools::*;

// --- HTTP heads (security rule 7) ---

/// The largest request or response head, request line and headers together. nginx's
/// `large_client_header_buffers` allows 32 KiB in four pieces, HAProxy's `tune.bufsize` 16 KiB whole.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest single line in a head; a longer request line is `414`, a longer header `431`.
pub const HEAD_LINE_BYTES_MAX: usize = 8 * 1024;
/// The most header fields in a head; more is `431`.
pub const HEADERS_MAX: usize = 100;

const _: () = assert!(HEAD_LINE_BYTES_MAX < HEAD_BYTES_MAX);

// --- Metrics ---

/// Pairs of route and backend that one worker counts apart; the tunnels of further pairs share one row. With today's
/// rows of 1,152 bytes so many are 5 MiB a worker. On the metrics page a quiet pair takes 0.5 KB and one with every
/// histogram 10 KB, so 40 MB is the most.
pub const FLOWS_MAX: usize = 4096;
/// What the counters of one pair may take; `metrics::flow` asserts it.
pub const FLOW_BYTES_MAX: usize = 2560;

const _: () = assert!(FLOWS_MAX * FLOW_BYTES_MAX <= 10 * 1024 * 1024);

// --- Access log ---

/// Records that wait in one worker's ring for the control thread. The writer wakes 20 times a second, so
/// this carries 160,000 ended tunnels a second and worker; `access_log::record` asserts
/// that it stays under 2 MiB.
pub const ACCESS_LOG_RECORDS_MAX: usize = 8 * 1024;
/// The shortest time between two wakes of the log writer: a busy fleet costs it 20 wakes a second.
pub const ACCESS_LOG_PAUSE: Duration = Duration::from_millis(50);
/// Lines are written once they are this many bytes: large enough to spare system calls, small enough that
/// the batch of one ring more (some 4 MiB) bounds what the writer holds.
pub const ACCESS_LOG_BATCH_BYTES: usize = 256 * 1024;

// --- Admin listener ---

/// Connections to the control listener at one time; more wait in its accept queue.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;
/// How long a connection to the control listener lives, from accept to the last byte of its one answer.
pub const ADMIN_CONNECTION_MAX: Duration = Duration::from_secs(10);
/// The body of an order: a number, or an object around one.
pub const ADMIN_BODY_BYTES_MAX: usize = 1024;
/// Bytes of a body that are read although it is too large, so that its sender gets the answer. Over all
/// connections 2 MiB.
pub const ADMIN_BODY_DRAIN_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(ADMIN_BODY_BYTES_MAX < ADMIN_BODY_DRAIN_BYTES_MAX);

// --- The ring (per worker) ---

/// Places in the submission queue: two requests for each completion of a full batch. A completion queue
/// that is set to be smaller takes it down with it, as the kernel wants.
pub const SUBMISSION_ENTRIES: u32 = 512;
/// Places in the completion queue. An overflow loses nothing but costs a system call, so it holds what all
/// buffers and a batch of sends can complete at once.
pub const COMPLETION_ENTRIES: u16 = 4096;
/// How far it may be set: sixteen works, slowly; the kernel rounds to powers of two.
pub const COMPLETION_QUEUE: (u16, u16) = (16, 32_768);
/// Completions dispatched before the driver looks whether glommio wants to run.
pub const COMPLETION_BATCH: usize = 256;
/// What one socket may receive before the others have their turn (kernel 6.17). As much as a large buffer.
pub const RECEIVE_TURN_BYTES: u32 = 64 * 1024;

/// Buffers of the incremental shape: 64 of 64 KiB is 4 MiB a core, resident only where touched.
pub const INCREMENTAL_BUFFERS: u16 = 64;
/// Bytes in each: one system call's worth of a bulk message.
pub const INCREMENTAL_BUFFER_BYTES: u32 = 64 * 1024;
/// Small buffers of the two-size shape: one for each of thousands of sockets that are ready at once.
pub const SMALL_BUFFERS: u16 = 1024;
/// Bytes in each: most chat, trading and game messages fit.
pub const SMALL_BUFFER_BYTES: u32 = 4 * 1024;
/// Large buffers of the two-size shape, for sockets whose reads fill small ones.
pub const LARGE_BUFFERS: u16 = 64;
/// Bytes in each.
pub const LARGE_BUFFER_BYTES: u32 = 64 * 1024;
/// Buffers of the bundle shape: a bundle of sixteen carries 64 KiB.
pub const BUNDLE_BUFFERS: u16 = 1024;
/// Bytes in each.
pub const BUNDLE_BUFFER_BYTES: u32 = 4 * 1024;
/// The most buffers in one group (the kernel's own bound for a buffer ring).
pub const BUFFERS_MAX: u16 = 32_768;

const _: () = assert!(COMPLETION_ENTRIES as usize >= 2 * COMPLETION_BATCH);
const _: () = assert!(COMPLETION_ENTRIES >= 2 * (SMALL_BUFFERS + LARGE_BUFFERS));
const _: () = assert!(COMPLETION_ENTRIES >= 2 * INCREMENTAL_BUFFERS);
const _: () = assert!(COMPLETION_QUEUE.0.is_power_of_two() && COMPLETION_QUEUE.1.is_power_of_two());
const _: () =
    assert!(COMPLETION_QUEUE.0 <= COMPLETION_ENTRIES && COMPLETION_ENTRIES <= COMPLETION_QUEUE.1);

/// Wakes closer together than this count towards the hot phase.
pub const HOT_WAKE_GAP: Duration = Duration::from_millis(1);
/// So many close wakes make the driver hot: a lightly loaded core pays little for the tick.
pub const HOT_AFTER_WAKES: u32 = 4;
/// The hot phase's tick bounds how long glommio goes unattended.
pub const HOT_TICK_NANOS: u32 = 1_000_000;
/// So many ticks without work end the hot phase.
pub const COLD_AFTER_TICKS: u32 = 2;

/// One step of the deadline wheel: deadlines are seconds, so this is precise enough.
pub const WHEEL_TICK: Duration = Duration::from_millis(32);
/// Buckets of the wheel: one round is 65 s, so an hour's idle deadline is looked at about 55 times.
pub const WHEEL_BUCKETS: usize = 2048;
/// How far ahead a tunnel asks the wheel to look at it, at most: just under a round, so that each look is one
/// visit to a bucket. A tunnel cannot take its entry back when it ends, so this is how long an ended one still
/// costs 16 bytes: 1 MB at 1,000 ends a second, where waiting for an hour's idle deadline would be 58 MB.
pub const WHEEL_LOOK_AHEAD: Duration = Duration::from_secs(64);
/// Room a bucket keeps when it was emptied.
pub const WHEEL_BUCKET_KEEP: usize = 64;

const _: () = assert!(WHEEL_BUCKETS.is_multiple_of(64));
const _: () = assert!(
    WHEEL_LOOK_AHEAD.as_millis() + 2 * WHEEL_TICK.as_millis()
        < WHEEL_TICK.as_millis() * WHEEL_BUCKETS as u128
);
/// Sends with memory of their own that a ring holds ready, about 350 bytes each and 8 KiB for what goes between
/// chunks; more are made when needed, and kept.
pub const SENDS_READY: u32 = 64;

// --- WebSocket frames (security rule 12) ---

/// The longest frame header: two bytes, a 64-bit length and a mask key (RFC 6455 section 5.2).
pub const FRAME_HEADER_BYTES_MAX: usize = 2 + 8 + 4;
/// The most payload that a control frame may carry (RFC 6455 section 5.5).
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;
/// The code that opens the payload of a Close frame (RFC 6455 section 5.5.1).
pub const CLOSE_CODE_BYTES: usize = 2;
/// The longest reason in a Close frame: what the code leaves of a control payload.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - CLOSE_CODE_BYTES;
/// The longest Close frame: a short header, a mask key, the code and the reason.
pub const CLOSE_FRAME_BYTES_MAX: usize = 2 + 4 + CONTROL_PAYLOAD_BYTES_MAX;

/// The longest control frame: a short header, a mask key and the payload.
pub const CONTROL_FRAME_BYTES_MAX: usize = 2 + 4 + CONTROL_PAYLOAD_BYTES_MAX;

// A masked Close header and its code are withheld together, in the room of one header.
const _: () = assert!(2 + 4 + CLOSE_CODE_BYTES <= FRAME_HEADER_BYTES_MAX);
// --- Backends, pools and routes ---

/// Rows in the table of backends, all that a 16-bit id can name. A row is 128 bytes, so the whole table is 8 MiB
/// for the process; each worker's account of it is 8 bytes a row, 512 KiB.
pub const SLOT_ROWS_MAX: usize = 64 * 1024;
/// Backends of one configuration, all pools together, those from the DNS included. A quarter of the rows, so that
/// a change of every backend finds a row for each newcomer while the leaving ones still have tunnels.
pub const BACKENDS_MAX: usize = SLOT_ROWS_MAX / 4;
/// Pools of one configuration. A worker keeps its own way of choosing for each.
pub const POOLS_MAX: usize = 4096;
/// Routes of one configuration. The routes of one host are searched in a row; this many take some 10 µs.
pub const ROUTES_MAX: usize = 4096;
/// The largest weight. 1 to 1000 is finer than a percent, and the sum over all backends stays far inside `u32`.
pub const WEIGHT_MAX: u16 = 1000;
/// Backends one client may be tried on, the first included. Eight deadlines in a row are already more than a
/// client waits, and eight ids fit in one cache line.
pub const CONNECT_TRIES_MAX: u8 = 8;
/// Claims in a row that one choice may lose to other workers before every backend is taken for full. Each names a
/// backend that was not full a moment ago, so more than one or two in a row are rare.
pub const CLAIMS_LOST_MAX: u8 = CONNECT_TRIES_MAX;
/// Retries that one worker may have saved up in one pool: what a backend of a busy pool has under way when it dies.
pub const RETRIES_SAVED_MAX: u32 = 100;
/// Cookies of the sticky name in one request whose signature is looked at. A client has one, or one for each path it
/// got one on; each costs some microseconds.
pub const STICKY_COOKIES_READ_MAX: usize = 4;
/// How often the first of those who wait for a backend looks whether another worker freed a place. One on this worker
/// calls it at once.
pub const WAITING_LOOK: Duration = Duration::from_millis(50);
/// Turns of round robin that may fall on tried or full backends before whoever is left and carries least is taken. With equal
/// weights one more than the tries is enough; with unequal ones, and with full ones, this bounds the search.
pub const TURNS_SKIPPED_MAX: u32 = 32;
/// Draws, or pairs of draws, that may fall on tried or full backends before the same happens.
pub const DRAWS_MAX: u32 = 16;
/// Steps a key takes through its table before everyone is asked. With a tenth of the pool to pick from it goes on
/// longer once in 10^11 keys.
pub const KEY_STEPS_MAX: usize = 256;
/// Places in the table of a pool that hashes, with up to [`MAGLEV_MEMBERS_FEW`] members: 128 KiB a pool, shared by
/// all workers. A prime, so that every step visits every place.
pub const MAGLEV_PLACES_FEW: u32 = 65_537;
/// The same for more members: 1.25 MiB. The two sizes of the paper (Eisenbud et al., NSDI 2016).
pub const MAGLEV_PLACES_MANY: u32 = 655_373;
/// Up to here the small table has 100 places a member, so that shares are within one percent of each other.
pub const MAGLEV_MEMBERS_FEW: usize = 655;
/// Rows that one pick reads again for the sum of what a pool carries: the sum is never older than half as many
/// picks as there are backends, and costs the same in any pool. Each may lie in another core's cache, so not more.
pub const TALLY_ROWS: usize = 2;
/// Up to here all rows are read, and the sum is exact: they are in the nearest cache.
pub const TALLY_EXACT_MAX: usize = 8;
/// How old the sum may get on a worker that picks rarely.
pub const TALLY_AGE_MAX: Duration = Duration::from_millis(100);
/// The longest host name (RFC 1035); a longer one matches only routes for any host.
pub const HOST_BYTES_MAX: usize = 253;
/// The longest label in a host name (RFC 1035).
pub const HOST_LABEL_BYTES_MAX: usize = 63;

const _: () = assert!(SLOT_ROWS_MAX <= u16::MAX as usize + 1, "ids are 16 bits");
const _: () = assert!(2 * BACKENDS_MAX <= SLOT_ROWS_MAX);
const _: () = assert!(POOLS_MAX <= BACKENDS_MAX);
const _: () = assert!(ROUTES_MAX <= u16::MAX as usize);
const _: () = assert!(BACKENDS_MAX as u64 * WEIGHT_MAX as u64 <= u32::MAX as u64 / 2);
const _: () = assert!(TURNS_SKIPPED_MAX > CONNECT_TRIES_MAX as u32);
const _: () = assert!(MAGLEV_MEMBERS_FEW * 100 <= MAGLEV_PLACES_FEW as usize);
const _: () = assert!(BACKENDS_MAX * 40 <= MAGLEV_PLACES_MANY as usize);

// --- Routing by the first message ---

/// Steps from the root of a document to its key. Real messages have it one to three deep.
pub const JSON_POINTER_TOKENS_MAX: usize = 16;
/// The longest JSON pointer: a name of ordinary length for each step.
pub const JSON_POINTER_BYTES_MAX: usize = 256;
/// How deep arrays and objects may stand in each other. Half of what `serde_json` allows, so that whatever gets by
/// here can be read by backends that recurse.
pub const JSON_DEPTH_MAX: usize = 64;
/// The longest key: room names, user ids and UUIDs are far below, and logs may quote it.
pub const JSON_KEY_BYTES_MAX: usize = 256;
/// Up to this message a reader keeps its memory for the next one. At worst, if each byte were a value of its own,
/// that is some 30 bytes for each byte, half a MiB a core; ordinary ones take six.
pub const JSON_KEEP_BYTES: usize = 16 * 1024;

const _: () = assert!(JSON_POINTER_TOKENS_MAX <= JSON_DEPTH_MAX);
const _: () = assert!(2 * JSON_POINTER_TOKENS_MAX <= JSON_POINTER_BYTES_MAX);
const _: () = assert!(JSON_KEY_BYTES_MAX < JSON_KEEP_BYTES);

// --- Tunnels ---

/// Copied bytes that may wait for a slow reader before its source is no longer read. With what one turn
/// of the source can add, a tunnel's direction holds at most this and [`RECEIVE_TURN_BYTES`].
pub const OUTBOX_HIGH_BYTES: u32 = 64 * 1024;
/// Copied bytes below which the source is read again.
pub const OUTBOX_LOW_BYTES: u32 = 16 * 1024;
/// Room for a chunk whose header was cut: a large buffer and the header's start.
pub const OUTBOX_SPARE_BYTES: usize = LARGE_BUFFER_BYTES as usize + FRAME_HEADER_BYTES_MAX;
/// So many of them are kept for the next time: half a MiB a core.
pub const OUTBOX_SPARES_MAX: usize = 8;
/// How long a side has to answer our Close frame, when it is not for a drain.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// Reads in a row that fill a small buffer before a socket moves to the large ones.
pub const MISFITS_TO_LARGE: u8 = 2;
/// Reads in a row that a small buffer would hold before a socket moves back.
pub const MISFITS_TO_SMALL: u8 = 16;

const _: () = assert!(OUTBOX_LOW_BYTES < OUTBOX_HIGH_BYTES);
/// The most options in the `Connection` fields of one head. Each field of the head is compared with each
/// option when it is forwarded, so this bounds that product; real clients send one or two.
pub const CONNECTION_OPTIONS_MAX: usize = 16;

const _: () = assert!(HEADERS_MAX * CONNECTION_OPTIONS_MAX <= 2048);

// --- HTTP bodies and replies ---

/// The longest chunk-size line with its extensions. Nobody uses extensions, but they are legal.
pub const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// The largest trailer section after a chunked body, all lines together.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;
/// The longest explanation inside a reply of our own; the rest is cut off.
pub const REPLY_DETAIL_BYTES_MAX: usize = 200;

const _: () = assert!(CHUNK_LINE_BYTES_MAX < TRAILER_BYTES_MAX);
const _: () = assert!(TRAILER_BYTES_MAX < HEAD_BYTES_MAX);

// --- Greetings ---

/// Interim (1xx) answers a backend may send before the final one.
pub const INTERIM_ANSWERS_MAX: u32 = 8;
/// Greeters that stay when there is nothing to greet; a storm's others go home with their memory.
pub const GREETERS_IDLE_MAX: usize = 64;
/// Refusals one worker may be sending at once beyond its handshakes; what comes on top is closed unanswered.
pub const REFUSALS_MAX: u32 = 256;
/// How long a refused client has to take its answer and close.
pub const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes read and dropped from a refused client, so that its answer is not lost to a reset.
pub const REFUSAL_DRAIN_BYTES_MAX: usize = 256 * 1024;
/// Sources one worker remembers at once; 64 bytes each. Over it, unknown ones are refused.
pub const SOURCES_MAX: usize = 1 << 20;
/// How long a backend may think before the client is watched, whether it leaves: longer than nearly every
/// handshake takes, and shorter than it matters to anybody that a handshake is for nobody.
pub const CLIENT_WATCHED_AFTER: Duration = Duration::from_millis(50);
/// How long a body of a plain response may stand still.
pub const PLAIN_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Room a greeter keeps for heads between two greetings.
pub const GREETER_KEEP_BYTES: usize = 4 * 1024;
/// How long a listener waits when there are no descriptors before it tries again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Commands that may wait in a worker's mailbox: a drain, a snapshot, some questions and a few to spare.
pub const MAILBOX_COMMANDS: usize = 16;
/// Connections that may wait for one worker to which others handed them; beyond it who accepted one keeps it. One batch
/// of accepts, which a worker takes at once; 24 bytes each.
pub const HANDOFFS_WAITING_MAX: u32 = 256;
/// How much less another worker must carry, at the least, for a new connection to move to it.
pub const HANDOFF_GAP_LEAST: u32 = 4;
/// And by which part of what that one carries.
pub const HANDOFF_GAP_SHARE: u32 = 64;

const _: () = assert!(HANDOFFS_WAITING_MAX as usize == COMPLETION_BATCH);
const _: () = assert!(HANDOFF_GAP_LEAST > 0 && HANDOFF_GAP_SHARE > 0);

/// How long after it died a worker is started again, so that a fault at the start does not spin.
pub const RESTART_PAUSE: Duration = Duration::from_millis(200);
/// How long a second stop waits for the workers to end: each looks at its mail after every batch, so it takes
/// milliseconds unless one hangs.
pub const QUIT_PATIENCE: Duration = Duration::from_secs(2);
/// Memory that glommio registers with each of an executor's three rings; its own default pins 30 MiB.
pub const EXECUTOR_IO_BYTES: usize = 64 * 1024;
/// After how long glommio asks a task to make way: never, in effect, as the driver makes way by itself for
/// what it has woken. An executor of glommio 0.9 whose timer fires before the first task of a round has begun
/// takes its queue for empty and sleeps on it, so a thread that loses its core for a few milliseconds at that
/// moment would serve nobody any more.
pub const EXECUTOR_PREEMPT: Duration = Duration::from_hours(1);
const _: () = assert!(
    EXECUTOR_PREEMPT.as_secs() >= 60,
    "no thread is off its core for so long"
);
/// glommio 0.9 makes no executor under a lower limit of locked memory, whatever the process's capabilities.
pub const LOCKED_BYTES_LEAST: u64 = 512 * 1024;
/// What a worker's rings count against that limit: three of the executor and its memory, our own and its
/// buffer rings, some 350 KiB, measured on 6.18.
pub const LOCKED_BYTES_PER_WORKER: u64 = 384 * 1024;

/// The limit of locked memory that so many workers need. `unbounded` says that the process may lock more
/// than its limit (`CAP_IPC_LOCK`).
pub const fn locked_bytes(workers: usize, unbounded: bool) -> u64 {
    let rings = workers as u64 * LOCKED_BYTES_PER_WORKER;
    if unbounded || rings < LOCKED_BYTES_LEAST {
        LOCKED_BYTES_LEAST
    } else {
        rings
    }
}

// --- Control ---

/// How long a start waits for an address that is taken. A killed Ringway held its own for up to 200 ms on a
/// busy machine; whoever still listens after this is somebody else.
pub const ADDRESS_PATIENCE: Duration = Duration::from_secs(1);
/// How long between two looks at it.
pub const ADDRESS_PAUSE: Duration = Duration::from_millis(20);
/// What tasks of the control thread may have to say before the supervisor hears it; they wait beyond it.
pub const FLEET_EVENTS_MAX: usize = 256;
/// Questions and orders that may wait for the supervisor; who asks waits beyond it.
pub const FLEET_REQUESTS_MAX: usize = 64;
/// Probes under way at once: each is a descriptor and, with TLS or HTTP, some 100 KiB.
pub const PROBES_AT_ONCE: usize = 256;
/// How often the supervisor looks at what needs no event: what a full mailbox refused, how tunnels ended.
pub const FLEET_TICK: Duration = Duration::from_secs(5);
/// How long the access log may take for its last lines when Ringway goes down.
pub const LOG_LAST_WORDS: Duration = Duration::from_secs(2);
/// How much longer than its drain a service manager is asked to wait for the end of Ringway: the last words of the log,
/// and a machine that is busy.
pub const STOP_MARGIN: Duration = Duration::from_secs(10);
const _: () = assert!(STOP_MARGIN.as_secs() > LOG_LAST_WORDS.as_secs() + QUIT_PATIENCE.as_secs());
/// Orders that may wait for the log's writer.
pub const LOG_ORDERS_MAX: usize = 16;
