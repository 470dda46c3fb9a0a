//! Every bound in the program, with its reason beside it and const assertions that tie neighbours together.

use std::time::Duration;

// --- HTTP heads (security rule 7) ---

/// The largest request or response head, request line and headers together. nginx's
/// `large_client_header_buffers` allows 32 KiB in four pieces, HAProxy's `tune.bufsize` 16 KiB whole.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest single line in a head; a longer request line is `414`, a longer header `431`.
pub const HEAD_LINE_BYTES_MAX: usize = 8 * 1024;
/// The most header fields in a head; more is `431`.
pub const HEADERS_MAX: usize = 100;

const _: () = assert!(HEAD_LINE_BYTES_MAX < HEAD_BYTES_MAX);

// --- Access log ---

/// Records that wait in one worker's ring for the control thread. The writer wakes 20 times a second, so
/// this carries 160,000 ended tunnels a second and worker; `access_log::record` asserts
/// that it stays under 2 MiB.
pub const ACCESS_LOG_RECORDS_MAX: usize = 8 * 1024;
/// The shortest time between two wakes of the log writer: a busy fleet costs it 20 wakes a second.
pub const ACCESS_LOG_PAUSE: Duration = Duration::from_millis(50);

// --- Admin listener ---

/// Connections to the control listener at one time; more wait in its accept queue.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;
/// How long a connection to the control listener lives, from accept to the last byte of its one answer.
pub const ADMIN_CONNECTION_MAX: Duration = Duration::from_secs(10);
// --- The ring (per worker) ---

/// Places in the submission queue: two requests for each completion of a full batch.
pub const SUBMISSION_ENTRIES: u32 = 512;
/// Places in the completion queue. An overflow loses nothing but costs a system call, so it holds what all
/// buffers and a batch of sends can complete at once.
pub const COMPLETION_ENTRIES: u32 = 4096;
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
const _: () = assert!(COMPLETION_ENTRIES >= 2 * (SMALL_BUFFERS as u32 + LARGE_BUFFERS as u32));
const _: () = assert!(COMPLETION_ENTRIES >= 2 * INCREMENTAL_BUFFERS as u32);

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
/// Room a bucket keeps when it was emptied.
pub const WHEEL_BUCKET_KEEP: usize = 64;

const _: () = assert!(WHEEL_BUCKETS.is_multiple_of(64));
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

// A masked Close header and its code are withheld together, in the room of one header.
const _: () = assert!(2 + 4 + CLOSE_CODE_BYTES <= FRAME_HEADER_BYTES_MAX);
