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
