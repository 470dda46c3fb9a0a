//! Bounds of tunnels over TLS.

use std::time::Duration;

use super::RECEIVE_TURN_BYTES;

/// Memory for a send of a few small messages in one record.
pub const SEALED_SHORT_BYTES: usize = 4 * 1024;
/// Memory for the longest send: what one turn of a source brings, in records of 16 KiB, and what is sealed around it.
pub const SEALED_TURN_BYTES: usize = RECEIVE_TURN_BYTES as usize + 512;
/// So many of each are kept for the next time: what one batch of a busy core sends in small messages, and 1 MiB for
/// long ones.
pub const SEALED_SPARES_MAX: [usize; 2] = [256, 16];
/// Memory for records of which a part has come, of the longest there are: what the receives of a busy core cut at once.
pub const RECORD_SPARES_MAX: usize = 32;
/// Keys that nobody has used for so long are given up. To make them again costs some 250 ns a tunnel; to keep them
/// 1.2 KiB.
pub const KEYS_COOL_AFTER: Duration = Duration::from_secs(1);
/// TLS handshakes that one worker carries a step forward in one turn of its ring: each takes some 70 µs, and the tunnels
/// wait that long.
pub const HANDSHAKE_STEPS_A_TURN: u32 = 1;
/// The end of a handshake waits for the first answer, to leave in one send with it, if it is no longer: a ticket is, unless
/// a client's certificate is in it.
pub const LAST_FLIGHT_BYTES_MAX: usize = 1024;
const _: () = assert!(SEALED_SHORT_BYTES < SEALED_TURN_BYTES);
const _: () = assert!(LAST_FLIGHT_BYTES_MAX * 2 <= SEALED_SHORT_BYTES);

/// TLS handshakes that one worker has in flight with clients. Each takes some 8 KiB until it is over, so these take 16
/// MiB; whoever comes later is closed at once, before it has cost a key exchange.
pub const TLS_HANDSHAKES_AT_ONCE: u64 = 2048;
/// How often the files that TLS goes by are looked at. Whoever renews a certificate does it days ahead.
pub const TLS_FILES_LOOK: Duration = Duration::from_secs(2);
/// A certificate with less time left should have been renewed. One of a short life, with a quarter of it left.
pub const CERTIFICATE_ENDING: Duration = Duration::from_hours(30 * 24);
/// How often certificates that are not good, or not for long, are named in the log.
pub const CERTIFICATE_REMINDER: Duration = Duration::from_hours(24);
