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
