//! Asks silent sides whether they live, and ends the tunnels of those that do not.

use super::look::pace;
use super::table::{Core, Tunnels};
use super::tunnel::{End, Farewell, Half, Receiving, Stage, Tunnel};
use crate::fleet::OnMiss;
use crate::limits;
use crate::metrics::EndReason;
use crate::ws::{Beat, ControlFrame, Opcode, Rule};

impl Tunnels {
    /// Looks at both hearts of a tunnel, at who was slowed, and at what is held back for too long.
    pub(super) fn beat(&mut self, core: &mut Core<'_>, key: u32) {
        self.unslow(core, key);
        self.forget_tail(key, core.now);
        for end in End::BOTH {
            let Self { slab, rng, .. } = self;
            // The end of one side may have been the end of the tunnel.
            let Some(tunnel) = slab.get_mut(key as usize) else {
                return;
            };
            if tunnel.stage != Stage::Open {
                return;
            }
            let (in_touch, is_read) = (tunnel.is_in_touch(end), tunnel.is_read(end));
            let Some(look) = &mut tunnel.look else { return };
            if look.is_overdue(end, core.now) && !is_read {
                // It is we who do not read on.
                look.way(end).held_since = Some(core.now);
            } else if look.is_overdue(end, core.now) {
                self.violated(core, key, end, Rule::MessageTimeout);
                return self.settle(core, key);
            }
            let Some(pace) = pace(&look.rules, end) else {
                continue;
            };
            let way = look.way(end);
            let Some(heart) = &mut way.heart else {
                continue;
            };
            if !in_touch {
                way.heard = core.now;
                continue;
            }
            match heart.step(pace, way.heard, core.now, rng) {
                Beat::Wait(_) => {}
                Beat::Ask { payload, missed } => self.ask(key, end, payload, missed),
                Beat::Dead => self.dead(core, key, end),
            }
        }
    }

    fn ask(&mut self, key: u32, end: End, payload: [u8; 8], missed: bool) {
        let mask = (end == End::Backend).then(|| self.rng.next_u64().to_le_bytes());
        let mask = mask.map(|[a, b, c, d, ..]| [a, b, c, d]);
        let tunnel = self.tunnel(key);
        let counters = match end {
            End::Client => &tunnel.flow.client,
            End::Backend => &tunnel.flow.backend,
        };
        counters.pongs_missed.add(u64::from(missed));
        if tunnel.may_put_in(end) {
            counters.pings_sent.add(1);
            let ping = ControlFrame::new(Opcode::Ping, &payload, mask).render();
            tunnel.side(end).outbox.push_control(ping.as_bytes());
            self.mark(key, end);
        }
    }

    /// `end` gave no sign of life for too long.
    fn dead(&mut self, core: &mut Core<'_>, key: u32, end: End) {
        let tunnel = self.tunnel(key);
        let counters = match end {
            End::Client => &tunnel.flow.client,
            End::Backend => &tunnel.flow.backend,
        };
        counters.pongs_missed.add(1);
        tunnel.decide(end.party(), EndReason::HeartbeatMissed);
        let on_miss = tunnel
            .look
            .as_ref()
            .map(|look| look.rules.heartbeat.on_miss);
        if on_miss == Some(OnMiss::Reset) {
            return self.end(core, key, true);
        }
        let peer = tunnel.peer_gone();
        tunnel.side(end).farewell = Farewell::Silent;
        tunnel.side(end.other()).farewell = peer;
        self.leave(core, key, core.now.after(limits::GOODBYE_TIMEOUT));
        self.settle(core, key);
    }
}

impl Tunnel {
    /// Whether the silence of `end` says anything: it is read, and nothing stands in the way of a Ping to it. Who is
    /// slow, or held up by the other side, has deadlines of its own.
    fn is_in_touch(&self, end: End) -> bool {
        let side = self.side_ref(end);
        self.is_read(end) && self.may_put_in(end) && side.outbox.holds_nothing()
    }

    /// Whether what this side sends is received as it comes.
    fn is_read(&self, end: End) -> bool {
        let side = self.side_ref(end);
        let has_buffers = side.receiving != Receiving::Starved;
        side.welcome && !side.slowed && !side.ended && has_buffers
    }

    /// Whether a control frame of ours may go to `end`: not behind a Close frame, ours or the other side's.
    pub(super) fn may_put_in(&self, end: End) -> bool {
        let side = self.side_ref(end);
        let from = self.side_ref(end.other());
        self.stage == Stage::Open
            && !side.told
            && side.ours == Half::Open
            && from.scanner.close_code().is_none()
    }
}
