//! How what comes over TLS gets into a tunnel: records are opened where they stand in the receive buffer, then fed as if
//! they had come in the clear.

use std::os::fd::AsFd;

use super::table::{Core, Tunnels};
use super::tunnel::{End, Farewell, Side, Stage, Tunnel};
use crate::clock::Now;
use crate::limits;
use crate::metrics::{EndReason, Party};
use crate::ring::Chunk;
use crate::tls::{ALERT_BYTES_MAX, Alert, StreamEnd};

impl Tunnels {
    /// Feeds one chunk that `end` sent, which may be records.
    pub(super) fn take_in(&mut self, core: &mut Core<'_>, key: u32, end: End, chunk: Chunk) {
        if self.slab[key as usize].side_ref(end).wire.is_none() {
            self.feed(core, key, end, chunk);
        } else if self.slab[key as usize].stage == Stage::Ending {
            core.ring.buffers.release(chunk);
        } else {
            self.unseal(core, key, end, chunk);
        }
    }

    /// Opens the records in a chunk, and feeds what was in them. The start of a record waits for its rest in memory of
    /// its own, so that the buffer goes home.
    fn unseal(&mut self, core: &mut Core<'_>, key: u32, end: End, mut chunk: Chunk) {
        let Self { slab, .. } = self;
        let wire = slab[key as usize].side(end).wire.as_mut();
        let wire = wire.expect("invariant: whoever calls has seen that it is there");
        let was_warm = wire.is_warm();
        let mut from = 0;
        if wire.holds() {
            let (taken, whole) = wire.complete(core.ring.buffers.bytes(&chunk));
            let Some(opened) = whole else {
                return core.ring.buffers.release(chunk);
            };
            from = taken;
            let held = wire.take_held();
            if !opened.plain.is_empty() {
                self.feed_copy(core, key, end, &held[opened.plain]);
            }
            self.segments.keep_record(held);
            if let Some(how) = opened.end {
                core.ring.buffers.release(chunk);
                return self.records_ended(core, key, end, how);
            }
        }
        let Self { slab, segments, .. } = self;
        let Some(wire) = &mut slab[key as usize].side(end).wire else {
            return core.ring.buffers.release(chunk);
        };
        let bytes = &mut core.ring.buffers.bytes_mut(&mut chunk)[from..];
        let opened = wire.open(bytes);
        if opened.end.is_none() && opened.used < bytes.len() {
            let start = &bytes[opened.used..];
            wire.hold(start, segments.borrow_record(start.len()));
        }
        if wire.is_warm() && !was_warm {
            self.schedule(core, key);
        }
        if opened.plain.is_empty() {
            core.ring.buffers.release(chunk);
        } else {
            chunk.narrow(from + opened.plain.start..from + opened.plain.end);
            self.feed(core, key, end, chunk);
        }
        match opened.end {
            Some(how) => self.records_ended(core, key, end, how),
            None => self.part_if_worn(core, key),
        }
    }

    /// A tunnel whose keys of TLS 1.2 are near their end says goodbye while they are good for that.
    pub(super) fn part_if_worn(&mut self, core: &mut Core<'_>, key: u32) {
        let Some(tunnel) = self.slab.get_mut(key as usize) else {
            return;
        };
        let wears_out = |end| {
            let wire = tunnel.side_ref(end).wire.as_ref();
            wire.is_some_and(|wire| wire.wears_out())
        };
        if tunnel.stage != Stage::Open
            || tunnel.is_closed()
            || !End::BOTH.into_iter().any(wears_out)
        {
            return;
        }
        tunnel.decide(Party::Ringway, EndReason::TlsExhausted);
        for end in End::BOTH {
            tunnel.side(end).farewell = Farewell::WornOut;
        }
        self.leave(core, key, core.now.after(limits::GOODBYE_TIMEOUT));
        self.settle(core, key);
    }

    /// The records of `end` have ended, before its socket's stream or instead of it.
    fn records_ended(&mut self, core: &mut Core<'_>, key: u32, end: End, how: StreamEnd) {
        if self.tunnel(key).stage == Stage::Ending {
            return;
        }
        let reason = match how {
            StreamEnd::Closed => return self.stream_ended(core, key, end),
            StreamEnd::Aborted(_) => EndReason::TlsAborted,
            StreamEnd::Refused(alert) => {
                self.tunnel(key).side(end).say_last(Some(alert));
                EndReason::TlsViolation
            }
        };
        self.tunnel(key).decide(end.party(), reason);
        self.broken(core, key, end);
    }

    /// The socket of `end` says that its stream is over. Where its records have not said so, and no Close frame has,
    /// somebody else may have cut it off (RFC 8446 section 6.1): what came still goes on, and the end is told apart.
    pub(super) fn socket_ended(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        let side = tunnel.side_ref(end);
        let is_cut = side.wire.as_ref().is_some_and(|wire| !wire.has_ended());
        if is_cut && side.scanner.close_code().is_none() && tunnel.stage == Stage::Open {
            tunnel.decide(end.party(), EndReason::TlsTruncated);
        }
        self.stream_ended(core, key, end);
    }
}

impl Side {
    /// Says `close_notify`, or an alert, if the stream stands where it may and this side speaks TLS. Nobody waits for it:
    /// a socket that is full has more to tell its owner than this.
    pub(super) fn say_last(&mut self, alert: Option<Alert>) {
        let (Some(wire), Some(socket)) = (&mut self.wire, &self.socket) else {
            return;
        };
        if !self.outbox.is_between_records() {
            return;
        }
        let mut out = [0; ALERT_BYTES_MAX];
        let bytes = match alert {
            Some(alert) => wire.refuse(alert, &mut out),
            None => wire.close(&mut out),
        };
        let mut last = wire.take_last_flight();
        last.extend_from_slice(&out[..bytes]);
        crate::sys::send_last(&socket.as_fd(), &last);
    }
}

impl Tunnel {
    /// Whether keys stand ready for any of its sides.
    pub(super) fn is_warm(&self) -> bool {
        let is_warm = |end| {
            let wire = self.side_ref(end).wire.as_ref();
            wire.is_some_and(|wire| wire.is_warm())
        };
        End::BOTH.into_iter().any(is_warm)
    }

    /// Gives up the keys of a tunnel that has been quiet.
    pub(super) fn cool_if_quiet(&mut self, now: Now) {
        if self.last_active.after(limits::KEYS_COOL_AFTER) <= now {
            for end in End::BOTH {
                if let Some(wire) = &mut self.side(end).wire {
                    wire.cool();
                }
            }
        }
    }
}
