//! A relay on a raw io_uring that parses nothing: what any relay pays for this kernel, and so the floor of a comparison.
//!
//! One thread, no limits and no timers. Each connection is joined to the next backend, and from its first byte on
//! whatever arrives at one end leaves at the other.

mod memory;
mod outbox;
mod pool;
mod relay;
mod ring;
mod tunnel;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::Context;

use relay::Relay;

/// Relays between whoever connects to `listener` and `backends`, in turn. Returns when the listener has been stopped
/// and the last connection has ended.
pub(crate) fn run(listener: OwnedFd, backends: &[SocketAddr]) -> anyhow::Result<()> {
    anyhow::ensure!(!backends.is_empty(), "the raw relay needs a backend");
    let mut relay = Relay::new(listener, backends).context("setting up the raw relay's ring")?;
    relay.run().context("running the raw relay")
}
