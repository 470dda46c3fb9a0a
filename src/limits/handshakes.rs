//! Bounds of TLS: what a stranger may send before the handshake is over, and what is kept to be resumed.

use std::time::Duration;

/// The longest body of a record while it is unknown which version will be spoken: TLS 1.2 allows ciphertext 2,048 bytes
/// more than text (RFC 5246 section 6.2.3), TLS 1.3 only 256.
pub const TLS_RECORD_BYTES_MAX: usize = 16 * 1024 + 2048;
/// What a peer may send until the handshake is over. A `ClientHello` with a post-quantum share is under 2 KiB, a chain
/// of four RSA certificates some 6 KiB, and rustls refuses a message of more than 64 KiB. So much is held at worst, in
/// pieces that belong to no whole message, by each handshake in progress.
pub const TLS_HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// The largest file of certificates, keys or revocation lists: a full set of public authorities is 250 KiB, the longest
/// public revocation lists are some 10 MiB.
pub const TLS_FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a ticket is good for, unless its key is gone sooner. RFC 8446 allows seven days; whoever holds a ticket and
/// its key can be taken for the client, so it is one working day.
pub const TICKET_LIFETIME_MAX: Duration = Duration::from_hours(12);
/// Keys in a file of ticket keys: one that seals, one of the days before and one of the day after, with room.
pub const TICKET_KEYS_MAX: usize = 16;
/// The largest file of ticket keys: so many lines of 108 letters, and comments.
pub const TICKET_FILE_BYTES_MAX: usize = 16 * 1024;
/// Tickets of one connection to a backend that are kept; servers send one to four.
pub const TICKETS_TAKEN_MAX: u8 = 4;
/// The longest ticket from a backend: rustls stores it.
pub const TICKET_BYTES_MAX: usize = 8 * 1024;
/// Names of backends that sessions are kept for, by each pool. rustls keeps eight tickets a name.
pub const RESUMED_NAMES_MAX: usize = 256;
/// Names and addresses that are read from a client's certificate. They are logged and sent to backends in headers, and
/// a certificate may be 64 KiB of them.
pub const CLIENT_NAMES_MAX: usize = 32;
/// The longest of those names, and what is read of the subject.
pub const CLIENT_SUBJECT_BYTES_MAX: usize = 1024;

const _: () = assert!(TLS_RECORD_BYTES_MAX + 5 < TLS_HANDSHAKE_BYTES_MAX);
const _: () = assert!(TICKET_KEYS_MAX * 109 < TICKET_FILE_BYTES_MAX);
const _: () = assert!(TICKET_LIFETIME_MAX.as_secs() <= 7 * 24 * 60 * 60);
const _: () = assert!(TICKET_FILE_BYTES_MAX < TLS_FILE_BYTES_MAX);
