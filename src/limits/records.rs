//! Bounds of TLS records once the handshake is over. The record layer has them from RFC 8446, RFC 5246 and rustls.

/// What one record may carry (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
pub const RECORD_PLAIN_BYTES_MAX: usize = 1 << 14;
/// How much longer a sealed record of TLS 1.3 may be: its type, padding and tag (RFC 8446 section 5.2).
pub const RECORD_EXPANSION_13_BYTES_MAX: usize = 256;
/// How much longer a sealed record of TLS 1.2 may be (RFC 5246 section 6.2.3).
pub const RECORD_EXPANSION_12_BYTES_MAX: usize = 2048;
/// The longest record on the wire: its header, and the most that either version allows.
pub const RECORD_WIRE_BYTES_MAX: usize = 5 + RECORD_PLAIN_BYTES_MAX + RECORD_EXPANSION_12_BYTES_MAX;
/// Records in a row that bring no data: empty ones and key updates, each of which costs us two or three hashes. rustls
/// and `BoringSSL` allow as many.
pub const RECORDS_WITHOUT_DATA_MAX: u8 = 32;
/// Warnings in the life of a connection. As many as rustls allows, which never forgets one either.
pub const RECORD_WARNINGS_MAX: u8 = 4;
/// The longest ticket that a backend may send, as in rustls. Real ones have some hundred bytes, or some thousand with a
/// client certificate in them.
pub const RECORD_TICKET_BYTES_MAX: usize = 0xffff;
/// Records that one key of AES-GCM seals: RFC 8446 section 5.5 allows 2^24.5 full ones. Then TLS 1.3 takes its next key,
/// and TLS 1.2, which has none, ends: after 43 hours at 100 records a second.
pub const RECORDS_PER_GCM_KEY_MAX: u32 = 1 << 24;
/// Of those, what TLS 1.2 keeps for the end of a tunnel: both sides are told goodbye while so many are left, and have
/// [`GOODBYE_TIMEOUT`](super::GOODBYE_TIMEOUT) to answer. A core that does nothing else seals some 200,000 records a
/// second on one socket.
pub const RECORDS_FOR_GOODBYE: u32 = 1 << 20;
/// ChaCha20-Poly1305 has no such limit that anybody could reach: this is the largest number that fits.
pub const RECORDS_PER_CHACHA_KEY_MAX: u32 = u32::MAX;

const _: () = assert!(RECORD_PLAIN_BYTES_MAX + RECORD_EXPANSION_12_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(RECORDS_FOR_GOODBYE <= RECORDS_PER_GCM_KEY_MAX / 4);
const _: () = assert!(RECORD_EXPANSION_13_BYTES_MAX <= RECORD_EXPANSION_12_BYTES_MAX);
