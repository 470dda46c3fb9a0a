//! What happens to bytes on their way: scanned, forwarded up to what is legal, cut where a goodbye waits.

use super::table::{Core, Tunnels};
use super::tunnel::{End, Farewell, Flow, Stage};
use crate::clock::Now;
use crate::limits;
use crate::metrics::{EndReason, Party};
use crate::ring::Chunk;
use crate::ws::{Rule, Scan, Verdict};

impl Tunnels {
    /// Feeds one chunk that `end` sent.
    pub(super) fn feed(&mut self, core: &mut Core<'_>, key: u32, end: End, chunk: Chunk) {
        let tunnel = &self.slab[key as usize];
        if tunnel.stage == Stage::Ending {
            return core.ring.buffers.release(chunk);
        }
        if tunnel.look.is_some() {
            return self.feed_watched(core, key, end, chunk);
        }
        let bytes = core.ring.buffers.bytes(&chunk);
        let Some((scan, cut)) = self.scan(core.now, key, end, bytes) else {
            return core.ring.buffers.release(chunk);
        };
        let Self { slab, segments, .. } = self;
        let outbox = &mut slab[key as usize].side(end.other()).outbox;
        if scan.prefix.is_empty() {
            outbox.push(core.ring, segments, chunk, 0..scan.release);
        } else {
            // A header was cut by the end of the last chunk: rare, so its chunk is copied behind it.
            let behind = (scan.prefix.as_bytes(), chunk);
            outbox.push_behind(core.ring, segments, behind, scan.release);
        }
        self.forwarded(core, key, end, &scan);
        if cut {
            self.tell(key, end.other());
        }
    }

    /// Feeds bytes that are not in a receive buffer: those that came before the tunnel was open, and those of a record
    /// that a receive had cut.
    pub(super) fn feed_copy(&mut self, core: &mut Core<'_>, key: u32, end: End, bytes: &[u8]) {
        let tunnel = self.tunnel(key);
        if tunnel.stage == Stage::Ending {
            return;
        }
        if tunnel.look.is_some() {
            return self.feed_watched_copy(core, key, end, bytes);
        }
        let Some((scan, cut)) = self.scan(core.now, key, end, bytes) else {
            return;
        };
        let Self { slab, segments, .. } = self;
        let outbox = &mut slab[key as usize].side(end.other()).outbox;
        outbox.make_room(segments);
        outbox.push_copy(scan.prefix.as_bytes());
        outbox.push_copy(&bytes[..scan.release]);
        self.forwarded(core, key, end, &scan);
        if cut {
            self.tell(key, end.other());
        }
    }

    /// Scans and counts bytes that `end` sent. Hands back what may go on, and whether a goodbye follows it; nothing if
    /// they go nowhere.
    fn scan(&mut self, now: Now, key: u32, end: End, bytes: &[u8]) -> Option<(Scan, bool)> {
        let Self {
            slab,
            tally,
            ledgers,
            ..
        } = self;
        let tunnel = &mut slab[key as usize];
        tunnel.last_active = now;
        let length = bytes.len() as u64;
        let side = tunnel.side(end);
        let flow = side.flow;
        let was_legal = side.scanner.verdict() == Verdict::Pass;
        let mut broken = None;
        let mut scan = match flow {
            Flow::Relay | Flow::Discard => side.scanner.feed(bytes),
            Flow::Cut => side.scanner.feed_to_boundary(bytes),
        };
        let cut = flow == Flow::Cut && scan.boundary.is_some();
        if cut {
            // The rest goes nowhere, but a Close frame in it is this side's goodbye.
            scan.messages += side.scanner.feed(&bytes[scan.release..]).messages;
        }
        if (cut || flow == Flow::Discard)
            && was_legal
            && let Verdict::Violation(rule) = side.scanner.verdict()
        {
            // The tunnel is ending already, and for its first reason; the broken rule counts all the same.
            ledgers.counters.violated(rule.index());
            broken = Some(rule);
        }
        side.bytes += length;
        side.messages += u64::from(scan.messages);
        tally.add(end, u64::from(scan.messages), length);
        let traffic = tunnel.traffic(end);
        traffic.messages.add(scan.messages.into());
        traffic.bytes.add(length);
        if let Some(rule) = broken {
            tunnel.flow.violated(rule.index());
        }
        (flow != Flow::Discard).then_some((scan, cut))
    }

    /// What follows from a scan, once its bytes are in line.
    fn forwarded(&mut self, core: &mut Core<'_>, key: u32, end: End, scan: &Scan) {
        if scan.release > 0 || !scan.prefix.is_empty() {
            self.mark(key, end.other());
            let copied = self.tunnel(key).side(end.other()).outbox.copied();
            if copied >= limits::OUTBOX_HIGH_BYTES {
                self.pause(core, key, end);
            }
        }
        self.judged(core, key, end, scan.verdict);
    }

    /// What follows from what a direction has come to.
    pub(super) fn judged(&mut self, core: &mut Core<'_>, key: u32, end: End, verdict: Verdict) {
        match verdict {
            Verdict::Pass => {}
            // Whatever follows a Close frame goes nowhere (RFC 6455 5.5.1).
            Verdict::Closed => {
                self.tunnel(key).side(end).flow = Flow::Discard;
                self.close_seen(core, key, end);
            }
            Verdict::Violation(rule) => self.violated(core, key, end, rule),
        }
    }

    /// `end` broke a rule: it is sent the rule's code, the other side 1001 or what the route says.
    pub(super) fn violated(&mut self, core: &mut Core<'_>, key: u32, end: End, rule: Rule) {
        self.count_violation(key, rule);
        let tunnel = self.tunnel(key);
        let (party, reason) = match rule {
            Rule::AssemblyFull => (Party::Ringway, EndReason::Policy),
            rule if rule.is_of_the_protocol() => (end.party(), EndReason::ProtocolError),
            _ => (end.party(), EndReason::Policy),
        };
        tunnel.decide(party, reason);
        let peer = tunnel.peer_gone();
        tunnel.side(end).farewell = Farewell::Broke(rule);
        tunnel.side(end.other()).farewell = peer;
        self.leave(core, key, core.now.after(limits::GOODBYE_TIMEOUT));
    }

    pub(super) fn count_violation(&mut self, key: u32, rule: Rule) {
        self.ledgers.counters.violated(rule.index());
        self.tunnel(key).flow.violated(rule.index());
    }
}
