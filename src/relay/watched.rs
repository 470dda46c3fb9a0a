//! What happens to bytes of a tunnel that somebody looks into: inspected, then passed on piece by piece.

use super::doorman::{Bench, Looked};
use super::outbox::Outbox;
use super::table::{Core, Tunnels};
use super::tunnel::{End, Farewell, Flow, Stage};
use crate::clock::Now;
use crate::fleet::SlowConsumer;
use crate::limits;
use crate::metrics::{Dropped, EndReason};
use crate::ring::Chunk;
use crate::ws::{Ends, Passage, Source, Verdict};

impl Tunnels {
    /// Feeds one chunk that `end` sent.
    pub(super) fn feed_watched(&mut self, core: &mut Core<'_>, key: u32, end: End, chunk: Chunk) {
        let bytes = core.ring.buffers.bytes(&chunk);
        let looked = self.inspect(core.now, key, end, bytes);
        let Self {
            slab,
            segments,
            passage,
            ..
        } = self;
        let tunnel = &mut slab[key as usize];
        let in_order = tunnel.is_only_tailed();
        let outbox = &mut tunnel.side(end.other()).outbox;
        match &passage.pieces[..] {
            [piece] if piece.source == Source::Chunk && (in_order || outbox.is_free()) => {
                outbox.push(core.ring, segments, chunk, piece.range());
                outbox.ends_with(piece.ends);
            }
            [held, piece]
                if (held.source, piece.source) == (Source::Copied, Source::Chunk)
                    && matches!(held.ends, Ends::Nothing | Ends::Frame | Ends::Message)
                    && held.range().len() <= limits::HELD_SPARE_BYTES_LEAST
                    && outbox.takes_held() =>
            {
                outbox.push_held(segments, &passage.copied[held.range()]);
                outbox.push(core.ring, segments, chunk, piece.range());
                outbox.ends_with(held.ends);
                outbox.ends_with(piece.ends);
            }
            pieces => {
                let bytes = core.ring.buffers.bytes(&chunk);
                if !pieces.is_empty() {
                    outbox.make_room(segments);
                }
                let taken = usize::from(!in_order && take_over(passage, outbox));
                for piece in &passage.pieces[taken..] {
                    let bytes = passage.bytes(piece, bytes);
                    if in_order {
                        outbox.push_in_order(bytes, piece.ends);
                    } else {
                        outbox.push_frames(bytes, piece.ends);
                    }
                }
                core.ring.buffers.release(chunk);
            }
        }
        self.passed_on(core, key, end, looked);
    }

    /// Feeds bytes that are not in a receive buffer: those that came before the tunnel was open.
    pub(super) fn feed_watched_copy(
        &mut self,
        core: &mut Core<'_>,
        key: u32,
        end: End,
        bytes: &[u8],
    ) {
        let looked = self.inspect(core.now, key, end, bytes);
        let Self { slab, passage, .. } = self;
        let tunnel = &mut slab[key as usize];
        let in_order = tunnel.is_only_tailed();
        let outbox = &mut tunnel.side(end.other()).outbox;
        for piece in &passage.pieces {
            let bytes = passage.bytes(piece, bytes);
            if in_order {
                outbox.push_in_order(bytes, piece.ends);
            } else {
                outbox.push_frames(bytes, piece.ends);
            }
        }
        self.passed_on(core, key, end, looked);
    }

    /// Looks at bytes that `end` sent; what goes on of them is in the passage then.
    fn inspect(&mut self, now: Now, key: u32, end: End, bytes: &[u8]) -> Looked {
        let tunnel = &mut self.slab[key as usize];
        let look = tunnel.look.as_mut();
        let look = look.expect("invariant: whoever feeds here has seen that it is there");
        let (side, other) = match end {
            End::Client => (&mut tunnel.client, &tunnel.backend),
            End::Backend => (&mut tunnel.backend, &tunnel.client),
        };
        let is_backpressure = look.slow_rule(end.other()) == SlowConsumer::Backpressure;
        self.passage.by_frame = !look.is_for_tail && (!other.outbox.is_free() || !is_backpressure);
        let before = look.held();
        let bench = Bench {
            now,
            scratch: &mut self.scratch,
            passage: &mut self.passage,
            meters: &mut self.meters,
            answers: &mut self.answers,
            room: limits::ASSEMBLY_BYTES_MAX.saturating_sub(self.held),
        };
        let looked = look.feed(end, (side, bytes), &tunnel.flow, bench);
        self.held = self.held + look.held() - before;
        let (messages, length) = (looked.messages, bytes.len() as u64);
        side.bytes += length;
        side.messages += messages;
        if looked.is_active {
            tunnel.last_active = now;
        }
        self.tally.add(end, messages, length);
        tunnel.traffic(end).messages.add(messages);
        tunnel.traffic(end).bytes.add(length);
        looked
    }

    /// What follows from a look, once what goes on is in line.
    fn passed_on(&mut self, core: &mut Core<'_>, key: u32, end: End, looked: Looked) {
        if !self.answers.is_empty() {
            self.answer_pings(key, end);
        }
        if !self.passage.pieces.is_empty() {
            self.mark(key, end.other());
            self.bound_queue(core, key, end.other());
        }
        if looked.holds {
            self.schedule(core, key);
        }
        if let Some(wait) = looked.slow_for
            && looked.verdict == Verdict::Pass
        {
            self.slow(core, key, end, core.now.after(wait));
        }
        if looked.cut {
            self.tell(key, end.other());
        }
        let broken = matches!(looked.verdict, Verdict::Violation(_));
        match (looked.verdict, looked.flow) {
            (Verdict::Pass, _) => {}
            (Verdict::Violation(rule), Flow::Cut | Flow::Discard) => {
                self.count_violation(key, rule);
            }
            _ => self.judged(core, key, end, looked.verdict),
        }
        if broken && looked.flow == Flow::Cut && !looked.cut {
            // The end of the frame that our Close frame waits for will never come.
            self.give_up_telling(key, end.other());
        }
    }

    /// Sends `end` the Pongs that answer its Pings, unless it was told goodbye.
    fn answer_pings(&mut self, key: u32, end: End) {
        let Self { slab, answers, .. } = self;
        let tunnel = &mut slab[key as usize];
        if tunnel.may_put_in(end) {
            let outbox = &mut tunnel.side(end).outbox;
            let mut rest = &answers[..];
            while let [_, length, ..] = *rest {
                let (frame, after) = rest.split_at(2 + usize::from(length));
                outbox.push_control(frame);
                rest = after;
            }
            self.answers.clear();
            self.mark(key, end);
        } else {
            answers.clear();
        }
    }

    /// Reads no further what goes to a receiver that is waited for, while much waits.
    fn bound_queue(&mut self, core: &mut Core<'_>, key: u32, receiver: End) {
        let tunnel = self.tunnel(key);
        let copied = tunnel.side(receiver).outbox.copied();
        if copied >= limits::OUTBOX_HIGH_BYTES && tunnel.is_waited_for(receiver) {
            self.pause(core, key, receiver.other());
        }
    }

    /// Keeps what waits for a receiver that is not waited for within its bound. A burst that came in one batch has not
    /// had its chance yet: only what a full socket leaves in the tracks counts.
    pub(super) fn bound_tracks(&mut self, core: &mut Core<'_>, key: u32, receiver: End) {
        let tunnel = self.tunnel(key);
        let Some(look) = &tunnel.look else { return };
        let (rule, most) = (look.slow_rule(receiver), look.rules.queue_bytes_max);
        let waits = tunnel.is_waited_for(receiver);
        let outbox = &mut tunnel.side(receiver).outbox;
        if waits {
            return;
        }
        if !outbox.is_blocked() {
            return outbox.refill(usize::MAX);
        }
        if outbox.in_tracks() <= most as usize {
            return;
        }
        if rule == SlowConsumer::Close {
            return self.too_slow(core, key, receiver);
        }
        let dropped = outbox.keep_newest(most);
        if dropped > 0 {
            let traffic = tunnel.traffic(receiver.other());
            traffic.dropped[Dropped::SlowConsumer.index()].add(dropped);
        }
    }

    /// `receiver` takes less than is sent to it: it is sent 1013 before all that waits for it in the tracks.
    fn too_slow(&mut self, core: &mut Core<'_>, key: u32, receiver: End) {
        let tunnel = self.tunnel(key);
        tunnel.decide(receiver.party(), EndReason::SlowConsumer);
        let peer = tunnel.peer_gone();
        tunnel.side(receiver).farewell = Farewell::TooSlow;
        tunnel.side(receiver.other()).farewell = peer;
        // Frames whose start is left out must not go on, nor may a Close frame that was left out be counted on.
        if tunnel.side(receiver).outbox.clear_tracks() {
            self.tell(key, receiver);
        }
        self.leave(core, key, core.now.after(limits::GOODBYE_TIMEOUT));
    }

    /// Reads `end` no further until then.
    fn slow(&mut self, core: &mut Core<'_>, key: u32, end: End, until: Now) {
        let tunnel = self.tunnel(key);
        if tunnel.stage != Stage::Open {
            return;
        }
        if let Some(look) = &mut tunnel.look {
            look.way(end).slowed_until = Some(until);
        }
        if !tunnel.side(end).slowed {
            tunnel.side(end).slowed = true;
            tunnel.traffic(end).slowed.add(1);
            self.stop_receiving(core, key, end);
        }
        self.schedule(core, key);
    }

    /// Reads on whoever has waited long enough.
    pub(super) fn unslow(&mut self, core: &mut Core<'_>, key: u32) {
        for end in End::BOTH {
            let tunnel = self.tunnel(key);
            let Some(look) = &mut tunnel.look else { return };
            let until = &mut look.way(end).slowed_until;
            if until.is_some_and(|until| until <= core.now) {
                *until = None;
                tunnel.side(end).slowed = false;
                self.receive(core, key, end);
            }
        }
    }
}

/// Hands the first piece over without copying it, if it is a long one that was held back and is all there is of copies.
fn take_over(passage: &mut Passage, outbox: &mut Outbox) -> bool {
    let Some(first) = passage.pieces.first().copied() else {
        return false;
    };
    first.source == Source::Copied
        && first.range() == (0..passage.copied.len())
        && first.to >= limits::TAKEN_OVER_BYTES
        && outbox.take_over(&mut passage.copied, first.ends)
}
