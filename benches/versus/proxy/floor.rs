//! The raw relay: it is this very program, started in another mode, so that nothing else has to be installed.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;

use anyhow::Context;
use ringway::sys::{ListenOptions, listen};

use super::{Place, lines};
use crate::floor;

/// The first argument that makes this program the relay; the file of addresses follows.
pub(super) const FLAG: &str = "--floor-relay";

/// An address on each line: where to listen, then the backends.
pub(super) fn config(place: &Place<'_>) -> String {
    let backends = lines(place.backends, |_, backend| backend.to_string());
    format!("{}\n{backends}\n", place.listen)
}

/// Whether this process was started as the relay; then it relays until it is ended.
pub(crate) fn ran() -> anyhow::Result<bool> {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new(FLAG)) {
        return Ok(false);
    }
    let path = args.next().context("the raw relay needs its addresses")?;
    let text = fs::read_to_string(path).context("reading the raw relay's addresses")?;
    let addresses = text.lines().map(str::parse).collect::<Result<Vec<_>, _>>();
    let addresses: Vec<SocketAddr> = addresses.context("reading the raw relay's addresses")?;
    let (front, backends) = addresses.split_first().context("no address to listen on")?;
    let options = ListenOptions {
        backlog: 4096,
        keepalive: None,
    };
    let listener = listen(*front, options).with_context(|| format!("listening on {front}"))?;
    floor::run(listener, backends)?;
    Ok(true)
}
