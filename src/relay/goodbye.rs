//! How a tunnel ends: told goodbye at a frame boundary, ended by its sides, or broken off.

use std::os::fd::AsFd;

use super::closing::Closings;
use super::table::{Core, Gone, Tunnels};
use super::tunnel::{End, Farewell, Flow, Half, Stage, Tunnel, millis};
use crate::access_log::{OneWay, Record, TunnelRecord};
use crate::clock::Now;
use crate::limits;
use crate::metrics::{EndReason, Party};
use crate::ring::{Ring, Token, Wheel};
use crate::ws::{Verdict, close_frame};

/// How the tunnels that were told goodbye for the drain have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Goodbyes {
    /// Both peers answered our Close frame, or had closed by themselves.
    pub clean: u64,
    /// A peer did not answer before the deadline, or broke off.
    pub cut: u64,
    draining: bool,
    cursor: usize,
}

impl Goodbyes {
    pub(super) const fn is_draining(&self) -> bool {
        self.draining
    }
}

impl Tunnels {
    /// Tells goodbye (1001) to up to `count` tunnels that were not told yet; they have until `deadline`.
    /// Returns whether all have been told.
    pub fn drain(
        &mut self,
        ring: &mut Ring,
        wheel: &mut Wheel,
        now: Now,
        (mut count, deadline): (usize, Now),
    ) -> bool {
        let core = &mut Core { ring, wheel, now };
        self.goodbyes.draining = true;
        self.closings = Closings::default();
        while self.goodbyes.cursor < self.slab.capacity() {
            let key = self.goodbyes.cursor;
            let open = self
                .slab
                .get(key)
                .is_some_and(|tunnel| tunnel.stage == Stage::Open);
            if open && count == 0 {
                return false;
            }
            self.goodbyes.cursor += 1;
            if open {
                count -= 1;
                let key = u32::try_from(key).expect("invariant: tunnels_max is below 2^32");
                let tunnel = self.tunnel(key);
                tunnel.decide(Party::Ringway, EndReason::Drained);
                for end in End::BOTH {
                    tunnel.side(end).farewell = Farewell::GoingDown;
                }
                self.leave(core, key, deadline);
                self.settle(core, key);
            }
        }
        self.goodbyes.cursor = 0;
        let told = !self
            .slab
            .iter()
            .any(|(_, tunnel)| tunnel.stage == Stage::Open);
        self.flush(core);
        told
    }

    /// The worker is gone: every socket is closed with a reset, and every tunnel is counted as ended.
    pub fn abandon(&mut self) {
        let now = Now::read();
        for tunnel in std::mem::take(&mut self.slab) {
            let mut tunnel = tunnel.1;
            tunnel.broken_off = true;
            tunnel
                .end
                .get_or_insert((Party::Ringway, EndReason::WorkerFailure));
            for end in End::BOTH {
                if let Some(socket) = &tunnel.side(end).socket {
                    crate::sys::reset_on_close(socket);
                }
            }
            self.bury(&tunnel, now);
        }
    }

    /// How the drain went so far.
    pub const fn goodbyes(&self) -> Goodbyes {
        self.goodbyes
    }

    /// A deadline of a tunnel has come, or had moved.
    pub fn due(&mut self, ring: &mut Ring, wheel: &mut Wheel, token: Token, now: Now) {
        let core = &mut Core { ring, wheel, now };
        let key = token.index();
        let Some(tunnel) = self.slab.get_mut(key as usize) else {
            return;
        };
        if tunnel.generation != token.generation() || tunnel.stage == Stage::Ending {
            return;
        }
        // An entry for later than the one that stands is left over from before it: it ends here, or each
        // stall would leave one behind that comes back for as long as the tunnel lives.
        if tunnel.scheduled.is_some_and(|scheduled| scheduled > now) {
            return;
        }
        tunnel.scheduled = None;
        tunnel.cool_if_quiet(now);
        if tunnel.look.is_some() {
            self.beat(core, key);
        }
        let Some(tunnel) = self.slab.get_mut(key as usize) else {
            return;
        };
        if tunnel.next_deadline() > now {
            self.schedule(core, key);
            return self.flush(core);
        }
        let stalled = End::BOTH.into_iter().find(|end| {
            let since = tunnel.side_ref(*end).outbox.stalled_since();
            since.is_some_and(|since| since.after(millis(tunnel.patience.stalled_write_ms)) <= now)
        });
        if let Some(end) = stalled {
            tunnel.decide(end.party(), EndReason::StalledWrite);
            self.end(core, key, true);
        } else if tunnel.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline_passed(core, key);
        } else {
            tunnel.decide(Party::Ringway, EndReason::IdleTimeout);
            for end in End::BOTH {
                tunnel.side(end).farewell = Farewell::Idle;
            }
            self.leave(core, key, now.after(limits::GOODBYE_TIMEOUT));
            self.settle(core, key);
        }
        self.flush(core);
    }

    fn deadline_passed(&mut self, core: &mut Core<'_>, key: u32) {
        let tunnel = self.tunnel(key);
        match (tunnel.stage, tunnel.first_end) {
            (Stage::Leaving, _) if tunnel.end == Some((Party::Ringway, EndReason::Drained)) => {
                tunnel.end = Some((Party::Ringway, EndReason::DrainTimeout));
            }
            (Stage::Open, Some(end)) if !tunnel.is_closed() => {
                tunnel.decide(end.party(), EndReason::HalfCloseTimeout);
            }
            _ => {}
        }
        self.end(core, key, true);
    }

    /// Tells both sides goodbye, each at the next frame boundary of its direction, and waits for their
    /// answers until `deadline`.
    pub(super) fn leave(&mut self, core: &mut Core<'_>, key: u32, deadline: Now) {
        let tunnel = self.tunnel(key);
        if tunnel.stage != Stage::Open {
            return;
        }
        tunnel.stage = Stage::Leaving;
        tunnel.deadline = Some(
            tunnel
                .deadline
                .map_or(deadline, |other| other.min(deadline)),
        );
        for end in End::BOTH {
            self.prepare(key, end);
        }
        for end in End::BOTH {
            let side = self.tunnel(key).side(end);
            // What goes nowhere is read to its end, however full the other outbox is.
            side.welcome |= side.flow == Flow::Discard;
            // Nor does anybody wait any more for one who sent too much: its answer is.
            side.slowed = false;
            self.receive(core, key, end);
        }
        self.schedule(core, key);
    }

    /// Tells `end` goodbye at once if the direction towards it is at a boundary, else at the next one.
    fn prepare(&mut self, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        let from = tunnel.side_ref(end.other());
        if tunnel.side_ref(end).told || from.scanner.close_code().is_some() {
            // It was told before; or the other side's own Close frame, or the first half of it, is already on its way.
            tunnel.side(end).told = true;
        } else if tunnel.at_boundary(end.other()) {
            self.tell(key, end);
        } else if matches!(
            tunnel.side(end.other()).scanner.verdict(),
            Verdict::Violation(_)
        ) {
            self.give_up_telling(key, end);
        } else {
            tunnel.side(end.other()).flow = Flow::Cut;
        }
    }

    /// The frame that `end` is being sent will never be whole, so no Close frame can follow: its stream ends there.
    pub(super) fn give_up_telling(&mut self, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        tunnel.side(end.other()).flow = Flow::Discard;
        let side = tunnel.side(end);
        side.told = true;
        side.close_half();
        self.mark(key, end);
    }

    /// Puts our Close frame behind everything that is in line for `end`; it is at a frame boundary.
    pub(super) fn tell(&mut self, key: u32, end: End) {
        let mask = (end == End::Backend).then(|| self.rng.next_u64().to_le_bytes());
        let mask = mask.map(|[a, b, c, d, ..]| [a, b, c, d]);
        let tunnel = self.tunnel(key);
        tunnel.side(end.other()).flow = Flow::Discard;
        let side = tunnel.side(end);
        if !side.told && side.ours != Half::Closed {
            let farewell = side.farewell;
            let frame = close_frame(farewell.code(), farewell.reason(), mask);
            if !side.outbox.push_last(frame.as_bytes()) {
                return self.give_up_telling(key, end);
            }
            // Who broke the protocol is not asked for an answer in it.
            if matches!(farewell, Farewell::Broke(_)) {
                side.close_half();
            }
            side.told = true;
            self.mark(key, end);
        }
    }

    /// A Close frame of `end` went to the other side.
    pub(super) fn close_seen(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        tunnel.first_close.get_or_insert(end);
        if let Some(code) = tunnel.side_ref(end).scanner.close_code() {
            let side = match end {
                End::Client => &tunnel.flow.client,
                End::Backend => &tunnel.flow.backend,
            };
            side.closes.observe(code);
        }
        // What follows is a goodbye: nobody is over a rate in it, and its end is waited for.
        for end in End::BOTH {
            let tunnel = self.tunnel(key);
            if std::mem::take(&mut tunnel.side(end).slowed) {
                if let Some(look) = &mut tunnel.look {
                    look.way(end).slowed_until = None;
                }
                self.receive(core, key, end);
            }
        }
        let tunnel = self.tunnel(key);
        if tunnel.is_closed() && tunnel.stage == Stage::Open {
            // Both have said all they may say; their streams end within this time or are ended.
            tunnel.deadline = Some(core.now.after(limits::GOODBYE_TIMEOUT));
            self.schedule(core, key);
        }
    }

    /// `end` ended its stream; the other side is told so once it has everything.
    pub(super) fn stream_ended(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        if tunnel.stage == Stage::Ending {
            return;
        }
        tunnel.first_end.get_or_insert(end);
        tunnel.side(end).ended = true;
        tunnel.side(end).flow = Flow::Discard;
        tunnel.side(end.other()).close_half();
        if tunnel.stage == Stage::Open && tunnel.deadline.is_none() {
            tunnel.deadline = Some(core.now.after(millis(tunnel.patience.half_close_ms)));
            self.schedule(core, key);
        }
        self.mark(key, end.other());
    }

    /// The socket of `end` failed: what one side broke off is broken off at the other. With nothing in
    /// flight on either side the tunnel is gone after this.
    pub(super) fn broken(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        if tunnel.stage == Stage::Ending {
            return self.finish(core, key);
        }
        tunnel.side(end).ended = true;
        tunnel.side(end).ours = Half::Closed;
        let closed = tunnel.is_closed();
        if !closed {
            tunnel.decide(end.party(), EndReason::Reset);
        }
        self.end(core, key, !closed);
    }

    /// Looks whether a tunnel has come to its end, or one step nearer.
    pub(super) fn settle(&mut self, core: &mut Core<'_>, key: u32) {
        self.let_client_go(key);
        let tunnel = self.tunnel(key);
        let through = match tunnel.stage {
            Stage::Open => tunnel.client.ended && tunnel.backend.ended,
            Stage::Leaving => tunnel.client.is_through() && tunnel.backend.is_through(),
            Stage::Ending => return self.finish(core, key),
        };
        if through && tunnel.is_flushed() {
            self.end(core, key, false);
        }
    }

    /// A client that answered our 1012 has nothing to wait for: its backend may be dead. Our half of the
    /// stream towards it ends, as RFC 6455 7.1.1 has the server do, while the backend still has its time.
    fn let_client_go(&mut self, key: u32) {
        let tunnel = self.tunnel(key);
        let sent_away = tunnel.stage == Stage::Leaving
            && tunnel.end == Some((Party::Ringway, EndReason::BackendGone));
        let client = &mut tunnel.client;
        if sent_away && client.told && client.is_through() && client.ours == Half::Open {
            client.close_half();
            self.mark(key, End::Client);
        }
    }

    /// Nothing more goes out; every request in flight is called back.
    pub(super) fn end(&mut self, core: &mut Core<'_>, key: u32, broken_off: bool) {
        let Self { slab, segments, .. } = self;
        let tunnel = &mut slab[key as usize];
        if tunnel.stage == Stage::Ending {
            return;
        }
        tunnel.stage = Stage::Ending;
        tunnel.broken_off = broken_off;
        match (tunnel.first_close, tunnel.first_end) {
            (Some(end), _) if tunnel.is_closed() => {
                tunnel.decide(end.party(), EndReason::CloseHandshake);
            }
            (_, Some(end)) => tunnel.decide(end.party(), EndReason::EndOfStream),
            _ => {}
        }
        for end in End::BOTH {
            let side = tunnel.side(end);
            if !broken_off && side.ours != Half::Closed {
                side.say_last(None);
            }
            side.outbox.clear(core.ring, segments);
            let Some(socket) = &side.socket else { continue };
            // What was reset, or has had everything and our end of stream, needs none.
            if broken_off && side.ours != Half::Closed {
                crate::sys::reset_on_close(socket);
            }
            if side.busy() {
                core.ring.cancel_socket(socket.as_fd());
            }
        }
        self.finish(core, key);
    }

    /// Closes each socket that nothing is in flight on, and buries the tunnel with its second one.
    fn finish(&mut self, core: &mut Core<'_>, key: u32) {
        let Self { slab, segments, .. } = self;
        let tunnel = &mut slab[key as usize];
        for end in End::BOTH {
            let side = tunnel.side(end);
            if !side.busy()
                && let Some(socket) = side.socket.take()
            {
                core.ring.close(socket);
                if let Some(wire) = &mut side.wire {
                    segments.keep_record(wire.take_held());
                }
            }
        }
        if tunnel.client.socket.is_none() && tunnel.backend.socket.is_none() {
            let tunnel = self.slab.remove(key as usize);
            if let Some(look) = &tunnel.look {
                self.held -= look.held();
                self.meters.close(&look.meters);
                self.tails -= usize::from(look.tail.is_some());
            }
            self.bury(&tunnel, core.now);
        }
    }

    /// The last look at a tunnel: counts, the log line, and its place in the bounds.
    fn bury(&mut self, tunnel: &Tunnel, now: Now) {
        let (party, reason) = tunnel
            .end
            .unwrap_or((Party::Ringway, EndReason::WorkerFailure));
        if self.goodbyes.draining {
            let count = if tunnel.broken_off {
                &mut self.goodbyes.cut
            } else {
                &mut self.goodbyes.clean
            };
            *count += 1;
        }
        let fleet = &self.ledgers.fleet;
        fleet.ended(tunnel.backend_id, tunnel.ended_abnormally_by_backend());
        fleet.closed(tunnel.backend_id);
        let counters = &self.ledgers.counters;
        counters.tunnels_open.dec();
        counters.ended(reason);
        counters.tunnel_times.observe(now.since(tunnel.opened));
        self.gone.push(Gone {
            peer: tunnel.peer.ip(),
            backend: tunnel.backend_id,
        });
        if let Some(log) = &mut *self.ledgers.log.borrow_mut()
            && !log.push(Record::Tunnel(tunnel.record(
                now,
                self.ledgers.worker,
                (party, reason),
            )))
        {
            counters.log_dropped.add(1);
        }
    }
}

impl Tunnel {
    fn record(
        &self,
        now: Now,
        worker: u16,
        (ended_by, reason): (Party, EndReason),
    ) -> TunnelRecord {
        let told = [&self.client, &self.backend]
            .into_iter()
            .find(|side| side.told);
        let close_code = self
            .first_close
            .and_then(|end| self.side_ref(end).scanner.close_code())
            .or_else(|| told.map(|side| side.farewell.code()));
        let one_way = |end| OneWay {
            messages: self.side_ref(end).messages,
            bytes: self.side_ref(end).bytes,
        };
        TunnelRecord {
            opened_unix_ms: self.opened_unix_ms,
            duration_ms: u64::try_from(now.since(self.opened).as_millis()).unwrap_or(u64::MAX),
            client: self.peer,
            forwarded_for: self.forwarded_for,
            route: self.route,
            backend: self.backend_id.0,
            worker,
            status: 101,
            client_to_backend: one_way(End::Client),
            backend_to_client: one_way(End::Backend),
            close_code,
            ended_by,
            reason,
        }
    }
}
