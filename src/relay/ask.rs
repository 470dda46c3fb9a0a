//! Answers what is asked about single tunnels: which there are, and the latest frames of one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::look::Look;
use super::table::Tunnels;
use super::tail::{Tail, TailFrame, TailOptions};
use super::tunnel::{End, Stage};
use crate::clock::Now;
use crate::fleet::FrameRules;
use crate::limits;
use crate::sync::Arc;
use crate::ws::{Inspect, Scanner, Verdict};

/// What is asked, and the way back.
#[derive(Clone)]
pub struct Question {
    /// What.
    pub asks: Asks,
    /// Takes the answer. It is called once, on the worker's thread, and must not wait for anything.
    pub answer: Arc<dyn Fn(Answer) + Send + Sync>,
}

/// What can be asked of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Which tunnels there are, from this place of the table on.
    Tunnels {
        /// The place; 0 at first, then what the last answer says.
        from: usize,
    },
    /// The latest frames of one tunnel. They are kept from the first time on that they are asked for, until nobody has
    /// asked for a minute.
    Tail {
        /// Its place in the table.
        place: u32,
        /// Its generation, which tells it from others that had the place.
        generation: u32,
        /// What is wanted.
        options: TailOptions,
    },
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Some tunnels.
    Tunnels {
        /// At most [`TUNNELS_LISTED_MAX`](limits::TUNNELS_LISTED_MAX) of them.
        rows: Vec<TunnelRow>,
        /// Where more may stand.
        next: Option<usize>,
    },
    /// The latest frames of the tunnel, the oldest first.
    Tail(Vec<TailFrame>),
    /// There is no such tunnel any more.
    NoTunnel,
    /// So many tails are kept that no further one may be.
    TooManyTails,
}

/// One tunnel, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelRow {
    /// Its place in the table.
    pub place: u32,
    /// Its generation.
    pub generation: u32,
    /// Where its connection comes from.
    pub client: SocketAddr,
    /// The client's own address, when a trusted proxy named it.
    pub forwarded_for: Option<IpAddr>,
    /// The number of its route.
    pub route: u16,
    /// The row of its backend.
    pub backend: u16,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_unix_ms: u64,
    /// For how long nothing has gone either way, in milliseconds.
    pub silent_ms: u64,
    /// Whole messages that each side sent, the client first.
    pub messages: [u64; 2],
    /// Bytes that each side sent, frame headers included.
    pub bytes: [u64; 2],
    /// How closely its frames are looked at.
    pub inspect: Inspect,
    /// Whether permessage-deflate was agreed on.
    pub deflate: bool,
}

impl Tunnels {
    /// Answers a question.
    pub fn answer(&mut self, asks: Asks, now: Now) -> Answer {
        match asks {
            Asks::Tunnels { from } => self.list(from, now),
            Asks::Tail {
                place,
                generation,
                options,
            } => self.ask_tail((place, generation), options, now),
        }
    }

    fn list(&self, from: usize, now: Now) -> Answer {
        let mut rows = Vec::new();
        let looked_at = self
            .places
            .min(from.saturating_add(limits::CLOSE_LOOKS_MAX));
        for place in from..looked_at {
            if rows.len() >= limits::TUNNELS_LISTED_MAX {
                let next = Some(place);
                return Answer::Tunnels { rows, next };
            }
            if self
                .slab
                .get(place)
                .is_some_and(|tunnel| tunnel.stage != Stage::Ending)
            {
                rows.push(self.row(place, now));
            }
        }
        let next = (looked_at < self.places).then_some(looked_at);
        Answer::Tunnels { rows, next }
    }

    fn row(&self, place: usize, now: Now) -> TunnelRow {
        let tunnel = &self.slab[place];
        let look = tunnel.look.as_ref();
        let silent_ms = now.since(tunnel.last_active).as_millis();
        TunnelRow {
            place: u32::try_from(place).expect("invariant: tunnels_max is below 2^32"),
            generation: tunnel.generation,
            client: tunnel.peer,
            forwarded_for: tunnel.forwarded_for,
            route: tunnel.route,
            backend: tunnel.backend_id.0,
            opened_unix_ms: tunnel.opened_unix_ms,
            silent_ms: u64::try_from(silent_ms).unwrap_or(u64::MAX),
            messages: [tunnel.client.messages, tunnel.backend.messages],
            bytes: [tunnel.client.bytes, tunnel.backend.bytes],
            inspect: look.map_or(Inspect::Headers, |look| look.rules.client.inspect),
            deflate: tunnel.client.scanner.takes_deflate(),
        }
    }

    fn ask_tail(
        &mut self,
        (place, generation): (u32, u32),
        options: TailOptions,
        now: Now,
    ) -> Answer {
        let Self { slab, tails, .. } = self;
        let tunnel = slab.get_mut(place as usize);
        let tunnel = tunnel
            .filter(|tunnel| tunnel.generation == generation && tunnel.stage != Stage::Ending);
        let Some(tunnel) = tunnel else {
            return Answer::NoTunnel;
        };
        if let Some(tail) = tunnel.look.as_mut().and_then(|look| look.tail.as_mut()) {
            return Answer::Tail(tail.ask(options, now));
        }
        if *tails >= limits::TAILS_MAX {
            return Answer::TooManyTails;
        }
        if tunnel.look.is_none() {
            let scanners = [&tunnel.client.scanner, &tunnel.backend.scanner];
            // In the midst of a header or of a Close frame there is no joining; whoever asks again finds another
            // moment.
            let is_no_moment =
                |scanner: &&Scanner| !scanner.held().is_empty() || scanner.is_closing();
            if scanners.iter().any(is_no_moment) {
                return Answer::Tail(Vec::new());
            }
            let look = Look::joining(Arc::new(FrameRules::default()), scanners, now);
            for end in End::BOTH {
                let tail = look.way_ref(end.other()).inspector.last_ends();
                tunnel.side(end).outbox.ends_with(tail);
            }
            tunnel.look = Some(Box::new(look));
        }
        if let Some(look) = &mut tunnel.look {
            look.tail = Some(Box::new(Tail::new(options, now)));
            *tails += 1;
        }
        Answer::Tail(Vec::new())
    }

    /// Gives up a tail that nobody asks for any more, and with it the look that was for nothing else.
    pub(super) fn forget_tail(&mut self, key: u32, now: Now) {
        let Self { slab, tails, .. } = self;
        let tunnel = &mut slab[key as usize];
        let Some(look) = &mut tunnel.look else { return };
        if look
            .tail
            .as_ref()
            .is_some_and(|tail| tail.is_forgotten(now))
        {
            look.tail = None;
            *tails -= 1;
        }
        let is_over = look.is_for_tail && look.tail.is_none() && look.is_idle();
        let sides = [&tunnel.client, &tunnel.backend];
        let is_plain = sides.iter().all(|side| {
            side.outbox.is_plain()
                && side.scanner.at_boundary()
                && side.scanner.verdict() == Verdict::Pass
        });
        if is_over && is_plain {
            tunnel.look = None;
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({:?})", self.asks)
    }
}
