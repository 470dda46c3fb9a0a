//! One client joined to one backend: two sockets, and what each of them still has to be sent.

use std::os::fd::OwnedFd;

use super::outbox::Outbox;
use super::pool::Pool;

/// Which end of a tunnel.
pub(super) const CLIENT: usize = 0;
pub(super) const BACKEND: usize = 1;

#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) ends: [End; 2],
    /// Requests whose last completion is still to come. The sockets stay open until there are none.
    pub(super) in_flight: u8,
    /// It is over; nothing new begins.
    pub(super) closing: bool,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) socket: OwnedFd,
    pub(super) outbox: Outbox,
    pub(super) inbound: Inbound,
    pub(super) sending: bool,
    /// It is on the list of those that may have something to send.
    pub(super) listed: bool,
    /// It has been told that nothing more comes from the other end.
    pub(super) told: bool,
}

/// What may still come from an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inbound {
    /// No receive is armed.
    Off,
    Armed,
    /// A receive found no buffer, and waits for one.
    Starved,
    /// Its stream has ended.
    Ended,
}

impl Tunnel {
    pub(super) fn new(client: OwnedFd, backend: OwnedFd) -> Self {
        Self {
            ends: [End::new(client), End::new(backend)],
            in_flight: 0,
            closing: false,
        }
    }

    /// Whether the sockets may be closed.
    pub(super) const fn is_over(&self) -> bool {
        self.closing && self.in_flight == 0
    }

    /// Gives up what was still to be sent. No send may be in flight.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.ends.iter_mut().for_each(|end| end.outbox.clear(pool));
    }
}

impl End {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            outbox: Outbox::default(),
            inbound: Inbound::Off,
            sending: false,
            listed: false,
            told: false,
        }
    }
}
