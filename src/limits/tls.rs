//! What TLS may take, and how far its settings go.

use std::time::Duration;

use super::settings::{HOUR, MINUTE, SECOND, Setting, millis};

/// From the accept to the end of the TLS handshake: as long as the head that follows may take.
pub const TLS_HANDSHAKE_TIMEOUT: Setting<Duration> = millis(10 * SECOND, 100, 5 * MINUTE);
/// How long a key of tickets seals. It opens for as long again, and no ticket may be older than 7 days (RFC 8446
/// section 4.6.1).
pub const TICKET_LIFETIME: Setting<Duration> = millis(12 * HOUR, MINUTE, 72 * HOUR);
/// Certificates of one listener, each with its names in memory.
pub const CERTIFICATES_MAX: usize = 1024;
/// Keys of which the backends of a pool must show one: today's, the next, and a few hosts with keys of their own.
pub const PINS_MAX: usize = 16;
/// How long browsers insist on TLS. They keep it in seconds; some cut it down to a year.
pub const HSTS_MAX_AGE: Setting<Duration> = millis(365 * 24 * HOUR, 0, 3650 * 24 * HOUR);
/// The least with which the lists that browsers bring along take a host (hstspreload.org).
pub const HSTS_PRELOAD_AGE_LEAST: Duration = Duration::from_millis(365 * 24 * HOUR);
/// Subjects, and alternative names, of one route. Each is compared with every handshake.
pub const CERTIFICATE_PATTERNS_MAX: usize = 256;
/// The longest of them. RFC 5280 takes 64 characters for a common name, and a URI is rarely longer than a line.
pub const CERTIFICATE_PATTERN_BYTES_MAX: usize = 1024;

const _: () = assert!(2 * TICKET_LIFETIME.most.as_millis() <= 7 * 24 * HOUR as u128);
const _: () = assert!(HSTS_PRELOAD_AGE_LEAST.as_millis() <= HSTS_MAX_AGE.default.as_millis());
