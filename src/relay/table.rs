//! All tunnels of one core. Completions are dispatched to them inline: no future, no allocation, no wake.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use slab::Slab;

use super::closing::Closings;
use super::look::Look;
use super::meters::Meters;
use super::segments::Segments;
use super::tunnel::{Connection, End, Half, Opening, Receiving, Stage, Tunnel, kind};
use crate::access_log::Recorder;
use crate::clock::Now;
use crate::fleet::{BackendId, Ledger};
use crate::limits;
use crate::metrics::{EndReason, Party, WorkerCounters};
use crate::ring::{Chunk, Completion, Lane, Ring, Token, Wheel};
use crate::rng::Rng;
use crate::simd::{Kernels, Scratch};
use crate::sync::Arc;
use crate::ws::Passage;

/// What the tunnels tell, and to whom.
pub struct Ledgers {
    /// The shared counts of backends.
    pub fleet: Rc<Ledger>,
    /// This worker's counters.
    pub counters: Arc<WorkerCounters>,
    /// The access log, where there is one; refused handshakes go there too.
    pub log: Rc<RefCell<Option<Recorder>>>,
    /// This worker's number in the log.
    pub worker: u16,
}

/// A tunnel that has ended: whose, and where there is room for another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The client's address, as its connection shows it.
    pub peer: IpAddr,
    /// The backend it went to.
    pub backend: BackendId,
}

/// All tunnels of one core.
pub struct Tunnels {
    pub(super) slab: Slab<Tunnel>,
    pub(super) segments: Segments,
    pub(super) ledgers: Ledgers,
    pub(super) rng: Rng,
    /// Tunnels that have ended, for whoever counts what sources and backends hold.
    pub(super) gone: Vec<Gone>,
    pub(super) goodbyes: super::Goodbyes,
    pub(super) closings: Closings,
    /// Places of the slab that were ever taken; behind them there is nothing to look for.
    pub(super) places: usize,
    generation: u32,
    chunks: Vec<Chunk>,
    /// Sides with something new in their outbox: flushed when the batch is done, so that what arrived
    /// together leaves together.
    dirty: Vec<(u32, End)>,
    /// Sides whose receive found no buffer, in the order they asked.
    starved: VecDeque<(u32, u32, End)>,
    pub(super) tally: Tally,
    /// What goes on of the chunk that is looked into.
    pub(super) passage: Passage,
    pub(super) scratch: Scratch,
    /// Frames that answer the Pings of that chunk.
    pub(super) answers: Vec<u8>,
    /// How much clients send.
    pub(super) meters: Meters,
    /// Bytes that are held back, in all tunnels.
    pub(super) held: usize,
    /// Tunnels whose tail is kept.
    pub(super) tails: usize,
}

/// What one batch moved; the shared counters are touched once a batch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    messages: [u64; 2],
    bytes: [u64; 2],
}

/// The ring, the wheel and the time, as one argument.
pub(super) struct Core<'a> {
    pub(super) ring: &'a mut Ring,
    pub(super) wheel: &'a mut Wheel,
    pub(super) now: Now,
}

impl Tunnels {
    /// No tunnels yet, and address space for `tunnels_max` of them: memory is touched only where a tunnel
    /// stands, and growing never copies the table, which would cost each tunnel half as much again.
    pub fn new(ledgers: Ledgers, mut rng: Rng, tunnels_max: u32) -> Self {
        let meters = Meters::new(&mut rng);
        Self {
            slab: Slab::with_capacity(tunnels_max as usize),
            segments: Segments::default(),
            ledgers,
            rng,
            gone: Vec::new(),
            goodbyes: super::Goodbyes::default(),
            closings: Closings::default(),
            places: 0,
            generation: 0,
            chunks: Vec::new(),
            dirty: Vec::new(),
            starved: VecDeque::new(),
            tally: Tally::default(),
            passage: Passage::default(),
            scratch: Scratch::new(Kernels::best()),
            answers: Vec::new(),
            meters,
            held: 0,
            tails: 0,
        }
    }

    /// How many tunnels there are, ending ones included.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Chunks that wait to be sent.
    pub fn chunks_in_line(&self) -> usize {
        self.segments.len()
    }

    /// Whether no further source, header or cookie can be remembered for the rates of routes.
    pub fn counts_no_more(&mut self, now: Now) -> bool {
        self.meters.are_full(now)
    }

    /// Takes the tunnels that have ended since the last call, for each the room it gave back.
    pub fn take_gone(&mut self) -> std::vec::Drain<'_, Gone> {
        self.gone.drain(..)
    }

    /// Joins a client to its backend: the answer goes out, early bytes go where they belong, and both
    /// sockets are listened to.
    pub fn open(
        &mut self,
        ring: &mut Ring,
        wheel: &mut Wheel,
        (client, mut opening): (Connection, Opening),
        now: Now,
    ) {
        let core = &mut Core { ring, wheel, now };
        self.generation = (self.generation + 1) % Token::GENERATIONS;
        self.ledgers.fleet.opened(opening.backend_id);
        self.ledgers.counters.upgraded.add(1);
        self.ledgers.counters.tunnels_open.inc();
        self.closings.opened(opening.backend_id, opening.accepted);
        let framing = opening.frames.take();
        let (mut tunnel, first_bytes) = Tunnel::open(client, opening, self.generation, now);
        tunnel.look = framing.map(|framing| {
            let meters = self.meters.open(tunnel.route, &framing.subjects, now);
            Box::new(Look::new(framing, meters, &mut self.rng, now))
        });
        let key = self.slab.insert(tunnel);
        self.places = self.places.max(key + 1);
        let key = u32::try_from(key).expect("invariant: tunnels_max is below 2^32");
        self.tunnel(key)
            .client
            .outbox
            .start_with(first_bytes.answer);
        self.dirty.push((key, End::Client));
        for (end, early) in [
            (End::Backend, first_bytes.from_backend),
            (End::Client, first_bytes.from_client),
        ] {
            if !early.is_empty() {
                self.feed_copy(core, key, end, &early);
            }
        }
        for end in End::BOTH {
            self.receive(core, key, end);
        }
        // The answer that goes out has a deadline before the idle one; one look is for both.
        self.flush(core);
        self.schedule(core, key);
    }

    /// A request of one of this room's kinds completed.
    pub fn complete(
        &mut self,
        ring: &mut Ring,
        wheel: &mut Wheel,
        completion: &Completion,
        now: Now,
    ) {
        let core = &mut Core { ring, wheel, now };
        let token = completion.token;
        let key = token.index();
        let live = self
            .slab
            .get(key as usize)
            .is_some_and(|t| t.generation == token.generation());
        if !live {
            // Nothing outlives its tunnel, so this does not happen; if it did, no buffer would be lost.
            debug_assert!(
                false,
                "a completion for a tunnel that is gone: {completion:?}"
            );
            core.ring.take(completion, &mut self.chunks);
            self.chunks
                .drain(..)
                .for_each(|chunk| core.ring.buffers.release(chunk));
            return;
        }
        match token.kind() {
            kind::RECEIVE_CLIENT => self.received(core, key, End::Client, completion),
            kind::RECEIVE_BACKEND => self.received(core, key, End::Backend, completion),
            kind::SEND_CLIENT => self.sent(core, key, End::Client, completion.result),
            kind::SEND_BACKEND => self.sent(core, key, End::Backend, completion.result),
            _ => debug_assert!(false, "not one of ours: {completion:?}"),
        }
    }

    /// Everything that had completed was dispatched.
    pub fn batch_done(&mut self, ring: &mut Ring, wheel: &mut Wheel, now: Now) {
        let core = &mut Core { ring, wheel, now };
        self.flush(core);
        self.feed_starved(core);
        let counters = &self.ledgers.counters;
        for (traffic, end) in [
            (&counters.client_to_backend, End::Client),
            (&counters.backend_to_client, End::Backend),
        ] {
            let (messages, bytes) = self.tally.take(end);
            if bytes > 0 {
                traffic.messages.add(messages);
                traffic.bytes.add(bytes);
            }
        }
    }

    /// What a receive brought, or how it ended.
    fn received(&mut self, core: &mut Core<'_>, key: u32, end: End, completion: &Completion) {
        let mut chunks = std::mem::take(&mut self.chunks);
        core.ring.take(completion, &mut chunks);
        if !chunks.is_empty() {
            self.fit_lane(core, key, end, completion.result);
        }
        for chunk in chunks.drain(..) {
            self.take_in(core, key, end, chunk);
        }
        self.chunks = chunks;
        if !completion.more() {
            self.tunnel(key).side(end).receiving = Receiving::Idle;
            match -completion.result {
                0 => self.socket_ended(core, key, end),
                libc::ENOBUFS => self.starve(key, end),
                libc::ECANCELED | libc::EAGAIN | libc::EINTR => {}
                errno if errno > 0 => return self.broken(core, key, end),
                _ => {}
            }
            self.receive(core, key, end);
        }
        self.settle(core, key);
    }

    /// A send completed.
    fn sent(&mut self, core: &mut Core<'_>, key: u32, end: End, result: i32) {
        let Self { slab, segments, .. } = self;
        let tunnel = &mut slab[key as usize];
        let ending = tunnel.stage == Stage::Ending;
        let outbox = &mut tunnel.side(end).outbox;
        if ending {
            outbox.finish(core.ring, segments);
            return self.settle(core, key);
        }
        let was_stalled = outbox.stalled_since().is_some();
        let outcome = outbox.sent(core.ring, segments, result, core.now);
        let (stalled, copied) = (outbox.stalled_since().is_some(), outbox.copied());
        if outcome == super::outbox::Sent::Broken {
            return self.broken(core, key, end);
        }
        if !tunnel.side(end).outbox.is_empty() || tunnel.side(end).ours == Half::Closing {
            self.dirty.push((key, end));
        }
        if stalled {
            if !was_stalled {
                self.schedule(core, key);
            }
            if copied >= limits::OUTBOX_HIGH_BYTES && self.tunnel(key).is_waited_for(end) {
                self.pause(core, key, end.other());
            }
        }
        if copied <= limits::OUTBOX_LOW_BYTES && !self.tunnel(key).side(end.other()).welcome {
            self.tunnel(key).side(end.other()).welcome = true;
            self.receive(core, key, end.other());
        }
        if self.tunnel(key).stage != Stage::Open || self.tunnel(key).deadline.is_some() {
            self.settle(core, key);
        }
    }

    /// Arms a side's receive, if its bytes are welcome and nothing is armed.
    pub(super) fn receive(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        let token = tunnel.token(key, kind::receive(end));
        let ending = tunnel.stage == Stage::Ending;
        let side = tunnel.side(end);
        let unwelcome = !side.welcome || side.slowed;
        if side.receiving != Receiving::Idle || unwelcome || side.ended || ending {
            return;
        }
        let Some(socket) = &side.socket else { return };
        core.ring.receive(socket.as_fd(), side.lane, token);
        side.receiving = Receiving::Armed;
    }

    /// Stops receiving from a side: the other side's outbox is over its mark.
    pub(super) fn pause(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let side = self.tunnel(key).side(end);
        if side.welcome {
            side.welcome = false;
            self.ledgers.counters.backpressure_pauses.add(1);
            self.stop_receiving(core, key, end);
        }
    }

    pub(super) fn stop_receiving(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        let token = tunnel.token(key, kind::receive(end));
        let side = tunnel.side(end);
        if side.receiving == Receiving::Armed {
            side.receiving = Receiving::Cancelling;
            core.ring.cancel(token);
        }
    }

    /// Moves a side to the buffers that fit its reads: large ones while they fill small ones.
    fn fit_lane(&mut self, core: &mut Core<'_>, key: u32, end: End, result: i32) {
        let small = core.ring.buffers.lane_bytes(Lane::Small);
        if small == core.ring.buffers.lane_bytes(Lane::Large) {
            return;
        }
        let bytes = u32::try_from(result).unwrap_or(0);
        let side = self.tunnel(key).side(end);
        let (misfit, bound, better) = match side.lane {
            Lane::Small => (bytes >= small, limits::MISFITS_TO_LARGE, Lane::Large),
            Lane::Large => (bytes <= small / 2, limits::MISFITS_TO_SMALL, Lane::Small),
        };
        side.misfits = if misfit { side.misfits + 1 } else { 0 };
        if side.misfits >= bound {
            side.misfits = 0;
            side.lane = better;
            self.stop_receiving(core, key, end);
        }
    }

    fn starve(&mut self, key: u32, end: End) {
        self.ledgers.counters.starved.add(1);
        let tunnel = self.tunnel(key);
        let generation = tunnel.generation;
        tunnel.side(end).receiving = Receiving::Starved;
        self.starved.push_back((key, generation, end));
    }

    /// Arms as many starved sides as there are buffers. Never on a timer: a receive armed on an empty
    /// ring fails at once, so that would spin.
    fn feed_starved(&mut self, core: &mut Core<'_>) {
        let mut room = core.ring.buffers.available(Lane::Small);
        let large = core.ring.buffers.available(Lane::Large);
        while room > 0 {
            let Some((key, generation, end)) = self.starved.pop_front() else {
                return;
            };
            let Some(tunnel) = self.slab.get_mut(key as usize) else {
                continue;
            };
            let side = tunnel.side(end);
            if side.receiving != Receiving::Starved || tunnel.generation != generation {
                continue;
            }
            let side = tunnel.side(end);
            side.receiving = Receiving::Idle;
            if large == 0 {
                side.lane = Lane::Small;
            }
            self.receive(core, key, end);
            room -= 1;
        }
    }

    /// A side has something new in its outbox.
    pub(super) fn mark(&mut self, key: u32, end: End) {
        self.dirty.push((key, end));
    }

    /// Starts the sends of all sides that have something new.
    pub(super) fn flush(&mut self, core: &mut Core<'_>) {
        while let Some((key, end)) = self.dirty.pop() {
            let Some(tunnel) = self.slab.get_mut(key as usize) else {
                continue;
            };
            if tunnel.stage == Stage::Ending {
                continue;
            }
            if tunnel.look.is_some() {
                self.bound_tracks(core, key, end);
            }
            let tunnel = &mut self.slab[key as usize];
            let token = tunnel.token(key, kind::send(end));
            let side = tunnel.side(end);
            let Some(socket) = &side.socket else { continue };
            let way = (socket.as_fd(), token);
            let (waits, was_warm) = match &mut side.wire {
                None => {
                    let waits = side.outbox.flush(core.ring, &self.segments, way, core.now);
                    (waits, true)
                }
                Some(wire) => {
                    let was_warm = wire.is_warm();
                    let through = (&mut self.segments, &mut **wire);
                    let flushed = side.outbox.flush_sealed(core.ring, through, way, core.now);
                    let Ok(waits) = flushed else {
                        side.say_last(None);
                        tunnel.decide(Party::Ringway, EndReason::TlsExhausted);
                        self.end(core, key, true);
                        continue;
                    };
                    (waits, was_warm || !wire.is_warm())
                }
            };
            if side.outbox.is_empty() && side.ours == Half::Closing {
                side.ours = Half::Closed;
                side.say_last(None);
                side.socket.iter().for_each(crate::sys::end_stream);
            }
            let wears_out = side.wire.as_ref().is_some_and(|wire| wire.wears_out());
            if waits || !was_warm {
                self.schedule(core, key);
            }
            if wears_out {
                self.part_if_worn(core, key);
            }
        }
    }

    /// Makes sure that the wheel looks at this tunnel no later than at its next deadline, and once a round
    /// until then: an entry outlives its tunnel, so none is far ahead.
    pub(super) fn schedule(&mut self, core: &mut Core<'_>, key: u32) {
        let tunnel = self.tunnel(key);
        let next = tunnel
            .next_deadline()
            .min(core.now.after(limits::WHEEL_LOOK_AHEAD));
        if tunnel.scheduled.is_none_or(|scheduled| scheduled > next) {
            tunnel.scheduled = Some(next);
            core.wheel.insert(next, tunnel.token(key, kind::DUE));
        }
    }

    pub(super) fn tunnel(&mut self, key: u32) -> &mut Tunnel {
        &mut self.slab[key as usize]
    }

    /// Whether `token` is a deadline of this room.
    pub const fn is_due(token: Token) -> bool {
        token.kind() == kind::DUE
    }

    /// Whether a completion is this room's.
    pub const fn owns(token: Token) -> bool {
        matches!(token.kind(), kind::RECEIVE_CLIENT..=kind::SEND_BACKEND)
    }
}

impl Tally {
    pub(super) fn add(&mut self, end: End, messages: u64, bytes: u64) {
        self.messages[end as usize] += messages;
        self.bytes[end as usize] += bytes;
    }

    fn take(&mut self, end: End) -> (u64, u64) {
        let place = end as usize;
        (
            std::mem::take(&mut self.messages[place]),
            std::mem::take(&mut self.bytes[place]),
        )
    }
}
