//! How far source addresses and their ports are searched.

use std::time::Duration;

/// Source addresses of one pool, networks taken apart. With the kernel's 28,232 ports each, they are 7.2 million tunnels to
/// each backend: more than a host can hold.
pub const SOURCE_ADDRESSES_MAX: usize = 256;
/// Source addresses that one dial may find without a port, or not to be had. A search that finds nothing looks at every
/// port, which keeps the worker for 3.4 ms (28,232 ports, 6.18), with everybody else's turn between two; so one client waits
/// 54 ms at most, and whoever comes next goes on behind what it marked.
pub const SOURCES_TRIED_MAX: usize = 16;
/// How long a source address that had no port for a backend is left alone, for each that is marked so: all the marks of
/// a worker together cost it some ten searches a second, 3.4 percent of its core.
pub const PORTLESS_PAUSE: Duration = Duration::from_millis(100);
/// The longest such time. Tunnels end, so an address without ports does not stay so.
pub const PORTLESS_PAUSE_MAX: Duration = Duration::from_mins(1);
/// Marks of one worker, of some 80 bytes each: 8 backends that are full from every address a pool may have. What is
/// found beyond that is not remembered, and is found again.
pub const PORTLESS_MAX: usize = 2048;
/// How often a worker says that it had no port or no address, at most.
pub const PORTLESS_WARNING_PAUSE: Duration = Duration::from_secs(10);

const _: () = assert!(SOURCES_TRIED_MAX < SOURCE_ADDRESSES_MAX);
const _: () = assert!(PORTLESS_MAX >= 8 * SOURCE_ADDRESSES_MAX);
const _: () = assert!(PORTLESS_PAUSE.as_millis() < PORTLESS_PAUSE_MAX.as_millis());
